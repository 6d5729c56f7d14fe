//! What a list and the body of a write cost inside of the server: `bench-records [RECORDS]` fills a database on disk with so many records
//! (40,000 unless given), a fortieth of them each owner's, and reads pages as a request does (parameters, plan, query, masks, JSON), in turns
//! with the database's own query for the same page on the same connection. One client, nothing but this process; printed as a table.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use app::{App, Compiling, config::Config, measured};
use model::{Caller, Collection, Draft, Principal, validate};
use store::Run;
use surrealdb::types::{SurrealValue, Value};

/// Owners, each with the same number of records.
const OWNERS: usize = 40;

/// Every figure is the median of this many rounds of [`CALLS`] calls.
const ROUNDS: usize = 15;
const CALLS: u32 = 40;

/// The database's own way to the same page.
const RAW: &str = "WHERE _tenant = $tenant AND owner = $owner ORDER BY _key DESC LIMIT 20";

/// Everything is one group of readers; the second collection is the same under a condition of a policy.
const POLICIES: &str = "p, role:reader, *, bench_notes, read, *\ng, user:bench, role:reader, *\n";

fn main() {
    let records = std::env::args().nth(1).map_or(40_000, |text| text.parse().expect("a number of records"));
    println!("| what | figure | asked for |\n|---|---|---|");
    codec();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(lists(records));
}

fn definition() -> model::collection::Definition {
    let text = r#"{"name": "bench_notes", "indexes": [{"fields": ["owner"]}, {"fields": ["views"]}], "fields": [
        {"name": "owner", "type": "text", "required": true}, {"name": "title", "type": "text", "required": true, "max": 200},
        {"name": "body", "type": "text"}, {"name": "status", "type": "select", "values": ["draft", "published"]},
        {"name": "views", "type": "integer"}, {"name": "rating", "type": "number"}, {"name": "price", "type": "decimal"},
        {"name": "published", "type": "bool"}, {"name": "at", "type": "datetime"}]}"#;
    serde_json::from_str(text).expect("a definition")
}

/// 400 bytes of JSON.
fn body(number: usize) -> String {
    let text: String = "It rained in the morning; ".chars().cycle().take(230).collect();
    let owner = format!("owner{:03}", number % OWNERS);
    format!(
        r#"{{"owner":"{owner}","title":"Note {number:08} on the weather","body":"{text}","status":"draft","views":{number},"rating":4.5,"price":"12.50","published":true,"at":"2026-11-26T10:00:00Z"}}"#
    )
}

fn valid(collection: &Collection, id: String, body: &[u8]) -> model::NewRecord {
    let draft = Draft::parse(body).expect("an object");
    let now = "2026-11-26T10:00:00.000000Z".to_owned();
    validate::create(collection, draft, validate::Stamp { id, tenant: "main".to_owned(), now, caller: None }).expect("a valid record")
}

fn codec() {
    let collection = Collection::new(definition()).expect("a sound definition");
    let body = body(1);
    let id = || "01JABCDEFGHJKMNPQRSTVWXYZ0".to_owned();
    let record = valid(&collection, id(), body.as_bytes()).into_record();
    let read = median(|| each(20_000, || black_box(valid(&collection, id(), black_box(body.as_bytes())))));
    let written = median(|| each(20_000, || serde_json::to_vec(&black_box(&record).view(|_| true)).expect("JSON")));
    row(&format!("a body of {} bytes becomes a valid record, and that JSON", body.len()), micro(read + written), "2 µs");
    row("of that: parsed and validated", micro(read), "");
    row("of that: written as JSON", micro(written), "");
}

