//! Changes of collections with many records: everybody reads and writes on, and what comes of it is all or nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};
use tests::{Client, Database, Method, Options, TestApp, eventually};

const RECORDS: usize = 2_000;

const ROWS: &str = "/api/collections/rows";

const ALTERATIONS: &str = "/api/collections/rows/alterations";

fn fields() -> Value {
    json!([
        {"name": "number", "type": "integer", "unique": true},
        {"name": "text", "type": "text"},
        {"name": "price", "type": "text"},
        {"name": "gone", "type": "text"}
    ])
}

/// The same with another name, another type, a constraint, a default for what is stored, and an index.
fn change() -> Value {
    json!({
        "rename": {"text": "title"},
        "fill": {"state": "new"},
        "fields": [
            {"name": "number", "type": "integer", "unique": true},
            {"name": "title", "type": "text", "max": 50},
            {"name": "price", "type": "decimal"},
            {"name": "gone", "type": "text"},
            {"name": "state", "type": "select", "values": ["new", "old"], "required": true, "default": "new"}
        ],
        "indexes": [{"fields": ["title"]}]
    })
}

async fn rows(count: usize) -> (TestApp, Client) {
    let environment = vec![("IRONRULE_POLICY_MODE".to_owned(), "plan".to_owned())];
    let app = TestApp::start_with(Options { database: Database::Disk, environment, ..Options::default() }).await;
    let admin = app.admin().await;
    admin.collection("rows", fields()).await;
    let row = |number: usize| format!("{}\n", json!({"number": number, "text": format!("row {number}"), "price": format!("{number}.50")}));
    let file: String = (0..count).map(row).collect();
    let path = "/api/records/rows/import?raw=true";
    admin.request(Method::POST, path).body("application/x-ndjson", file).send().await.expect(200);
    (app, admin)
}

async fn exported(admin: &Client) -> Vec<Value> {
    let text = admin.get("/api/records/rows/export").await.expect(200).text;
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What writers know: the number of each record that was acknowledged, with its text.
type Known = HashMap<u64, String>;

/// Creates, changes and deletes until it is told to stop. A write may be refused by nothing, whichever name the field has at the moment.
async fn write(admin: Client, first: u64, stop: Arc<AtomicBool>) -> (Known, u128) {
    let (mut known, mut longest) = (Known::new(), 0);
    let mut ids: Vec<(String, u64)> = Vec::new();
    for step in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let started = Instant::now();
        let number = first + step;
        match step % 4 {
            0 | 1 => {
                let text = format!("new {number}");
                let record = either(&admin, (Method::POST, "/api/records/rows", 201), json!({"number": number}), &text).await;
                ids.push((record["id"].as_str().expect("an id").to_owned(), number));
                known.insert(number, text);
            }
            2 => {
                let (id, number) = ids.last().cloned().expect("one was created");
                let text = format!("changed {step}");
                let path = format!("/api/records/rows/{id}");
                let record = either(&admin, (Method::PATCH, &path, 200), json!({}), &text).await;
                assert_eq!(record["number"], number);
                known.insert(number, text);
            }
            _ => {
                let (id, number) = ids.remove(0);
                admin.delete(&format!("/api/records/rows/{id}")).await.expect(200);
                known.remove(&number);
            }
        }
        longest = longest.max(started.elapsed().as_millis());
    }
    (known, longest)
}

