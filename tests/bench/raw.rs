//! SurrealDB alone, in this process: the same engine settings, rows and indexes as `store` makes, the shortest statements that do the
//! operation, no HTTP, no policies, no plugin, no change log. The ceiling of what Ironrule could reach on this database.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use surrealdb::{
    IndexedResults, Surreal,
    engine::local::Db,
    types::{Array, Decimal, Object, RecordId, SurrealValue, Value},
};
use surrealdb_cnf::ConfigMap;
use surrealdb_engine_local::Datastore;

use crate::{
    Fault,
    load::Worker,
    operation::{self, NOTES_OF_EACH, Operation, PRICE, PRODUCTS, STOCK},
};

/// The tenant of every row; every index leads with it.
const TENANT: &str = "main";

/// As in `store::schema`: the first three for every collection, then the declared ones of the shop and of `notes`.
const SCHEMA: &str = "
    DEFINE TABLE products SCHEMALESS PERMISSIONS NONE;
    DEFINE INDEX _list ON products FIELDS _tenant, _key;
    DEFINE INDEX _created ON products FIELDS _tenant, created, _key;
    DEFINE INDEX _updated ON products FIELDS _tenant, updated, _key;
    DEFINE INDEX u1_sku ON products FIELDS _tenant, sku UNIQUE;
    DEFINE INDEX i2_active__created ON products FIELDS _tenant, active, created, _key;
    DEFINE INDEX i2_active__name ON products FIELDS _tenant, active, name, _key;
    DEFINE TABLE orders SCHEMALESS PERMISSIONS NONE;
    DEFINE INDEX _list ON orders FIELDS _tenant, _key;
    DEFINE INDEX _created ON orders FIELDS _tenant, created, _key;
    DEFINE INDEX _updated ON orders FIELDS _tenant, updated, _key;
    DEFINE INDEX i1_customer ON orders FIELDS _tenant, customer, _key;
    DEFINE INDEX i1_status ON orders FIELDS _tenant, status, _key;
    DEFINE TABLE notes SCHEMALESS PERMISSIONS NONE;
    DEFINE INDEX _list ON notes FIELDS _tenant, _key;
    DEFINE INDEX _created ON notes FIELDS _tenant, created, _key;
    DEFINE INDEX _updated ON notes FIELDS _tenant, updated, _key;
    DEFINE INDEX i2_owner__created ON notes FIELDS _tenant, owner, created, _key;";

/// An opened and filled database.
pub struct Raw {
    database: Surreal<Db>,
    products: Vec<String>,
    counter: AtomicU64,
    price: Decimal,
}

impl Raw {
    /// Opens a database in a new folder and creates the data for this many clients.
    pub async fn prepare(folder: &Path, clients: usize) -> Result<Self, Fault> {
        // The values of `store::connection`; only a datastore built by hand takes them.
        let config = ConfigMap::empty()
            .with_key_value("rocksdb_block_cache_size", (256_u64 << 20).to_string())
            .with_key_value("rocksdb_write_buffer_size", (32_u64 << 20).to_string())
            .with_key_value("rocksdb_max_write_buffer_number", "4".to_owned());
        let datastore = Datastore::builder().with_config(config).build_with_path(&format!("rocksdb://{}", folder.display())).await?;
        let database = Surreal::<Db>::unstable_from_datastore(datastore, None).await?;
        database.use_ns("bench").use_db("bench").await?;
        database.query(SCHEMA).await?.check()?;
        let mut raw = Self { database, products: Vec::new(), counter: AtomicU64::new(0), price: PRICE.parse()? };
        for number in 0..=PRODUCTS {
            let key = raw.create_product(number).await?;
            raw.products.push(key);
        }
        for number in 0..clients * NOTES_OF_EACH {
            raw.create_note(&owner(number % clients), number as u64).await?;
        }
        Ok(raw)
    }

    async fn create_product(&self, number: usize) -> Result<String, Fault> {
        let (key, mut row) = self.row();
        row.insert("name", format!("Product {number}"));
        row.insert("sku", format!("BENCH-{number}"));
        row.insert("price", self.price);
        row.insert("stock", i64::try_from(STOCK)?);
        row.insert("active", true);
        self.run("CREATE $id CONTENT $row RETURN NONE", vec![("id", id("products", &key)), ("row", Value::Object(row))]).await?;
        Ok(key)
    }

    async fn create_note(&self, owner: &str, number: u64) -> Result<(), Fault> {
        let (key, mut row) = self.row();
        row.insert("owner", owner.to_owned());
        row.insert("title", operation::title(number));
        row.insert("body", operation::body(number));
        self.run("CREATE $id CONTENT $row RETURN NONE", vec![("id", id("notes", &key)), ("row", Value::Object(row))]).await.map(drop)
    }

