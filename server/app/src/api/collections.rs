//! `/api/collections`: collections at run time.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::Path,
    param::Query,
    registry::{MetaResponse, MetaResponses, Registry},
    types::Any,
};

use super::payload::{Documented, Reply};
use crate::{
    call::Call,
    collections::{
        self, alter,
        alter::{Begun, Manner},
    },
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

/// A change of a collection that concerns stored records.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Alteration {
    id: String,
    collection: String,
    /// `running`, `done`, `tried` (a dry run that found nothing wrong), `refused` (values would have been lost), `failed` or `interrupted`
    /// (the server has ended). Only after `done` anything is different.
    state: String,
    /// Who began it.
    principal: String,
    dry_run: bool,
    forced: bool,
    /// How many records there were in the beginning.
    records: u64,
    /// How many of them are copied or looked at.
    copied: u64,
    begun: String,
    ended: Option<String>,
    /// The code of the error that it ended with.
    reason: Option<String>,
}

/// The answer to a change: the collection as it is then, or how far the change is.
enum Altered {
    Done(Reply<Collection>),
    GoesOn { path: String, progress: serde_json::Value },
}

impl IntoResponse for Altered {
    fn into_response(self) -> Response {
        match self {
            Altered::Done(reply) => reply.into_response(),
            Altered::GoesOn { path, progress } => {
                let answer = Response::builder().status(StatusCode::ACCEPTED).content_type("application/json").header("location", path);
                answer.body(progress.to_string())
            }
        }
    }
}

impl ApiResponse for Altered {
    fn meta() -> MetaResponses {
        let mut meta = Reply::<Collection>::meta();
        for response in Reply::<Alteration, 202>::meta().responses {
            meta.responses.push(MetaResponse { description: "The change goes on; `Location` says how far it is.", ..response });
        }
        meta
    }

    fn register(registry: &mut Registry) {
        Reply::<Collection>::register(registry);
        Reply::<Alteration, 202>::register(registry);
    }
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

    /// Change a collection. A change that would lose or break stored data needs `force`. Reading and writing go on meanwhile.
    #[oai(path = "/:name", method = "patch", operation_id = "collections_alter")]
    async fn alter(
        &self,
        call: Call,
        name: Path<String>,
        /// Do it even if values are lost.
        force: Query<Option<bool>>,
        /// Only say what would be lost.
        dry_run: Query<Option<bool>>,
        /// `false` does not wait for the end: a change that concerns stored records is answered with how far it is.
        wait: Query<Option<bool>>,
        body: Documented<CollectionChange>,
    ) -> poem::Result<Altered> {
        let manner = match (dry_run.0.unwrap_or_default(), force.0.unwrap_or_default()) {
            (true, _) => Manner::DryRun,
            (false, true) => Manner::Forced,
            (false, false) => Manner::Careful,
        };
        let changed = match alter::begin(&call, &name.0, body.parse()?, manner).await? {
            Begun::Done(changed) => *changed,
            Begun::Running(running) if wait.0 == Some(false) => {
                let progress = alter::get(&call, &name.0, &running.id).await?;
                return Ok(Altered::GoesOn { path: format!("/api/collections/{}/alterations/{}", name.0, running.id), progress });
            }
            Begun::Running(running) => running.finish().await?,
        };
        Ok(Altered::Done(Reply::new(changed.definition())?))
    }

    /// See the changes of a collection that concern stored records, the newest first: what goes on, and for seven days what is over.
    #[oai(path = "/:name/alterations", method = "get", operation_id = "collections_alterations")]
    async fn alterations(&self, call: Call, name: Path<String>) -> poem::Result<Reply<Vec<Alteration>>> {
        Ok(Reply::new(&alter::list(&call, &name.0).await?)?)
    }

    /// See how far a change of a collection is.
    #[oai(path = "/:name/alterations/:id", method = "get", operation_id = "collections_alteration")]
    async fn alteration(&self, call: Call, name: Path<String>, id: Path<String>) -> poem::Result<Reply<Alteration>> {
        Ok(Reply::new(&alter::get(&call, &name.0, &id.0).await?)?)
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
