//! Two servers on copies of one database, which an admin has made different in nothing but secrets.

use serde_json::{Map, Value, json};
use tests::{Client, Database, Options, PASSWORD, TestApp};

/// How many records the collection `vault` has.
pub const RECORDS: usize = 24;

/// Both servers say that they are here, so that links in their answers are the same.
const ADDRESS: &str = "http://ironrule.example";

/// The fields of `vault` that every caller is kept from, but for one who may write `w_json` without reading it. The last two are hidden by
/// the collection itself.
pub const SECRETS: [&str; 21] = [
    "s_text",
    "s_code",
    "s_mail",
    "s_site",
    "s_integer",
    "s_number",
    "s_decimal",
    "s_bool",
    "s_datetime",
    "s_date",
    "s_select",
    "s_tags",
    "s_json",
    "w_json",
    "s_owner",
    "s_peers",
    "s_origin",
    "s_level",
    "c_note",
    "h_text",
    "h_code",
];

/// Fields of `vault` that most callers may read.
pub const OPEN: [&str; 10] = ["title", "amount", "price", "active", "at", "day", "state", "tags", "owner", "data"];

/// One caller at both servers.
pub struct Caller {
    pub name: &'static str,
    pub clients: [Client; 2],
}

/// The two servers and everybody who asks them.
pub struct Copies {
    /// Kept for as long as somebody asks.
    pub _apps: [TestApp; 2],
    pub admins: [Client; 2],
    pub callers: Vec<Caller>,
    /// The ids of the users.
    pub users: Vec<String>,
    /// The ids of `vault` and of `links`.
    pub vault: Vec<String>,
    pub links: Vec<String>,
}

/// The value of a secret field in a copy; null in some of either.
pub fn secret(field: &str, number: usize, side: usize, users: &[String]) -> Value {
    // The same in both where a policy shows it to somebody: see `own_note`.
    if field == "c_note" && number % 4 < 2 {
        return json!(format!("shown {number}"));
    }
    // What is written has to fit in both.
    if number % 6 == side && field != "w_json" {
        return Value::Null;
    }
    let pick = |values: [Value; 3]| values[(number + side) % 3].clone();
    match field {
        "s_code" | "h_code" => json!(format!("{}-{number}", ["alpha", "beta"][side])),
        "s_mail" => json!(format!("{}{number}@secret.example", ["a", "b"][side])),
        "s_site" => json!(format!("https://{}.example/{number}", ["a", "b"][side])),
        "s_integer" | "s_level" => json!([number as i64, -(number as i64)][side]),
        "s_number" => json!(number as f64 * [0.5, -0.25][side]),
        "s_decimal" => json!(format!("{}.{number}", [1, 2][side])),
        "s_bool" => json!((number + side).is_multiple_of(2)),
        "s_datetime" => json!(format!("20{}-01-01T00:00:00Z", 10 + number + 30 * side)),
        "s_date" => json!(format!("20{}-01-01", 10 + number + 30 * side)),
        "s_select" => pick([json!("red"), json!("green"), json!("blue")]),
        "s_tags" => pick([json!(["red"]), json!(["green", "blue"]), json!([])]),
        "s_json" | "w_json" => json!({"word": (["sesame", "thistle"][side]), "n": number}),
        "s_owner" => json!(users[(number + side) % users.len()]),
        "s_peers" => json!([users[(number + side) % users.len()]]),
        _ => json!(format!("{} secret {number}", ["first", "second"][side])),
    }
}

fn vault() -> Value {
    let choices = ["red", "green", "blue"];
    let schema = json!({"type": "object", "maxProperties": 3, "properties": {"n": {"type": "integer"}}});
    json!([
        {"name": "title", "type": "text", "required": true},
        {"name": "amount", "type": "integer"},
        {"name": "price", "type": "decimal"},
        {"name": "active", "type": "bool"},
        {"name": "at", "type": "datetime"},
        {"name": "day", "type": "date"},
        {"name": "state", "type": "select", "values": ["new", "open", "done"]},
        {"name": "tags", "type": "select", "values": ["x", "y"], "many": true},
        {"name": "owner", "type": "relation", "collection": "users"},
        {"name": "data", "type": "json"},
        {"name": "s_text", "type": "text"},
        {"name": "s_code", "type": "text", "unique": true},
        {"name": "s_mail", "type": "email", "unique": true},
        {"name": "s_site", "type": "url"},
        {"name": "s_integer", "type": "integer"},
        {"name": "s_number", "type": "number"},
        {"name": "s_decimal", "type": "decimal"},
        {"name": "s_bool", "type": "bool"},
        {"name": "s_datetime", "type": "datetime"},
        {"name": "s_date", "type": "date"},
        {"name": "s_select", "type": "select", "values": choices},
        {"name": "s_tags", "type": "select", "values": choices, "many": true},
        {"name": "s_json", "type": "json", "schema": schema},
        {"name": "w_json", "type": "json", "schema": schema},
        {"name": "s_owner", "type": "relation", "collection": "users"},
        {"name": "s_peers", "type": "relation", "collection": "users", "many": true},
        {"name": "s_origin", "type": "text"},
        {"name": "s_level", "type": "integer"},
        {"name": "c_note", "type": "text"},
        {"name": "h_text", "type": "text", "hidden": true},
        {"name": "h_code", "type": "text", "hidden": true, "unique": true}
    ])
}

