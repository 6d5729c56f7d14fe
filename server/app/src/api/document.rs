//! The OpenAPI document: what poem-openapi says about the fixed API, put right, and beside it typed paths and schemas of every collection
//! and the endpoints of plugins; all of it, some collections, or only what a caller may do. A pure function of these, so it is rendered
//! anew for each picture of the world and never changed. Serving it is left to the endpoint.

mod wanted;

mod kept;

mod audience;

mod rights;

mod fixed;

mod paths;

mod schemas;

mod fields;

mod json_schema;

mod endpoints;

mod examples;

mod shared;

mod hoist;

mod unused;

mod newer;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io::Write, sync::OnceLock};

use bytes::Bytes;
use model::{Action, Collection, collection::USERS, record::SYSTEM_FIELDS};
use plugins::Access;
use serde_json::{Value, json};

use crate::{endpoints::Described, world::Catalog};
pub(crate) use audience::Audience;
use audience::Sight;
pub use kept::Documents;
pub(crate) use kept::Group;
pub(crate) use wanted::Asked;
pub use wanted::{Version, Wanted};

type Object = serde_json::Map<String, Value>;

/// The tag of the operations that every slice has.
const SIGN_IN: &str = "auth";

/// The schema of an account as its owner sees it, where that differs from what others see.
const OWN_ACCOUNT: &str = "OwnAccount";

/// What a document is made from.
pub(crate) struct Ground<'a> {
    /// What poem-openapi says (`OpenApiService::spec()`).
    pub(crate) fixed: &'a str,
    pub(crate) catalog: &'a Catalog,
    pub(crate) endpoints: &'a [Described<'a>],
    /// An absolute URL.
    pub(crate) server_url: &'a str,
}

/// A rendered document.
pub struct Document {
    json: Bytes,
    etag: String,
    gzipped: OnceLock<Bytes>,
}

/// The document while it is put together.
struct Parts {
    info: Value,
    tags: Vec<Value>,
    paths: Object,
    schemas: Object,
}

impl Document {
    /// Renders the document.
    ///
    /// # Errors
    /// A fixed part that is not JSON, that declares a path or an operation id twice, or takes a name that is kept for collections.
    pub(crate) fn render(ground: &Ground<'_>, wanted: &Wanted, audience: Audience<'_>) -> Result<Self, serde_json::Error> {
        let mut parts = fixed::read(ground.fixed)?;
        let whole = wanted.collections.is_none();
        parts.schemas.extend(paths::batch::schemas().into_iter().chain(paths::bulk::schemas()));
        if whole {
            parts.paths.insert(paths::batch::PATH.to_owned(), paths::batch::path());
        } else {
            parts.keep_tag(SIGN_IN);
        }
        let sights: Vec<Sight> = ground.catalog.values().map(|collection| audience.sight(collection)).collect();
        rights::keep_fixed(&mut parts.paths, audience, &sights);
        let visible = visible(wanted, &sights);
        if let Some(users) = ground.catalog.get(USERS) {
            parts.add_account(users, &visible, audience);
        }
        // Records come right after the way to sign in.
        let taken = parts.tag_names();
        let later_tags = parts.tags.split_off(1.min(parts.tags.len()));
        for (collection, sight) in ground.catalog.values().zip(&sights) {
            // Also of collections that are left out: others may refer to them.
            parts.schemas.extend(schemas::of(sight, &visible));
            if wanted.includes(collection.name()) {
                parts.add_records(collection, sight, (&visible, &taken));
            }
        }
        if whole {
            parts.add_endpoints(ground.endpoints, audience);
        }
        parts.tags.extend(later_tags);
        let mut document = parts.into_json(ground.server_url, wanted.version);
        unused::remove_components(&mut document);
        if !whole || matches!(audience, Audience::Caller { .. }) {
            unused::remove_tags(&mut document);
        }
        if wanted.version == Version::New {
            newer::convert(&mut document);
        }
        Ok(Self::new(&document))
    }

    fn new(document: &Value) -> Self {
        // No `<` can be written in JSON other than inside a string. Escaped, a description cannot end a script that somebody puts the
        // document into.
        let json = Bytes::from(document.to_string().replace('<', "\\u003c"));
        let etag = format!("\"{}\"", &blake3::hash(&json).to_hex()[..32]);
        Self { json, etag, gzipped: OnceLock::new() }
    }

    /// The document as JSON.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// The document as JSON in a gzip stream; compressed when it is first asked for.
    #[must_use]
    pub fn gzipped(&self) -> Bytes {
        self.gzipped.get_or_init(|| gzip(&self.json)).clone()
    }

