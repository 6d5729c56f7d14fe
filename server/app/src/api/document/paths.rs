//! The paths of a collection, with their operations.

mod aggregate;

mod transfer;

mod list;

mod write;

pub(super) mod bulk;

pub(super) mod batch;

use model::Collection;
use serde_json::{Value, json};

use super::{
    Object,
    audience::Sight,
    schema_ref,
    schemas::{self, Schemas},
    shared::{self, BEARER},
};
use crate::world::Catalog;

/// The paths of a collection by name.
pub(super) fn of(sight: &Sight, catalog: &Catalog, tag: &str) -> Object {
    let collection = &sight.askable;
    let describe = Describe { collection, sight, catalog, tag, schemas: schemas::names(sight) };
    let many = json!({
        "get": describe.list(),
        "post": describe.create(),
        "patch": describe.update_all(),
        "delete": describe.delete_all(),
    });
    let one = json!({
        "get": describe.get(),
        "patch": describe.update(),
        "put": describe.replace(),
        "delete": describe.delete(),
    });
    let aggregate = aggregate::path(collection, tag, list::filter(collection));
    let path = format!("/api/records/{}", collection.name());
    Object::from_iter([
        (format!("{path}/{{id}}"), one),
        (format!("{path}/aggregate"), aggregate),
        (format!("{path}/export"), transfer::export(&describe)),
        (format!("{path}/import"), transfer::import(&describe)),
        (path, many),
    ])
}

struct Describe<'a> {
    /// With the fields that can be asked for.
    collection: &'a Collection,
    sight: &'a Sight,
    /// The collections that can be seen from this one.
    catalog: &'a Catalog,
    tag: &'a str,
    schemas: Schemas,
}

impl Describe<'_> {
    fn get(&self) -> Value {
        let description = "A record that the caller may not read is not found.";
        let mut operation = self.operation("get", &format!("Read a record of {}", self.collection.name()), description);
        operation["parameters"] = list::of_one(self.sight, self.catalog);
        operation["responses"] = responses("200", self.record("The record."), &["404", "412"]);
        operation["responses"]["304"] = json!({"description": "The record is still the one that `If-None-Match` names."});
        operation
    }

    /// What all operations have. Policies may let everybody in, so a token is never a must.
    fn operation(&self, verb: &str, summary: &str, description: &str) -> Value {
        json!({
            "operationId": format!("{}_{verb}", self.collection.name()),
            "tags": [self.tag],
            "summary": summary,
            "description": description,
            "security": [{BEARER: []}, {}],
        })
    }

    fn record(&self, description: &str) -> Value {
        let mut answer = answer(description, schema_ref(&self.schemas.record));
        answer["headers"] = json!({"ETag": shared::header("ETag")});
        answer
    }
}

fn query(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": {"type": "string"}})
}

fn answer(description: &str, schema: Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// A good answer, the errors of every request and those of this one.
fn responses(status: &str, good: Value, errors: &[&str]) -> Value {
    let mut responses = Object::from_iter([(status.to_owned(), good)]);
    for status in ["400", "401", "403"].iter().chain(&shared::ALWAYS).chain(errors) {
        responses.extend(shared::error(status).map(|error| ((*status).to_owned(), error)));
    }
    responses.into()
}
