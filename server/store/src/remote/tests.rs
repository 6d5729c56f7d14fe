//! A database behind `ws://`, on the real client and the real engine.

mod server;

use std::time::{Duration, Instant};

use model::{Caller, Collection, Draft, NewRecord, Record, Value, collection::Definition, query::List, validate};

use self::server::{PASSWORD, Server, USER};
use super::Remote;
use crate::{Attempts, Database, Error, Memory, Store, connection::Connection, records, schema};

const ID: &str = "01JZ0000000000000000000001";
const NOW: &str = "2026-01-02T03:04:05.000Z";
const TENANT: &str = model::principal::DEFAULT_TENANT;

async fn open(server: &Server, password: &str) -> Result<Store, Error> {
    let database = Database::Remote { url: server.url(), user: USER.to_owned(), password: password.to_owned() };
    Store::open(&database, Memory::default()).await
}

/// A store that gives up soon.
async fn impatient(server: &Server, silence_max: Duration) -> Store {
    let remote = Remote::open(&server.url(), USER, PASSWORD, "ironrule", silence_max).await.expect("a connection");
    Store::over(Connection::Remote(remote)).await.expect("the system tables")
}

fn posts() -> Collection {
    let definition =
        r#"{"name": "posts", "fields": [{"name": "title", "type": "text", "unique": true}, {"name": "price", "type": "decimal"}]}"#;
    Collection::new(serde_json::from_str::<Definition>(definition).expect("a definition")).expect("a collection")
}