    /// A new, time-ordered key and the columns that every row has.
    fn row(&self) -> (String, Object) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let key = format!("{now:016x}{:010x}", self.counter.fetch_add(1, Ordering::Relaxed));
        // As long as a canonical datetime, and sorts the same.
        let moment = format!("{now:026}Z");
        let mut row = Object::new();
        row.insert("_key", key.clone());
        row.insert("_tenant", TENANT.to_owned());
        row.insert("_version", 1_i64);
        row.insert("created", moment.clone());
        row.insert("updated", moment);
        (key, row)
    }

    async fn run(&self, text: &'static str, binds: Vec<(&str, Value)>) -> Result<Value, Fault> {
        first(self.database.query(text).bind(variables(binds)).await?)
    }

    async fn read(&self, product: &str) -> Result<(), Fault> {
        let found = self.run("SELECT * FROM $id", vec![("id", id("products", product))]).await?;
        expect_rows(&found, 1)
    }

    async fn list(&self) -> Result<(), Fault> {
        let text = "SELECT * FROM products WHERE _tenant = $tenant AND active = true ORDER BY created DESC, _key DESC LIMIT 20";
        let found = self.run(text, vec![("tenant", TENANT.to_owned().into_value())]).await?;
        expect_rows(&found, 20)
    }

    /// Two statements in one query text, as a client of the database would write it.
    async fn list_owned(&self, owner: &str) -> Result<(), Fault> {
        let text = "SELECT * FROM notes WHERE _tenant = $tenant AND owner = $owner ORDER BY created DESC, _key DESC LIMIT 20;
            SELECT count() FROM notes WHERE _tenant = $tenant AND owner = $owner GROUP ALL";
        let binds = vec![("tenant", TENANT.to_owned().into_value()), ("owner", owner.to_owned().into_value())];
        let mut results = self.database.query(text).bind(variables(binds)).await?.check()?;
        let count: Value = results.take(1)?;
        match &count {
            Value::Array(rows) if rows.len() == 1 => expect_rows(&results.take(0)?, 20),
            other => Err(format!("not a count: {other:?}").into()),
        }
    }

    /// Begin, read the product, take one piece, write the order, commit; from the beginning after a conflict.
    async fn order(&self, customer: &str, product: &str) -> Result<(), Fault> {
        loop {
            match self.try_order(customer, product).await {
                Err(error) if is_conflict(&error.to_string()) => {}
                other => return other,
            }
        }
    }

    async fn try_order(&self, customer: &str, product: &str) -> Result<(), Fault> {
        let transaction = self.database.clone().begin().await?;
        match self.order_in(&transaction, customer, product).await {
            Ok(()) => {
                transaction.commit().await?;
                Ok(())
            }
            Err(error) => {
                transaction.cancel().await?;
                Err(error)
            }
        }
    }

    async fn order_in(&self, transaction: &surrealdb::method::Transaction<Db>, customer: &str, product: &str) -> Result<(), Fault> {
        let product_id = id("products", product);
        let binds = variables(vec![("id", product_id.clone())]);
        let found = first(transaction.query("SELECT * FROM $id FOR UPDATE").bind(binds).await?)?;
        let stock = stock(&found).filter(|stock| *stock >= 1).ok_or("out of stock")?;
        let binds = variables(vec![("id", product_id), ("stock", (stock - 1).into_value())]);
        first(transaction.query("UPDATE $id SET stock = $stock, _version += 1 RETURN NONE").bind(binds).await?)?;
        let (key, mut row) = self.row();
        let mut item = Object::new();
        item.insert("product", product.to_owned());
        item.insert("quantity", 1_i64);
        row.insert("customer", customer.to_owned());
        row.insert("items", Value::Array(Array::from(vec![Value::Object(item)])));
        row.insert("total", self.price);
        row.insert("status", "placed".to_owned());
        let binds = variables(vec![("id", id("orders", &key)), ("row", Value::Object(row))]);
        first(transaction.query("CREATE $id CONTENT $row RETURN NONE").bind(binds).await?).map(drop)
    }

    /// How many pieces of the hot product are left.
    pub async fn hot_stock(&self) -> Result<u64, Fault> {
        let hot = self.products.last().ok_or("no products")?;
        let found = self.run("SELECT * FROM $id", vec![("id", id("products", hot))]).await?;
        Ok(u64::try_from(stock(&found).ok_or("no stock")?)?)
    }
}

fn owner(client: usize) -> String {
    format!("bench-user-{client:015}")
}

fn id(table: &str, key: &str) -> Value {
    RecordId::new(table, key).into_value()
}

fn variables(binds: Vec<(&str, Value)>) -> Object {
    binds.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `query` says `Ok` even when a statement failed.
fn first(results: IndexedResults) -> Result<Value, Fault> {
    Ok(results.check()?.take(0)?)
}

fn expect_rows(found: &Value, count: usize) -> Result<(), Fault> {
    match found {
        Value::Array(rows) if rows.len() == count => Ok(()),
        other => Err(format!("expected {count} rows, got {other:?}").into()),
    }
}

fn stock(found: &Value) -> Option<i64> {
    let Value::Array(rows) = found else { return None };
    let Value::Object(row) = rows.iter().next()? else { return None };
    i64::from_value(row.get("stock")?.clone()).ok()
}

/// As in `store::error`: conflicts inside a client-side transaction come without a detail.
fn is_conflict(message: &str) -> bool {
    message.contains("conflict") || message.contains("can be retried")
}

/// One client of the database.
pub struct RawWorker {
    pub raw: Arc<Raw>,
    pub operation: Operation,
    pub client: usize,
}

impl Worker for RawWorker {
    async fn once(&mut self, turn: u64) -> Result<(), Fault> {
        let raw = &self.raw;
        let product = &raw.products[operation::pick(self.client, turn, PRODUCTS)];
        match self.operation {
            Operation::Create => raw.create_note("bench-writer", turn).await,
            Operation::Read => raw.read(product).await,
            Operation::List => raw.list().await,
            Operation::ListOwned => raw.list_owned(&owner(self.client)).await,
            Operation::Order => raw.order(&owner(self.client), product).await,
            Operation::OrderHot => raw.order(&owner(self.client), &raw.products[PRODUCTS]).await,
        }
    }
}
