//! Conditions are a subset of CEL, so another implementation of CEL has to come to the same decisions: random conditions over random
//! records, callers and times are given to [`Condition::evaluate`] and to the crate `cel`, and both have to say the same.
//!
//! Only where CEL itself decides: every path is there and of the type that it is compared as. What is left to us alone is outside of this
//! test: missing values and null (CEL has errors where we have "unknown"), order between types (likewise), decimals (CEL has none) and
//! dates (plain text in both). And the crate compares an integer with a double as two doubles, where the
//! specification and we compare exactly: so there are no doubles between 2^53 and 2^63 here. A datetime is a text in our records and a timestamp in CEL's. `CEL_CASES` sets how many decisions are
//! compared.

mod random;

use std::{collections::HashMap, sync::Arc};

use cel::{Context as CelContext, Env, Program, Value as CelValue, objects::Key};
use chrono::DateTime;
use model::{
    Caller, Condition, Principal, Record, Truth, Value,
    condition::{Context, Scope},
    time::canonical_datetime,
    value::Object,
};
use random::Random;

/// How many decisions are compared unless `CEL_CASES` says otherwise.
const CASES: usize = 60_000;

/// Each condition is tried on so many records.
const RECORDS: usize = 10;

const TEXTS: [&str; 14] =
    ["", "a", "b", "ab", "aab", "A", "é", "e\u{301}", "😀", "\u{ffff}", "it's \"x\"", "a\\n", "line\n\ttab\u{7}", "2026-01-01"];
const INTEGERS: [i64; 9] = [0, 1, 2, 3, -1, 9_007_199_254_740_993, i64::MAX, i64::MIN, 42];
const NUMBERS: [f64; 9] = [0.0, 1.0, 2.0, 2.5, -0.5, 1e300, -1e300, 1e-300, 42.0];
const MOMENTS: [&str; 6] = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T01:00:00+01:00",
    "2026-01-01T00:00:00.000001Z",
    "2025-12-31T23:59:59.999999Z",
    "1969-07-20T20:17:40.5Z",
    "2026-11-22T18:30:04.123456-05:00",
];

/// The types of the paths and the constants that may meet.
#[derive(Clone, Copy, PartialEq)]
enum Type {
    Text,
    Integer,
    Number,
    Bool,
    Moment,
}

fn paths(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::Text => &[
            "record.title",
            "record.note",
            "record.data.text",
            "record.data.inner.text",
            "record.id",
            "caller.id",
            "caller.team.name",
            "before.title",
        ],
        Type::Integer => &["record.stock", "record.count", "record.data.whole", "record.data.inner.whole", "caller.level", "before.stock"],
        Type::Number => &["record.score", "record.data.number", "caller.credit", "before.score"],
        Type::Bool => &["record.public", "record.locked", "record.data.flag", "record.data.inner.flag", "caller.admin", "before.public"],
        Type::Moment => &["record.due", "record.created", "before.due", "now"],
    }
}

fn value(kind: Type, random: &mut Random) -> Value {
    match kind {
        Type::Text => random.pick(&TEXTS).into(),
        Type::Integer => Value::Integer(INTEGERS[random.below(INTEGERS.len())]),
        Type::Number => Value::Number(NUMBERS[random.below(NUMBERS.len())]),
        Type::Bool => Value::Bool(random.below(2) == 0),
        Type::Moment => canonical_datetime(random.pick(&MOMENTS)).expect("a datetime").into(),
    }
}

/// How a constant is written.
fn literal(kind: Type, random: &mut Random) -> String {
    match value(kind, random) {
        Value::Text(text) if kind == Type::Text => quoted(&text, random),
        Value::Text(_) => format!("timestamp('{}')", random.pick(&MOMENTS)),
        Value::Number(number) if random.below(2) == 0 => format!("{number:e}"),
        // Rust writes `1` for 1.0, which would be an integer.
        Value::Number(number) => format!("{number:?}"),
        value => value.to_json(),
    }
}

/// A text in either quotes, with any of the escapes that say the same.
fn quoted(text: &str, random: &mut Random) -> String {
    let quote = if random.below(2) == 0 { '\'' } else { '"' };
    let mut literal = String::from(quote);
    for character in text.chars() {
        let code = u32::from(character);
        let named = "\u{7}\u{8}\u{c}\n\r\t\u{b}\\'\"`?".chars().position(|one| one == character);
        match (random.below(6), named) {
            (0, _) if code < 0x100 => literal.push_str(&format!("\\x{code:02x}")),
            (1, _) if code < 0x100 => literal.push_str(&format!("\\{code:03o}")),
            (2, _) if code < 0x1_0000 => literal.push_str(&format!("\\u{code:04X}")),
            (3, _) => literal.push_str(&format!("\\U{code:08x}")),
            (_, Some(at)) => literal.extend(['\\', "abfnrtv\\'\"`?".chars().nth(at).expect("one for each")]),
            _ => literal.push(character),
        }
    }
    literal.push(quote);
    literal
}

