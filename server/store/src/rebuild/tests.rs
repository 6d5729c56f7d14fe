//! What the copying of records rests on: walks that meet every record once, marks that go with writes, and a switch that no write passes.

use model::{Draft, NewRecord, collection::Definition, collection::Place, validate};

use super::*;
use crate::{Database, Memory, Store, catalog, records};

const NOW: &str = "2026-11-22T10:00:00.000000Z";

async fn store() -> Store {
    Store::open(&Database::Memory, Memory { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20 }).await.expect("a store")
}

fn rows(table: &str, marks: Option<&str>) -> Collection {
    let definition = r#"{"name":"rows","fields":[{"name":"code","type":"text","unique":true},{"name":"price","type":"decimal"}]}"#;
    let definition: Definition = serde_json::from_str(definition).expect("a definition");
    let place = Place { table: table.to_owned(), marks: marks.map(str::to_owned) };
    Collection::new(definition).expect("a collection").kept_in(place)
}

fn id(number: usize) -> String {
    format!("01ARZ3NDEKTSV4RRFFQ6{number:06}")
}

fn row(tenant: &str, number: usize, code: &str) -> NewRecord {
    let draft = Draft::parse(format!(r#"{{"code":"{code}","price":"1.50"}}"#).as_bytes()).expect("a draft");
    let stamp = validate::Stamp { id: id(number), tenant: tenant.to_owned(), now: NOW.to_owned(), caller: None };
    validate::create(&rows("rows-1", None), draft, stamp).expect("a record")
}

/// The collection in its first place, with records of three tenants.
async fn seeded(counts: [usize; 3]) -> (Store, Collection) {
    let (store, rows) = (store().await, rows("rows-1", None));
    schema::create_table(&store, &rows).await.expect("a table");
    let mut number = 0;
    for (tenant, count) in ["a", "b", "c"].into_iter().zip(counts) {
        for _ in 0..count {
            records::insert(&store, &rows, &row(tenant, number, &format!("c{number}"))).await.expect("a record");
            number += 1;
        }
    }
    (store, rows)
}

#[tokio::test]
async fn a_walk_meets_every_record_of_every_tenant_once() {
    for counts in [[0, 0, 0], [5, 0, 3], [4, 4, 4], [1, 7, 1]] {
        let (store, rows) = seeded(counts).await;
        for limit in [1, 3, 4, 100] {
            let (mut found, mut position) = (Vec::new(), Position::default());
            loop {
                let page = scan(&store, &rows, &position, limit).await.expect("a page");
                let Some(last) = page.last() else { break };
                position = Position::behind(last);
                assert!(page.len() <= limit);
                found.extend(page.into_iter().map(|record| record.id));
            }
            let all: usize = counts.iter().sum();
            assert_eq!(found, (0..all).map(id).collect::<Vec<_>>(), "{counts:?} by {limit}");
            assert_eq!(count(&store, &rows).await.expect("a count"), all as u64);
        }
    }
}

#[tokio::test]
async fn copies_are_equal_and_unique() {
    let (store, before) = seeded([3, 0, 0]).await;
    let after = rows("rows-2", None);
    begin(&store, &after, "marks-2").await.expect("tables");
    let page = scan(&store, &before, &Position::default(), 10).await.expect("a page");
    copy(&store, &after, &page).await.expect("copies");
    assert_eq!(scan(&store, &after, &Position::default(), 10).await.expect("a page"), page);
    let again = row("a", 9, "c1").into_record();
    assert!(matches!(copy(&store, &after, std::slice::from_ref(&again)).await, Err(Error::Unique { .. })));
    assert_eq!(holder(&store, &after, &["code"], &again).await.expect("an answer"), Some(id(1)));
    let other = row("b", 9, "c1").into_record();
    copy(&store, &after, &[other]).await.expect("another tenant may have the same");
    // What was taken away is to be copied again.
    evict(&store, &after, "marks-2", &id(1)).await.expect("it goes");
    assert_eq!(marks(&store, "marks-2", 10).await.expect("marks"), [id(1)]);
    replace(&store, &after, ("marks-2", &[id(1)]), &[], &page[1..2]).await.expect("it comes back");
    assert_eq!(marks(&store, "marks-2", 10).await.expect("marks"), [""; 0]);
    assert_eq!(current(&store, &after, &[id(0), id(1), id(7)]).await.expect("records"), page[..2]);
    remove_table(&store, "rows-1").await.expect("it goes");
    remove_table(&store, "rows-1").await.expect("twice");
    assert_eq!(scan(&store, &after, &Position::default(), 10).await.expect("a page").len(), 4);
}

#[tokio::test]
async fn a_write_and_the_switch_exclude_each_other() {
    let (store, before) = seeded([2, 0, 0]).await;
    let (watched, after) = (rows("rows-1", Some("marks-2")), rows("rows-2", None));
    begin(&store, &after, "marks-2").await.expect("tables");
    catalog::put(&store, &watched).await.expect("a definition");
    // Two that write different records are in nobody's way, and leave their marks.
    let (one, two) = (store.begin().await.expect("one"), store.begin().await.expect("two"));
    records::insert(&one, &watched, &row("a", 5, "five")).await.expect("a record");
    records::remove(&two, &watched, &id(0)).await.expect("it goes");
    one.commit().await.expect("the one");
    two.commit().await.expect("the other");
    let mut marked = marks(&store, "marks-2", 10).await.expect("marks");
    marked.sort();
    assert_eq!(marked, [id(0), id(5)]);
    // One that has begun before the switch does not come after it.
    let late = store.begin().await.expect("late");
    records::insert(&late, &watched, &row("a", 6, "six")).await.expect("a record");
    let switch = store.begin().await.expect("the switch");
    close(&switch, "marks-2").await.expect("closed");
    catalog::put(&switch, &after).await.expect("a definition");
    switch.commit().await.expect("the switch");
    assert!(matches!(late.commit().await, Err(Error::Conflict)));
    // Nor does one that has not heard of it.
    let stale = store.begin().await.expect("stale");
    assert!(matches!(records::insert(&stale, &watched, &row("a", 7, "seven")).await, Err(Error::Conflict)));
    stale.rollback().await;
    remove_table(&store, "marks-2").await.expect("it goes");
    let stale = store.begin().await.expect("stale");
    assert!(records::insert(&stale, &watched, &row("a", 8, "eight")).await.is_err());
    stale.rollback().await;
    let ids: Vec<String> = scan(&store, &before, &Position::default(), 10).await.expect("a page").into_iter().map(|one| one.id).collect();
    assert_eq!(ids, [id(1), id(5)]);
}

#[tokio::test]
async fn a_mark_that_is_there_already_is_left_again() {
    let (store, _) = seeded([1, 0, 0]).await;
    let (watched, after) = (rows("rows-1", Some("marks-2")), rows("rows-2", None));
    begin(&store, &after, "marks-2").await.expect("tables");
    let next = |code: &str| row("a", 0, code);
    records::update(&store, &watched, &next("one")).await.expect("a first write");
    let writing = store.begin().await.expect("writing");
    records::update(&writing, &watched, &next("two")).await.expect("a second write");
    let copying = store.begin().await.expect("copying");
    let found = current(&copying, &watched, &[id(0)]).await.expect("the first one");
    replace(&copying, &after, ("marks-2", &[id(0)]), &[id(0)], &found).await.expect("copied");
    copying.commit().await.expect("it comes first");
    assert!(matches!(writing.commit().await, Err(Error::Conflict)), "or the copy would stay as it is");
    // Many at once leave as many marks.
    let many: Vec<NewRecord> = (10..20).map(|number| row("a", number, &format!("c{number}"))).collect();
    records::insert_all(&store, &watched, &many).await.expect("records");
    let mut marked = marks(&store, "marks-2", 100).await.expect("marks");
    marked.sort();
    assert_eq!(marked, (10..20).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mark_is_not_worked_off_while_its_record_is_written() {
    let (store, _) = seeded([1, 0, 0]).await;
    let (watched, after) = (rows("rows-1", Some("marks-2")), rows("rows-2", None));
    begin(&store, &after, "marks-2").await.expect("tables");
    records::remove(&store, &watched, &id(0)).await.expect("it goes");
    let writing = store.begin().await.expect("writing");
    records::insert(&writing, &watched, &row("a", 0, "again")).await.expect("a record");
    let copying = store.begin().await.expect("copying");
    let ids = marks(&copying, "marks-2", 10).await.expect("marks");
    let found = current(&copying, &watched, &ids).await.expect("records");
    assert_eq!((ids.len(), found.len()), (1, 0));
    replace(&copying, &after, ("marks-2", &ids), &ids, &found).await.expect("copied");
    writing.commit().await.expect("the write");
    assert!(matches!(copying.commit().await, Err(Error::Conflict)));
    assert_eq!(marks(&store, "marks-2", 10).await.expect("marks"), [id(0)]);
}