async fn lists(records: usize) {
    let folder = tempfile::Builder::new().prefix("bench-records").tempdir_in(".").expect("a folder");
    let policies = folder.path().join("policies");
    std::fs::create_dir_all(&policies).and_then(|()| std::fs::write(policies.join("bench.csv"), POLICIES)).expect("a policy file");
    let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    let app = App::open(config, Compiling::Here).await.expect("a database");
    let collection = measured::define(&app, definition()).await.expect("a collection");
    fill(&app, &collection, records).await;

    let (raw_page, page) = in_turns(async || raw(&app, &collection).await, async || story(&app).await).await;
    row("the database's own query for 20 by an indexed field, newest first", micro(raw_page), "");
    row("the same as a list: parameters, plan, query, masks, JSON", micro(page), "");
    row("the ratio of the two", format!("{:.2}", page.as_secs_f64() / raw_page.as_secs_f64()), "1.3");

    for (sort, order) in [("", "newest first"), ("-views", "by an indexed field")] {
        let pages = records.div_ceil(20).min(1_000);
        let second = Some(walk(&app, sort, 1).await);
        let last = Some(walk(&app, sort, pages - 1).await);
        let page = async |cursor: &Option<String>| page_of(&app, "", sort, cursor.clone()).await.0;
        for (name, near) in [("1", None), ("2", second)] {
            let (near, far) = in_turns(async || page(&near).await, async || page(&last).await).await;
            row(&format!("page {name} of a walk by cursor, {order}"), micro(near), "");
            row(
                &format!("page {pages} of it, and the ratio"),
                format!("{}, {:.2}", micro(far), far.as_secs_f64() / near.as_secs_f64()),
                "1.2",
            );
        }
    }
}

async fn fill(app: &Arc<App>, collection: &Collection, records: usize) {
    for begin in (0..records).step_by(500) {
        let transaction = app.store.begin().await.expect("a transaction");
        for number in begin..records.min(begin + 500) {
            let new = valid(collection, format!("01JABCDEFGHJKMNPQR{number:08}"), body(number).as_bytes());
            store::records::insert(&transaction, collection, &new).await.expect("a new record");
        }
        transaction.commit().await.expect("a commit");
    }
}

/// A page of one owner.
async fn story(app: &Arc<App>) -> Duration {
    page_of(app, "owner == 'owner007'", "", None).await.0
}

async fn page_of(app: &Arc<App>, filter: &str, sort: &str, cursor: Option<String>) -> (Duration, Option<String>) {
    let caller = Caller::new(Principal::User("bench".into()), "main", model::value::Object::new());
    let begin = Instant::now();
    let (json, next) = measured::list(app, caller, "bench_notes", (filter, sort), cursor).await.expect("a page");
    let took = begin.elapsed();
    assert!(json.len() > 20 * 300, "twenty records: {}", String::from_utf8_lossy(&json));
    (took, next)
}

async fn raw(app: &Arc<App>, collection: &Collection) -> Duration {
    let text = format!("SELECT * FROM `{}` {RAW}", collection.table());
    let begin = Instant::now();
    let binds = vec![("tenant".to_owned(), "main".to_owned().into_value()), ("owner".to_owned(), "owner007".to_owned().into_value())];
    let found = app.store.run(text, binds).await.expect("rows");
    let took = begin.elapsed();
    assert!(matches!(&found[..], [Value::Array(rows)] if rows.len() == 20), "twenty rows");
    took
}

/// The cursor behind so many pages.
async fn walk(app: &Arc<App>, sort: &str, pages: usize) -> String {
    let mut cursor = None;
    for _ in 0..pages {
        cursor = page_of(app, "", sort, cursor).await.1;
    }
    cursor.expect("enough pages")
}

/// The medians of two ways to the same thing, measured in turns, so that noise of the machine meets both.
async fn in_turns(one: impl AsyncFn() -> Duration, other: impl AsyncFn() -> Duration) -> (Duration, Duration) {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS * CALLS as usize {
        ones.push(one().await);
        others.push(other().await);
    }
    (middle(ones), middle(others))
}

fn each<T>(calls: u32, mut work: impl FnMut() -> T) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        black_box(work());
    }
    begin.elapsed() / calls
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    middle((0..ROUNDS).map(|_| measure()).collect())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn micro(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}

fn row(what: &str, figure: impl std::fmt::Display, wanted: &str) {
    println!("| {what} | {figure} | {wanted} |");
}