/// A path or a constant.
fn side(kind: Type, random: &mut Random) -> String {
    if random.below(5) < 2 { literal(kind, random) } else { random.pick(paths(kind)).to_owned() }
}

/// What binds more tightly needs no parentheses.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    Any,
    All,
    Unary,
}

fn condition(random: &mut Random, depth: usize, binding: Binding) -> String {
    let space = ["", " "][random.below(2)];
    let (own, text) = match random.below(if depth < 4 { 11 } else { 5 }) {
        0..=4 => return if binding == Binding::Unary { operand_of_not(random) } else { term(random) },
        5 | 6 => (Binding::Unary, format!("!{}", condition(random, depth + 1, Binding::Unary))),
        7 | 8 => (Binding::All, chain(random, depth, Binding::All, &format!("{space}&&{space}"))),
        9 => (Binding::Any, chain(random, depth, Binding::Any, &format!("{space}||{space}"))),
        _ => (Binding::Unary, format!("({space}{})", condition(random, depth + 1, Binding::Any))),
    };
    if own < binding { format!("({text})") } else { text }
}

fn chain(random: &mut Random, depth: usize, binding: Binding, operator: &str) -> String {
    let inner = if binding == Binding::Any { Binding::All } else { Binding::Unary };
    let terms: Vec<String> =
        (0..2 + random.below(3)).map(|_| if random.below(3) == 0 { term(random) } else { condition(random, depth + 1, inner) }).collect();
    terms.join(operator)
}

/// `!a == b` is refused by us, so a comparison after `!` stands in parentheses.
fn operand_of_not(random: &mut Random) -> String {
    match random.below(3) {
        0 => random.pick(paths(Type::Bool)).to_owned(),
        _ => format!("({})", term(random)),
    }
}

fn term(random: &mut Random) -> String {
    let kind = [Type::Text, Type::Integer, Type::Number, Type::Bool, Type::Moment][random.below(5)];
    // Numbers of both types meet; other types may be asked whether they are equal, but have no order.
    let beside = match kind {
        Type::Integer | Type::Number if random.below(3) == 0 => [Type::Integer, Type::Number][random.below(2)],
        _ => kind,
    };
    match random.below(12) {
        0..=2 => format!("{}=={}", side(kind, random), side(beside, random)),
        3 => format!("{} != {}", side(kind, random), side(beside, random)),
        4 | 5 if kind != Type::Bool => format!("{} {} {}", side(kind, random), random.pick(&["<", "<=", ">", ">="]), side(beside, random)),
        6 if kind != Type::Moment => {
            let values: Vec<String> = (0..random.below(4)).map(|_| literal(beside, random)).collect();
            format!("{} in [{}]", random.pick(paths(kind)), values.join(", "))
        }
        7 => match random.below(3) {
            0 => format!("{} in {}", side(Type::Integer, random), random.pick(&["record.data.numbers", "caller.limits"])),
            _ => format!("{} in {}", side(Type::Text, random), random.pick(&["record.tags", "record.data.inner.list", "caller.roles"])),
        },
        8 | 9 => {
            let test = random.pick(&["startsWith", "endsWith", "contains"]);
            format!("{}.{test}({})", side(Type::Text, random), side(Type::Text, random))
        }
        10 => match random.below(3) {
            0 => format!(
                "has({})",
                random.pick(&["record.title", "record.data.inner.text", "record.data.nothing", "record.nothing", "caller.team.x"])
            ),
            1 => format!("{} == null", side(Type::Text, random)),
            _ => format!("null != {}", random.pick(paths(kind))),
        },
        11 => random.pick(&["true", "false"]).to_owned(),
        _ => random.pick(paths(Type::Bool)).to_owned(),
    }
}

/// Everything that the paths of the test name.
fn object(random: &mut Random, depth: usize) -> Object {
    let mut object = Object::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    if depth == 0 {
        for (name, kind) in [("title", Type::Text), ("note", Type::Text), ("stock", Type::Integer), ("count", Type::Integer)] {
            put(name, value(kind, random));
        }
        for (name, kind) in [("score", Type::Number), ("public", Type::Bool), ("locked", Type::Bool), ("due", Type::Moment)] {
            put(name, value(kind, random));
        }
        put("tags", list(Type::Text, random));
        put("data", Value::Object(self::object(random, 1)));
        return object;
    }
    for (name, kind) in [("text", Type::Text), ("whole", Type::Integer), ("number", Type::Number), ("flag", Type::Bool)] {
        put(name, value(kind, random));
    }
    put("numbers", list(Type::Integer, random));
    put("list", list(Type::Text, random));
    if depth == 1 {
        put("inner", Value::Object(self::object(random, 2)));
    }
    object
}

