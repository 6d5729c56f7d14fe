//! `GET /api/records/{collection}`: filter, sort, fields, count, and what is wrong with parameters. Pages are in `pages`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{THINGS, things};

/// Five things, sorted by title.
pub async fn five() -> (TestApp, Client) {
    let (app, admin) = things().await;
    let records = [
        json!({"title": "apple", "amount": 10, "secret": "sesame", "price": "9.50", "ratio": 0.5, "active": true, "state": "new", "tags": ["x"], "day": "2026-01-01", "at": "2026-01-01T10:00:00Z", "data": {"n": 1}}),
        json!({"title": "banana", "amount": 9, "price": "10.00", "ratio": -0.5, "active": false, "state": "done", "tags": ["x", "y"], "day": "2026-01-02", "at": "2026-01-01T10:00:00.5Z", "data": {"n": 2}}),
        json!({"title": "cherry", "amount": 100, "price": "9.5", "active": true, "state": "done", "origin": "it's \"here\" \\ 100%", "data": {"n": 3}}),
        json!({"title": "damson", "amount": null, "price": "0.10"}),
        json!({"title": "élan", "amount": 11, "price": "0.05", "at": "2026-01-01T11:00:00+02:00"}),
    ];
    for record in records {
        admin.create("things", record).await;
    }
    (app, admin)
}

pub fn initials(records: &[Value]) -> String {
    records.iter().filter_map(|record| record["title"].as_str()?.chars().next()).collect()
}

