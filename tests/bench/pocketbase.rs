//! PocketBase with the same collections, indexes and API rules; placing an order is `pb_hooks/order.pb.js`.

use serde_json::{Value, json};

use crate::{
    Fault,
    http::{Account, Call, Connection, Dialect, Service, all},
    operation::{self, NOTES_OF_EACH, Operation, PRICE, PRODUCTS, STOCK},
};

/// Must be the ones that `run` gives to `pocketbase superuser upsert`.
const SUPERUSER: (&str, &str) = ("admin@bench.example", "bench-password-1");

/// Creates the data for this many clients.
pub async fn prepare(address: &str, clients: usize) -> Result<Service, Fault> {
    let mut connection = Connection::open(address).await?;
    let admin = account(&connection.json(&login("_superusers", SUPERUSER.0, SUPERUSER.1)).await?)?;
    let users = connection.json(&Call::get("/api/collections/users", &admin.token)).await?;
    for collection in collections(&users["id"]) {
        connection.json(&Call::post("/api/collections", &admin.token, &collection)).await?;
    }

    let price: f64 = PRICE.parse()?;
    let product = |number: usize| {
        let product =
            json!({"name": format!("Product {number}"), "sku": format!("BENCH-{number}"), "price": price, "stock": STOCK, "active": true});
        Call::post("/api/collections/products/records", &admin.token, &product)
    };
    let products = all(address, (0..=PRODUCTS).map(product).collect()).await?;
    let products = products.iter().filter_map(|product| Some(product["id"].as_str()?.to_owned())).collect();

    let email = |number: usize| format!("user{number}@bench.example");
    let register = |number: usize| {
        let user = json!({"email": email(number), "password": SUPERUSER.1, "passwordConfirm": SUPERUSER.1});
        Call::post("/api/collections/users/records", "", &user)
    };
    all(address, (0..2 * clients).map(register).collect()).await?;
    let logins = all(address, (0..2 * clients).map(|number| login("users", &email(number), SUPERUSER.1)).collect()).await?;
    let mut readers = logins.iter().map(account).collect::<Result<Vec<_>, _>>()?;
    let writers = readers.split_off(clients);

    let note = |number: usize| note(&readers[number % clients], number as u64);
    all(address, (0..clients * NOTES_OF_EACH).map(note).collect()).await?;
    Ok(Service { dialect: Dialect::PocketBase, address: address.to_owned(), readers, writers, products })
}

/// The value of `PRAGMA synchronous` on the connection that writes: 1 is NORMAL, 2 is FULL.
pub async fn synchronous(address: &str) -> Result<i64, Fault> {
    let answer = Connection::open(address).await?.json(&Call::get("/bench/synchronous", "")).await?;
    answer["synchronous"].as_i64().ok_or_else(|| format!("not a pragma: {answer}").into())
}

/// `created` and `updated` are fields like others here. The indexes are the declared ones of the shop and of `notes`; those that Ironrule
/// adds by itself to every collection (by creation, by update) are its own affair.
fn collections(users: &Value) -> [Value; 3] {
    let created = json!({"name": "created", "type": "autodate", "onCreate": true});
    let updated = json!({"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true});
    let products = json!({
        "name": "products", "type": "base", "listRule": "active = true", "viewRule": "active = true",
        "indexes": ["CREATE UNIQUE INDEX products_sku ON products (sku)", "CREATE INDEX products_active ON products (active, created)",
            "CREATE INDEX products_name ON products (active, name)"],
        "fields": [
            {"name": "name", "type": "text", "required": true}, {"name": "sku", "type": "text", "required": true},
            {"name": "price", "type": "number", "min": 0}, {"name": "stock", "type": "number", "onlyInt": true, "min": 0},
            {"name": "active", "type": "bool"}, created, updated,
        ],
    });
    let own_orders = "@request.auth.id != '' && customer = @request.auth.id";
    let orders = json!({
        "name": "orders", "type": "base", "listRule": own_orders, "viewRule": own_orders, "createRule": own_orders,
        "indexes": ["CREATE INDEX orders_customer ON orders (customer)", "CREATE INDEX orders_status ON orders (status)"],
        "fields": [
            {"name": "customer", "type": "relation", "collectionId": users, "required": true, "maxSelect": 1},
            {"name": "items", "type": "json", "required": true}, {"name": "total", "type": "number"},
            {"name": "status", "type": "select", "values": ["placed", "paid", "shipped", "cancelled"], "maxSelect": 1}, created, updated,
        ],
    });
    let own_notes = "@request.auth.id != '' && owner = @request.auth.id";
    let notes = json!({
        "name": "notes", "type": "base", "listRule": own_notes, "viewRule": own_notes, "createRule": own_notes,
        "indexes": ["CREATE INDEX notes_owner ON notes (owner, created)"],
        "fields": [
            {"name": "owner", "type": "relation", "collectionId": users, "required": true, "maxSelect": 1},
            {"name": "title", "type": "text", "required": true, "max": 200}, {"name": "body", "type": "text", "max": 10_000}, created, updated,
        ],
    });
    [products, orders, notes]
}

fn login(collection: &str, identity: &str, password: &str) -> Call {
    let path = format!("/api/collections/{collection}/auth-with-password");
    Call::post(&path, "", &json!({"identity": identity, "password": password}))
}

fn account(login: &Value) -> Result<Account, Fault> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("not a login: {login}"));
    Ok(Account { id: text(&login["record"]["id"])?, token: text(&login["token"])? })
}

/// There is no default `caller.id` here: the client names the owner and the rule checks it.
fn note(owner: &Account, number: u64) -> Call {
    let note = json!({"owner": owner.id, "title": operation::title(number), "body": operation::body(number)});
    Call::post("/api/collections/notes/records", &owner.token, &note)
}

/// One request of an operation. `skipTotal` is Ironrule's default: a total is counted only when asked for.
pub fn call(operation: Operation, reader: &Account, writer: &Account, product: &str, turn: u64) -> Call {
    match operation {
        Operation::Create => note(writer, turn),
        Operation::Read => Call::get(&format!("/api/collections/products/records/{product}"), &reader.token),
        Operation::List => Call::get("/api/collections/products/records?perPage=20&sort=-created&skipTotal=1", &reader.token),
        Operation::ListOwned => Call::get("/api/collections/notes/records?perPage=20&sort=-created", &reader.token),
        Operation::Order | Operation::OrderHot => {
            let price: f64 = PRICE.parse().unwrap_or_default();
            let order = json!({"customer": reader.id, "items": [{"product": product, "quantity": 1}], "total": price});
            Call::post("/api/collections/orders/records", &reader.token, &order)
        }
    }
}
