//! `expand`: records beside records, along relations in both directions, each under the policies of its own collection.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::id;

const ORDERS: &str = "/api/records/orders";
const CUSTOMERS: &str = "/api/records/customers";

/// Customers with orders, orders of products, products of makers.
struct Shop {
    app: TestApp,
    admin: Client,
    customers: Vec<Value>,
    products: Vec<Value>,
    orders: Vec<Value>,
}

async fn shop(indexed: bool) -> Shop {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("customers", json!([{"name": "name", "type": "text"}, {"name": "phone", "type": "text"}])).await;
    let maker = json!({"name": "maker", "type": "relation", "collection": "customers"});
    admin.collection("products", json!([{"name": "name", "type": "text"}, maker])).await;
    let fields = json!([
        {"name": "number", "type": "integer"},
        {"name": "customer", "type": "relation", "collection": "customers"},
        {"name": "products", "type": "relation", "collection": "products", "many": true}
    ]);
    let indexes = if indexed { json!([{"fields": ["customer"]}]) } else { json!([]) };
    admin.post("/api/collections", json!({"name": "orders", "fields": fields, "indexes": indexes})).await.expect(201);
    let mut customers = Vec::new();
    for name in ["ann", "ben", "cid"] {
        customers.push(admin.create("customers", json!({"name": name, "phone": format!("phone of {name}")})).await);
    }
    let mut products = Vec::new();
    for (name, maker) in [("pen", 0), ("ink", 2)] {
        products.push(admin.create("products", json!({"name": name, "maker": customers[maker]["id"]})).await);
    }
    let mut orders = Vec::new();
    let made: [(Option<usize>, &[usize]); 4] = [(Some(0), &[0, 1]), (Some(0), &[1]), (Some(1), &[]), (None, &[0])];
    for (number, (customer, of)) in made.into_iter().enumerate() {
        let of: Vec<&Value> = of.iter().map(|product| &products[*product]["id"]).collect();
        let customer = customer.map(|customer| customers[customer]["id"].clone());
        orders.push(admin.create("orders", json!({"number": number, "customer": customer, "products": of})).await);
    }
    Shop { app, admin, customers, products, orders }
}

async fn expanded(client: &Client, path: &str, expand: &str) -> Vec<Value> {
    let records = client.query(path, &[("expand", expand), ("sort", "id")]).await.list();
    records.into_iter().map(|record| record["expand"].clone()).collect()
}

/// The values of a member in a list of records.
fn all<'a>(list: &'a Value, member: &str) -> Vec<&'a Value> {
    list.as_array().unwrap_or_else(|| panic!("not a list: {list}")).iter().map(|record| &record[member]).collect()
}

