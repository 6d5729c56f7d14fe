//! `GET` of records: what lists and single reads can be asked for, the parameters of every field included.

use model::{
    Collection, FieldType,
    parameters::{self, Operator, Parameter, VALUES_MAX},
};
use serde_json::{Value, json};

use super::{Describe, answer, query, responses};
use crate::{
    api::document::{audience::Sight, schema_ref, shared},
    records::expand,
    world::Catalog,
};

/// Names that mean the same in every collection; a field of that name has no parameter of its own.
const OWN: [&str; 11] = ["filter", "sort", "limit", "cursor", "offset", "fields", "count", "expand", "search", "range", "q"];

impl Describe<'_> {
    pub(super) fn list(&self) -> Value {
        let name = self.collection.name();
        let mut answer = answer("A page of records.", json!({"type": "array", "items": schema_ref(&self.schemas.record)}));
        answer["headers"] = json!({
            "Link": shared::header("Link"),
            "X-Next-Cursor": shared::header("NextCursor"),
            "X-Total-Count": shared::header("TotalCount"),
            "Content-Range": shared::header("ContentRange"),
        });
        let description = "The records that the caller may read, a page at a time; newest first unless `sort` says otherwise. The parameters \
                           of fields are explained in the description of this document.";
        let mut operation = self.operation("list", &format!("List records of {name}"), description);
        let mut parameters = vec![
            filter(self.collection),
            sort(self.collection),
            shared::parameter("Limit"),
            shared::parameter("Cursor"),
            shared::parameter("Offset"),
            fields(self.sight),
            shared::parameter("Count"),
        ];
        parameters.extend(expanding(self.sight, self.catalog));
        parameters.extend(searching(self.collection));
        let of_fields = parameters::all(self.collection);
        let askable = |parameter: &Parameter<'_>| self.sight.asks(parameter.field());
        let of_fields = of_fields.iter().filter(|(name, parameter)| !OWN.contains(&name.as_str()) && askable(parameter));
        parameters.extend(of_fields.map(|(name, parameter)| of_field(name, parameter)));
        operation["parameters"] = parameters.into();
        operation["responses"] = responses("200", answer, &[]);
        operation
    }
}

/// The parameters of a single read.
pub(super) fn of_one(sight: &Sight, catalog: &Catalog) -> Value {
    let mut parameters = vec![shared::parameter("RecordId"), fields(sight)];
    parameters.extend(expanding(sight, catalog));
    parameters.push(shared::parameter("IfNoneMatch"));
    parameters.into()
}

/// The condition that records must fulfil.
pub(super) fn filter(collection: &Collection) -> Value {
    let description = format!(
        "Only records for which this condition is true, such as `created > timestamp(\"2026-01-01T00:00:00Z\")`; its language is in the \
         description of this document. Fields: {}.",
        named(collection, |_, _| true)
    );
    query("filter", &description)
}

pub(super) fn sort(collection: &Collection) -> Value {
    let sortable = |kind: FieldType, many: bool| kind != FieldType::Json && !many;
    let description = format!(
        "Up to four fields, separated by commas, most significant first; `-` before a name turns the order round, such as `-created`. \
         Fields: {}.",
        named(collection, sortable)
    );
    query("sort", &description)
}

pub(super) fn fields(sight: &Sight) -> Value {
    let names = named(&sight.readable, |_, _| true);
    query("fields", &format!("Only these fields (and always `id`), separated by commas. Fields: {names}."))
}

/// The parameter `expand`, if there is anything to expand.
fn expanding(sight: &Sight, catalog: &Catalog) -> Option<Value> {
    let relations = expand::possible(catalog, &sight.readable);
    let keys: Vec<String> = relations.iter().map(|relation| format!("`{}`", relation.key)).collect();
    let description = format!(
        "Records to show beside each record, in its member `expand`: relations, separated by commas, and with dots those behind them, at most \
         four in a row. What the caller may not see is absent. Relations: {}.",
        keys.join(", ")
    );
    (!keys.is_empty()).then(|| query("expand", &description))
}

/// The parameter `search`, if there is anything to search.
fn searching(collection: &Collection) -> Option<Value> {
    let fields: Vec<String> = collection.search().iter().map(|field| format!("`{field}`")).collect();
    let description = format!(
        "Only records that have all of these words, whatever the case and accents, in {}; best match first unless `sort` says otherwise.",
        fields.join(", ")
    );
    (!fields.is_empty()).then(|| query("search", &description))
}

/// A parameter of a field. What its end means is said once, in the description of the operation: there are many of them.
fn of_field(name: &str, parameter: &Parameter<'_>) -> Value {
    match parameter.operator() {
        Operator::Null => json!({"name": name, "in": "query", "schema": {"type": "boolean"}}),
        Operator::In => {
            let schema = json!({"type": "array", "items": value(parameter), "maxItems": VALUES_MAX});
            json!({"name": name, "in": "query", "style": "form", "explode": false, "schema": schema})
        }
        _ => json!({"name": name, "in": "query", "schema": value(parameter)}),
    }
}

/// A value that a field is compared with; it need not be one that the field could hold.
fn value(parameter: &Parameter<'_>) -> Value {
    match parameter.kind() {
        FieldType::Integer => json!({"type": "integer", "format": "int64"}),
        FieldType::Number => json!({"type": "number", "format": "double"}),
        FieldType::Bool => json!({"type": "boolean"}),
        FieldType::Datetime => json!({"type": "string", "format": "date-time"}),
        FieldType::Date => json!({"type": "string", "format": "date"}),
        FieldType::Decimal => json!({"type": "string", "format": "decimal"}),
        FieldType::Select => json!({"type": "string", "enum": parameter.declared().map(|field| &field.values)}),
        _ => json!({"type": "string"}),
    }
}

/// The readable fields that a parameter can name, for people.
fn named(collection: &Collection, wanted: impl Fn(FieldType, bool) -> bool) -> String {
    let readable = collection.fields().filter(|field| !field.is_secret() && wanted(field.kind, field.many));
    let names = readable.map(|field| field.name.as_str());
    let quoted: Vec<String> = ["id"].into_iter().chain(names).chain(["created", "updated"]).map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
