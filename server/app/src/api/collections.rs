//! `/api/collections`: collections at run time.

use poem_openapi::{Enum, Object, OpenApi, param::Path, param::Query, types::Any};

use super::payload::{Documented, Reply};
use crate::{
    call::Call,
    collections::{self, alter, alter::Manner},
};

pub(super) struct CollectionsApi;

/// What a collection is for.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the body in the document")]
enum CollectionKind {
    /// Plain records.
    Base,
    /// Records that can log in.
    Auth,
}

/// What a field may hold.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the body in the document")]
enum FieldKind {
    Text,
    Email,
    Url,
    Integer,
    Number,
    Decimal,
    Bool,
    Datetime,
    Date,
    Select,
    Json,
    Relation,
    Password,
}

/// What happens to records whose relation points to one that is deleted.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the body in the document")]
enum OnDelete {
    Restrict,
    Cascade,
    Unset,
}

/// A field of a collection.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct Field {
    /// A lowercase letter, then at most 62 lowercase letters, digits and underscores.
    #[oai(validator(pattern = "^[a-z][a-z0-9_]{0,62}$"))]
    name: String,
    /// What it may hold.
    #[oai(rename = "type")]
    kind: FieldKind,
    /// Null is refused.
    required: Option<bool>,
    /// No two records of a tenant hold the same value.
    unique: Option<bool>,
    /// Nobody can read it through the API.
    hidden: Option<bool>,
    /// It can be set when a record is created, never changed.
    immutable: Option<bool>,
    /// Several values in a list (`select`, `relation`).
    many: Option<bool>,
    /// The value of a new record that does not say; `caller.id` in a relation means the calling user.
    default: Option<Any<serde_json::Value>>,
    /// The smallest value, or the least number of characters or list entries.
    min: Option<f64>,
    /// The largest value, or the greatest number of characters or list entries.
    max: Option<f64>,
    /// The digits after the point that a `decimal` always shows.
    scale: Option<u32>,
    /// A regular expression that a `text` must match.
    pattern: Option<String>,
    /// The choices of a `select`.
    values: Option<Vec<String>>,
    /// The collection that a `relation` points into.
    collection: Option<String>,
    /// What the deletion of the related record means; `relation` only.
    on_delete: Option<OnDelete>,
    /// A JSON Schema for a `json` field.
    schema: Option<Any<serde_json::Value>>,
    /// For people.
    description: Option<String>,
}

/// An index over one to four fields.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct Index {
    /// The fields, most significant first.
    fields: Vec<String>,
    /// No two records of a tenant agree in all of them.
    unique: Option<bool>,
}

/// A collection.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct Collection {
    /// A lowercase letter, then at most 62 lowercase letters, digits and underscores.
    #[oai(validator(pattern = "^[a-z][a-z0-9_]{0,62}$"))]
    name: String,
    /// `base` unless given.
    kind: Option<CollectionKind>,
    /// The fields in the order in which they are shown.
    fields: Option<Vec<Field>>,
    /// The indexes beside those of unique fields.
    indexes: Option<Vec<Index>>,
    /// The fields whose words `search` of a list looks for.
    search: Option<Vec<String>>,
    /// For people.
    description: Option<String>,
}

/// A change of a collection; what is absent stays.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct CollectionChange {
    /// New names of fields, by the old ones; what is stored in them stays. `fields` has the new names.
    rename: Option<std::collections::HashMap<String, String>>,
    /// What stored records get in fields that are null, by the names of the fields.
    fill: Option<Any<serde_json::Map<String, serde_json::Value>>>,
    /// All fields as they shall be.
    fields: Option<Vec<Field>>,
    /// All declared indexes as they shall be.
    indexes: Option<Vec<Index>>,
    /// All fields whose words can be searched for, as they shall be.
    search: Option<Vec<String>>,
    /// For people.
    description: Option<String>,
}

#[OpenApi(prefix_path = "/collections")]
impl CollectionsApi {
    /// See all collections.
    #[oai(path = "/", method = "get", operation_id = "collections_list")]
    async fn list(&self, call: Call) -> poem::Result<Reply<Vec<Collection>>> {
        let all = collections::list(&call)?;
        Ok(Reply::new(&all.iter().map(model::Collection::definition).collect::<Vec<_>>())?)
    }

    /// Define a collection.
    #[oai(path = "/", method = "post", operation_id = "collections_create")]
    async fn create(&self, call: Call, body: Documented<Collection>) -> poem::Result<Reply<Collection, 201>> {
        let created = collections::create::create(&call, body.parse()?).await?;
        Ok(Reply::new(created.definition())?)
    }

    /// See one collection.
    #[oai(path = "/:name", method = "get", operation_id = "collections_get")]
    async fn get(&self, call: Call, name: Path<String>) -> poem::Result<Reply<Collection>> {
        Ok(Reply::new(collections::get(&call, &name.0)?.definition())?)
    }

    /// Change a collection. A change that would lose or break stored data needs `force`.
    #[oai(path = "/:name", method = "patch", operation_id = "collections_alter")]
    async fn alter(
        &self,
        call: Call,
        name: Path<String>,
        /// Do it even if values are lost.
        force: Query<Option<bool>>,
        /// Only say what would be lost.
        dry_run: Query<Option<bool>>,
        body: Documented<CollectionChange>,
    ) -> poem::Result<Reply<Collection>> {
        let manner = match (dry_run.0.unwrap_or_default(), force.0.unwrap_or_default()) {
            (true, _) => Manner::DryRun,
            (false, true) => Manner::Forced,
            (false, false) => Manner::Careful,
        };
        let changed = alter::alter(&call, &name.0, body.parse()?, manner).await?;
        Ok(Reply::new(changed.definition())?)
    }

    /// Drop a collection. Stored records are lost only with `force`.
    #[oai(path = "/:name", method = "delete", operation_id = "collections_drop")]
    async fn drop_collection(
        &self,
        call: Call,
        name: Path<String>,
        /// Do it even if records are lost.
        force: Query<Option<bool>>,
    ) -> poem::Result<Reply<Collection>> {
        let dropped = collections::drop::drop(&call, &name.0, force.0.unwrap_or_default()).await?;
        Ok(Reply::new(dropped.definition())?)
    }
}