#[tokio::test]
async fn relations_are_followed_in_both_directions() {
    for indexed in [false, true] {
        let shop = shop(indexed).await;
        let customer = |number: usize| shop.customers[number].clone();
        let found = expanded(&shop.admin, ORDERS, "customer,products").await;
        let expected = [
            json!({"customer": customer(0), "products": [shop.products[0], shop.products[1]]}),
            json!({"customer": customer(0), "products": [shop.products[1]]}),
            json!({"customer": customer(1), "products": []}),
            json!({"customer": null, "products": [shop.products[0]]}),
        ];
        assert_eq!(found, expected);

        let found = expanded(&shop.admin, CUSTOMERS, "orders(customer)").await;
        let expected = [
            json!({"orders(customer)": [shop.orders[1], shop.orders[0]]}),
            json!({"orders(customer)": [shop.orders[2]]}),
            json!({"orders(customer)": []}),
        ];
        assert_eq!(found, expected, "newest first");

        let found = expanded(&shop.admin, "/api/records/products", "orders(products),maker").await;
        let expected = [
            json!({"orders(products)": [shop.orders[3], shop.orders[0]], "maker": customer(0)}),
            json!({"orders(products)": [shop.orders[1], shop.orders[0]], "maker": customer(2)}),
        ];
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn relations_are_followed_behind_relations() {
    let shop = shop(true).await;
    let found = expanded(&shop.admin, CUSTOMERS, "orders(customer).products.maker, orders(customer), products(maker)").await;
    let orders = &found[0]["orders(customer)"];
    assert_eq!(all(orders, "number"), [1, 0]);
    let names: Vec<Vec<&Value>> = all(orders, "expand").into_iter().map(|expand| all(&expand["products"], "name")).collect();
    assert_eq!(names, [vec!["ink"], vec!["pen", "ink"]]);
    assert_eq!(orders[0]["expand"]["products"][0]["expand"], json!({"maker": shop.customers[2]}));
    assert_eq!(all(&found[2]["products(maker)"], "name"), ["ink"]);
    // The way back, four relations in a row.
    let path = "products.maker.orders(customer).customer";
    let found = expanded(&shop.admin, ORDERS, path).await;
    let pen = &found[3]["products"][0]["expand"]["maker"]["expand"]["orders(customer)"];
    assert_eq!(all(pen, "number"), [1, 0]);
    assert_eq!(pen[0]["expand"]["customer"], shop.customers[0]);
}

#[tokio::test]
async fn a_single_read_expands_like_a_list() {
    let shop = shop(true).await;
    let path = format!("{ORDERS}/{}", id(&shop.orders[0]));
    let read = shop.admin.query(&path, &[("expand", "customer.orders(customer),products"), ("fields", "number")]).await;
    let listed = shop.admin.query(ORDERS, &[("expand", "customer.orders(customer),products"), ("fields", "number"), ("number", "0")]).await;
    assert_eq!(listed.list(), std::slice::from_ref(&read.json));
    let mut members: Vec<&String> = read.json.as_object().expect("an object").keys().collect();
    members.sort_unstable();
    assert_eq!(members, ["expand", "id", "number"]);
    // What is shown beside a record may have changed though the record has not.
    let tag = read.expect_header("etag").to_owned();
    let again = |path: &str| shop.admin.request(tests::Method::GET, path).header("if-none-match", &tag).send();
    assert_eq!(again(&path).await.status, 304);
    // Proxies that compress make tags weak.
    for other in [format!("\"other\", W/{tag}"), "*".to_owned()] {
        assert_eq!(shop.admin.request(tests::Method::GET, &path).header("if-none-match", &other).send().await.status, 304, "{other}");
    }
    again(&format!("{path}?expand=customer")).await.expect(200);
    shop.admin.query(&path, &[("expand", "nope")]).await.problem(400, "query.invalid").errors(&["/expand query.value"]);
    shop.admin.query(&path, &[("filter", "true")]).await.problem(400, "query.invalid").errors(&["/filter query.unknown"]);
}

/// Clients change what they have read and send all of it back.
#[tokio::test]
async fn an_expanded_record_can_be_sent_back() {
    let shop = shop(false).await;
    let path = format!("{ORDERS}/{}", id(&shop.orders[0]));
    let mut order = shop.admin.query(&path, &[("expand", "customer,products")]).await.json(200);
    order["number"] = json!(7);
    order["expand"]["customer"]["name"] = json!("not changed");
    let put = shop.admin.put(&path, order.clone()).await.json(200);
    assert_eq!((&put["number"], &put["expand"]), (&json!(7), &Value::Null));
    shop.admin.patch(&path, order).await.expect(200);
    assert_eq!(shop.admin.get(&format!("{CUSTOMERS}/{}", id(&shop.customers[0]))).await.json(200)["name"], "ann");
}

#[tokio::test]
async fn what_the_caller_may_not_see_is_not_there() {
    let shop = shop(true).await;
    let eve = shop.app.user("eve").await;
    shop.admin.allow("role:authenticated", "orders", "read", "record.number != 1").await;
    // Nothing of customers and products yet.
    let found = expanded(&eve, ORDERS, "customer.orders(customer),products").await;
    let nothing = |several: Value| json!({"customer": null, "products": several});
    assert_eq!(found, [nothing(json!([])), nothing(json!([])), nothing(json!([]))]);

    let some = json!({"subject": "role:authenticated", "object": "customers", "action": "read", "fields": "name", "condition": "record.name != 'ben'"});
    shop.admin.policy(some).await;
    let found = expanded(&eve, ORDERS, "customer.orders(customer)").await;
    assert_eq!(found[1], json!({"customer": null}), "ben is hidden");
    let ann = &found[0]["customer"];
    let mut members: Vec<&String> = ann.as_object().expect("an object").keys().collect();
    members.sort_unstable();
    assert_eq!(members, ["expand", "id", "name"], "the phone is masked");
    assert_eq!(all(&ann["expand"]["orders(customer)"], "number"), [0], "order 1 is hidden");
}

#[tokio::test]
async fn relations_that_cannot_be_read_are_not_followed() {
    let shop = shop(true).await;
    let eve = shop.app.user("eve").await;
    let admin = &shop.admin;
    admin.allow("role:authenticated", "customers", "read", "").await;
    let number = json!({"subject": "role:authenticated", "object": "orders", "action": "read", "fields": "number products"});
    admin.policy(number).await;
    for path in ["customer", "customer.orders(customer)", "products,customer"] {
        eve.query(ORDERS, &[("expand", path)]).await.problem(403, "field.unreadable").unreadable("expand");
        let single = format!("{ORDERS}/{}", id(&shop.orders[0]));
        eve.query(&single, &[("expand", path)]).await.problem(403, "field.unreadable").unreadable("expand");
    }
    eve.query(CUSTOMERS, &[("expand", "orders(customer)")]).await.problem(403, "field.unreadable").unreadable("expand");

    // Where some records show it and others do not, it is followed where it is shown; what points back must be shown everywhere.
    let own = json!({"subject": "role:authenticated", "object": "orders", "action": "read", "fields": "customer", "condition": "record.number == 0"});
    admin.policy(own).await;
    let found = expanded(&eve, ORDERS, "customer").await;
    assert_eq!(found, [json!({"customer": shop.customers[0]}), json!({}), json!({}), json!({})]);
    eve.query(CUSTOMERS, &[("expand", "orders(customer)")]).await.problem(403, "field.unreadable").unreadable("expand");
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_refused() {
    let shop = shop(false).await;
    let many = vec!["customer"; 17].join(",");
    let cases = [
        "nope",
        "number",
        "customer.nope",
        "customer,",
        ".customer",
        "customer.",
        "orders(customer)",
        "orders(nope)",
        "nope(customer)",
        "customer.orders(products)",
        "customer.orders(customer",
        "customer()",
        "Customer",
        "customer.orders(customer).customer.orders(customer).customer",
        &many,
    ];
    for expand in cases {
        shop.admin.query(ORDERS, &[("expand", expand)]).await.problem(400, "query.invalid").errors(&["/expand query.value"]);
    }
    shop.admin.query(ORDERS, &[("expand", "customer"), ("expand", "products")]).await.problem(400, "query.invalid").at("/expand");
    // A field of that name would be in the way of the member.
    let fields = json!([{"name": "expand", "type": "text"}, {"name": "order", "type": "relation", "collection": "orders"}]);
    shop.admin.collection("taken", fields).await;
    shop.admin.query("/api/records/taken", &[("expand", "order")]).await.problem(400, "query.invalid").errors(&["/expand query.value"]);
    assert_eq!(shop.admin.query(ORDERS, &[("expand", "taken(order)")]).await.list().len(), 4);
}

#[tokio::test]
async fn expansions_have_limits() {
    for indexed in [true, false] {
        let shop = shop(indexed).await;
        let customer = &shop.customers[2];
        for number in 0..101 {
            shop.admin.create("orders", json!({"number": number, "customer": customer["id"]})).await;
        }
        let path = format!("{CUSTOMERS}/{}", id(customer));
        let read = shop.admin.query(&path, &[("expand", "orders(customer)")]).await.json(200);
        let numbers = all(&read["expand"]["orders(customer)"], "number");
        assert_eq!(numbers, (1..101).rev().map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>(), "the newest hundred");
        assert_eq!(read["expand"]["(more)"], json!(["orders(customer)"]));
        // The others are all there.
        let found = expanded(&shop.admin, CUSTOMERS, "orders(customer)").await;
        assert_eq!(found.iter().map(|one| all(&one["orders(customer)"], "number").len()).collect::<Vec<_>>(), [2, 1, 100]);
        assert_eq!(found.iter().filter(|one| one["(more)"].is_array()).count(), 1);
    }
}

#[tokio::test]
async fn no_more_than_a_thousand_records_are_fetched() {
    let shop = shop(false).await;
    let fields = json!([{"name": "order", "type": "relation", "collection": "orders"}]);
    shop.admin.collection("lines", fields).await;
    // Eleven orders with a hundred lines each.
    for number in 0..11 {
        let order = shop.admin.create("orders", json!({"number": number})).await;
        let lines = vec![json!({"order": order["id"]}); 100];
        shop.admin.post("/api/records/lines", json!(lines)).await.expect(201);
    }
    let query = [("expand", "lines(order)"), ("limit", "20")];
    shop.admin.query(ORDERS, &query).await.problem(400, "query.invalid").errors(&["/expand query.limit"]);
    for limit in ["1", "9"] {
        let fewer = shop.admin.query(ORDERS, &[("expand", "lines(order)"), ("limit", limit), ("sort", "-id")]).await.list();
        assert!(fewer.iter().all(|order| all(&order["expand"]["lines(order)"], "order").len() == 100), "{limit}");
    }
}

#[tokio::test]
async fn the_document_says_what_can_be_expanded() {
    let shop = shop(false).await;
    let document = shop.admin.get("/openapi.json").await.json(200);
    let expand = &document["components"]["schemas"]["OrdersRecord"]["properties"]["expand"]["properties"];
    assert_eq!(expand["customer"]["allOf"][0]["$ref"], "#/components/schemas/CustomersRecord");
    assert_eq!(expand["products"]["items"]["$ref"], "#/components/schemas/ProductsRecord");
    let expand = &document["components"]["schemas"]["CustomersRecord"]["properties"]["expand"]["properties"];
    assert_eq!(expand["orders(customer)"]["items"]["$ref"], "#/components/schemas/OrdersRecord");
    for path in [ORDERS.to_owned(), format!("{ORDERS}/{{id}}")] {
        let parameters = document["paths"][&path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let named = |parameter: &Value| {
            // What several operations have stands once.
            let place = parameter["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
            place.map_or(parameter, |place| document.pointer(place).expect("it is there"))["name"] == "expand"
        };
        assert!(parameters.iter().any(named), "{path}");
    }
}
