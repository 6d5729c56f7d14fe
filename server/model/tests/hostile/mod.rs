//! What the tests of conditions are tried on: a collection with fields of every type, and records and callers that obey nothing.

use model::{Caller, Collection, Field, FieldType, Kind, Principal, Record, Value, collection::Definition};

use super::random::Random;

/// A field of every type, some of them required, and one that is secret.
pub const FIELDS: [(&str, FieldType); 18] = [
    ("title", FieldType::Text),
    ("note", FieldType::Text),
    ("mail", FieldType::Email),
    ("site", FieldType::Url),
    ("stock", FieldType::Integer),
    ("count", FieldType::Integer),
    ("score", FieldType::Number),
    ("price", FieldType::Decimal),
    ("public", FieldType::Bool),
    ("locked", FieldType::Bool),
    ("due", FieldType::Datetime),
    ("day", FieldType::Date),
    ("status", FieldType::Select),
    ("tags", FieldType::Select),
    ("data", FieldType::Json),
    ("owner", FieldType::Relation),
    ("readers", FieldType::Relation),
    ("secret", FieldType::Text),
];

/// The names of those that are never missing.
pub const REQUIRED: [&str; 4] = ["title", "count", "locked", "day"];

/// What the `select` fields declare.
pub const CHOICES: [&str; 3] = ["a", "b", "draft"];

/// The collection with these fields.
pub fn posts() -> Collection {
    let mut fields = FIELDS.map(|(name, kind)| Field::new(name, kind));
    for field in &mut fields {
        field.required = REQUIRED.contains(&field.name.as_str());
        field.many = matches!(field.name.as_str(), "tags" | "readers");
        field.hidden = field.name == "secret";
        match field.kind {
            FieldType::Relation => field.collection = Some("users".into()),
            FieldType::Select => field.values = CHOICES.map(Into::into).into(),
            _ => {}
        }
    }
    let definition = Definition {
        name: "posts".into(),
        kind: Kind::Base,
        description: String::new(),
        fields: fields.into(),
        indexes: vec![],
        search: Vec::new(),
    };
    Collection::new(definition).expect("posts")
}

/// A record whose values have nothing to do with the types of their fields.
pub fn record(random: &mut Random) -> Record {
    let values = FIELDS.map(|(name, _)| (name.to_owned(), value(random, 0)));
    Record {
        id: random.pick(&["u1", "a", ""]).into(),
        tenant: "main".into(),
        version: 1,
        created: random.pick(&["2026-01-01T00:00:00.000000Z", "2026-11-22T17:30:04.123456Z"]).into(),
        updated: "2026-11-22T17:30:04.123456Z".into(),
        values: values.into_iter().collect(),
    }
}

/// A caller with attributes of any shape.
pub fn caller(random: &mut Random) -> Caller {
    let attributes = ["team", "credit", "admin", "teams", "data"].map(|name| (name.to_owned(), value(random, 0)));
    let principal = if random.below(4) == 0 { Principal::Anonymous } else { Principal::User("u1".into()) };
    let mut caller = Caller::new(principal, "main", attributes.into_iter().collect());
    caller.attributes.insert("roles".into(), Value::List(vec!["a".into(), "editor".into()]));
    caller
}

/// Any value: the small ones that conditions ask about, the edges of their types, and things inside things.
pub fn value(random: &mut Random, depth: usize) -> Value {
    let texts = ["a", "b", "draft", "u1", "", "ab", "é", "1", "true", "2026-01-01", "2026-01-01T00:00:00.000000Z", "\0"];
    let numbers = [0.0, 1.0, 2.5, -0.5, 1e300, f64::MIN_POSITIVE, 9_007_199_254_740_993.0];
    let decimals = ["0", "1", "2.5", "2.50", "-79228162514264337593543950335", "0.0000000000000000000000000001"];
    match random.below(if depth < 3 { 13 } else { 10 }) {
        0 | 1 => Value::Null,
        2 => Value::Bool(random.below(2) == 0),
        3 => Value::Integer([0, 1, 2, 3, -1, i64::MAX, i64::MIN][random.below(7)]),
        4 => Value::Integer(random.below(4) as i64),
        5 => Value::Number(numbers[random.below(numbers.len())]),
        6 => Value::Decimal(random.pick(&decimals).parse().expect("a decimal")),
        7..=9 => Value::from(random.pick(&texts)),
        10 | 11 => Value::List((0..random.below(4)).map(|_| value(random, depth + 1)).collect()),
        _ => Value::Object(["a", "n", "data"].into_iter().map(|name| (name.to_owned(), value(random, depth + 1))).collect()),
    }
}
