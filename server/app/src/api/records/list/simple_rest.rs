//! What `ra-data-simple-rest` sends: `sort=["title","ASC"]&range=[0,9]&filter={"state":"new"}`. The members of its filter are parameters
//! of fields; `q` searches. It needs the total, in `Content-Range`.

use model::{Pointer, Value, Violations, query::LIMIT_MAX};

use super::dialect::Asked;
use crate::records::list::{OFFSET_MAX, Question, Test, Words};

const WORDS: Words = Words { sort: "sort", limit: "range", offset: "range", search: "filter", cursor: false };

pub(super) fn question(asked: &mut Asked, violations: &mut Violations) -> Question {
    let mut question = Question { count: Some("exact".to_owned()), words: WORDS, ..Question::default() };
    if let Some(text) = asked.take("sort", violations) {
        question.sort = sort(&text);
        if question.sort.is_none() {
            violations.add(Pointer::field("sort"), "query.sort", "expected a JSON array such as `[\"title\",\"ASC\"]`");
        }
    }
    // Without a range it asks for records by their ids, and wants all of them.
    question.limit = Some(LIMIT_MAX.to_string());
    if let Some(text) = asked.take("range", violations) {
        match range(&text) {
            Ok((first, count)) => (question.offset, question.limit) = (Some(first.to_string()), Some(count.to_string())),
            Err(message) => violations.add(Pointer::field("range"), "query.value", message),
        }
    }
    if let Some(text) = asked.take("filter", violations) {
        match Value::from_json(text.as_bytes()) {
            Ok(Value::Object(members)) => {
                for (name, value) in members {
                    if let ("q", Value::Text(words)) = (name.as_str(), &value) {
                        question.search = Some(words.clone()).filter(|words| !words.trim().is_empty());
                        continue;
                    }
                    match test(name, value) {
                        Ok(test) => question.tests.extend(test),
                        Err(message) => violations.add(Pointer::field("filter"), "query.filter", message),
                    }
                }
            }
            Ok(_) => violations.add(Pointer::field("filter"), "query.filter", "expected a JSON object"),
            Err(error) => violations.add(Pointer::field("filter"), "query.filter", error.to_string()),
        }
    }
    question
}

/// A field and a direction, as this API writes them.
fn sort(text: &str) -> Option<String> {
    let Ok(Value::List(parts)) = Value::from_json(text.as_bytes()) else { return None };
    let [field, direction] = parts.as_slice() else { return None };
    let field = field.as_text().filter(|field| field.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))?;
    match direction.as_text()?.to_ascii_uppercase().as_str() {
        "ASC" => Some(field.to_owned()),
        "DESC" => Some(format!("-{field}")),
        _ => None,
    }
}

/// The first position, and how many there are up to the last.
fn range(text: &str) -> Result<(usize, usize), String> {
    let positions = serde_json::from_str::<[usize; 2]>(text).ok().filter(|[first, last]| last >= first);
    let Some([first, last]) = positions else {
        return Err("expected a JSON array such as `[0,9]`: the first and the last position".to_owned());
    };
    if first > OFFSET_MAX {
        return Err(format!("the first position is {first}, and at most {OFFSET_MAX} records may come before it"));
    }
    match last - first {
        more if more < LIMIT_MAX => Ok((first, more + 1)),
        _ => Err(format!("from position {first} to {last} there are more than {LIMIT_MAX} records")),
    }
}

/// A member of the filter as a parameter of a field; none if it is an empty text, which is absent.
fn test(name: String, value: Value) -> Result<Option<Test>, String> {
    let (name, values) = match value {
        Value::Text(text) if text.trim().is_empty() => return Ok(None),
        Value::Null => (format!("{name}_null"), vec!["true".to_owned()]),
        Value::List(values) => {
            let texts = values.iter().map(|value| scalar(&name, value)).collect::<Result<_, _>>()?;
            (name, texts)
        }
        value => {
            let text = scalar(&name, &value)?;
            (name, vec![text])
        }
    };
    Ok(Some(Test { parameter: "filter".to_owned(), name, values: Some(values) }))
}

fn scalar(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Decimal(number) => Ok(number.to_string()),
        other => Err(format!("`{name}` cannot be compared with `{}`", other.to_json())),
    }
}
