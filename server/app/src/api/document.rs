//! The OpenAPI 3.0.3 document: what poem-openapi says about the fixed API, put right, and beside it typed paths and schemas of every
//! collection and the endpoints of plugins. A pure function of the three, so it is rendered anew for each picture of the world and never
//! changed. Serving it is left to the endpoint.

mod fixed;

mod paths;

mod schemas;

mod fields;

mod json_schema;

mod endpoints;

mod shared;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io::Write, sync::OnceLock};

use bytes::Bytes;
use model::{Collection, collection::USERS};
use serde_json::{Value, json};

use crate::endpoints::Described;

type Object = serde_json::Map<String, Value>;

/// The version of the specification that the document follows; code generators do not all read 3.1.
const OPENAPI_VERSION: &str = "3.0.3";

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
    /// Renders the document. `fixed` is what poem-openapi says (`OpenApiService::spec()`), `server_url` an absolute URL, or `/`.
    ///
    /// # Errors
    /// A fixed part that is not JSON, that declares a path or an operation id twice, or takes a name that is kept for collections.
    pub(crate) fn render(
        fixed: &str,
        catalog: &BTreeMap<String, Collection>,
        endpoints: &[Described<'_>],
        server_url: &str,
    ) -> Result<Self, serde_json::Error> {
        let mut parts = fixed::read(fixed)?;
        if catalog.contains_key(USERS) {
            fixed::type_accounts(&mut parts);
        }
        let taken = parts.tag_names();
        // Records come right after the way to sign in.
        let later_tags = parts.tags.split_off(1.min(parts.tags.len()));
        for collection in catalog.values() {
            let tag = tag(collection, &taken);
            parts.paths.extend(paths::of(collection, catalog, &tag));
            parts.schemas.extend(schemas::of(collection, catalog));
            let description = match collection.definition().description.as_str() {
                "" => format!("Records of the collection `{}`.", collection.name()),
                text => text.to_owned(),
            };
            parts.tags.push(json!({"name": tag, "description": description}));
        }
        parts.paths.insert(paths::batch::PATH.to_owned(), paths::batch::path());
        parts.schemas.extend(paths::batch::schemas());
        parts.paths.extend(endpoints::paths(endpoints));
        parts.tags.extend(endpoints::tags(endpoints));
        parts.tags.extend(later_tags);
        Ok(Self::new(&parts.into_json(server_url)))
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

    fn into_json(mut self, server_url: &str) -> Value {
        self.schemas.extend(shared::schemas());
        json!({
            "openapi": OPENAPI_VERSION,
            "info": self.info,
            "servers": [{"url": server_url}],
            "tags": self.tags,
            "paths": self.paths,
            "components": {
                "schemas": self.schemas,
                "parameters": shared::parameters(),
                "headers": shared::headers(),
                "responses": shared::responses(),
                "securitySchemes": shared::security_schemes(),
            },
        })
    }
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
