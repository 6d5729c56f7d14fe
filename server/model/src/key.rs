//! Keys: what tells the records of a collection apart, and what a draft says about it. By its key an upsert finds the record that it changes.

use crate::{
    Collection, Draft, Value, validate,
    violation::{Pointer, Violations},
};

/// The id, or the fields of which no two records have the same values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// A unique field, or the fields of a unique index.
    Fields(Vec<String>),
}

/// The record that a draft means: the one that has these values.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// By its id.
    Id(String),
    /// By the values of unique fields, as they are stored.
    Values(Vec<(String, Value)>),
}

impl Key {
    /// Reads `id`, or names of fields separated by commas.
    ///
    /// # Errors
    /// A sentence, when no two records differ by these for sure.
    pub fn parse(collection: &Collection, text: &str) -> Result<Key, String> {
        let mut names: Vec<&str> = text.split(',').map(str::trim).collect();
        if names == ["id"] {
            return Ok(Key::Id);
        }
        names.sort_unstable();
        let index = collection.indexes().into_iter().find(|index| {
            let mut fields: Vec<&str> = index.fields.iter().map(String::as_str).collect();
            fields.sort_unstable();
            index.unique && fields == names && fields.iter().all(|field| collection.field(field).is_some())
        });
        match index {
            Some(index) => Ok(Key::Fields(index.fields)),
            None => {
                Err(format!("`{text}` is neither `id` nor a unique field of `{}`, nor the fields of a unique index", collection.name()))
            }
        }
    }

    /// The fields; none for the id.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        match self {
            Key::Id => &[],
            Key::Fields(fields) => fields,
        }
    }

    /// What the draft says.
    ///
    /// # Errors
    /// Every part of the key that is missing or that no record could have.
    pub fn of(&self, collection: &Collection, draft: &Draft) -> Result<Wanted, Violations> {
        let mut violations = Violations::default();
        let mut given = |name: &str| {
            let value = draft.values.get(name).filter(|value| !value.is_null());
            if value.is_none() {
                violations.add(Pointer::field(name), "field.required", format!("`{name}` tells which record is meant"));
            }
            value.cloned()
        };
        match self {
            Key::Id => match given("id") {
                Some(Value::Text(id)) if is_id(&id) => return Ok(Wanted::Id(id)),
                Some(_) => violations.add(Pointer::field("id"), "field.format", "not the id of a record: a ULID in capital letters"),
                None => {}
            },
            Key::Fields(fields) => {
                let given: Vec<(String, Option<Value>)> = fields.iter().map(|name| (name.clone(), given(name))).collect();
                let mut wanted = Vec::with_capacity(fields.len());
                for checked in fields.iter().filter_map(|name| collection.checked_fields().find(|one| one.field.name == *name)) {
                    let name = &checked.field.name;
                    if let Some((_, Some(value))) = given.iter().find(|(field, _)| field == name) {
                        let value = validate::convert(checked, value.clone(), &Pointer::field(name), &mut violations);
                        wanted.push((name.clone(), value));
                    }
                }
                return violations.or(Wanted::Values(wanted));
            }
        }
        Err(violations)
    }
}

/// True for the id of a record: a ULID as this server writes them.
#[must_use]
pub fn is_id(text: &str) -> bool {
    ulid::Ulid::from_string(text).is_ok_and(|ulid| ulid.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::Definition;

    fn collection() -> Collection {
        let definition: Definition = serde_json::from_str(
            r#"{"name":"things","fields":[
                {"name":"mail","type":"email","unique":true},
                {"name":"shop","type":"text"},
                {"name":"number","type":"integer"},
                {"name":"free","type":"text"}
            ],"indexes":[{"fields":["shop","number"],"unique":true},{"fields":["free"]},{"fields":["free","created"],"unique":true}]}"#,
        )
        .expect("definition");
        Collection::new(definition).expect("collection")
    }

    fn check(key: &str, draft: &str, expected: Result<&str, &[&str]>) {
        let collection = collection();
        let draft = Draft::parse(draft.as_bytes()).expect("draft");
        let found = match Key::parse(&collection, key) {
            Ok(key) => key
                .of(&collection, &draft)
                .map_err(|violations| violations.0.iter().map(|one| format!("{} {}", one.pointer.as_str(), one.code)).collect::<Vec<_>>()),
            Err(_) => Err(vec!["no key".to_owned()]),
        };
        match (found, expected) {
            (Ok(Wanted::Id(id)), Ok(expected)) => assert_eq!(id, expected),
            (Ok(Wanted::Values(values)), Ok(expected)) => {
                let values: crate::value::Object = values.into_iter().collect();
                assert_eq!(Value::Object(values).to_json(), expected);
            }
            (Err(found), Err(expected)) => assert_eq!(found, expected, "{key}"),
            (found, _) => panic!("{key}: {found:?}"),
        }
    }

    #[test]
    fn a_key_is_the_id_or_unique() {
        check("id", r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#, Ok("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        check("mail", r#"{"mail":"Ann@Test.Example"}"#, Ok(r#"{"mail":"ann@test.example"}"#));
        check("number, shop", r#"{"number":7.0,"shop":"a"}"#, Ok(r#"{"shop":"a","number":7}"#));
        for key in ["shop", "number", "free", "free,created", "nope", "mail,mail", "mail,shop", "id,mail", ""] {
            check(key, "{}", Err(&["no key"]));
        }
    }

    #[test]
    fn a_draft_has_the_whole_key() {
        check("id", "{}", Err(&["/id field.required"]));
        for id in [r#"{"id":7}"#, r#"{"id":"x"}"#, r#"{"id":"01arz3ndektsv4rrffq69g5fav"}"#, r#"{"id":"81ARZ3NDEKTSV4RRFFQ69G5FAV"}"#] {
            check("id", id, Err(&["/id field.format"]));
        }
        check("mail", r#"{"mail":null}"#, Err(&["/mail field.required"]));
        check("mail", r#"{"mail":"x"}"#, Err(&["/mail field.format"]));
        check("shop,number", r#"{"number":"x"}"#, Err(&["/shop field.required", "/number field.type"]));
    }
}
