//! HTTP: paths, bodies, headers, status codes. Endpoints unwrap a request, tell one story and wrap its answer; nothing is decided here.
//! The only place that knows poem.

pub mod document;

pub mod serve;

pub mod setup;

pub(crate) mod problem;

mod boundary;

mod trail;

mod compression;

mod cors;

mod payload;

mod visitor;

mod once;

mod explorer;

mod records;

mod batch;

mod auth;

mod collections;

mod policies;

mod roles;

mod plugins;

mod watch;

mod deliveries;

mod imports;

mod ext;

mod system;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use model::{Caller, Principal};
use poem::{EndpointExt, IntoEndpoint, Route};
use poem_openapi::OpenApiService;

use crate::{App, Error, endpoints, server::Proxies, world::World};
use document::{Audience, Document, Ground, Group, Wanted};
pub(crate) use problem::{busy, unreadable};
use serve::Endpoint;
use setup::Setup;

/// The address of the server, for links and the document.
#[derive(Clone)]
struct PublicUrl(Arc<str>);

type Fixed = (
    auth::AuthApi,
    collections::CollectionsApi,
    policies::PoliciesApi,
    roles::RolesApi,
    plugins::PluginsApi,
    watch::WatchApi,
    deliveries::DeliveriesApi,
    imports::ImportsApi,
    setup::SetupApi,
    system::SystemApi,
);

/// What poem-openapi says about the fixed API: the same as long as the process runs.
static SPEC: LazyLock<String> = LazyLock::new(|| fixed_api().spec());

fn fixed_api() -> OpenApiService<Fixed, ()> {
    let apis = (
        auth::AuthApi,
        collections::CollectionsApi,
        policies::PoliciesApi,
        roles::RolesApi,
        plugins::PluginsApi,
        watch::WatchApi,
        deliveries::DeliveriesApi,
        imports::ImportsApi,
        setup::SetupApi,
        system::SystemApi,
    );
    OpenApiService::new(apis, "Ironrule", env!("CARGO_PKG_VERSION")).url_prefix("/api")
}

/// Everything that is served, ready for the accept loop.
///
/// # Errors
/// [`Error::Configuration`] names the setting that is wrong.
pub fn endpoint(app: &Arc<App>, setup: Setup, address: SocketAddr) -> Result<Endpoint, Error> {
    let cors = cors::Cors::new(&app.config)?;
    let url = app.config.url(address);
    let service = fixed_api();
    let methods = boundary::Methods::of(&SPEC);
    let routes = Route::new()
        .at("/api/records/:collection", records::Records)
        .at("/api/records/:collection/aggregate", records::Aggregate)
        .at("/api/records/:collection/export", records::Export)
        .at("/api/records/:collection/import", records::Import)
        .at("/api/records/:collection/:id", records::Record)
        .at("/api/batch", batch::Batch)
        .at("/api/ext/*path", ext::Ext)
        .at("/metrics", watch::Metrics)
        .at("/openapi.json", system::OpenApi)
        .at("/livez", system::Live)
        .at("/readyz", system::Ready)
        .at("/docs", system::Docs)
        .at("/docs/*file", system::Docs)
        .nest("/api", once::Once(service.into_endpoint()))
        .data(Arc::clone(app))
        .data(Arc::new(setup))
        .data(PublicUrl(url.into()));
    let boundary = boundary::Boundary::new(routes, methods, cors, Arc::clone(app));
    Ok(Endpoint::new(boundary, app, Proxies::new(&app.config)?))
}

/// The OpenAPI document of a picture of the world, for everybody or for one caller.
///
/// # Errors
/// When it cannot be rendered, which is a fault of ours.
pub(crate) fn document(world: &World, url: &str, wanted: &Wanted, caller: Option<&Caller>) -> Result<Arc<Document>, Error> {
    let (group, audience) = match caller {
        None => (None, Audience::Everybody),
        Some(caller) => {
            let group: Group = (world.policies.group(caller), caller.principal != Principal::Anonymous);
            (Some(group), Audience::Caller { policies: &world.policies, caller })
        }
    };
    world.documents.get(wanted, group, || {
        let endpoints = endpoints::described(&world.plugins);
        let ground = Ground { fixed: &SPEC, catalog: &world.catalog, endpoints: &endpoints, server_url: url };
        Document::render(&ground, wanted, audience).map_err(|error| Error::Internal(format!("the OpenAPI document: {error}")))
    })
}

#[cfg(test)]
mod tests;
