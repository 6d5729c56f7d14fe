//! A world: a server with people who hold roles and have fields of their own, and a collection with a field of every type whose records
//! are as untidy as real ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tests::{Client, TestApp, url};

use super::{conditions::Reader, random::Random};

pub const TEXTS: [&str; 14] =
    ["", "a", "A", "ab", "b", "é", "e\u{301}", "10", "9", "true", "it's \\ 100%", "x\ty", "r1", "2026-01-01T00:00:00.000000Z"];
pub const INTEGERS: [i64; 9] = [-1, 0, 1, 2, 3, 10, 9_007_199_254_740_993, i64::MAX, -9_223_372_036_854_775_807];
pub const NUMBERS: [f64; 9] = [-0.5, 0.0, 0.5, 1.0, 2.0, 0.1, 10.0, 9_007_199_254_740_992.0, 1e300];
pub const DECIMALS: [&str; 9] = ["-0.1", "0", "0.5", "1", "1.00", "0.10", "10.25", "9.99", "9007199254740993.01"];
pub const TIMES: [&str; 6] = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.5Z",
    "2026-01-01T02:00:00+02:00",
    "1999-12-31T23:59:59.999999Z",
    "2099-01-01T00:00:00Z",
    "2026-06-01T12:00:00-05:00",
];
pub const DATES: [&str; 4] = ["1999-12-31", "2026-01-01", "2026-02-28", "2099-01-01"];
pub const STATES: [&str; 4] = ["new", "open", "done", "a"];
pub const TAGS: [&str; 4] = ["a", "b", "new", "red"];

/// The collection that everything is about.
pub const THINGS: &str = "things";

/// Roles beside those that everybody has.
pub const ROLES: [&str; 4] = ["r0", "r1", "r2", "r3"];

const RECORDS: usize = 40;

/// Somebody who asks.
pub struct Person {
    pub client: Client,
    /// An admin whose own fields are the same.
    pub twin: Client,
    /// Empty for nobody.
    pub id: String,
    pub email: String,
    /// The roles, those through other roles included; sorted.
    pub roles: Vec<String>,
    /// The own fields, for messages.
    pub own: Value,
}

impl Person {
    /// True for whoever is not logged in.
    pub fn is_nobody(&self) -> bool {
        self.id.is_empty()
    }

    /// The form of a condition that means for the twin what it means for this person.
    pub fn reader(&self) -> Reader<'_> {
        Reader::Twin { id: (!self.is_nobody()).then_some(self.id.as_str()), email: &self.email, roles: &self.roles }
    }

    /// What policies may call this person.
    pub fn subjects(&self) -> BTreeSet<String> {
        let roles = self.roles.iter().map(|role| format!("role:{role}"));
        roles.chain((!self.is_nobody()).then(|| format!("user:{}", self.id))).collect()
    }
}

/// What conditions may say about people.
pub struct People {
    pub ids: Vec<String>,
}

/// A server with everything in it, before there are policies.
pub struct World {
    /// Kept for as long as somebody asks.
    pub _app: TestApp,
    pub admin: Client,
    pub everybody: Vec<Person>,
    pub people: People,
    /// Each record as it is stored, by id, oldest first.
    pub records: BTreeMap<String, Value>,
    /// Every field of the collection, the times of the system included.
    pub fields: Vec<String>,
}

impl World {
    pub async fn make(random: &mut Random) -> Self {
        let app = TestApp::start().await;
        let admin = app.admin().await;
        extend_users(&admin).await;
        let everybody = people(&app, &admin, random).await;
        let people = People { ids: everybody.iter().filter(|person| !person.is_nobody()).map(|person| person.id.clone()).collect() };
        let definition = json!({"name": THINGS, "kind": "base", "fields": fields(random), "indexes": indexes(random)});
        admin.post("/api/collections", definition).await.expect(201);
        let mut records = BTreeMap::new();
        let emails: Vec<&str> = everybody.iter().map(|person| person.email.as_str()).collect();
        for number in 0..RECORDS {
            let stored = admin.create(THINGS, record(random, number, &people, &emails)).await;
            records.insert(stored["id"].as_str().expect("an id").to_owned(), stored);
        }
        let whole = records.values().next().and_then(Value::as_object).expect("a record");
        let fields = whole.keys().filter(|field| *field != "id").cloned().collect();
        Self { _app: app, admin, everybody, people, records, fields }
    }
}

async fn extend_users(admin: &Client) {
    let mut fields = admin.get("/api/collections/users").await.json(200)["fields"].clone();
    let own = json!([
        {"name": "team", "type": "text"},
        {"name": "level", "type": "integer"},
        {"name": "score", "type": "number"},
        {"name": "budget", "type": "decimal"},
        {"name": "trusted", "type": "bool"},
        {"name": "seen", "type": "datetime"},
        {"name": "born", "type": "date"},
        {"name": "skills", "type": "select", "values": STATES, "many": true},
        {"name": "prefs", "type": "json"},
        {"name": "friend", "type": "relation", "collection": "users"},
        {"name": "badge", "type": "text", "hidden": true}
    ]);
    fields.as_array_mut().expect("a list").extend(own.as_array().cloned().unwrap_or_default());
    admin.patch("/api/collections/users", json!({"fields": fields})).await.expect(200);
}