fn record(number: usize, users: &[String]) -> Value {
    let pick = |values: [Value; 4]| values[number % 4].clone();
    json!({
        "title": format!("record {:02}", number * 7 % RECORDS),
        "amount": number % 5,
        "price": format!("{}.50", number % 3),
        "active": pick([json!(true), json!(true), json!(false), Value::Null]),
        "at": format!("2026-01-{:02}T00:00:00Z", number + 1),
        "day": format!("2026-02-{:02}", number % 9 + 1),
        "state": (["new", "open", "done"][number % 3]),
        "tags": pick([json!(["x"]), json!(["x", "y"]), json!([]), Value::Null]),
        // The first two own what their conditional policies show.
        "owner": pick([json!(users[0]), json!(users[1]), json!(users[2]), Value::Null]),
        "data": {"n": number % 3},
    })
}

/// Everything but the secrets: collections, policies, people, records.
async fn build(admin: &Client, users: &[String]) -> (Vec<String>, Vec<String>) {
    let indexes =
        json!([{"fields": ["s_integer"]}, {"fields": ["title", "s_text"]}, {"fields": ["s_level", "amount"]}, {"fields": ["amount"]}]);
    admin
        .post(
            "/api/collections",
            json!({"name": "vault", "kind": "base", "fields": vault(), "indexes": indexes, "search": ["title", "state"]}),
        )
        .await
        .expect(201);
    let links = json!([
        {"name": "name", "type": "text"},
        {"name": "target", "type": "relation", "collection": "vault"},
        {"name": "targets", "type": "relation", "collection": "vault", "many": true}
    ]);
    admin.collection("links", links).await;
    policies(admin, users).await;
    let mut ids = (Vec::new(), Vec::new());
    let id = |record: &Value| record["id"].as_str().expect("an id").to_owned();
    for number in 0..RECORDS {
        ids.0.push(id(&admin.create("vault", record(number, users)).await));
    }
    for number in 0..8 {
        ids.1.push(id(&admin.create("links", json!({"name": format!("link {number}")})).await));
    }
    ids
}

/// What each caller may, with less and less of it open. None may read a secret, or `updated`, which tells the copies apart.
async fn policies(admin: &Client, users: &[String]) {
    let open = OPEN.join(" ");
    let secrets = format!("{} updated", SECRETS.join(" "));
    let (ann, ben, cas) = (format!("user:{}", users[0]), format!("user:{}", users[1]), format!("user:{}", users[2]));
    let policy = |subject: &str, object: &str, action: &str, fields: &str, condition: &str, effect: &str| json!({"subject": subject, "object": object, "action": action, "fields": fields, "condition": condition, "effect": effect});
    let all = [
        // Ann has the open fields by name, and the note where it is hers. One secret she may write.
        policy(&ann, "vault", "read", &format!("{open} created"), "", "allow"),
        policy(&ann, "vault", "read", "c_note", "record.owner == caller.id", "allow"),
        policy(&ann, "vault", "create", "title amount owner", "", "allow"),
        policy(&ann, "vault", "update", "title amount state w_json", "record.active == true", "allow"),
        // Ben has everything but what is taken from him.
        policy("role:clerk", "vault", "*", "*", "", "allow"),
        policy("role:clerk", "links", "read", "*", "", "allow"),
        policy("role:clerk", "links", "update", "*", "", "allow"),
        policy("role:clerk", "users", "read", "*", "", "allow"),
        policy("role:clerk", "users", "update", "*", "", "allow"),
        policy("role:clerk", "vault", "*", &secrets.replace("c_note ", ""), "", "deny"),
        policy("role:clerk", "vault", "read", "c_note", "record.owner != caller.id", "deny"),
        policy("role:clerk", "vault", "create", "c_note", "", "deny"),
        policy("role:clerk", "vault", "update", "c_note", "", "deny"),
        policy("role:clerk", "vault", "delete", "*", "record.state != 'done'", "deny"),
        policy("role:clerk", "links", "*", "target targets updated", "", "deny"),
        policy("role:clerk", "users", "*", "salary boss badge updated", "", "deny"),
        // Cas sees single records only, and may change a field that it cannot read.
        policy(&cas, "vault", "read", "title state owner", "record.owner == caller.id && record.state != 'done'", "allow"),
        policy(&cas, "vault", "update", "title data", "record.owner == caller.id", "allow"),
        policy("role:authenticated", "links", "read", "name", "", "allow"),
        policy("role:authenticated", "users", "read", "email verified", "", "allow"),
        policy("role:anyone", "vault", "read", "title amount", "record.active == true", "allow"),
        // What decides for others.
        policy("role:boss", "vault", "*", "*", "record.s_level > 5", "allow"),
        policy("role:boss", "vault", "read", "*", "record.s_code == 'alpha-3'", "deny"),
        policy("role:boss", "links", "read", "*", "record.target == caller.boss", "allow"),
    ];
    for policy in all {
        admin.policy(policy).await;
    }
    // What is hidden cannot even be asked about there.
    let hidden = policy("role:boss", "vault", "read", "*", "record.h_text == 'x'", "allow");
    admin.post("/api/policies", hidden).await.problem(422, "policy.invalid");
    for path in [format!("/api/roles/clerk/members/{ben}"), format!("/api/roles/boss/members/user:{}", users[3])] {
        let answer = admin.put(&path, json!({})).await;
        assert!(answer.is_success(), "{answer}");
    }
}

