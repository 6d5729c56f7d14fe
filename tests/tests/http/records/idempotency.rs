//! The header `Idempotency-Key`: a write happens once, however often it is sent, and its answer is the same every time.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Answer, Client, Method};

use super::{THINGS, path, things, things_on};

async fn send(client: &Client, method: Method, path: &str, key: &str, body: &Value) -> Answer {
    let request = client.request(method, path).header("idempotency-key", key);
    if body.is_null() { request.send().await } else { request.json(body).send().await }
}

async fn post(client: &Client, key: &str, body: Value) -> Answer {
    send(client, Method::POST, THINGS, key, &body).await
}

/// Checks that an answer is another one again, byte for byte, and says so.
#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    for name in ["etag", "location", "content-type"] {
        assert_eq!(first.header(name), again.header(name), "`{name}`");
    }
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
}

#[tokio::test]
async fn every_write_can_be_sent_again() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "there", "code": "A", "amount": 0})).await;
    let one = path(&record);
    let writes = [
        (Method::POST, THINGS.to_owned(), json!({"title": "new"})),
        (Method::POST, THINGS.to_owned(), json!([{"title": "new 1"}, {"title": "new 2"}])),
        (Method::POST, format!("{THINGS}?upsert=code"), json!({"code": "A", "amount+": 1})),
        (Method::POST, format!("{THINGS}?upsert=code"), json!([{"code": "A", "amount+": 1}, {"code": "B", "title": "new"}])),
        (Method::PATCH, one.clone(), json!({"amount+": 1})),
        (Method::PUT, one.clone(), json!({"title": "put"})),
        (Method::DELETE, one.clone(), Value::Null),
    ];
    for (number, (method, path, body)) in writes.iter().enumerate() {
        let key = format!("key-{number}");
        let first = send(&admin, method.clone(), path, &key, body).await;
        assert!(first.is_success(), "{first}");
        let before = admin.query(THINGS, &[("sort", "id")]).await.list();
        for _ in 0..3 {
            same(&first, &send(&admin, method.clone(), path, &key, body).await);
        }
        assert_eq!(admin.query(THINGS, &[("sort", "id")]).await.list(), before, "{method} {path} was done again");
    }
    // The record is gone, and the answers that told of it are still what they were.
    let again = send(&admin, Method::PATCH, &one, "key-4", &json!({"amount+": 1})).await.json(200);
    assert_eq!(again["amount"], 3);
}

#[tokio::test]
async fn another_request_under_the_key_is_refused() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "there"})).await;
    let body = json!({"title": "first"});
    post(&admin, "k", body.clone()).await.expect(201);
    let before = admin.get(THINGS).await.list();
    let others = [
        (Method::POST, THINGS.to_owned(), json!({"title": "second"})),
        (Method::POST, format!("{THINGS}?upsert=code"), body.clone()),
        (Method::POST, "/api/records/users".to_owned(), body.clone()),
        (Method::PATCH, path(&record), body.clone()),
        (Method::PUT, path(&record), body.clone()),
        (Method::DELETE, path(&record), Value::Null),
    ];
    for (method, path, body) in others {
        send(&admin, method, &path, "k", &body).await.problem(422, "idempotency.mismatch");
    }
    let guarded = admin.request(Method::POST, THINGS).header("idempotency-key", "k").header("if-match", "*").json(&body);
    guarded.send().await.problem(422, "idempotency.mismatch");
    assert_eq!(admin.get(THINGS).await.list(), before);
}

