//! Tables of what is parsed, refused and decided. The property test in the store compares the decisions with the database.

use super::*;
use crate::{Field, FieldType, Kind, Principal, collection::Definition, value::Object};

fn posts() -> Collection {
    use FieldType as T;
    let mut fields: Vec<Field> = [
        ("title", T::Text),
        ("owner", T::Relation),
        ("stock", T::Integer),
        ("score", T::Number),
        ("price", T::Decimal),
        ("public", T::Bool),
        ("due", T::Datetime),
        ("day", T::Date),
        ("status", T::Select),
        ("data", T::Json),
        ("secret", T::Text),
        ("tags", T::Select),
        ("readers", T::Relation),
    ]
    .map(|(name, kind)| Field::new(name, kind))
    .into();
    for field in &mut fields {
        match field.name.as_str() {
            "owner" => field.collection = Some("users".into()),
            "readers" => (field.collection, field.many) = (Some("users".into()), true),
            "status" => field.values = vec!["draft".into(), "done".into()],
            "tags" => (field.values, field.many) = (vec!["a".into(), "b".into()], true),
            "secret" => field.hidden = true,
            _ => {}
        }
    }
    let definition =
        Definition { name: "posts".into(), kind: Kind::Base, description: String::new(), fields, indexes: vec![], search: Vec::new() };
    Collection::new(definition).expect("posts")
}

fn parse(text: &str, scope: Scope) -> Result<String, String> {
    match Condition::parse(text, scope) {
        Ok(condition) => Ok(shape(condition.expression())),
        Err(error) => Err(format!("{}: {}", error.position, error.reason)),
    }
}

/// An expression in prefix form.
fn shape(expression: &Expression) -> String {
    let many = |name: &str, terms: &[Expression]| format!("({name} {})", terms.iter().map(shape).collect::<Vec<_>>().join(" "));
    match expression {
        Expression::Constant(value) => value.to_string(),
        Expression::And(terms) => many("and", terms),
        Expression::Or(terms) => many("or", terms),
        Expression::Not(term) => format!("(not {})", shape(term)),
        Expression::Compare(comparison, left, right) => format!("({comparison:?} {} {})", side(left), side(right)),
        Expression::In(left, right) => format!("(in {} {})", side(left), side(right)),
        Expression::Has(path) => format!("(has {})", path_text(path)),
        Expression::Text(test, left, right) => format!("({test:?} {} {})", side(left), side(right)),
        Expression::Flag(path) => path_text(path),
    }
}

fn side(operand: &Operand) -> String {
    match operand {
        Operand::Path(path) => path_text(path),
        Operand::Literal(Value::Decimal(value)) => format!("{value}dec"),
        Operand::Literal(value) => value.to_json(),
    }
}

fn path_text(path: &Path) -> String {
    let root = format!("{:?}", path.root).to_lowercase();
    std::iter::once(root).chain(path.members.iter().cloned()).collect::<Vec<_>>().join(".")
}