/// Nobody, and five accounts with a twin each.
async fn people(app: &TestApp, admin: &Client, random: &mut Random) -> Vec<Person> {
    let names = ["ann", "ben", "cid", "dan", "eve"];
    let accounts = futures_util::future::join_all(names.map(|name| async move {
        let twin = format!("twin-of-{name}");
        (name, app.user(name).await, app.user(&twin).await)
    }))
    .await;
    let twin_of_nobody = app.user("twin-of-nobody").await;
    let ids: Vec<String> = accounts.iter().map(|(_, client, _)| client.id().to_owned()).collect();
    let links = link_roles(admin, random, &ids).await;
    let mut everybody = Vec::new();
    for (name, client, twin) in accounts {
        let own = own_fields(random, &ids);
        admin.patch(&format!("/api/records/users/{}", client.id()), own.clone()).await.expect(200);
        admin.patch(&format!("/api/records/users/{}", twin.id()), own.clone()).await.expect(200);
        let id = client.id().to_owned();
        let roles = roles_of(&format!("user:{id}"), &links);
        let me = client.get("/api/auth/me").await.json(200);
        assert_eq!(me["roles"], json!(roles), "the roles of {name}, by {links:?}");
        everybody.push(Person { twin, id, email: format!("{name}@test.example"), roles, own, client });
    }
    for person in everybody.iter().map(|person| &person.twin).chain([&twin_of_nobody]) {
        put(admin, &format!("/api/roles/admin/members/user:{}", person.id())).await;
    }
    let nobody = app.anonymous();
    let (id, email, roles) = (String::new(), String::new(), vec!["anyone".to_owned()]);
    everybody.push(Person { client: nobody, twin: twin_of_nobody, id, email, roles, own: Value::Null });
    everybody
}

/// A link from a member to a role, and whether it holds in the tenant of this test.
type Link = (String, String, bool);

/// Gives roles to people, and to other roles.
async fn link_roles(admin: &Client, random: &mut Random, ids: &[String]) -> Vec<Link> {
    let mut wanted = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        // The last one has no role of its own, so that others can be told from everybody.
        let most = if index + 1 == ids.len() { 0 } else { 2 };
        wanted.extend(random.some(&ROLES, most.min(1), most).into_iter().map(|role| (format!("user:{id}"), role)));
    }
    for (index, member) in ROLES.iter().enumerate() {
        // Only later ones, so that no circle comes about.
        wanted.extend(random.some(&ROLES[index + 1..], 0, 1).into_iter().map(|role| (format!("role:{member}"), role)));
    }
    let mut links = Vec::new();
    for (member, role) in wanted {
        let tenant = random.pick(&["", "*", "*", "main", "other"]);
        put(admin, &url(&format!("/api/roles/{role}/members/{member}"), &[("tenant", tenant)])).await;
        links.push((member, role.to_owned(), tenant != "other"));
    }
    links
}

async fn put(admin: &Client, path: &str) {
    let answer = admin.put(path, json!({})).await;
    assert!(answer.is_success(), "{answer}");
}

fn roles_of(member: &str, links: &[Link]) -> Vec<String> {
    let mut found = BTreeSet::from(["anyone".to_owned(), "authenticated".to_owned()]);
    let mut open = vec![member.to_owned()];
    while let Some(member) = open.pop() {
        for (_, role, _) in links.iter().filter(|(other, _, holds)| *other == member && *holds) {
            if found.insert(role.clone()) {
                open.push(format!("role:{role}"));
            }
        }
    }
    found.into_iter().collect()
}

fn own_fields(random: &mut Random, ids: &[String]) -> Value {
    let mut own = Map::new();
    let mut set = |random: &mut Random, name: &str, value: Value| {
        let value = if random.percent(70) { value } else { Value::Null };
        own.insert(name.to_owned(), value);
    };
    let (team, level, score) = (random.pick(&TEXTS), *random.one(&INTEGERS), *random.one(&NUMBERS));
    set(random, "team", json!(team));
    set(random, "level", json!(level));
    set(random, "score", json!(score));
    let (budget, seen, born) = (random.pick(&DECIMALS), random.pick(&TIMES), random.pick(&DATES));
    set(random, "budget", json!(budget));
    set(random, "seen", json!(seen));
    set(random, "born", json!(born));
    let (trusted, skills, friend) = (random.percent(50), random.some(&STATES, 0, 3), random.one(ids).clone());
    set(random, "trusted", json!(trusted));
    set(random, "skills", json!(skills));
    set(random, "friend", json!(friend));
    let prefs = json!({"n": random.one(&INTEGERS), "s": random.pick(&TEXTS), "list": random.some(&TEXTS, 0, 4)});
    set(random, "prefs", prefs);
    set(random, "badge", json!("a"));
    Value::Object(own)
}