fn draft(title: &str) -> Draft {
    Draft::parse(format!(r#"{{"title": "{title}", "price": "12.50"}}"#).as_bytes()).expect("a draft")
}

fn new(posts: &Collection, id: &str, title: &str) -> NewRecord {
    let stamp = validate::Stamp { id: id.to_owned(), tenant: TENANT.to_owned(), now: NOW.to_owned(), caller: None };
    validate::create(posts, draft(title), stamp).expect("a valid record")
}

fn next(posts: &Collection, stored: &Record, title: &str) -> NewRecord {
    validate::update(posts, stored, draft(title), NOW).expect("a valid record")
}

/// A collection with one post.
async fn seed(store: &Store) -> Collection {
    let posts = posts();
    schema::create_table(store, &posts).await.expect("a table");
    let transaction = store.begin().await.expect("a transaction");
    records::insert(&transaction, &posts, &new(&posts, ID, "first")).await.expect("a record");
    transaction.commit().await.expect("a commit");
    posts
}

async fn title(store: &Store, posts: &Collection) -> Option<Value> {
    let record = records::get(store, posts, TENANT, ID).await.expect("an answer");
    record.map(|record| record.value("title").into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_written_read_listed_and_counted() {
    let server = Server::start().await;
    let store = open(&server, PASSWORD).await.expect("a database made on a server that has none");
    let posts = seed(&store).await;

    let transaction = store.begin().await.expect("a transaction");
    let stored = records::get_locked(&transaction, &posts, TENANT, ID).await.expect("an answer").expect("the record");
    assert_eq!(&stored, new(&posts, ID, "first").record());
    records::update(&transaction, &posts, &next(&posts, &stored, "second")).await.expect("an update");
    assert_eq!(title(&store, &posts).await, Some(Value::from("first")), "seen before the commit");
    transaction.commit().await.expect("a commit");
    assert_eq!(title(&store, &posts).await, Some(Value::from("second")));

    let caller = Caller::system();
    let ground = records::Ground { caller: &caller, now: NOW, guards: &[] };
    let page = records::list(&store, &posts, ground, &List { limit: 10, ..List::default() }).await.expect("a page");
    assert_eq!(page.iter().map(|record| record.version).collect::<Vec<_>>(), [2]);
    assert_eq!(records::count(&store, &posts, ground, None).await.expect("a count"), 1);

    // A server that opens what is there already.
    let again = open(&server, PASSWORD).await.expect("the same database");
    assert_eq!(title(&again, &posts).await, Some(Value::from("second")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_or_dropped_is_not_there() {
    let server = Server::start().await;
    let store = open(&server, PASSWORD).await.expect("a database");
    let posts = seed(&store).await;
    for drops in [false, true] {
        let transaction = store.begin().await.expect("a transaction");
        records::remove(&transaction, &posts, ID).await.expect("a removal");
        if drops {
            drop(transaction)
        } else {
            transaction.rollback().await
        }
        assert_eq!(title(&store, &posts).await, Some(Value::from("first")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_change_a_record_one_conflicts() {
    let server = Server::start().await;
    let store = open(&server, PASSWORD).await.expect("a database");
    let posts = seed(&store).await;
    let (one, other) = (store.begin().await.expect("a transaction"), store.begin().await.expect("a transaction"));
    for (transaction, title) in [(&one, "one"), (&other, "other")] {
        let stored = records::get_locked(transaction, &posts, TENANT, ID).await.expect("an answer").expect("the record");
        records::update(transaction, &posts, &next(&posts, &stored, title)).await.expect("an update");
    }
    one.commit().await.expect("the first commit");
    let error = other.commit().await.expect_err("the second commit");
    assert!(error.is_conflict(), "{error:?}");

    // A lock of what is only read conflicts as well.
    let (reader, writer) = (store.begin().await.expect("a transaction"), store.begin().await.expect("a transaction"));
    let stored = records::get_locked(&reader, &posts, TENANT, ID).await.expect("an answer").expect("the record");
    records::insert(&reader, &posts, &new(&posts, "01JZ0000000000000000000002", "third")).await.expect("a record");
    records::update(&writer, &posts, &next(&posts, &stored, "changed")).await.expect("an update");
    writer.commit().await.expect("the first commit");
    let error = reader.commit().await.expect_err("the second commit");
    assert!(error.is_conflict(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_many_writers_of_a_record_get_their_turn() {
    const WRITERS: u64 = 20;
    let server = Server::start().await;
    let store = open(&server, PASSWORD).await.expect("a database");
    let posts = seed(&store).await;
    let write = async |number: u64| {
        let mut attempts = Attempts::new(&store);
        loop {
            let turn = attempts.turn().await?;
            let transaction = attempts.begin(turn).await?;
            let once = async {
                let stored = records::get_locked(&transaction, &posts, TENANT, ID).await?.expect("the record");
                records::update(&transaction, &posts, &next(&posts, &stored, &number.to_string())).await
            };
            let outcome = match once.await {
                Ok(()) => transaction.commit().await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.is_conflict() && attempts.are_left() => {}
                outcome => return outcome,
            }
        }
    };
    for outcome in futures_util::future::join_all((0..WRITERS).map(write)).await {
        outcome.expect("a write");
    }
    let stored = records::get(&store, &posts, TENANT, ID).await.expect("an answer").expect("the record");
    assert_eq!(stored.version, 1 + WRITERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_values_and_ids_are_told_apart() {
    let server = Server::start().await;
    let store = open(&server, PASSWORD).await.expect("a database");
    let posts = seed(&store).await;
    let attempt = async |id, title| {
        let transaction = store.begin().await.expect("a transaction");
        let outcome = records::insert(&transaction, &posts, &new(&posts, id, title)).await;
        transaction.rollback().await;
        outcome.expect_err("a refusal")
    };
    let unique = attempt("01JZ0000000000000000000002", "first").await;
    let Error::Unique { index } = &unique else { panic!("{unique:?}") };
    assert_eq!(schema::index_fields(&posts, index), ["title"]);
    let exists = attempt(ID, "another").await;
    assert!(matches!(exists, Error::Exists), "{exists:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_a_silent_server_cannot_be_opened() {
    let server = Server::start().await;
    let error = open(&server, "wrong").await.err().expect("a refusal");
    assert!(matches!(error, Error::Open(_)), "{error:?}");

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}", silent.local_addr().expect("its address"));
    let error = Remote::open(&url, USER, PASSWORD, "ironrule", Duration::from_millis(200)).await.err().expect("a refusal");
    assert!(matches!(error, Error::Open(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_is_an_error_until_it_is_back() {
    let mut server = Server::start().await;
    let store = impatient(&server, Duration::from_millis(500)).await;
    let posts = seed(&store).await;
    let (query, commit) = (store.begin().await.expect("a transaction"), store.begin().await.expect("a transaction"));
    records::remove(&commit, &posts, ID).await.expect("a removal");
    server.stop().await;

    let since = Instant::now();
    let error = records::get(&query, &posts, TENANT, ID).await.expect_err("a read without a server");
    assert!(matches!(error, Error::Open(_)), "{error:?}");
    let error = commit.commit().await.expect_err("a commit without a server");
    assert!(matches!(error, Error::Unknown(_)), "{error:?}");
    let error = store.begin().await.err().expect("a transaction without a server");
    assert!(matches!(error, Error::Open(_)), "{error:?}");
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());

    // The SDK tries once in a second.
    server.restart().await;
    let found = loop {
        assert!(since.elapsed() < Duration::from_secs(60), "the connection does not come back");
        match records::get(&store, &posts, TENANT, ID).await {
            Ok(found) => break found,
            Err(error) => assert!(matches!(error, Error::Open(_)), "{error:?}"),
        }
    };
    assert!(found.is_some(), "a removal whose commit failed");
    let transaction = store.begin().await.expect("a transaction");
    let stored = records::get_locked(&transaction, &posts, TENANT, ID).await.expect("an answer").expect("the record");
    records::update(&transaction, &posts, &next(&posts, &stored, "after")).await.expect("an update");
    transaction.commit().await.expect("a commit");
    assert_eq!(title(&store, &posts).await, Some(Value::from("after")));
}