/// Sends the text under the old name of its field, or under the new one if that is what holds.
async fn either(admin: &Client, (method, path, status): (Method, &str, u16), record: Value, text: &str) -> Value {
    let named = |name: &str| {
        let mut record = record.clone();
        record[name] = json!(text);
        record
    };
    let answer = admin.request(method.clone(), path).json(&named("text")).send().await;
    if answer.status == status {
        return answer.json;
    }
    answer.problem(422, "record.invalid").errors(&["/text field.unknown"]);
    admin.request(method, path).json(&named("title")).send().await.json(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_while_a_collection_changes_and_none_is_lost() {
    let (_app, admin) = rows(RECORDS).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=4).map(|writer| tokio::spawn(write(admin.clone(), writer * 1_000_000, Arc::clone(&stop)))).collect();
    let begun = admin.patch(&format!("{ROWS}?wait=false"), change()).await.expect(202);
    let (path, began) = (begun.expect_header("location").to_owned(), begun.json);
    assert_eq!((&began["state"], &began["dry_run"]), (&json!("running"), &json!(false)), "{began}");
    // It is seen to go on, others cannot change the collection meanwhile, and everybody reads.
    let half = async || Some(admin.get(&path).await.json(200)).filter(|progress| progress["copied"].as_u64() > Some(0));
    let progress = eventually("some are copied", half).await;
    assert!(progress["records"].as_u64() >= Some(RECORDS as u64), "{progress}");
    if admin.get(&path).await.json(200)["state"] == "running" {
        // Unless it has ended since it was asked for.
        let refused = admin.patch(ROWS, json!({"description": "meanwhile"})).await;
        assert!(refused.status == 200 || refused.any_problem().code() == "collection.altering");
    }
    let ended = async || Some(admin.get(&path).await.json(200)).filter(|progress| progress["state"] != "running");
    let ended = eventually("the change is over", ended).await;
    assert_eq!(ended["state"], "done", "{ended}");
    assert_eq!(admin.get(ALTERATIONS).await.list()[0], ended);
    let more = async || admin.query("/api/records/rows", &[("filter", "title == 'row 7'")]).await.list().first().cloned();
    let found = eventually("the new index answers", more).await;
    assert_eq!((&found["price"], &found["state"]), (&json!("7.50"), &json!("new")), "{found}");
    stop.store(true, Ordering::Relaxed);
    let mut known: Known = (0..RECORDS as u64).map(|number| (number, format!("row {number}"))).collect();
    for writer in writers {
        let (written, longest) = writer.await.expect("no write is refused");
        assert!(!written.is_empty(), "there was no load");
        println!("the longest write took {longest} ms");
        known.extend(written);
    }
    let stored: Known = exported(&admin)
        .await
        .iter()
        .map(|record| {
            assert_eq!(record["state"], "new", "{record}");
            (record["number"].as_u64().expect("a number"), record["title"].as_str().expect("a title").to_owned())
        })
        .collect();
    let lost: Vec<_> = known.iter().filter(|(number, text)| stored.get(number) != Some(text)).take(5).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(stored.len(), known.len());
    // Uniqueness holds over all of them.
    admin.post("/api/records/rows", json!({"number": 7})).await.problem(409, "record.unique");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_unique_at_every_moment_stay_so() {
    let (_app, admin) = rows(3_000).await;
    let records = exported(&admin).await;
    let (first, last) = (records[0]["id"].as_str().expect("an id").to_owned(), records[2_999]["id"].as_str().expect("an id").to_owned());
    // One value goes to and fro between a record that is copied early and one that is copied late.
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, writer) = (Arc::clone(&stop), admin.clone());
    let swapping = tokio::spawn(async move {
        let mut rounds = 0;
        while !stopped.load(Ordering::Relaxed) {
            for (from, to) in [(&first, &last), (&last, &first)] {
                for (id, number) in [(from, Value::Null), (to, json!(1_000_000))] {
                    writer.patch(&format!("/api/records/rows/{id}"), json!({"number": number})).await.expect(200);
                }
            }
            rounds += 1;
        }
        rounds
    });
    for length in [60, 70, 80] {
        let fields = fields().as_array().cloned().expect("fields").into_iter().map(|mut field| {
            if field["name"] == "text" {
                field["max"] = json!(length);
            }
            field
        });
        admin.patch(ROWS, json!({"fields": fields.collect::<Vec<_>>()})).await.expect(200);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.await.expect("no write is refused") > 0);
    assert_eq!(exported(&admin).await.len(), 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_impossible_meanwhile_ends_the_change() {
    let (_app, admin) = rows(5_000).await;
    let before = admin.get(ROWS).await.json(200);
    let begun = admin.patch(&format!("{ROWS}?wait=false"), change()).await.expect(202);
    let path = begun.expect_header("location").to_owned();
    // Fine under the old definition, too long under the new one. It may come too late.
    let long = admin.post("/api/records/rows", json!({"number": 1_000_000, "text": "x".repeat(60)})).await;
    let ended = async || Some(admin.get(&path).await.json(200)).filter(|progress| progress["state"] != "running");
    let ended = eventually("the change is over", ended).await;
    if long.status == 201 {
        assert_eq!((&ended["state"], &ended["reason"]), (&json!("refused"), &json!("collection.data_loss")), "{ended}");
        assert_eq!(admin.get(ROWS).await.json(200), before);
        assert_eq!(exported(&admin).await.len(), 5_001);
        admin.delete(&format!("/api/records/rows/{}", long.json["id"].as_str().expect("an id"))).await.expect(200);
        admin.patch(ROWS, change()).await.expect(200);
    }
    assert_eq!(exported(&admin).await.len(), 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_meanwhile_has_changed_all_or_nothing() {
    let (mut app, mut admin) = rows(5_000).await;
    let old = exported(&admin).await;
    let mut states = Vec::new();
    for wanted in [0, 400, 2_000, 4_800] {
        let before = admin.get(ROWS).await.json(200);
        let begun = admin.patch(&format!("{ROWS}?wait=false"), change()).await.expect(202);
        let path = begun.expect_header("location").to_owned();
        let far = async || {
            let progress = admin.get(&path).await.json(200);
            (progress["copied"].as_u64() >= Some(wanted) || progress["state"] != "running").then_some(())
        };
        eventually("it is far enough", far).await;
        app.kill9();
        app.restart().await;
        admin = app.admin().await;
        let progress = admin.get(&path).await.json(200);
        let after = admin.get(ROWS).await.json(200);
        let records = exported(&admin).await;
        assert_eq!(records.len(), 5_000);
        states.push(progress["state"].as_str().unwrap_or_default().to_owned());
        match progress["state"].as_str() {
            Some("interrupted") => assert_eq!((after, &records), (before, &old)),
            Some("done") => {
                assert_ne!(after, before);
                assert!(records.iter().all(|record| record["state"] == "new"));
                break;
            }
            _ => panic!("{progress}"),
        }
        // Nobody copies any more, so writes and changes go on as ever.
        let record = admin.create("rows", json!({"number": 1_000_000, "text": "more"})).await;
        admin.delete(&format!("/api/records/rows/{}", record["id"].as_str().expect("an id"))).await.expect(200);
    }
    assert!(states.contains(&"interrupted".to_owned()), "{states:?}");
    if states.last().is_some_and(|state| state == "interrupted") {
        admin.patch(ROWS, change()).await.expect(200);
    }
    assert!(exported(&admin).await.iter().all(|record| record["state"] == "new"));
}

#[tokio::test]
async fn changes_are_for_those_who_may_see_collections() {
    let (app, admin) = rows(10).await;
    admin.patch(&format!("{ROWS}?dry_run=true"), change()).await.expect(200);
    let listed = admin.get(ALTERATIONS).await.list();
    assert_eq!((listed.len(), &listed[0]["state"], &listed[0]["records"]), (1, &json!("tried"), &json!(10)));
    let one = format!("{ALTERATIONS}/{}", listed[0]["id"].as_str().expect("an id"));
    let ann = app.user("ann").await;
    for path in [ALTERATIONS, &one] {
        app.anonymous().get(path).await.problem(401, "auth.required");
        ann.get(path).await.problem(403, "policy.denied");
    }
    admin.get("/api/collections/nope/alterations").await.problem(404, "collection.not_found");
    admin.get(&format!("{ALTERATIONS}/nope")).await.problem(404, "alteration.not_found");
    // What concerns no record is done at once, and no change of that kind.
    admin.patch(&format!("{ROWS}?wait=false"), json!({"description": "rows"})).await.expect(200);
    assert_eq!(admin.get(ALTERATIONS).await.list().len(), 1);
}