#[tokio::test]
async fn a_key_belongs_to_whoever_sent_it() {
    let (app, admin) = things().await;
    admin.allow("role:authenticated", "things", "create", "").await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let body = json!({"title": "mine"});
    let first = post(&ann, "k", body.clone()).await.expect(201);
    let other = post(&ben, "k", body.clone()).await.expect(201);
    assert_ne!(first.json["id"], other.json["id"]);
    // The same account in another session is still the same account.
    let again = post(&app.login("ann@test.example", tests::PASSWORD).await, "k", body).await;
    same(&first, &again);
    assert_eq!(admin.get(THINGS).await.list().len(), 2);
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_refused() {
    let (app, admin) = things().await;
    admin.allow("role:anyone", "things", "create", "").await;
    let body = json!({"title": "no"});
    for key in ["", " ", "a b", "x\ty", &"x".repeat(256)] {
        post(&admin, key, body.clone()).await.problem(400, "idempotency.key");
    }
    post(&app.anonymous(), "k", body.clone()).await.problem(400, "idempotency.key");
    let twice = admin.request(Method::POST, THINGS).header("idempotency-key", "a").header("idempotency-key", "b").json(&body);
    twice.send().await.problem(400, "idempotency.key");
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
    post(&admin, &"~".repeat(255), body).await.expect(201);
}

#[tokio::test]
async fn what_was_refused_can_be_sent_again() {
    let (_app, admin) = things().await;
    admin.create("things", json!({"title": "taken", "code": "A"})).await;
    let body = json!({"title": "wants", "code": "A"});
    post(&admin, "k", body.clone()).await.problem(409, "record.unique");
    post(&admin, "k", json!({"title": "x"})).await.problem(422, "record.invalid");
    let taken = admin.query(THINGS, &[("filter", "code == 'A'")]).await.list();
    admin.delete(&path(&taken[0])).await.expect(200);
    let first = post(&admin, "k", body.clone()).await.expect(201);
    same(&first, &post(&admin, "k", body).await);
}

#[tokio::test]
async fn rights_that_are_gone_change_no_answer() {
    let (app, admin) = things().await;
    let policy = admin.allow("role:authenticated", "things", "create", "").await;
    let ann = app.user("ann").await;
    let first = post(&ann, "k", json!({"title": "was allowed"})).await.expect(201);
    admin.delete(&format!("/api/policies/{policy}")).await;
    post(&ann, "other", json!({"title": "is not"})).await.problem(403, "policy.denied");
    same(&first, &post(&ann, "k", json!({"title": "was allowed"})).await);
}

#[tokio::test]
async fn of_many_with_one_key_one_writes() {
    let (_app, admin) = things().await;
    for round in 0..5 {
        let (key, body) = (format!("round {round}").replace(' ', "-"), json!({"title": format!("round {round}")}));
        let answers = join_all((0..16).map(|_| post(&admin, &key, body.clone()))).await;
        let first: Vec<&Answer> =
            answers.iter().filter(|answer| answer.status == 201 && answer.header("idempotency-replayed").is_none()).collect();
        assert_eq!(first.len(), 1, "round {round}");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            answer.clone().problem(409, "idempotency.in_flight");
            assert!(answer.header("retry-after").is_some(), "{answer}");
        }
        for answer in answers.iter().filter(|answer| answer.status == 201) {
            assert_eq!(answer.text, first[0].text, "round {round}");
        }
        same(first[0], &post(&admin, &key, body).await);
        assert_eq!(admin.get(THINGS).await.list().len(), round + 1);
    }
}

/// How many write when the server is killed.
const WRITERS: usize = 96;

#[tokio::test]
async fn a_crash_does_not_write_twice_what_is_sent_again() {
    let (mut app, mut admin) = things_on(tests::TestApp::on_disk().await).await;
    let mut unanswered = 0;
    for round in 0..4 {
        let body = |number: usize| json!({"title": format!("{round}-{number}"), "amount": number});
        let key = |number: usize| format!("{round}-{number}");
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let request = admin.request(Method::POST, THINGS).header("idempotency-key", &key(number)).json(&body(number));
                tokio::spawn(async move { request.try_send().await.ok() })
            })
            .collect();
        let some = async || {
            let counted = admin.query(THINGS, &[("count", "exact"), ("limit", "1")]).await;
            let count: usize = counted.expect_header("x-total-count").parse().expect("a number");
            (count > WRITERS * round).then_some(())
        };
        tests::eventually("some are written", some).await;
        app.kill9();
        let answers: Vec<Option<Answer>> = join_all(writers).await.into_iter().map(|writer| writer.expect("it was sent")).collect();
        app.restart().await;
        admin = app.admin().await;
        for (number, before) in answers.iter().enumerate() {
            let again = post(&admin, &key(number), body(number)).await.expect(201);
            match before {
                Some(before) => same(before, &again),
                None => unanswered += 1,
            }
        }
        let stored = admin.query(THINGS, &[("limit", "1000")]).await.list();
        let mut titles: Vec<&str> = stored.iter().filter_map(|record| record["title"].as_str()).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(
            (titles.len(), stored.len()),
            (WRITERS * (round + 1), WRITERS * (round + 1)),
            "round {round}: something was written twice or not at all"
        );
    }
    assert!(unanswered > 0, "no write was under way when the server was killed");
}