#[track_caller]
fn parses(text: &str, expected: &str) {
    assert_eq!(parse(text, Scope::Policy).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    let error = parse(text, Scope::Policy).expect_err(text);
    assert!(error.starts_with(expected), "{text}: `{error}` does not begin with `{expected}`");
}

#[test]
fn operators_bind_as_in_cel() {
    parses("record.a == 1 || record.b && !record.c", "(or (Equal record.a 1) (and record.b (not record.c)))");
    parses("(record.a || record.b) && record.c", "(and (or record.a record.b) record.c)");
    parses("record.a<1&&record.b>=2", "(and (Less record.a 1) (GreaterOrEqual record.b 2))");
    parses("!!record.a && !(record.a != 1)", "(and (not (not record.a)) (not (NotEqual record.a 1)))");
    parses("record.a in ['x', \"y\"] && caller.id in record.b", "(and (in record.a [\"x\",\"y\"]) (in caller.id record.b))");
    parses("has(record.a.b) && has ( before.a )", "(and (has record.a.b) (has before.a))");
    parses("record.a.startsWith('x') || caller.a . endsWith ( record.b )", "(or (StartsWith record.a \"x\") (EndsWith caller.a record.b))");
    parses("'abc'.contains(record.contains)", "(Contains \"abc\" record.contains)");
    parses("true && false == record.a", "(and true (Equal false record.a))");
    parses("now > record.due && null != before.a", "(and (Greater now record.due) (NotEqual null before.a))");
    parses(" \t\r\n true ", "true");
}

#[test]
fn literals_are_those_of_cel() {
    parses(r"record.a == 'it\'s \x41\u00e9\U0001F600\101\n'", "(Equal record.a \"it's Aé😀A\\n\")");
    parses("record.a == \"it's é\"", "(Equal record.a \"it's é\")");
    parses("record.a == -9223372036854775808", "(Equal record.a -9223372036854775808)");
    parses("record.a in [1, -2.5, 1e3, 0.5E-2, true, -0.0]", "(in record.a [1,-2.5,1000.0,0.005,true,0.0])");
    parses("record.a in []", "(in record.a [])");
    parses("record.a < timestamp('2026-11-22T18:30:04+01:00')", "(Less record.a \"2026-11-22T17:30:04.000000Z\")");
    refuses("record.a == 9223372036854775808", "12: the number `9223372036854775808` is out of range");
    refuses("record.a == 1e999", "12: the number `1e999` is out of range");
    refuses("record.a == 12u", "12: this is not a number");
    refuses("record.a == 1.2.3", "12: this is not a number");
    refuses("record.a == 1.", "14: expected a digit");
    refuses("record.a == - 1", "13: expected a digit");
    refuses(r"record.a == '\q'", "13: unknown escape");
    refuses(r"record.a == '\ud800'", "13: unknown escape");
    refuses(r"record.a == '\xé'", "13: unknown escape");
    refuses("record.a == 'é", "12: the text does not end");
    refuses("record.a == 'a\nb'", "12: the text does not end");
    refuses("record.a == '\\", "13: unknown escape");
    refuses("timestamp('soon') < now", "10: `soon` is not an RFC 3339 datetime");
}

#[test]
fn mistakes_have_a_place_and_a_reason() {
    refuses("", "0: unexpected end, expected a value");
    refuses("title == 'x'", "0: unknown name `title`: write `record.title` for a field");
    refuses("record == 1", "0: `record` needs a member, as in `record.id`");
    refuses("now.year == 1", "0: `now` has no members");
    refuses("now", "0: `now` is not true or false");
    refuses("has(now)", "4: `now` is always there");
    refuses("record.a = 1", "9: unexpected `=`: write `==`");
    refuses("record.a and record.b", "9: unexpected `and`: write `&&`");
    refuses("record.a & record.b", "9: unexpected `&`");
    refuses("record.a == 1 == 2", "14: unexpected `=`");
    refuses("record.a == ", "12: unexpected end");
    refuses("(record.a", "9: unexpected end, expected `)`");
    refuses("record.a)", "8: unexpected `)`");
    refuses("record. == 1", "8: unexpected `=`");
    refuses("record.é == 1", "7: unexpected `é`, expected a name");
    refuses("5", "0: `5` is not true or false");
    refuses("record.a < null", "11: `null` has no order");
    refuses("record.a == [1]", "12: a list can only stand after `in`");
    refuses("record.a in 'x'", "12: expected a list after `in`");
    refuses("null in record.a", "0: only a text, a number or a boolean can be in a list");
    refuses("record.a in [null]", "13: `null` is never in a list");
    refuses("record.a in [[1]]", "13: a list cannot hold lists");
    refuses("record.a in [record.b]", "13: unexpected `record`");
    refuses("record.a in [1,]", "15: unexpected `]`");
    refuses("!record.a == 1", "10: `!` belongs to the name before this");
    refuses("size(record.a) == 1", "0: unknown function `size`");
    refuses("record.a.matches('x')", "9: unknown function `matches`");
    refuses("true(1)", "0: unknown function `true`");
    refuses("has('x')", "4: unexpected `'`");
    refuses("in == 1", "0: unexpected `in`");
}

#[test]
fn filters_name_fields_directly() {
    let filter = |text: &str| parse(text, Scope::Filter);
    assert_eq!(
        filter("address.city == 'x' && id == caller.id").as_deref(),
        Ok("(and (Equal record.address.city \"x\") (Equal record.id caller.id))")
    );
    assert_eq!(filter("record.title == 'x' || due < now").as_deref(), Ok("(or (Equal record.title \"x\") (Less record.due now))"));
    assert_eq!(filter("title.startsWith('x') && has(title)").as_deref(), Ok("(and (StartsWith record.title \"x\") (has record.title))"));
    assert_eq!(filter("before.title == 'x'"), Err("0: `before` is only known in policies".into()));
}

#[test]
fn everything_is_bounded() {
    refuses(&"(".repeat(4_000), "33: nested deeper than 32 levels");
    refuses(&"!".repeat(4_000), "33: nested deeper than 32 levels");
    refuses(&" ".repeat(5_000), "4096: longer than 4096 bytes");
    refuses(&format!("record{} == 1", ".a".repeat(40)), "0: a path has more than 16 members");
    refuses(&format!("1 in [{}1]", "1,".repeat(200)), "406: a list has at most 200 elements");
    refuses(&format!("true{}", "||true".repeat(200)), "1200: more than 200 terms");
    parses(&format!("{}true{}", "(".repeat(32), ")".repeat(32)), "true");
    let mixed = |depth: usize| (0..depth).fold("true".to_owned(), |inner, level| format!("true {} ({inner})", ["&&", "||"][level % 2]));
    refuses(&mixed(13), "0: too many levels of `&&` and `||`");
    assert!(parse(&mixed(12), Scope::Policy).is_ok());
}

/// Random pieces of conditions, glued together: whatever comes out, nothing panics and it is quick.
#[test]
fn no_input_panics() {
    let pieces = [
        "record",
        "record.a",
        ".",
        "a",
        "(",
        ")",
        "!",
        "&&",
        "||",
        "==",
        "<",
        "in",
        "[",
        "]",
        ",",
        "'",
        "\"",
        "\\",
        "é",
        "😀",
        "\0",
        "1",
        "-",
        "e",
        "9999999999999999999",
        "has(",
        "timestamp(",
        "startsWith(",
        " ",
        "\n",
        "now",
        "null",
        "true",
        "\\x",
        "\\u12",
        "'x'",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for _ in 0..50_000 {
        let text: String = (0..1 + next(20)).map(|_| pieces[next(pieces.len())]).collect();
        for scope in [Scope::Policy, Scope::Filter] {
            if let Err(error) = Condition::parse(&text, scope) {
                assert!(error.position <= text.len() && text.is_char_boundary(error.position), "{text:?}: {error}");
            }
        }
    }
}

fn check(text: &str) -> Result<String, String> {
    let condition = Condition::parse(text, Scope::Policy).expect(text);
    match condition.check(&posts()) {
        Ok(condition) => Ok(shape(condition.expression())),
        Err(error) => Err(format!("{}: {}", error.position, error.reason)),
    }
}

#[test]
fn literals_take_the_form_of_their_field() {
    let check = |text: &str, expected: &str| assert_eq!(check(text).as_deref(), Ok(expected), "{text}");
    check("record.due < '2026-11-22T18:00:00+01:00'", "(Less record.due \"2026-11-22T17:00:00.000000Z\")");
    check("'2026-11-22T00:00:00Z' == record.created", "(Equal \"2026-11-22T00:00:00.000000Z\" record.created)");
    check("record.day in ['2026-11-22']", "(in record.day [\"2026-11-22\"])");
    check("record.price >= 5 && record.price < 0.1", "(and (GreaterOrEqual record.price 5dec) (Less record.price 0.1dec))");
    check("record.price == '1.234567890123456789'", "(Equal record.price 1.234567890123456789dec)");
    check("record.score > 1 || record.stock > 1.5", "(or (Greater record.score 1) (Greater record.stock 1.5))");
    check("record.status == 'draft' && 'a' in record.tags", "(and (Equal record.status \"draft\") (in \"a\" record.tags))");
    check("record.data.a.b == 1 && record.data.flag", "(and (Equal record.data.a.b 1) record.data.flag)");
    check(
        "caller.id in record.readers && caller.x.y == record.title",
        "(and (in caller.id record.readers) (Equal caller.x.y record.title))",
    );
    check("record.due < now && before.public && !has(record.tags)", "(and (Less record.due now) before.public (not (has record.tags)))");
    check("record.tags == null || record.due.startsWith('2026')", "(or (Equal record.tags null) (StartsWith record.due \"2026\"))");
    check("record.owner in record.readers", "(in record.owner record.readers)");
}

#[test]
fn comparisons_must_make_sense() {
    let check = |text: &str, expected: &str| assert_eq!(check(text), Err(expected.to_owned()), "{text}");
    check("true || record.titel == 'x'", "8: unknown field `titel` in collection `posts`");
    check("has(record.titel)", "4: unknown field `titel` in collection `posts`");
    check("record.secret == 'x'", "0: the field `secret` is secret: no condition may look at it");
    check("has(before.secret)", "4: the field `secret` is secret: no condition may look at it");
    check("record.title.x == 'x'", "0: the field `title` has no members: it is of type `text`, not `json`");
    check("record.title == 5", "0: `title` of type `text` cannot be compared with `5`");
    check("record.stock == 'x'", "0: `stock` of type `integer` cannot be compared with `\"x\"`");
    check("record.stock == record.title", "0: `stock` of type `integer` cannot be compared with `title` of type `text`");
    check("record.score < record.price", "0: `score` of type `number` cannot be compared with `price` of type `decimal`");
    check("record.day < now", "0: `day` of type `date` cannot be compared with a `datetime`");
    check("record.due < 'soon'", "0: `soon` is not a `datetime`");
    check("record.day == '2026-02-30'", "0: `2026-02-30` is not a `date`");
    check("record.price == 0.12345678901234567", "0: write a decimal of more than 15 digits as text, not `0.12345678901234566`");
    check("record.price == 'x'", "0: `x` is not a `decimal`");
    check("record.status == 'new'", "0: `new` is not among the values of `status`");
    check("record.status in ['draft', 'new']", "0: `new` is not among the values of `status`");
    check("'c' in record.tags", "7: `c` is not among the values of `tags`");
    check("5 in record.tags", "5: `5` cannot be compared with `tags` of type `select`");
    check("record.tags == 'a'", "0: `tags` holds several values: write `x in record.tags`");
    check("record.tags in ['a']", "0: `tags` holds several values: one of them can be in a list, not all");
    check("'x' in record.title", "7: `record.title` is not a list");
    check("record.public < true", "0: true and false have no order: write `==` or `!=`");
    check("record.title", "0: `title` is of type `text`, not `bool`: compare it");
    check("record.stock.contains('1')", "0: `record.stock` is of type `integer`, not text");
    check("record.tags.contains('a')", "0: `tags` holds several values: write `x in record.tags`");
    check("record.title.contains(5)", "0: expected a text, not `5`");
    check("1 == 'a'", "0: `1` cannot be compared with `\"a\"`");
}

fn decide(text: &str) -> Truth {
    let json = r#"{"title": "Ab", "owner": "u1", "stock": 3, "score": 2.5, "public": true, "status": null, "tags": ["a"],
        "data": {"list": [1, null, "x", [2]], "n": 1, "inner": {"text": "5", "no": false}, "empty": []}}"#;
    let object = |json: &str| match Value::from_json(json.as_bytes()) {
        Ok(Value::Object(object)) => object,
        other => panic!("{other:?}"),
    };
    let mut values: Object = object(json);
    values.insert("price".into(), Value::Decimal("2.50".parse().expect("decimal")));
    let time = "2026-11-22T00:00:00.000000Z";
    let record = Record { id: "r1".into(), tenant: "main".into(), version: 1, created: time.into(), updated: time.into(), values };
    let attributes = object(r#"{"roles": ["editor"], "credit": 2.5, "team": null}"#);
    let caller = Caller::new(Principal::User("u1".into()), "main", attributes);
    let context = Context { record: &record, before: None, caller: &caller, now: "2026-11-22T10:00:00.000000Z" };
    Condition::parse(text, Scope::Policy).expect(text).evaluate(&context)
}

#[test]
fn decisions_are_three_valued() {
    use Truth::{False as F, True as T, Unknown as U};
    let table = [
        ("record.title == 'Ab'", T),
        ("record.title == 'ab'", F),
        ("record.title != 5", T),
        ("record.title == 5", F),
        ("record.title < 5", U),
        ("record.title < 'B'", T),
        ("record.status == 'x'", U),
        ("record.status != 'x'", U),
        ("!(record.status == 'x')", U),
        ("record.status == null", T),
        ("record.status != null", F),
        ("null == record.title", F),
        ("has(record.status)", F),
        ("has(record.title)", T),
        ("has(record.data.inner.text)", T),
        ("has(record.data.list.x)", F),
        ("has(record.title.x)", F),
        ("record.stock == 3.0", T),
        ("record.stock < 3.5", T),
        ("record.stock >= 3", T),
        ("record.stock > 3", F),
        ("record.score == 2.5", T),
        ("record.price == 2.5", U),
        ("record.price > 2", T),
        ("record.price == record.score", U),
        ("record.price != caller.credit", U),
        ("record.score <= caller.credit", T),
        ("record.public", T),
        ("record.data.inner.no", F),
        ("record.title && true", U),
        ("record.public == true", T),
        ("record.public == 'true'", F),
        ("record.public < 1", U),
        ("record.tags == 'a'", U),
        ("record.tags != 'a'", U),
        ("record.tags == null", F),
        ("'a' in record.tags", T),
        ("'b' in record.tags", F),
        ("record.tags in ['a']", U),
        ("record.title in ['Ab', 1]", T),
        ("record.title in []", F),
        ("record.status in ['a']", U),
        ("'x' in record.data.list", T),
        ("2 in record.data.list", F),
        ("1 in record.data.empty", F),
        ("'A' in record.title", U),
        ("1.5 in record.nothing", U),
        ("record.price in [2.5]", U),
        ("record.price in [2.5, 3]", U),
        ("record.title.startsWith('A')", T),
        ("record.title.endsWith('A')", F),
        ("record.title.contains('b')", T),
        ("record.stock.contains('3')", U),
        ("record.title.contains(caller.team)", U),
        ("record.owner == caller.id", T),
        ("caller.nothing == record.nothing", U),
        ("'editor' in caller.roles", T),
        ("caller.team == null", T),
        ("caller.id.x == null", T),
        ("before.title == 'Ab'", U),
        ("before.title == null", T),
        ("record.id == 'r1'", T),
        ("record.created < now", T),
        ("now == now", T),
        ("record.status == 'x' && false", F),
        ("record.status == 'x' || true", T),
        ("record.status == 'x' || false", U),
        ("record.status == 'x' && true", U),
        ("!false && !record.data.inner.no", T),
        ("'' == record.nothing", U),
        ("1 == 1.0", T),
        ("record.data == 1", U),
        ("record.data.inner != 'x'", U),
    ];
    for (text, expected) in table {
        assert_eq!(decide(text), expected, "{text}");
    }
}

#[test]
fn doubt_neither_allows_nor_lifts_a_denial() {
    let condition = |text: &str| Arc::new(Condition::parse(text, Scope::Policy).expect(text));
    let record = Record {
        id: "r1".into(),
        tenant: "main".into(),
        version: 1,
        created: String::new(),
        updated: String::new(),
        values: Object::new(),
    };
    let context = Context { record: &record, before: None, caller: &Caller::anonymous(), now: "" };
    let holds = |any_of: &[&str], none_of: &[&str]| {
        let all = |texts: &[&str]| texts.iter().map(|text| condition(text)).collect();
        Guard { any_of: all(any_of), none_of: all(none_of) }.holds(&context)
    };
    assert!(!holds(&[], &[]));
    assert!(holds(&["true"], &[]));
    assert!(!holds(&["record.a == 1"], &[]));
    assert!(holds(&["record.a == 1", "true"], &["false"]));
    assert!(!holds(&["true"], &["record.a == 1"]));
    assert!(!holds(&["true"], &["false", "true"]));
}

#[test]
fn a_condition_knows_its_fields() {
    let condition = Condition::parse("record.a.b == caller.c && now > before.d || has(record.a)", Scope::Policy).expect("a condition");
    assert_eq!(condition.fields().into_iter().collect::<Vec<_>>(), ["a", "d"]);
}