fn fields(random: &mut Random) -> Value {
    let scale = if random.percent(30) { json!(2) } else { Value::Null };
    let mut fields = json!([
        {"name": "title", "type": "text", "required": true},
        {"name": "note", "type": "text"},
        {"name": "code", "type": "text", "unique": true},
        {"name": "mail", "type": "email"},
        {"name": "site", "type": "url"},
        {"name": "amount", "type": "integer"},
        {"name": "ratio", "type": "number"},
        {"name": "price", "type": "decimal", "scale": scale},
        {"name": "active", "type": "bool"},
        {"name": "at", "type": "datetime"},
        {"name": "day", "type": "date"},
        {"name": "state", "type": "select", "values": STATES},
        {"name": "tags", "type": "select", "values": TAGS, "many": true},
        {"name": "data", "type": "json"},
        {"name": "owner", "type": "relation", "collection": "users"},
        {"name": "peers", "type": "relation", "collection": "users", "many": true},
        {"name": "kept", "type": "text", "hidden": true}
    ]);
    for field in fields.as_array_mut().expect("a list").iter_mut().filter_map(Value::as_object_mut) {
        field.retain(|_, value| !value.is_null());
    }
    fields
}

fn indexes(random: &mut Random) -> Value {
    let fields = ["title", "note", "mail", "amount", "ratio", "price", "active", "at", "day", "state", "owner", "created", "updated"]
        .map(str::to_owned);
    let mut found: Vec<Value> = Vec::new();
    for _ in 0..random.below(6) {
        let index = json!({"fields": random.some(&fields, 1, 3), "unique": false});
        if !found.contains(&index) {
            found.push(index);
        }
    }
    Value::Array(found)
}

/// A record in which about every third value is missing or null.
fn record(random: &mut Random, number: usize, people: &People, emails: &[&str]) -> Value {
    let mut record =
        json!({"title": random.pick(&TEXTS), "code": format!("{}{number}", random.pick(&["a", "b", "é"])), "kept": "nobody sees this"});
    let values = [
        ("note", json!(random.pick(&TEXTS))),
        (
            "mail",
            json!(if random.percent(50) { random.pick(&["a@b.example", "z@b.example"]) } else { emails[random.below(emails.len() - 1)] }),
        ),
        ("site", json!(random.pick(&["https://a.example/", "http://a.example/?q=10"]))),
        ("amount", json!(random.one(&INTEGERS))),
        ("ratio", json!(random.one(&NUMBERS))),
        ("price", decimal(random)),
        ("active", json!(random.percent(50))),
        ("at", json!(random.pick(&TIMES))),
        ("day", json!(random.pick(&DATES))),
        ("state", json!(random.pick(&STATES))),
        ("tags", json!(random.some(&TAGS, 0, 3))),
        ("data", data(random)),
        ("owner", json!(random.one(&people.ids))),
        ("peers", json!(random.some(&people.ids, 0, 3))),
    ];
    for (name, value) in values {
        match random.below(100) {
            0..=17 => {}
            18..=34 => record[name] = Value::Null,
            _ => record[name] = value,
        }
    }
    record
}

fn decimal(random: &mut Random) -> Value {
    if random.percent(20) { json!(random.one(&INTEGERS[..6])) } else { json!(random.pick(&DECIMALS)) }
}

/// What people put into a `json` field.
fn data(random: &mut Random) -> Value {
    match random.below(12) {
        0 => json!(random.one(&INTEGERS)),
        1 => json!(random.pick(&TEXTS)),
        2 => json!([1, "a", null]),
        3 => json!({}),
        _ => {
            let mut object = Map::new();
            for name in ["n", "s", "b", "list", "deep"] {
                if random.percent(75) {
                    object.insert(name.to_owned(), member(random, name));
                }
            }
            Value::Object(object)
        }
    }
}

fn member(random: &mut Random, name: &str) -> Value {
    // Nothing keeps a member to one type.
    let name = if random.percent(80) { name } else { random.pick(&["n", "s", "b", "list", "deep", "null"]) };
    match name {
        "n" if random.percent(50) => json!(random.one(&INTEGERS)),
        "n" => json!(random.one(&NUMBERS)),
        "s" => json!(random.pick(&TEXTS)),
        "b" => json!(random.percent(50)),
        "list" => {
            let (text, integer, number) = (random.pick(&TEXTS), random.one(&INTEGERS), random.one(&NUMBERS));
            let values = [json!(text), json!(integer), json!(number), json!(true), Value::Null, json!([1])];
            Value::Array(random.some(&values, 0, 4))
        }
        "deep" => json!({"x": random.one(&INTEGERS[..6])}),
        _ => Value::Null,
    }
}
