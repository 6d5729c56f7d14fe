//! Records, read and written inside the rule's transaction: that of the write that is being checked, or its own.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::ironrule::rules::records as host;

/// Why a host call did not succeed.
pub use crate::bindings::ironrule::rules::types::Failure;

/// Which records `query` answers.
#[derive(Default, Serialize)]
pub struct Query<'a> {
    /// a condition: `stock < 10 && active`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<&'a str>,
    /// fields, `-` for descending: `-created,name`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<&'a str>,
    /// at most so many records
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// without the first so many
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
    /// only these fields
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<&'a [&'a str]>,
}

/// The record, or none if it does not exist.
pub fn get<T: DeserializeOwned>(collection: &str, id: &str) -> Result<Option<T>, Failure> {
    host::get(collection, id)?.as_deref().map(parse).transpose()
}

/// One host call; answers in the order of `ids`.
pub fn get_many<T: DeserializeOwned>(collection: &str, ids: &[String]) -> Result<Vec<Option<T>>, Failure> {
    let records = host::get_many(collection, ids)?;
    records.iter().map(|record| record.as_deref().map(parse).transpose()).collect()
}

/// The records that a query finds. Needs the grant to search the collection.
pub fn query<T: DeserializeOwned>(collection: &str, query: &Query) -> Result<Vec<T>, Failure> {
    parse(&host::query(collection, &text(query)?)?)
}

/// Answers the stored record.
pub fn create(collection: &str, content: &impl Serialize) -> Result<Value, Failure> {
    parse(&host::create(collection, &text(content)?)?)
}

/// Answers the stored record; `patch` is an RFC 7396 merge patch.
pub fn update(collection: &str, id: &str, patch: &impl Serialize) -> Result<Value, Failure> {
    parse(&host::update(collection, id, &text(patch)?)?)
}

/// Deletes a record.
pub fn delete(collection: &str, id: &str) -> Result<(), Failure> {
    host::delete(collection, id)
}

/// A text as it stands in a filter: `format!("owner == {}", quoted(owner))`. Without it a text with a quotation mark in it would
/// change what the filter asks.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(invalid)
}

pub(crate) fn text(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(invalid)
}

fn invalid(cause: serde_json::Error) -> Failure {
    Failure { code: "invalid".into(), message: cause.to_string(), fatal: false, details: "{}".into() }
}