/// Gives the records of one copy their secrets. Every record is written as often as in the other copy.
async fn fill(admin: &Client, side: usize, users: &[String], vault: &[String], links: &[String]) {
    for (number, id) in vault.iter().enumerate() {
        let secrets: Map<String, Value> = SECRETS.iter().map(|field| ((*field).to_owned(), secret(field, number, side, users))).collect();
        admin.patch(&format!("/api/records/vault/{id}"), Value::Object(secrets)).await.expect(200);
    }
    for (number, id) in links.iter().enumerate() {
        // Nothing that a caller may delete: that it is pointed to, it is told.
        let target = |number: usize| &vault[number * 3 % RECORDS];
        let (one, two) = (target(number + 4 * side), target(number + 1 + 4 * side));
        let body = if number % 4 == side { json!({"target": null, "targets": []}) } else { json!({"target": one, "targets": [one, two]}) };
        admin.patch(&format!("/api/records/links/{id}"), body).await.expect(200);
    }
    for (number, id) in users.iter().enumerate().skip(3) {
        let body = json!({"salary": 1000 * (number + side), "boss": users[(number + side) % 3], "badge": format!("badge {side}")});
        admin.patch(&format!("/api/records/users/{id}"), body).await.expect(200);
    }
    // Could not have been filled otherwise.
    let mut fields = vault_fields(admin).await;
    for field in fields.as_array_mut().expect("a list").iter_mut().filter(|field| field["name"] == "s_origin") {
        field["immutable"] = json!(true);
    }
    admin.patch("/api/collections/vault", json!({"fields": fields})).await.expect(200);
}

async fn vault_fields(admin: &Client) -> Value {
    admin.get("/api/collections/vault").await.json(200)["fields"].clone()
}

impl Copies {
    pub async fn make() -> Self {
        let environment = [("IRONRULE_PUBLIC_URL", ADDRESS), ("IRONRULE_LOG", "warn")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options = Options { database: Database::Disk, environment, ..Options::default() };
        let mut app = TestApp::start_with(options).await;
        let admin = app.admin().await;
        let mut fields = admin.get("/api/collections/users").await.json(200)["fields"].clone();
        let more = json!([
            {"name": "salary", "type": "integer"},
            {"name": "boss", "type": "relation", "collection": "users"},
            {"name": "badge", "type": "text", "hidden": true}
        ]);
        fields.as_array_mut().expect("a list").extend(more.as_array().cloned().unwrap_or_default());
        admin.patch("/api/collections/users", json!({"fields": fields})).await.expect(200);
        let names = ["ann", "ben", "cas", "dan", "eve"];
        let mut users = Vec::new();
        for name in names {
            users.push(app.user(name).await.id().to_owned());
        }
        let (vault, links) = build(&admin, &users).await;
        let mut sessions = Vec::new();
        for name in ["ann", "ben", "cas"] {
            sessions.push((name, app.session(&format!("{name}@test.example"), PASSWORD).await));
        }

        let twin = app.twin().await;
        let apps = [app, twin];
        let admins = [apps[0].admin().await, apps[1].admin().await];
        for (side, admin) in admins.iter().enumerate() {
            fill(admin, side, &users, &vault, &links).await;
        }
        let mut callers: Vec<Caller> = sessions
            .iter()
            .map(|(name, session)| Caller { name, clients: [0, 1].map(|side| apps[side].anonymous().logged_in(session)) })
            .collect();
        callers.push(Caller { name: "nobody", clients: [0, 1].map(|side| apps[side].anonymous()) });
        Self { _apps: apps, admins, callers, users, vault, links }
    }
}
