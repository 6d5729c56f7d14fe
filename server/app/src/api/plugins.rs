//! `/api/plugins`: plugins at run time.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::{Action, Pointer, Violation};
use plugins::Grants;
use poem::{Request, RequestBody};
use poem_openapi::{
    Object, OpenApi, impl_apirequest_for_payload,
    param::{Path, Query},
    payload::{ParsePayload, Payload},
    registry::{MetaSchema, MetaSchemaRef},
    types::Any,
};

use super::{
    payload::{Reply, read},
    visitor,
};
use crate::{
    Error,
    call::Call,
    plugins::{self as stories, Granted, Installed},
};

pub(super) struct PluginsApi;

/// Bytes that an uploaded component may have.
const COMPONENT_MAX_BYTES: usize = 25 << 20;

/// An installed plugin.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct InstalledPlugin {
    name: String,
    version: String,
    /// The blake3 digest of the component.
    digest: String,
    /// When it was first installed.
    installed: String,
    /// What it may touch: `{read: [collections], write: [collections]}`.
    grants: Any<serde_json::Value>,
    /// What it says about itself.
    manifest: Any<serde_json::Value>,
}

/// A WebAssembly component as the body of a request.
struct Component(Bytes);

impl Payload for Component {
    const CONTENT_TYPE: &'static str = "application/wasm";

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema { format: Some("binary"), ..MetaSchema::new("string") }))
    }
}

impl ParsePayload for Component {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        // Who may not install anything must not make the server read 25 MiB first.
        visitor::call(request).await?.authorize(Action::Create, stories::OBJECT)?;
        Ok(Self(read(body.take()?, request.header("content-length"), COMPONENT_MAX_BYTES).await?))
    }
}

impl_apirequest_for_payload!(Component);

#[OpenApi(prefix_path = "/plugins")]
impl PluginsApi {
    /// See the installed plugins in the order in which their rules run.
    #[oai(path = "/", method = "get", operation_id = "plugins_list")]
    async fn list(&self, call: Call) -> poem::Result<Reply<Vec<InstalledPlugin>>> {
        let all: Vec<_> = stories::list(&call)?.iter().map(|installed| shown(installed)).collect();
        Ok(Reply::new(&all)?)
    }

    /// Install a plugin, or replace the one of that name. Its rules run from the next request on.
    #[oai(path = "/", method = "post", operation_id = "plugins_install")]
    async fn install(
        &self,
        call: Call,
        /// What it may touch, such as `read:products,write:orders`; `all` grants what its manifest wishes.
        grant: Query<Option<String>>,
        component: Component,
    ) -> poem::Result<Reply<InstalledPlugin, 201>> {
        let granted = granted(grant.0.as_deref().unwrap_or_default())?;
        let installed = stories::install(&call, component.0.to_vec(), granted).await?;
        Ok(Reply::new(&shown(&installed))?)
    }

    /// Remove a plugin.
    #[oai(path = "/:name", method = "delete", operation_id = "plugins_remove")]
    async fn remove(&self, call: Call, name: Path<String>) -> poem::Result<Reply<InstalledPlugin>> {
        Ok(Reply::new(&shown(&*stories::remove(&call, &name.0).await?))?)
    }
}

fn shown(installed: &Installed) -> serde_json::Value {
    let manifest = installed.manifest();
    serde_json::json!({
        "name": manifest.name,
        "version": manifest.version,
        "digest": installed.plugin.digest(),
        "installed": installed.installed,
        "grants": installed.grants,
        "manifest": manifest,
    })
}

fn granted(text: &str) -> Result<Granted, Error> {
    if text == "all" {
        return Ok(Granted::Wishes);
    }
    let mut grants = Grants { read: BTreeSet::new(), write: BTreeSet::new() };
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once(':') {
            Some(("read", collection)) => grants.read.insert(collection.to_owned()),
            Some(("write", collection)) => grants.write.insert(collection.to_owned()),
            _ => {
                let message = format!("`{part}` is not a grant: write `read:COLLECTION` or `write:COLLECTION`, or `all`");
                return Err(Error::Query(Violation::new(Pointer::field("grant"), "query.value", message).into()));
            }
        };
    }
    Ok(Granted::Only(grants))
}
