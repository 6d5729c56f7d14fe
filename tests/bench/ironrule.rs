//! Ironrule with the demo shop, the plugin `order-guard`, and a collection `notes` with owner-only policies, made through the public API.

use serde_json::{Value, json};

use crate::{
    Fault,
    http::{Account, Call, Connection, Dialect, Service, all},
    operation::{self, NOTES_OF_EACH, Operation, PRICE, PRODUCTS, STOCK},
};

/// Must be the ones that `run` gives to `ironrule admin create`.
const ADMIN: (&str, &str) = ("admin@bench.example", "bench-password-1");

const STAFF: (&str, &str) = ("sam@shop.example", "demo-password-1");

/// Creates the data for this many clients.
pub async fn prepare(address: &str, clients: usize) -> Result<Service, Fault> {
    let mut connection = Connection::open(address).await?;
    let admin = account(&connection.json(&login(ADMIN.0, ADMIN.1)).await?)?;
    let notes = json!({"name": "notes", "kind": "base", "indexes": [{"fields": ["owner", "created"]}], "fields": [
        {"name": "owner", "type": "relation", "collection": "users", "required": true, "default": "caller.id"},
        {"name": "title", "type": "text", "required": true, "max": 200},
        {"name": "body", "type": "text", "max": 10_000},
    ]});
    connection.json(&Call::post("/api/collections", &admin.token, &notes)).await?;
    for action in ["create", "read"] {
        let policy =
            json!({"subject": "role:authenticated", "object": "notes", "action": action, "condition": "record.owner == caller.id"});
        connection.json(&Call::post("/api/policies", &admin.token, &policy)).await?;
    }

    let staff = account(&connection.json(&login(STAFF.0, STAFF.1)).await?)?;
    let product = |number: usize| {
        let product =
            json!({"name": format!("Product {number}"), "sku": format!("BENCH-{number}"), "price": PRICE, "stock": STOCK, "active": true});
        Call::post("/api/records/products", &staff.token, &product)
    };
    let products = all(address, (0..=PRODUCTS).map(product).collect()).await?;
    let products = products.iter().filter_map(|product| Some(product["id"].as_str()?.to_owned())).collect();

    let email = |number: usize| format!("user{number}@bench.example");
    let register = |number: usize| Call::post("/api/auth/register", "", &json!({"email": email(number), "password": ADMIN.1}));
    all(address, (0..2 * clients).map(register).collect()).await?;
    let logins = all(address, (0..2 * clients).map(|number| login(&email(number), ADMIN.1)).collect()).await?;
    let mut readers = logins.iter().map(account).collect::<Result<Vec<_>, _>>()?;
    let writers = readers.split_off(clients);

    let note = |number: usize| note(&readers[number % clients], number as u64);
    all(address, (0..clients * NOTES_OF_EACH).map(note).collect()).await?;
    Ok(Service { dialect: Dialect::Ironrule, address: address.to_owned(), readers, writers, products })
}

fn login(identity: &str, password: &str) -> Call {
    Call::post("/api/auth/login", "", &json!({"identity": identity, "password": password}))
}

fn account(login: &Value) -> Result<Account, Fault> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("not a login: {login}"));
    Ok(Account { id: text(&login["record"]["id"])?, token: text(&login["access_token"])? })
}

fn note(owner: &Account, number: u64) -> Call {
    let note = json!({"title": operation::title(number), "body": operation::body(number)});
    Call::post("/api/records/notes", &owner.token, &note)
}

/// One request of an operation.
pub fn call(operation: Operation, reader: &Account, writer: &Account, product: &str, turn: u64) -> Call {
    match operation {
        Operation::Create => note(writer, turn),
        Operation::Read => Call::get(&format!("/api/records/products/{product}"), &reader.token),
        Operation::List => Call::get("/api/records/products?limit=20&sort=-created", &reader.token),
        Operation::ListOwned => Call::get("/api/records/notes?limit=20&sort=-created&count=exact", &reader.token),
        Operation::Order | Operation::OrderHot => {
            let order = json!({"items": [{"product": product, "quantity": 1}], "total": PRICE});
            Call::post("/api/records/orders", &reader.token, &order)
        }
    }
}
