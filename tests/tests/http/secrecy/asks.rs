//! What curious people ask: everything that the API has an answer for, with secrets named wherever a field can be named, and with guesses
//! of what is stored.

use serde_json::{Value, json};
use tests::{Client, Method, url};

use super::copies::{Copies, OPEN, RECORDS, SECRETS, secret};

/// A request that is sent to both servers.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    /// As it is, JSON or not.
    pub body: Option<String>,
}

impl Ask {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: Vec::new(), body: None }
    }

    pub fn send(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Self { method, body: Some(body.to_string()), ..Self::get(path) }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub async fn answer(&self, client: &Client) -> tests::Answer {
        let mut request = client.request(self.method.clone(), &self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &self.body {
            request = request.body("application/json", body.clone());
        }
        request.send().await
    }
}

const VAULT: &str = "/api/records/vault";

fn list(query: &[(&str, &str)]) -> Ask {
    Ask::get(url(VAULT, query))
}

/// Lists: every parameter, on open fields.
pub fn lists() -> Vec<Ask> {
    let mut asks = vec![list(&[]), list(&[("count", "exact")]), list(&[("limit", "1000"), ("count", "exact")])];
    for field in OPEN.into_iter().chain(["id", "created", "updated"]) {
        for sort in [field.to_owned(), format!("-{field}"), format!("{field},-title"), format!("-state,{field}")] {
            asks.push(list(&[("sort", &sort), ("limit", "7"), ("count", "exact")]));
            asks.push(list(&[("sort", &sort), ("offset", "5"), ("limit", "3")]));
        }
        asks.push(list(&[("fields", field)]));
        asks.push(list(&[("filter", &format!("has({field})")), ("count", "exact")]));
        asks.push(list(&[("filter", &format!("{field} == null")), ("limit", "3")]));
    }
    let filters = [
        "title.startsWith('record 1')",
        "title.contains('0') && amount > 1",
        "amount in [1, 2, 3]",
        "price == 1.50",
        "price < 2",
        "active",
        "!active",
        "at > timestamp('2026-01-10T00:00:00Z')",
        "day <= '2026-02-05'",
        "state in ['new', 'done'] || active",
        "'x' in tags",
        "owner == caller.id",
        "owner != caller.id",
        "data.n == 1",
        "has(data.n) && data.n >= 1",
        "created <= now",
        "updated <= now",
        "updated > created",
        "true",
        "false",
        "!(state == 'new')",
        "caller.salary > 5",
        "caller.badge == 'badge 0'",
        "'admin' in caller.roles",
        "id == caller.boss",
    ];
    asks.extend(filters.iter().map(|filter| list(&[("filter", filter), ("count", "exact")])));
    let parameters = [
        ("title_like", "1"),
        ("amount", "1"),
        ("amount_in", "1,2"),
        ("price_gte", "1.5"),
        ("active_null", "true"),
        ("at_lt", "2026-01-09T00:00:00Z"),
        ("state_ne", "new"),
        ("tags", "x"),
        ("owner_null", "false"),
        ("search", "record"),
        ("search", "record 14"),
        ("expand", "owner"),
        ("expand", "owner.vault(owner)"),
        ("expand", "links(target)"),
        ("expand", "links(targets),owner.vault(owner).links(target)"),
    ];
    asks.extend(parameters.iter().map(|parameter| list(&[*parameter, ("count", "exact")])));
    asks.push(list(&[("filter", r#"{"amount":[1,2],"q":"record"}"#), ("range", "[0,9]"), ("sort", r#"["title","ASC"]"#)]));
    asks.push(list(&[("_sort", "title"), ("_start", "2"), ("_end", "9"), ("amount_gte", "1")]));
    asks.push(Ask::get(url("/api/records/users", &[("expand", "vault(owner),links(target)")])));
    asks.push(Ask::get(url("/api/records/links", &[("expand", "target,targets.owner")])));
    asks
}

/// Lists that look at a secret in any way, each of which should be refused, or leave it out.
pub fn looks() -> Vec<Ask> {
    let mut asks = Vec::new();
    for field in SECRETS {
        let filters = [
            format!("has({field})"),
            format!("{field} == null"),
            format!("{field} != null"),
            format!("true || has({field})"),
            format!("false && {field} == null"),
            format!("title == 'x' || !has(record.{field})"),
            format!("{field} == caller.id"),
            format!("caller.id in {field}"),
            format!("{field} == title"),
            format!("{field}.contains('a')"),
            format!("{field} > 0"),
            format!("{field} == true"),
            format!("{field}.word == 'sesame'"),
        ];
        asks.extend(filters.iter().map(|filter| list(&[("filter", filter)])));
        for sort in [field.to_owned(), format!("-{field}"), format!("title,{field}")] {
            asks.push(list(&[("sort", &sort), ("limit", "5")]));
        }
        for end in ["", "_ne", "_gt", "_gte", "_lt", "_lte", "_in", "_like", "_null"] {
            for value in ["1", "true", "first secret 1"] {
                asks.push(list(&[(&format!("{field}{end}"), value), ("count", "exact")]));
            }
        }
        asks.push(list(&[("filter", &json!({field: "1"}).to_string()), ("range", "[0,9]")]));
        asks.push(list(&[("_sort", field), ("_end", "5")]));
        asks.push(list(&[("expand", field)]));
        asks.push(list(&[("expand", &format!("owner.vault({field})"))]));
        asks.push(Ask::get(url("/api/records/users", &[("expand", &format!("vault({field})"))])));
        asks.push(list(&[("fields", field), ("count", "exact")]));
        asks.push(list(&[("fields", &format!("title,{field}")), ("sort", "title")]));
    }
    asks
}

/// Queries that are wrong.
pub fn malformed() -> Vec<Ask> {
    let queries = [
        ("filter", "title =="),
        ("filter", "nope == 1"),
        ("filter", "s_text == 5"),
        ("filter", "s_select == 'orange'"),
        ("filter", "s_text == 'x"),
        ("filter", "title == 'x'; DROP TABLE vault"),
        ("filter", "before.s_text == 'x'"),
        ("sort", "nope"),
        ("sort", "s_json"),
        ("sort", "s_tags"),
        ("sort", "title,title"),
        ("limit", "0"),
        ("limit", "x"),
        ("offset", "-1"),
        ("cursor", "nope"),
        ("cursor", "e30"),
        ("count", "maybe"),
        ("fields", "nope"),
        ("fields", "s_text,nope"),
        ("nope", "1"),
        ("expand", "s_owner"),
    ];
    let mut asks: Vec<Ask> = queries.iter().map(|query| list(&[*query])).collect();
    asks.push(list(&[("filter", "true"), ("filter", "has(s_text)")]));
    asks.push(list(&[("filter", "s_text =="), ("sort", "s_nope"), ("limit", "x")]));
    asks.push(list(&[("cursor", "e30"), ("offset", "3")]));
    asks
}

/// Positions in orders by secrets, as an admin of one copy got them.
pub async fn stolen_cursors(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    for admin in &copies.admins {
        for sort in ["s_integer", "-s_text", "s_code,title", "updated", "title,s_level", "title"] {
            let page = admin.query(VAULT, &[("sort", sort), ("limit", "5")]).await.expect(200);
            let cursor = page.expect_header("x-next-cursor").to_owned();
            asks.push(list(&[("sort", sort), ("cursor", &cursor)]));
            asks.push(list(&[("sort", "title"), ("cursor", &cursor)]));
            asks.push(list(&[("cursor", &cursor)]));
        }
    }
    asks
}

/// Single records.
pub fn reads(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    for id in &copies.vault {
        let path = format!("{VAULT}/{id}");
        asks.push(Ask::get(&path));
        asks.push(Ask { method: Method::HEAD, ..Ask::get(&path) });
        asks.push(Ask::get(&path).with("if-none-match", format!("\"{id}-2\"")));
        asks.push(Ask::get(format!("{path}?fields=title,s_text,h_text,c_note,updated")));
        asks.push(Ask::get(format!("{path}?filter=s_integer")));
    }
    let others = copies.links.iter().map(|id| format!("/api/records/links/{id}"));
    asks.extend(others.chain(copies.users.iter().map(|id| format!("/api/records/users/{id}"))).map(Ask::get));
    asks.push(Ask::get(format!("{VAULT}/01ARZ3NDEKTSV4RRFFQ69G5FAV")));
    asks.push(Ask::get(format!("{VAULT}/nope")));
    asks
}

/// Everything that is neither a record of `vault` nor changes anything.
pub fn surroundings(copies: &Copies) -> Vec<Ask> {
    let plain =
        ["/openapi.json", "/docs", "/livez", "/readyz", "/api/version", "/api/collections", "/api/collections/vault", "/api/policies"];
    let more =
        ["/api/roles", "/api/plugins", "/api/auth/me", "/api/records/nope", "/api/nope", "/api/records", "/api/records/links?count=exact"];
    let mut asks: Vec<Ask> = plain.into_iter().chain(more).map(Ask::get).collect();
    let lists = [
        ("links", "filter", "has(target)"),
        ("links", "filter", "name.startsWith('link')"),
        ("links", "filter", "'x' in targets"),
        ("links", "sort", "target"),
        ("links", "sort", "-name"),
        ("users", "sort", "salary"),
        ("users", "sort", "-boss"),
        ("users", "sort", "email"),
        ("users", "filter", "salary > 2000"),
        ("users", "filter", "boss == caller.id"),
        ("users", "filter", "has(badge)"),
        ("users", "filter", "email.contains('a')"),
        ("users", "fields", "email,salary,boss,badge,password"),
    ];
    asks.extend(
        lists.map(|(collection, name, value)| Ask::get(url(&format!("/api/records/{collection}"), &[(name, value), ("count", "exact")]))),
    );
    asks.push(Ask { method: Method::HEAD, ..Ask::get(VAULT) });
    asks.push(Ask { method: Method::OPTIONS, ..Ask::get(VAULT) });
    asks.push(Ask::get("/openapi.json").with("accept-encoding", "gzip"));
    asks.push(Ask::send(Method::PATCH, "/api/collections/vault?dry_run=true", &json!({"fields": []})));
    asks.push(Ask::send(Method::POST, "/api/auth/login", &json!({"identity": "dan@test.example", "password": "wrong-password"})));
    let more = json!({"subject": "role:anyone", "object": "vault", "action": "read"});
    asks.push(Ask::send(Method::POST, "/api/policies", &more));
    asks.push(Ask::send(Method::POST, "/api/policies/changes", &json!({"add": [more]})));
    asks.push(Ask::send(Method::POST, "/api/policies/preview", &json!({"add": [more]})));
    for id in &copies.vault[..6] {
        asks.push(Ask::send(Method::POST, "/api/policies/explain", &json!({"action": "read", "object": "vault", "id": id})));
    }
    asks.extend(["/api/policies/lint", "/api/policies/log", "/api/policies/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV"].map(Ask::get));
    asks
}

/// Everything that can be tried on one record without changing it.
pub fn touches(collection: &str, id: &str) -> Vec<Ask> {
    let path = format!("/api/records/{collection}/{id}");
    let (wrong, guess) = (json!({"title": 5, "nope": 1}), json!({"s_text": "first secret 1", "salary": 3000}));
    let tag = format!("\"{id}-2\"");
    vec![
        Ask::get(&path),
        Ask { method: Method::HEAD, ..Ask::get(&path) },
        Ask::get(format!("{path}?fields=id")),
        Ask::get(format!("{path}?fields=nope")),
        Ask::get(&path).with("if-none-match", &tag),
        Ask::send(Method::PATCH, &path, &wrong),
        Ask::send(Method::PATCH, &path, &guess),
        Ask::send(Method::PATCH, &path, &wrong).with("if-match", &tag),
        Ask::send(Method::PUT, &path, &wrong),
        Ask { method: Method::DELETE, ..Ask::get(&path) }.with("if-match", "\"nope\""),
    ]
}

/// A field, and a value of it that is stored in one of the copies or in neither.
fn guesses(copies: &Copies, number: usize) -> Vec<(&'static str, Value)> {
    let mut guesses = Vec::new();
    for field in SECRETS {
        for side in [0, 1] {
            guesses.push((field, secret(field, number, side, &copies.users)));
        }
        // Of another record, so that what is unique is taken.
        guesses.push((field, secret(field, (number + 1) % RECORDS, 0, &copies.users)));
        guesses.push((field, Value::Null));
        guesses.push((field, json!({"more": 1, "and": 2, "still": 3})));
    }
    guesses
}

/// Creations that must be refused, because they name a secret.
pub fn creations(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    for number in [1, 3, 6] {
        for (field, value) in guesses(copies, number).into_iter().filter(|(_, value)| !value.is_null()) {
            asks.push(Ask::send(Method::POST, VAULT, &json!({"title": "mine", field: value})));
        }
    }
    asks.push(Ask::send(Method::POST, VAULT, &json!({"s_code": "alpha-3"})));
    asks.push(Ask::send(Method::POST, VAULT, &json!({"title": "x", "nope": 1, "h_code": "alpha-3"})));
    asks.push(Ask::send(Method::POST, VAULT, &json!([])));
    asks.push(Ask { body: Some("{\"title\":".to_owned()), ..Ask::send(Method::POST, VAULT, &json!({})) });
    let account = |more: Value| {
        let mut account = json!({"email": "new@test.example", "password": "a-long-test-password-7"});
        account.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        Ask::send(Method::POST, "/api/auth/register", &account)
    };
    asks.extend([account(json!({"salary": 3000})), account(json!({"badge": "badge 0"})), account(json!({"nope": 1}))]);
    asks
}

/// Changes that must be refused or change nothing of a secret, because they name one, or because they leave it out of the whole.
pub fn changes(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    // With and without a value in either copy, active or not, of different owners.
    for number in [0, 1, 2, 4, 5, 9] {
        let path = format!("{VAULT}/{}", copies.vault[number]);
        // What does not fit is said without saying what is there already.
        for field in ["w_json", "s_json"] {
            asks.push(Ask::send(Method::PATCH, &path, &json!({field: {"more": 1, "and": 2, "still": 3}})));
        }
        for (field, value) in guesses(copies, number) {
            asks.push(Ask::send(Method::PATCH, &path, &json!({field: value})));
        }
        for side in [0, 1] {
            let all: serde_json::Map<String, Value> =
                SECRETS.iter().map(|field| ((*field).to_owned(), secret(field, number, side, &copies.users))).collect();
            asks.push(Ask::send(Method::PATCH, &path, &Value::Object(all.clone())));
            asks.push(Ask::send(Method::PATCH, &path, &json!({"s_json": {"n": secret("s_json", number, side, &copies.users)["n"]}})));
            asks.push(Ask::send(Method::PATCH, &path, &json!({"title": "guess", "s_text": all["s_text"]})));
        }
        asks.push(Ask::send(Method::PATCH, &path, &json!({"s_json": {"n": "not a number"}})));
        asks.push(Ask::send(Method::PATCH, &path, &json!({"nope": 1, "s_text": "x"})));
        asks.push(Ask::send(Method::PATCH, &path, &json!({"s_text": "x"})).with("if-match", "\"nope\""));
        asks.push(Ask { body: Some("{".to_owned()), ..Ask::send(Method::PATCH, &path, &json!({})) });
    }
    for id in &copies.links {
        asks.push(Ask::send(Method::PATCH, format!("/api/records/links/{id}"), &json!({"target": copies.vault[3]})));
        asks.push(Ask::send(Method::PATCH, format!("/api/records/links/{id}"), &json!({"target": null})));
    }
    for id in &copies.users[3..] {
        for salary in 3..6 {
            asks.push(Ask::send(Method::PATCH, format!("/api/records/users/{id}"), &json!({"salary": 1000 * salary})));
        }
        asks.push(Ask::send(Method::PATCH, format!("/api/records/users/{id}"), &json!({"badge": "badge 1"})));
    }
    asks
}

/// Replacements, in which what is not said counts as empty.
pub fn replacements(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    for (number, id) in copies.vault.iter().enumerate().take(12) {
        let path = format!("{VAULT}/{id}");
        asks.push(Ask::send(Method::PUT, &path, &json!({"title": format!("put {number}")})));
        for side in [0, 1] {
            for field in ["s_text", "s_code", "h_text", "c_note", "s_origin"] {
                asks.push(Ask::send(Method::PUT, &path, &json!({"title": "put", field: secret(field, number, side, &copies.users)})));
            }
        }
    }
    asks.extend(copies.links.iter().map(|id| Ask::send(Method::PUT, format!("/api/records/links/{id}"), &json!({"name": "put"}))));
    asks
}

/// Changes that are allowed to some: their answers show no secret either.
pub fn allowed(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    for (number, id) in copies.vault.iter().enumerate() {
        let path = format!("{VAULT}/{id}");
        asks.push(Ask::send(Method::PATCH, &path, &json!({"title": format!("changed {number}"), "amount": number % 4})));
        asks.push(Ask::send(Method::PATCH, &path, &json!({"title": format!("again {number}"), "data": {"n": 5}})));
        asks.push(Ask::send(Method::PATCH, &path, &json!({"title": "never"})).with("if-match", format!("\"{id}-1\"")));
    }
    asks.extend((0..RECORDS).map(|number| Ask { method: Method::DELETE, ..Ask::get(format!("{VAULT}/{}", copies.vault[number])) }));
    asks
}