    /// The strong entity tag of the JSON, with its quotes. It is the same on every node with the same collections.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

impl Parts {
    fn tag_names(&self) -> Vec<String> {
        self.tags.iter().filter_map(|tag| Some(tag["name"].as_str()?.to_owned())).collect()
    }

    /// Leaves the operations with this tag.
    fn keep_tag(&mut self, tag: &str) {
        self.paths.retain(|_, item| {
            let operations = item.as_object().into_iter().flatten();
            operations.flat_map(|(_, operation)| operation["tags"].as_array().into_iter().flatten()).any(|name| name == tag)
        });
    }

    /// Says what an account is: a record of `users`, of which its owner may see more than others.
    fn add_account(&mut self, users: &Collection, visible: &Catalog, audience: Audience<'_>) {
        let schemas = schemas::names(&audience.sight(users));
        let account = match audience {
            Audience::Everybody => schema_ref(&schemas.record),
            Audience::Caller { .. } => {
                let own = schemas::record(&audience.own_account(users), &SYSTEM_FIELDS, visible);
                self.schemas.insert(OWN_ACCOUNT.to_owned(), own);
                schema_ref(OWN_ACCOUNT)
            }
        };
        fixed::type_accounts(self, &schema_ref(&schemas.create), &account);
    }

    fn add_records(&mut self, collection: &Collection, sight: &Sight, (visible, taken): (&Catalog, &[String])) {
        let tag = tag(collection, taken);
        let mut paths = paths::of(sight, visible, &tag);
        rights::keep_records(&mut paths, sight);
        self.paths.extend(paths);
        let description = match collection.definition().description.as_str() {
            "" => format!("Records of the collection `{}`.", collection.name()),
            text => text.to_owned(),
        };
        self.tags.push(json!({"name": tag, "description": description}));
    }

    fn add_endpoints(&mut self, endpoints: &[Described<'_>], audience: Audience<'_>) {
        let callable = |endpoint: &&Described<'_>| audience.is_known() || endpoint.rule.access == Access::Anyone;
        let endpoints: Vec<&Described<'_>> = endpoints.iter().filter(callable).collect();
        self.paths.extend(endpoints::paths(&endpoints));
        self.tags.extend(endpoints::tags(&endpoints));
    }

    fn into_json(mut self, server_url: &str, version: Version) -> Value {
        self.schemas.extend(shared::schemas());
        let mut parameters = shared::parameters();
        parameters.extend(hoist::parameters(&mut self.paths));
        json!({
            "openapi": version.to_string(),
            "info": self.info,
            "servers": [{"url": server_url}],
            "tags": self.tags,
            "paths": self.paths,
            "components": {
                "schemas": self.schemas,
                "parameters": parameters,
                "headers": shared::headers(),
                "responses": shared::responses(),
                "securitySchemes": shared::security_schemes(),
            },
        })
    }
}

/// The collections among which relations are shown: those that are wanted and can be read.
fn visible(wanted: &Wanted, sights: &[Sight]) -> Catalog {
    let readable = sights.iter().filter(|sight| sight.may(Action::Read)).map(|sight| &sight.readable);
    let wanted = readable.filter(|collection| wanted.includes(collection.name()));
    wanted.map(|collection| (collection.name().to_owned(), collection.clone())).collect()
}

/// What the names of the schemas of a collection begin with: `order_items` has `OrderItemsRecord`.
#[must_use]
pub fn schema_prefix(name: &str) -> String {
    let mut prefix = String::with_capacity(name.len());
    for part in name.split('_') {
        let mut characters = part.chars();
        prefix.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        prefix.push_str(characters.as_str());
    }
    prefix
}

/// The other collection whose schemas would have the same names, as `a1` and `a_1` have. The fixed schemas are never in the way:
/// [`Document::render`] refuses those that end as the schemas of collections do.
#[must_use]
pub fn collides(name: &str, catalog: &BTreeMap<String, Collection>) -> Option<String> {
    let prefix = schema_prefix(name);
    catalog.keys().find(|other| *other != name && schema_prefix(other) == prefix).cloned()
}

/// The name of the collection, unless the fixed API has a tag of that name.
fn tag(collection: &Collection, taken: &[String]) -> String {
    let name = collection.name();
    if taken.iter().any(|tag| tag.eq_ignore_ascii_case(name)) { format!("{name} (collection)") } else { name.to_owned() }
}

fn gzip(json: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // INVARIANT: the encoder writes into a `Vec`, which takes everything.
    encoder.write_all(json).expect("writing to memory");
    encoder.finish().expect("writing to memory").into()
}

fn schema_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