#[tokio::test]
async fn a_filter_selects() {
    let (_app, admin) = five().await;
    let cases = [
        ("amount > 9", "acé"),
        ("amount >= 9 && amount <= 11", "abé"),
        ("amount == 10 || title == 'damson'", "ad"),
        ("amount == null", "d"),
        ("has(amount)", "abcé"),
        ("!has(amount)", "d"),
        ("amount != 10", "bcé"),
        ("!(amount == 10)", "bcé"),
        ("price > '9.5'", "b"),
        ("price == 9.5", "ac"),
        ("price < 10", "acdé"),
        ("ratio < 0", "b"),
        ("active", "ac"),
        ("active == false", "b"),
        ("!active", "b"),
        ("state == 'done' && active", "c"),
        ("state in ['new', 'done']", "abc"),
        ("'y' in tags", "b"),
        ("title.startsWith('b')", "b"),
        ("title.endsWith('y')", "c"),
        ("title.contains('a')", "abdé"),
        ("title == 'élan'", "é"),
        ("title > 'banana'", "cdé"),
        ("day >= '2026-01-02'", "b"),
        ("at > '2026-01-01T10:00:00Z'", "b"),
        ("at < timestamp('2026-01-01T10:00:00Z')", "é"),
        ("data.n >= 2", "bc"),
        (r#"origin == 'it\'s "here" \\ 100%'"#, "c"),
        ("origin.contains('%')", "c"),
        ("created <= now", "abcdé"),
        ("created > now", ""),
        ("title == 'x\\' || true || title == \\'x'", ""),
        ("true", "abcdé"),
        ("false", ""),
    ];
    for (filter, expected) in cases {
        let records = admin.query(THINGS, &[("filter", filter), ("sort", "title")]).await.list();
        assert_eq!(initials(&records), expected, "filter `{filter}`");
        let counted = admin.query(THINGS, &[("filter", filter), ("count", "exact"), ("limit", "1")]).await.expect(200);
        let count = expected.chars().count().to_string();
        assert_eq!(counted.expect_header("x-total-count"), count, "filter `{filter}`");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_refused() {
    let (_app, admin) = five().await;
    let deep = format!("{}true{}", "(".repeat(100), ")".repeat(100));
    let long = format!("title == '{}'", "x".repeat(5_000));
    let cases = [
        "title ==",
        "title = 'x'",
        "title == \"x",
        "nope == 1",
        "title.nope == 1",
        "title == 1",
        "amount == 'ten'",
        "active > true",
        "state == 'old'",
        "day == 'yesterday'",
        "title like 'x'",
        "title == 'x'; DROP TABLE things",
        "title == 'x' -- comment",
        "title == 'x' /* comment */",
        "count() > 0",
        "record",
        "1 == 1 == 1",
        "_tenant == 'main'",
        "\u{0}",
        &deep,
        &long,
    ];
    for filter in cases {
        let answer = admin.query(THINGS, &[("filter", filter)]).await;
        answer.problem(400, "query.invalid").errors(&["/filter query.filter"]);
    }
}

#[tokio::test]
async fn a_filter_on_a_secret_field_is_refused() {
    let (_app, admin) = five().await;
    for (name, value) in [("filter", "secret == 'x'"), ("filter", "has(secret)"), ("sort", "secret"), ("sort", "-secret")] {
        let problem = admin.query(THINGS, &[(name, value)]).await.any_problem();
        assert!([400, 403].contains(&problem.answer.status), "{}", problem.answer);
        problem.at(&format!("/{name}"));
    }
}

#[tokio::test]
async fn a_list_is_sorted() {
    let (_app, admin) = five().await;
    let cases = [
        ("title", "abcdé"),
        ("-title", "édcba"),
        ("-price,title", "bacdé"),
        ("-price,-title", "bcadé"),
        ("created", "abcdé"),
        ("-created", "édcba"),
        ("id", "abcdé"),
        ("-id", "édcba"),
    ];
    for (sort, expected) in cases {
        let records = admin.query(THINGS, &[("sort", sort)]).await.list();
        assert_eq!(initials(&records), expected, "sort `{sort}`");
    }
    // Numbers as numbers, not as text; where nulls stand is not promised.
    let by_amount = admin.query(THINGS, &[("sort", "amount"), ("filter", "has(amount)")]).await.list();
    assert_eq!(initials(&by_amount), "baéc");
    assert_eq!(initials(&admin.get(THINGS).await.list()), "édcba", "newest first, unless said otherwise");
}

#[tokio::test]
async fn a_sort_that_cannot_be_is_refused() {
    let (_app, admin) = five().await;
    for sort in ["nope", "title,nope", "--title", "title,,amount", "data", "tags", "title desc", "title,title"] {
        let problem = admin.query(THINGS, &[("sort", sort)]).await.problem(400, "query.invalid");
        problem.errors(&["/sort query.sort"]);
    }
}

#[tokio::test]
async fn only_the_wanted_fields_are_sent() {
    let (_app, admin) = five().await;
    let records = admin.query(THINGS, &[("fields", "title,price"), ("sort", "title")]).await.list();
    let names: BTreeSet<&str> = records[0].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["id", "title", "price"]));
    admin.query(THINGS, &[("fields", "title,nope")]).await.problem(400, "query.invalid").at("/fields");
    let hidden = admin.query(THINGS, &[("fields", "title,secret")]).await;
    assert!(hidden.status < 500 && !hidden.text.contains("sesame"), "{hidden}");
}

#[tokio::test]
async fn the_total_is_counted_on_demand() {
    let (_app, admin) = five().await;
    let counted = admin.query(THINGS, &[("count", "exact"), ("limit", "2")]).await.expect(200);
    assert_eq!(counted.expect_header("x-total-count"), "5");
    assert!(counted.expect_header("content-range").ends_with("/5"), "{counted}");
    assert_eq!(counted.list().len(), 2);
    for query in [vec![], vec![("count", "none")]] {
        let answer = admin.query(THINGS, &query).await.expect(200);
        assert!(answer.header("x-total-count").is_none(), "{answer}");
    }
    let empty = admin.query(THINGS, &[("count", "exact"), ("filter", "false")]).await.expect(200);
    assert_eq!(empty.expect_header("x-total-count"), "0");
    assert_eq!(empty.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_total_counts_what_was_written_and_deleted_since() {
    let (_app, admin) = five().await;
    let total = async || admin.query(THINGS, &[("count", "exact")]).await.expect_header("x-total-count").to_owned();
    let record = admin.create("things", json!({"title": "sixth"})).await;
    assert_eq!(total().await, "6");
    admin.delete(&super::path(&record)).await.expect(200);
    assert_eq!(total().await, "5");
}

#[tokio::test]
async fn unknown_parameters_are_refused_by_name() {
    let (_app, admin) = five().await;
    for name in ["nope", "Filter", "page", "include", "where", "$filter", "q"] {
        let problem = admin.query(THINGS, &[(name, "1")]).await.problem(400, "query.invalid");
        problem.errors(&[&format!("/{name} query.unknown")]);
    }
    admin.query(THINGS, &[("nope", "1"), ("limit", "x")]).await.problem(400, "query.invalid").at("/nope");
    let problem = admin.query(THINGS, &[("limit", "x"), ("sort", "nope"), ("filter", "=")]).await.problem(400, "query.invalid");
    problem.errors(&["/limit query.value", "/sort query.sort", "/filter query.filter"]);
}

#[tokio::test]
async fn unreadable_values_are_refused_by_name() {
    let (_app, admin) = five().await;
    let cases = [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "1001"),
        ("limit", "ten"),
        ("limit", "1.5"),
        ("limit", "99999999999999999999"),
        ("offset", "-1"),
        ("offset", "x"),
        ("count", "maybe"),
        ("count", "EXACT"),
    ];
    for (name, value) in cases {
        let problem = admin.query(THINGS, &[(name, value)]).await.problem(400, "query.invalid");
        problem.errors(&[&format!("/{name} query.value")]);
    }
}

#[tokio::test]
async fn a_parameter_is_given_once() {
    let (_app, admin) = five().await;
    let problem = admin.query(THINGS, &[("filter", "false"), ("filter", "true")]).await.problem(400, "query.invalid");
    problem.at("/filter");
}
