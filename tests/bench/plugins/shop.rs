//! Records in memory that answer at once, so that what is measured is the host and the guest.

use std::{
    collections::BTreeMap,
    future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use plugins::{BoxFuture, Effect, Event, Failure, Ground, Hook, Plugin, Records};
use serde_json::{Value, json};

/// Two products. Cheap to clone: what is written is counted and forgotten.
#[derive(Clone, Default)]
pub struct Shop {
    products: Arc<BTreeMap<String, String>>,
    writes: Arc<AtomicUsize>,
}

impl Shop {
    pub fn open() -> Self {
        let product = |id: &str, price: &str| {
            let product = json!({"id": id, "name": id, "sku": id, "price": price, "stock": 1_000_000, "active": true});
            (id.to_owned(), product.to_string())
        };
        Self { products: Arc::new(BTreeMap::from([product("ink", "4.50"), product("nib", "0.10")])), writes: Arc::default() }
    }

    /// How often something was written.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    fn find(&self, id: &str) -> Option<String> {
        self.products.get(id).cloned()
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, Failure>> {
    Box::pin(future::ready(Ok(value)))
}

impl Records for Shop {
    fn get<'a>(&'a mut self, _: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        ready(self.find(id))
    }

    fn get_many<'a>(&'a mut self, _: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<String>>, Failure>> {
        ready(ids.iter().map(|id| self.find(id)).collect())
    }

    fn query<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        ready("[]".to_owned())
    }

    fn create<'a>(&'a mut self, _: &'a str, content: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        ready(content.to_owned())
    }

    fn update<'a>(&'a mut self, _: &'a str, id: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        ready(self.find(id).unwrap_or_default())
    }

    fn delete<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        ready(())
    }

    fn enqueue<'a>(&'a mut self, _: Effect) -> BoxFuture<'a, Result<String, Failure>> {
        ready(String::new())
    }
}

/// A record is about to be created; the context is as long as that of the server.
pub fn event(rule: &str, collection: &str, after: &Value) -> Event {
    let caller = json!({"id": "01JDA0000000000000000000P1", "email": "ann@shop.example", "name": "Ann", "principal": "user:01JDA0000000000000000000P1"});
    let (now, request) = ("2026-11-22T12:00:00.000000Z", "01JDA0000000000000000000R1");
    let context = json!({"now": now, "request": request, "caller": caller, "tenant": "main", "depth": 0, "dry_run": false});
    Event {
        rule: rule.to_owned(),
        hook: Hook::BeforeWrite,
        operation: "create".to_owned(),
        collection: collection.to_owned(),
        id: "01JDA0000000000000000000N1".to_owned(),
        before: None,
        after: Some(after.to_string()),
        context: context.to_string(),
        now_ms: 1_800_000_000_000,
        seed: 7,
        depth: 0,
    }
}

/// Everything that the plugin wishes for.
pub fn granted(plugin: &Plugin) -> Ground {
    Ground { grants: Arc::new(plugin.manifest().grants.clone()), ..Ground::default() }
}

/// An order of two products with its total.
pub fn order() -> Event {
    let items = json!([{"product": "ink", "quantity": 2}, {"product": "nib", "quantity": 3}]);
    event("place-order", "orders", &json!({"items": items, "total": "9.30"}))
}

/// A note of 350 bytes.
pub fn note(rule: &str) -> Event {
    event(rule, "notes", &json!({"title": "Note 7 on the weather", "text": "It rained. ".repeat(28)}))
}
