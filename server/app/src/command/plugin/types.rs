//! `plugin types`: the collections of a running server as TypeScript, the way rules see their records.

use std::fmt::Write;

use model::{Field, FieldType, collection::Definition};
use serde_json::{Map, Value as Json};

/// JSON Schemas are followed so deep; what is deeper may be anything.
const DEPTH_MAX: usize = 8;

/// A module with an interface for each collection.
pub(super) fn module(collections: &[Definition]) -> String {
    let mut text = String::from("// Made by `ironrule plugin types` from a running server; made anew when its collections change.\n");
    for collection in collections {
        text.push('\n');
        comment(&mut text, "", &collection.description);
        let _ = writeln!(text, "export interface {} {{", pascal(&collection.name));
        for field in collection.fields.iter().filter(|field| !field.is_secret()) {
            comment(&mut text, "  ", &said(field));
            let (mark, null) = if field.required { ("", "") } else { ("?", " | null") };
            let _ = writeln!(text, "  {}{mark}: {}{null};", field.name, of_field(field));
        }
        text.push_str("}\n");
    }
    text
}

/// What the type does not tell.
fn said(field: &Field) -> String {
    let kind = match field.kind {
        FieldType::Decimal => "A decimal as text.",
        FieldType::Datetime => "RFC 3339.",
        FieldType::Date => "`YYYY-MM-DD`.",
        FieldType::Relation => "",
        FieldType::Text | FieldType::Email | FieldType::Url | FieldType::Integer | FieldType::Number => "",
        FieldType::Bool | FieldType::Select | FieldType::Json | FieldType::Password => "",
    };
    let relation = field.collection.as_deref().map(|collection| match field.many {
        true => format!("Ids of `{collection}`."),
        false => format!("The id of one of `{collection}`."),
    });
    let parts = [field.description.trim(), kind, relation.as_deref().unwrap_or_default()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn comment(text: &mut String, indent: &str, words: &str) {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /");
    if !words.is_empty() {
        let _ = writeln!(text, "{indent}/** {words} */");
    }
}

fn of_field(field: &Field) -> String {
    let one = match field.kind {
        FieldType::Text | FieldType::Email | FieldType::Url | FieldType::Decimal => "string".to_owned(),
        FieldType::Datetime | FieldType::Date | FieldType::Relation | FieldType::Password => "string".to_owned(),
        FieldType::Integer | FieldType::Number => "number".to_owned(),
        FieldType::Bool => "boolean".to_owned(),
        FieldType::Select => choice(field.values.iter().map(|value| Json::from(value.as_str()))),
        FieldType::Json => of_schema(&serde_json::to_value(&field.schema).unwrap_or_default(), DEPTH_MAX),
    };
    if field.many { list_of(&one) } else { one }
}

/// A JSON Schema as far as it is about shapes.
fn of_schema(schema: &Json, depth: usize) -> String {
    let Some(members) = schema.as_object().filter(|_| depth > 0) else { return "unknown".to_owned() };
    if let Some(values) = members.get("enum").and_then(Json::as_array) {
        return choice(values.iter().cloned());
    }
    match members.get("type") {
        Some(Json::String(kind)) => of_kind(kind, members, depth),
        Some(Json::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Json::as_str).map(|kind| of_kind(kind, members, depth));
            kinds.collect::<Vec<_>>().join(" | ")
        }
        _ => "unknown".to_owned(),
    }
}

fn of_kind(kind: &str, members: &Map<String, Json>, depth: usize) -> String {
    match kind {
        "string" | "boolean" | "null" | "number" => kind.to_owned(),
        "integer" => "number".to_owned(),
        "array" => list_of(&of_schema(members.get("items").unwrap_or(&Json::Null), depth - 1)),
        "object" => object(members, depth),
        _ => "unknown".to_owned(),
    }
}

fn object(members: &Map<String, Json>, depth: usize) -> String {
    let required: Vec<&str> = members.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    let Some(properties) = members.get("properties").and_then(Json::as_object).filter(|properties| !properties.is_empty()) else {
        return "Record<string, unknown>".to_owned();
    };
    let property = |(name, schema): (&String, &Json)| {
        let mark = if required.contains(&name.as_str()) { "" } else { "?" };
        let is_plain = name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_') && !name.is_empty();
        let name = if is_plain { name.clone() } else { Json::from(name.as_str()).to_string() };
        format!("{name}{mark}: {}", of_schema(schema, depth - 1))
    };
    format!("{{ {} }}", properties.iter().map(property).collect::<Vec<_>>().join("; "))
}

fn choice(values: impl Iterator<Item = Json>) -> String {
    let literals: Vec<String> =
        values.map(|value| if value.is_object() || value.is_array() { "unknown".to_owned() } else { value.to_string() }).collect();
    if literals.is_empty() { "never".to_owned() } else { literals.join(" | ") }
}

fn list_of(one: &str) -> String {
    if one.contains(' ') && !one.starts_with('{') { format!("({one})[]") } else { format!("{one}[]") }
}

/// `sent_mails` is `SentMails`.
fn pascal(name: &str) -> String {
    name.split('_').map(|word| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(field: Json, expected: &str) {
        let definition = serde_json::from_value(json!({"name": "sent_mails", "fields": [field]})).expect("a definition");
        let module = module(&[definition]);
        let body = module.split_once("export interface SentMails {\n").expect("an interface").1;
        assert_eq!(body.strip_suffix("}\n").expect("an end"), expected);
    }

    #[test]
    fn fields_have_the_types_that_rules_see() {
        check(json!({"name": "title", "type": "text", "required": true}), "  title: string;\n");
        check(json!({"name": "words", "type": "integer"}), "  words?: number | null;\n");
        check(
            json!({"name": "ok", "type": "bool", "required": true, "description": "Is\n*/ it?"}),
            "  /** Is * / it? */\n  ok: boolean;\n",
        );
        check(json!({"name": "price", "type": "decimal", "required": true}), "  /** A decimal as text. */\n  price: string;\n");
        check(json!({"name": "at", "type": "datetime", "required": true}), "  /** RFC 3339. */\n  at: string;\n");
        check(json!({"name": "mood", "type": "select", "values": ["a", "b\""], "required": true}), "  mood: \"a\" | \"b\\\"\";\n");
        check(
            json!({"name": "tags", "type": "select", "values": ["a", "b"], "many": true, "required": true}),
            "  tags: (\"a\" | \"b\")[];\n",
        );
        check(
            json!({"name": "owners", "type": "relation", "collection": "users", "many": true}),
            "  /** Ids of `users`. */\n  owners?: string[] | null;\n",
        );
        check(json!({"name": "secret", "type": "password"}), "");
        check(json!({"name": "extra", "type": "json", "required": true}), "  extra: unknown;\n");
    }

    #[test]
    fn json_schemas_are_followed() {
        let item = json!({"type": "object", "properties": {"product": {"type": "string"}, "quantity": {"type": "integer"}}, "required": ["product"]});
        for (schema, expected) in [
            (json!({"type": "array", "items": item}), "{ product: string; quantity?: number }[]"),
            (json!({"type": ["string", "null"]}), "string | null"),
            (json!({"type": "array", "items": {"type": ["string", "null"]}}), "(string | null)[]"),
            (json!({"type": "object", "properties": {"a b": {"type": "null"}}}), r#"{ "a b"?: null }"#),
            (json!({"type": "object"}), "Record<string, unknown>"),
            (json!({"enum": [1, "a", null]}), r#"1 | "a" | null"#),
            (json!({"type": "array"}), "unknown[]"),
            (json!({"$ref": "#/x"}), "unknown"),
        ] {
            check(json!({"name": "it", "type": "json", "required": true, "schema": schema}), &format!("  it: {expected};\n"));
        }
    }

    #[test]
    fn deep_schemas_end() {
        let deep = (0..20).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
        assert_eq!(of_schema(&deep, DEPTH_MAX), format!("unknown{}", "[]".repeat(DEPTH_MAX)));
    }
}
