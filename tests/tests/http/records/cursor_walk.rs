//! A walk by cursor while others write: no record twice, and none left out that was there throughout. Every order is walked, over values that
//! repeat and values that are missing, while four writers insert and delete.
//!
//! `CURSOR_WALK_RECORDS` is how many records stay (3,000), `CURSOR_WALK_LIMIT` how many a page has, `CURSOR_WALK_FROM` which order is the first
//! to be walked (0): with many records those that no index serves take minutes each.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};
use tests::{Client, Database, Options, TestApp};

use super::id;

const WALKED: &str = "/api/records/walked";

/// How many others write meanwhile.
const WRITERS: usize = 4;

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn definition() -> Value {
    json!({"name": "walked", "fields": [
        {"name": "stays", "type": "bool"},
        {"name": "word", "type": "text"},
        {"name": "mail", "type": "email"},
        {"name": "amount", "type": "integer"},
        {"name": "ratio", "type": "number"},
        {"name": "price", "type": "decimal"},
        {"name": "active", "type": "bool"},
        {"name": "at", "type": "datetime"},
        {"name": "day", "type": "date"},
        {"name": "state", "type": "select", "values": ["new", "open", "done"]},
        {"name": "owner", "type": "relation", "collection": "users"}
    ], "indexes": [
        {"fields": ["word"]}, {"fields": ["mail"]}, {"fields": ["amount"]}, {"fields": ["price"]}, {"fields": ["active"]}, {"fields": ["at"]},
        {"fields": ["state"]}, {"fields": ["owner"]}, {"fields": ["state", "price"]}
    ]})
}

/// Of each type, with ties and with nulls, of two fields in all directions; those that an index serves come first.
const SORTS: [&str; 30] = [
    "",
    "id",
    "-id",
    "created",
    "-created",
    "updated",
    "word",
    "-word",
    "mail",
    "amount",
    "-amount",
    "price",
    "-price",
    "active",
    "-active",
    "at",
    "-at",
    "state",
    "-state",
    "owner",
    "state,price",
    "-state,-price",
    "ratio",
    "-ratio",
    "day",
    "-day",
    "state,-price",
    "-amount,word",
    "active,ratio",
    "day,-id",
];

/// A record; about every fifth value is missing, and most repeat.
fn record(number: u64, stays: bool, owner: &str) -> Value {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
    let or_null = |salt: u64, value: Value| if (scattered ^ salt).wrapping_mul(31).is_multiple_of(5) { Value::Null } else { value };
    let word = ["", "a", "Z", "é", "zz", "a b", "10", "9"][(scattered % 8) as usize];
    json!({
        "stays": stays,
        "word": or_null(1, json!(format!("{word}{}", scattered % 97))),
        "mail": or_null(2, json!(format!("m{}@test.example", scattered % 211))),
        "amount": or_null(3, json!((scattered % 40) as i64 - 20)),
        "ratio": or_null(4, json!((scattered % 1_000) as f64 / 7.0 - 70.0)),
        "price": or_null(5, json!(format!("{}.{}", scattered % 30, scattered % 10))),
        "active": or_null(6, json!(scattered.is_multiple_of(2))),
        "at": or_null(7, json!(format!("2026-01-{:02}T00:00:00.{:03}Z", scattered % 28 + 1, scattered % 5))),
        "day": or_null(8, json!(format!("2026-{:02}-01", scattered % 12 + 1))),
        "state": or_null(9, json!(["new", "open", "done"][(scattered % 3) as usize])),
        "owner": or_null(10, json!(owner)),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_meets_everything_that_stays_once() {
    let (records, limit) = (number("CURSOR_WALK_RECORDS", 3_000), number("CURSOR_WALK_LIMIT", 100));
    // Long runs take longer than a token usually lasts.
    let environment = vec![("IRONRULE_ACCESS_TOKEN_SECONDS".to_owned(), "86400".to_owned())];
    let app = TestApp::start_with(Options { database: Database::Disk, environment, ..Options::default() }).await;
    let admin = app.admin().await;
    admin.post("/api/collections", definition()).await.expect(201);
    let staying = fill(&admin, records).await;
    let world = Arc::new(World { admin, over: AtomicBool::new(false), written: AtomicU64::new(0) });
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&world), writer as u64))).collect();

    let from = number("CURSOR_WALK_FROM", 0);
    assert!(from < SORTS.len(), "`CURSOR_WALK_FROM` leaves nothing to walk");
    for sort in SORTS.into_iter().skip(from) {
        let (begun, before) = (Instant::now(), world.written.load(Ordering::Relaxed));
        let (met, pages) = walk(&world.admin, sort, limit).await;
        let twice: Vec<&String> = met.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id).collect();
        let missed: Vec<&String> = staying.iter().filter(|id| !met.contains_key(*id)).collect();
        let written = world.written.load(Ordering::Relaxed) - before;
        eprintln!("{sort:>14}: {pages} pages, {} records, {written} writes meanwhile, {:.1?}", met.len(), begun.elapsed());
        assert!(twice.is_empty() && missed.is_empty(), "sort `{sort}`: {} twice, {} missed", twice.len(), missed.len());
    }
    world.over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("a writer");
    }
    let written = world.written.load(Ordering::Relaxed);
    assert!(written >= 100, "the writers wrote only {written} times while everything was walked");
}

struct World {
    admin: Client,
    over: AtomicBool,
    written: AtomicU64,
}

/// Makes the records that stay, some at once, and returns their ids.
async fn fill(admin: &Client, records: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let numbers: Vec<u64> = (0..records as u64).collect();
    for some in numbers.chunks(64) {
        let writes = some.iter().map(|number| admin.create("walked", record(*number, true, admin.id())));
        ids.extend(futures_util::future::join_all(writes).await.iter().map(|record| id(record).to_owned()));
    }
    assert_eq!(ids.len(), records);
    ids
}

/// Inserts and deletes until all is over. What it deletes is its own.
async fn write(world: Arc<World>, writer: u64) {
    let mut own: Vec<String> = Vec::new();
    let mut number = 1_000_000 * (writer + 1);
    while !world.over.load(Ordering::Relaxed) {
        number += 1;
        if own.len() > 50 || (own.len() > 5 && number.is_multiple_of(3)) {
            let gone = own.swap_remove((number % own.len() as u64) as usize);
            world.admin.delete(&format!("{WALKED}/{gone}")).await.expect(200);
        } else {
            own.push(id(&world.admin.create("walked", record(number, false, world.admin.id())).await).to_owned());
        }
        world.written.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often each record was met, and in how many pages.
async fn walk(admin: &Client, sort: &str, limit: usize) -> (BTreeMap<String, usize>, usize) {
    let (mut met, mut pages, mut cursor) = (BTreeMap::new(), 0, None::<String>);
    let limit = limit.to_string();
    loop {
        let mut query = vec![("limit", limit.as_str()), ("fields", "id"), ("sort", sort)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = admin.query(WALKED, &query).await.expect(200);
        pages += 1;
        cursor = page.header("x-next-cursor").map(str::to_owned);
        for record in page.list() {
            *met.entry(id(&record).to_owned()).or_default() += 1;
        }
        assert!(pages < 100_000, "the walk does not end");
        if cursor.is_none() {
            return (met, pages);
        }
    }
}
