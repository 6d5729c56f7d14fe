//! Bundles: an application in files - collections, policies, plugins, first records - that is loaded through the same stories that requests
//! tell. The demo application `shop` is one.

use std::{collections::BTreeMap, sync::Arc};

use model::{
    Collection, Record, Value,
    collection::{Definition, Kind},
    value::Object,
};
use serde::Deserialize;
use store::settings;

use crate::{
    App, Error,
    call::Call,
    collections::{self, alter},
    plugins::{self, Granted},
    policies::{ChangeDraft, LinkDraft},
    records, roles,
    world::Catalog,
};

/// The files of a bundle.
struct Files {
    collections: &'static str,
    policies: &'static str,
    seed: &'static str,
    plugins: &'static [&'static [u8]],
}

const SHOP: Files = Files {
    collections: include_str!("../demo/shop/collections.json"),
    policies: include_str!("../demo/shop/policies.csv"),
    seed: include_str!("../demo/shop/seed.json"),
    plugins: &[include_bytes!("../../../plugins/examples/order-guard/order_guard.wasm")],
};

/// The password of every demo user.
const DEMO_PASSWORD: &str = "demo-password-1";

/// What a bundle does to the collections.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collections {
    /// Further fields for collections that exist, by name.
    #[serde(default)]
    extend: BTreeMap<String, Vec<model::Field>>,
    /// New collections, those that others point to first.
    #[serde(default)]
    create: Vec<Definition>,
}

/// The first records of a bundle.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    collection: String,
    /// The roles that a user among them gets.
    #[serde(default)]
    roles: Vec<String>,
    record: Object,
}

/// Loads a demo application, once for each database.
///
/// # Errors
/// An unknown name, or what any of its stories reports.
pub async fn load_demo(app: &Arc<App>, name: &str) -> Result<(), Error> {
    if name != "shop" {
        return Err(Error::Configuration(format!("there is no demo `{name}`; there is `shop`")));
    }
    let mark = format!("demo_{name}");
    if settings::get(&app.store, &mark).await?.is_none() {
        load(app, &SHOP).await?;
        settings::put(&app.store, &mark, "loaded").await?;
    }
    Ok(())
}

/// Every step can be repeated, so that a start that was interrupted is finished by the next one.
async fn load(app: &Arc<App>, files: &Files) -> Result<(), Error> {
    let call = Call::system(app);
    define(&call, serde_json::from_str(files.collections).map_err(invalid)?).await?;
    let set = ::policies::parse_csv("policies.csv", files.policies)?;
    let links = set.links.iter().map(|link| LinkDraft::new(link.member(), link.role(), link.tenant()));
    let change = ChangeDraft {
        add: set.policies.iter().map(::policies::Policy::draft).collect(),
        assign: links.collect(),
        reason: "loaded with the demo".to_owned(),
        ..ChangeDraft::default()
    };
    crate::policies::change(&call.current(), change).await?;
    for component in files.plugins {
        plugins::install(&call, component.to_vec(), Granted::Wishes).await?;
    }
    let seeds: Vec<Seed> = serde_json::from_str(files.seed).map_err(invalid)?;
    for seed in seeds {
        plant(&call.current(), seed).await?;
    }
    Ok(())
}

/// The collections that a file of the form `collections.json` of a bundle defines, with the built-in one; for looking at policies without a
/// server.
pub(crate) fn catalog(text: &str) -> Result<Catalog, String> {
    let read = |definition: Definition| Collection::new(definition).map_err(|violations| violations.to_string());
    let Collections { extend, create } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut catalog = Catalog::new();
    let users = extend.into_iter().map(|(name, fields)| (name, Kind::Auth, fields)).map(|(name, kind, fields)| Definition {
        name,
        kind,
        description: String::new(),
        fields,
        indexes: Vec::new(),
        search: Vec::new(),
    });
    for definition in std::iter::once(crate::world::users()).chain(users).chain(create) {
        let collection = read(definition)?;
        catalog.insert(collection.name().to_owned(), collection);
    }
    Ok(catalog)
}

/// Makes the collections of a file of the form `collections.json`.
///
/// # Errors
/// What is wrong with the file, or what the stories of collections report.
pub(crate) async fn define_text(call: &Call, text: &str) -> Result<(), Error> {
    let collections = serde_json::from_str(text).map_err(|error| Error::Command(format!("collections.json: {error}")))?;
    define(call, collections).await
}

async fn define(call: &Call, collections: Collections) -> Result<(), Error> {
    for (name, more) in collections.extend {
        let call = call.current();
        let mut fields = call.collection(&name)?.definition().fields.clone();
        fields.retain(|field| more.iter().all(|other| other.name != field.name));
        fields.extend(more);
        let alteration = alter::Alteration { fields: Some(fields), ..alter::Alteration::default() };
        alter::alter(&call, &name, alteration, alter::Manner::Careful).await?;
    }
    for definition in collections.create {
        match collections::create::create(call, definition).await {
            Ok(_) | Err(Error::Taken { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn plant(call: &Call, seed: Seed) -> Result<(), Error> {
    let body = Value::Object(seed.record).to_json();
    let record = match records::create::record(call, &seed.collection, body.as_bytes()).await {
        Ok(record) => record,
        Err(Error::NotUnique(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    for role in seed.roles {
        roles::assign(call, &role, &format!("user:{}", record.id), "*").await?;
    }
    Ok(())
}

fn invalid(error: serde_json::Error) -> Error {
    Error::Internal(format!("a file of the bundle: {error}"))
}

/// What to try first in the demo.
///
/// # Errors
/// What the database reports.
pub async fn demo_greeting(app: &Arc<App>, url: &str) -> Result<Vec<String>, Error> {
    let users =
        format!("demo users     ann@shop.example, ben@shop.example (customers), sam@shop.example (staff), password {DEMO_PASSWORD}");
    let call = Call::system(app);
    // Whoever plays with the demo may have dropped what it came with.
    let Ok(products) = call.collection("products") else { return Ok(vec![users]) };
    let sku = Value::from("TEA-1");
    let tea = store::records::find_unique(&app.store, &products, &call.caller.tenant, "sku", &sku).await;
    let Ok(Some(Record { id, .. })) = tea else { return Ok(vec![users]) };
    Ok(vec![
        users,
        "place an order:".to_owned(),
        format!("  TOKEN=$(curl -s {url}/api/auth/login -H 'Content-Type: application/json' \\"),
        format!(
            "    -d '{{\"identity\":\"ann@shop.example\",\"password\":\"{DEMO_PASSWORD}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
        ),
        format!("  curl {url}/api/records/orders -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\"),
        format!("    -d '{{\"items\":[{{\"product\":\"{id}\",\"quantity\":1}}],\"total\":\"4.50\"}}'"),
    ])
}
