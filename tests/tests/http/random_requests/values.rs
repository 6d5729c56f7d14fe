//! Values: plain ones that fit a schema, those that earlier answers have shown, and those that break things.

use serde_json::{Map, Value, json};

use crate::agreement::random::Random;

/// Ids and names that answers have shown.
const KNOWN_MAX: usize = 300;

/// How deep schemas are followed.
const DEPTH_MAX: usize = 6;

/// What the server has told so far.
#[derive(Default)]
pub struct Values {
    known: Vec<String>,
    next: usize,
}

impl Values {
    /// Remembers the ids and names in an answer.
    pub fn learn(&mut self, json: &Value) {
        let items = json.as_array().map_or(std::slice::from_ref(json), Vec::as_slice);
        for item in items.iter().take(5) {
            for member in ["id", "name", "email", "sku", "decision_id", "subject"] {
                let Some(text) = item[member].as_str() else { continue };
                match self.known.len() < KNOWN_MAX {
                    true => self.known.push(text.to_owned()),
                    false => self.known[self.next % KNOWN_MAX] = text.to_owned(),
                }
                self.next += 1;
            }
        }
    }

    /// One of them, most of the time.
    pub fn known(&self, random: &mut Random) -> String {
        if self.known.is_empty() || random.percent(10) { text(random) } else { random.one(&self.known).clone() }
    }

    /// A value that a schema allows, as far as this looks at it.
    pub fn of(&self, schema: &Value, document: &Value, random: &mut Random, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        let schema = resolved(schema, document);
        if let Some(choices) = schema["enum"].as_array().filter(|choices| !choices.is_empty()) {
            return random.one(choices).clone();
        }
        for combined in ["oneOf", "anyOf", "allOf"] {
            if let Some(choices) = schema[combined].as_array().filter(|choices| !choices.is_empty()) {
                return self.of(random.one(choices), document, random, depth + 1);
            }
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema, document, random, depth),
            Some("array") => (0..random.below(4)).map(|_| self.of(&schema["items"], document, random, depth + 1)).collect(),
            Some("boolean") => json!(random.percent(50)),
            Some("integer") => json!(random.below(50) as i64 - 2),
            Some("number") => json!(random.below(1_000) as f64 / 8.0),
            Some("string") => self.string(schema, random).into(),
            _ => hostile(random),
        }
    }

    fn object(&self, schema: &Value, document: &Value, random: &mut Random, depth: usize) -> Value {
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || random.percent(40) {
                object.insert(name.clone(), self.of(member, document, random, depth + 1));
            }
        }
        object.into()
    }

    fn string(&self, schema: &Value, random: &mut Random) -> String {
        match schema["format"].as_str() {
            Some("email") => format!("u{}@test.example", random.below(500)),
            Some("date-time") => "2026-01-02T03:04:05Z".to_owned(),
            Some("date") => "2026-01-02".to_owned(),
            Some("uri") => "https://example.com/".to_owned(),
            Some("decimal") => format!("{}.50", random.below(100)),
            _ if random.percent(40) => self.known(random),
            _ => text(random),
        }
    }
}

/// What a reference stands for.
pub fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        match schema["$ref"].as_str().and_then(|path| document.pointer(path.trim_start_matches('#'))) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// A text that is plain or is not.
pub fn text(random: &mut Random) -> String {
    const TEXTS: [&str; 40] = [
        "a",
        "widget",
        "notes",
        "users",
        "products",
        "orders",
        "admin",
        "role:admin",
        "role:anyone",
        "user:1",
        "1",
        "-1",
        "0",
        "true",
        "null",
        "*",
        "",
        " ",
        "2026-01-02",
        "2026-02-30T25:00:00Z",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "price > 1",
        "price >",
        "name.contains('a') && stock >= 0",
        "caller.id == id",
        "((((((",
        "-price,name",
        "; DROP TABLE x",
        "' OR 1=1 --",
        "`; REMOVE TABLE users; `",
        "$auth",
        "<script>",
        "../../etc/passwd",
        "\u{0}",
        "\u{1F4A9}\u{1F4A9}",
        "\u{202E}abc",
        "e\u{301}",
        "9223372036854775808",
        "1e999",
        "_collections",
    ];
    match random.below(30) {
        0 => "x".repeat(random.below(5_000)),
        1 => "\u{e9}".repeat(random.below(300)),
        2 => (0..random.below(20)).map(|_| char::from_u32(random.below(0x300) as u32).unwrap_or('?')).collect(),
        _ => (*random.pick(&TEXTS)).to_owned(),
    }
}

/// A value that hardly anything expects.
pub fn hostile(random: &mut Random) -> Value {
    match random.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(i64::MIN),
        3 => json!(u64::MAX),
        4 => json!(-0.0),
        5 => json!(1.797_693_134_862_315_7e308),
        6 => json!([]),
        7 => json!({}),
        8 => json!([[[[[null]]]]]),
        9 => json!({"$ref": "#", "id": {"id": "x"}, "": 1}),
        10 => (0..random.below(1_200)).map(|number| json!(number)).collect(),
        11 => (0..random.below(40)).fold(json!(1), |inner, _| json!([inner])),
        _ => text(random).into(),
    }
}
