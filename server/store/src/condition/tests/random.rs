//! Random rows, callers and texts of conditions; the same for the same seed.

use model::{Caller, Collection, Field, FieldType, Principal, Value, value::Object};
use surrealdb_types::{Object as StoredObject, Value as Stored};

use crate::value::to_stored;

const TEXTS: [&str; 16] = [
    "",
    "u1",
    "u10",
    "a",
    "A",
    "é",
    "e\u{301}",
    "5",
    "u:1",
    "NONE",
    "true",
    "\0",
    "a\0",
    "😀",
    "2026-11-22T10:00:00.000000Z",
    "it's `$c0`",
];
const TIMES: [&str; 4] =
    ["2026-11-22T10:00:00.000000Z", "2026-11-22T10:00:00.000001Z", "0001-01-01T00:00:00.000000Z", "2026-11-22T10:00:01.500000Z"];
const INTEGERS: [i64; 13] =
    [100, 1000, -1, 0, 1, 5, 10, 3_000_000_000, i64::MAX, i64::MIN, 9_007_199_254_740_993, 9_007_199_254_740_992, i64::MAX - 1];
const NUMBERS: [f64; 17] = [
    100.0,
    3e9,
    10.0,
    -1.0,
    0.5,
    5.0,
    -0.0,
    0.0,
    1.0,
    0.1,
    1e20,
    -3.25,
    9.223_372_036_854_776e18,
    9_007_199_254_740_992.0,
    1e-300,
    -1e300,
    0.111_11,
];
const DECIMALS: [&str; 11] = [
    "100.0",
    "1000",
    "0.5",
    "5",
    "5.00",
    "0.1",
    "0",
    "0.1000000000000000055511151231",
    "79228162514264337593543950335",
    "-3.25",
    "0.11111",
];
const PATHS: [&str; 22] = [
    "a",
    "type",
    "owner",
    "n",
    "f",
    "m",
    "flag",
    "due",
    "status",
    "tags",
    "readers",
    "o",
    "none",
    "o.a",
    "o.x",
    "o.a.x",
    "o.id",
    "none.type",
    "a.a",
    "id",
    "created",
    "unknown",
];