fn list(kind: Type, random: &mut Random) -> Value {
    Value::List((0..random.below(4)).map(|_| value(kind, random)).collect())
}

fn record(random: &mut Random) -> Record {
    let time = |random: &mut Random| canonical_datetime(random.pick(&MOMENTS)).expect("a datetime");
    let (created, updated) = (time(random), time(random));
    Record { id: random.pick(&TEXTS).into(), tenant: "main".into(), version: 1, created, updated, values: object(random, 0) }
}

fn caller(random: &mut Random) -> Caller {
    let mut attributes = Object::new();
    attributes.insert("level".into(), value(Type::Integer, random));
    attributes.insert("credit".into(), value(Type::Number, random));
    attributes.insert("admin".into(), value(Type::Bool, random));
    attributes.insert("roles".into(), list(Type::Text, random));
    attributes.insert("limits".into(), list(Type::Integer, random));
    attributes.insert("team".into(), Value::Object([("name".to_owned(), value(Type::Text, random))].into_iter().collect()));
    Caller::new(Principal::User(random.pick(&TEXTS).into()), "main", attributes)
}

/// The same value for CEL.
fn cel_value(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Integer(value) => CelValue::Int(*value),
        Value::Number(value) => CelValue::Float(*value),
        Value::Text(text) => CelValue::String(text.clone().into()),
        Value::List(values) => CelValue::List(values.iter().map(cel_value).collect::<Vec<_>>().into()),
        Value::Object(object) => cel_map(object.iter().map(|(name, value)| (name.as_str(), cel_value(value)))),
        Value::Decimal(_) => panic!("CEL has no decimals"),
    }
}

fn cel_map<'a>(entries: impl Iterator<Item = (&'a str, CelValue)>) -> CelValue {
    let entries: HashMap<Key, CelValue> = entries.map(|(name, value)| (name.into(), value)).collect();
    CelValue::Map(entries.into())
}

fn cel_time(text: &str) -> CelValue {
    CelValue::Timestamp(DateTime::parse_from_rfc3339(text).expect("a datetime"))
}

fn cel_record(record: &Record) -> CelValue {
    let values = record.values.iter().map(|(name, value)| match value {
        Value::Text(text) if name == "due" => (name.as_str(), cel_time(text)),
        _ => (name.as_str(), cel_value(value)),
    });
    let times = [("created", cel_time(&record.created)), ("updated", cel_time(&record.updated))];
    cel_map(values.chain(times).chain([("id", CelValue::String(record.id.clone().into()))]))
}

#[test]
fn cel_comes_to_the_same_decisions() {
    let cases = std::env::var("CEL_CASES").map_or(CASES, |text| text.parse().expect("CEL_CASES is a number"));
    let library = Arc::new(Env::stdlib());
    let mut random = Random::new(cases as u64);
    let mut decisions = [0; 3];
    for _ in 0..cases.div_ceil(RECORDS) {
        let text = condition(&mut random, 0, Binding::Any);
        let condition = Condition::parse(&text, Scope::Policy).unwrap_or_else(|error| panic!("{text}: {error}"));
        let program = Program::compile(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        for _ in 0..RECORDS {
            let (record, before, caller) = (record(&mut random), self::record(&mut random), caller(&mut random));
            let now = canonical_datetime(random.pick(&MOMENTS)).expect("a datetime");
            let truth = condition.evaluate(&Context { record: &record, before: Some(&before), caller: &caller, now: &now });
            let mut variables = CelContext::with_env(Arc::clone(&library));
            variables.add_variable_from_value("record", cel_record(&record));
            variables.add_variable_from_value("before", cel_record(&before));
            variables.add_variable_from_value("caller", cel_value(&Value::Object(caller.attributes.clone())));
            variables.add_variable_from_value("now", cel_time(&now));
            match program.execute(&variables) {
                Ok(CelValue::Bool(decision)) => {
                    assert_eq!(truth, Truth::from(decision), "{text}\n{record:?}\n{before:?}\n{caller:?}\n{now}")
                }
                other => panic!("{text}: CEL says {other:?}, we say {truth:?}\n{record:?}\n{before:?}\n{caller:?}\n{now}"),
            }
            decisions[truth as usize] += 1;
        }
    }
    eprintln!("{} decisions compared, {} of them true", decisions.iter().sum::<usize>(), decisions[Truth::True as usize]);
    assert!(decisions[Truth::False as usize] > cases / 4 && decisions[Truth::True as usize] > cases / 4, "one-sided: {decisions:?}");
}