/// A xorshift generator.
pub(super) struct Random {
    state: u64,
    /// Every leaf of the expression at hand passes the check against the collection.
    sensible: bool,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, sensible: false };
        for _ in 0..10 {
            random.below(2);
        }
        random
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound as u64) as usize
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn text(&mut self) -> Value {
        Value::from(self.pick(&TEXTS))
    }

    fn decimal(&mut self) -> Value {
        Value::Decimal(self.pick(&DECIMALS).parse().expect("a decimal"))
    }

    fn scalar(&mut self) -> Value {
        match self.below(15) {
            0 => Value::Null,
            1 | 2 => Value::Bool(self.below(2) == 0),
            3..=5 => Value::Integer(self.pick(&INTEGERS)),
            6 | 7 => Value::Number(self.pick(&NUMBERS)),
            8 | 9 => self.decimal(),
            10 => Value::from(self.pick(&TIMES)),
            _ => self.text(),
        }
    }

    fn list(&mut self) -> Value {
        Value::List((0..self.below(4)).map(|_| if self.below(8) == 0 { self.list() } else { self.scalar() }).collect())
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut object = Object::new();
        for name in ["a", "x", "id", "type"] {
            match self.below(6) {
                0 => {}
                1 if depth > 0 => _ = object.insert(name.to_owned(), self.object(depth - 1)),
                2 => _ = object.insert(name.to_owned(), self.list()),
                _ => _ = object.insert(name.to_owned(), self.scalar()),
            }
        }
        Value::Object(object)
    }

    fn anything(&mut self) -> Value {
        match self.below(10) {
            0 => self.list(),
            1 => self.object(2),
            2 => Value::List((0..self.below(3)).map(|_| self.object(0)).collect()),
            _ => self.scalar(),
        }
    }

    /// Mostly what the field allows.
    fn value(&mut self, field: &Field) -> Value {
        if self.below(3) == 0 {
            return self.anything();
        }
        match field.kind {
            _ if field.many => Value::List((0..self.below(4)).map(|_| self.text()).collect()),
            FieldType::Integer => Value::Integer(self.pick(&INTEGERS)),
            FieldType::Number => Value::Number(self.pick(&NUMBERS)),
            FieldType::Decimal => self.decimal(),
            FieldType::Bool => Value::Bool(self.below(2) == 0),
            FieldType::Datetime | FieldType::Date => Value::from(self.pick(&TIMES)),
            FieldType::Json => self.object(2),
            _ => self.text(),
        }
    }

    pub(super) fn row(&mut self, collection: &Collection, number: usize) -> Stored {
        let mut row = StoredObject::new();
        let key = format!("k{number:03}");
        for (name, text) in
            [("id", key.as_str()), ("_key", &key), ("_tenant", "main"), ("created", self.pick(&TIMES)), ("updated", TIMES[0])]
        {
            row.insert(name, Stored::String(text.to_owned()));
        }
        for field in collection.fields() {
            let value = match self.value(field) {
                // The one promise about types that old rows keep, too: see `decides_equality`.
                Value::List(_) if !field.many && field.kind != FieldType::Json => self.scalar(),
                value => value,
            };
            // A null may be stored, or not be there.
            if !value.is_null() || self.below(2) == 0 {
                row.insert(field.name.clone(), to_stored(&value));
            }
        }
        Stored::Object(row)
    }

    pub(super) fn caller(&mut self) -> Caller {
        let mut attributes = Object::new();
        for name in ["team", "limit"] {
            attributes.insert(name.to_owned(), self.anything());
        }
        attributes.insert("groups".to_owned(), if self.below(4) == 0 { self.scalar() } else { self.list() });
        let principal = if self.below(4) == 0 { Principal::Anonymous } else { Principal::User("u1".to_owned()) };
        Caller::new(principal, "main", attributes)
    }

    /// A condition over anything, or (every other time) one that its collection accepts.
    pub(super) fn condition(&mut self) -> String {
        self.sensible = self.below(2) == 0;
        self.expression(3)
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf();
        }
        match self.below(6) {
            0 => self.chain(" && ", depth),
            1 => self.chain(" || ", depth),
            2 => format!("!({})", self.expression(depth - 1)),
            _ => self.leaf(),
        }
    }

    fn chain(&mut self, operator: &str, depth: usize) -> String {
        let terms: Vec<_> = (0..2 + self.below(2)).map(|_| format!("({})", self.expression(depth - 1))).collect();
        terms.join(operator)
    }

    fn leaf(&mut self) -> String {
        if self.sensible { self.sensible_leaf() } else { self.any_leaf() }
    }

    fn sensible_leaf(&mut self) -> String {
        let (equality, operator) = (self.pick(&["==", "!="]), self.operator());
        match self.below(12) {
            0 | 1 => format!("record.m {operator} '{}'", self.pick(&DECIMALS)),
            2 => format!("record.m in ['{}', {}, 0.5]", self.pick(&DECIMALS), self.pick(&INTEGERS)),
            3 => format!("record.f {operator} {:?}", self.pick(&NUMBERS)),
            4 => format!("record.{} {operator} {}", self.pick(&["n", "f", "m"]), self.pick(&INTEGERS)),
            5 => format!("record.{} {operator} {}", self.pick(&["a", "type", "owner", "id"]), quoted(self.pick(&TEXTS))),
            6 => format!("record.{} {operator} '{}'", self.pick(&["due", "created"]), self.pick(&TIMES)),
            7 => format!("record.status in ['a', 'u1'] || record.flag {equality} true"),
            8 => format!("{} in record.{}", self.pick(&["'u1'", "caller.id", "record.owner"]), self.pick(&["readers", "o.a"])),
            9 => format!("record.{} {equality} caller.{}", self.pick(&["m", "f", "n", "a", "flag"]), self.pick(&["team", "limit", "id"])),
            10 => format!("has(record.{}) && record.flag", self.pick(&["o.x", "n", "tags"])),
            _ => format!("record.{}.startsWith('u') || record.o.x {operator} {}", self.pick(&["a", "type"]), self.literal()),
        }
    }

    fn any_leaf(&mut self) -> String {
        match self.below(20) {
            0..=6 => self.comparison(),
            7 | 8 => format!("{} {} {}", self.path(), self.operator(), self.path()),
            9 | 10 => format!("{} in {}", self.path(), self.list_literal()),
            11 => format!("{} in caller.{}", self.path(), self.pick(&["groups", "team"])),
            12 => format!("{} in {}", self.path(), self.path()),
            13 | 14 => format!("{} in {}", self.constant(), self.path()),
            15 => format!("{} {} null", self.path(), self.pick(&["==", "!="])),
            16 => format!("has({})", self.path()),
            17 => self.path(),
            _ => self.text_test(),
        }
    }

    fn comparison(&mut self) -> String {
        let (path, constant, operator) = (self.path(), self.constant(), self.operator());
        if self.below(4) == 0 { format!("{constant} {operator} {path}") } else { format!("{path} {operator} {constant}") }
    }

    fn operator(&mut self) -> &'static str {
        self.pick(&["==", "==", "!=", "<", "<=", ">", ">="])
    }

    fn path(&mut self) -> String {
        if self.below(60) == 0 { "before.a".to_owned() } else { format!("record.{}", self.pick(&PATHS)) }
    }

    fn constant(&mut self) -> String {
        match self.below(6) {
            0 => format!("caller.{}", self.pick(&["id", "team", "limit", "nothing", "team.a"])),
            1 if self.below(4) == 0 => "now".to_owned(),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> String {
        match self.scalar() {
            Value::Null | Value::Decimal(_) => "'u1'".to_owned(),
            Value::Text(text) => quoted(&text),
            // A float needs its point, or it would be read as an integer.
            Value::Number(number) => format!("{number:?}"),
            other => other.to_json(),
        }
    }

    fn list_literal(&mut self) -> String {
        let elements: Vec<_> = (0..self.below(4)).map(|_| self.literal()).collect();
        format!("[{}]", elements.join(", "))
    }

    fn text_test(&mut self) -> String {
        let test = self.pick(&["startsWith", "endsWith", "contains"]);
        let needle = match self.below(4) {
            0 => self.path(),
            1 => "caller.team".to_owned(),
            _ => quoted(self.pick(&["u", "", "u1", "é", "1", "\0", "2026"])),
        };
        if self.below(5) == 0 { format!("'u1é'.{test}({})", self.path()) } else { format!("{}.{test}({needle})", self.path()) }
    }
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|character| {
            if character.is_control() || "'\\".contains(character) { format!("\\U{:08x}", character as u32) } else { character.to_string() }
        })
        .collect();
    format!("'{escaped}'")
}
