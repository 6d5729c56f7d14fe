//! Parameters that are named after fields: `amount_gte=5` beside what `filter` can say.

use std::collections::BTreeSet;

use serde_json::json;
use tests::TestApp;

use super::{
    THINGS, id,
    list::{five, initials},
};

#[tokio::test]
async fn parameters_of_fields_select() {
    let (_app, admin) = five().await;
    let cases: [(&[(&str, &str)], &str); 38] = [
        (&[("title", "apple")], "a"),
        (&[("title", "apple"), ("title", "banana")], "ab"),
        (&[("title", "Apple")], ""),
        (&[("title", "apple' || true || 'x")], ""),
        (&[("title", "null")], ""),
        (&[("title_ne", "apple")], "bcdé"),
        (&[("title_ne", "apple"), ("title_ne", "banana")], "cdé"),
        (&[("title_in", "apple,damson")], "ad"),
        (&[("title_like", "an")], "bé"),
        (&[("title_like", "AN")], ""),
        (&[("title_gt", "banana")], "cdé"),
        (&[("title_gt", "banana"), ("title_lt", "d")], "c"),
        (&[("amount", "10")], "a"),
        (&[("amount_ne", "10")], "bcé"),
        (&[("amount_gt", "9")], "acé"),
        (&[("amount_gte", "9"), ("amount_lte", "11")], "abé"),
        (&[("amount_in", "9,10"), ("amount_in", "11")], "abé"),
        (&[("amount_null", "true")], "d"),
        (&[("amount_null", "false")], "abcé"),
        (&[("price", "9.5")], "ac"),
        (&[("price_gt", "9.5")], "b"),
        (&[("price_lt", "10")], "acdé"),
        (&[("ratio_lt", "0")], "b"),
        (&[("ratio", "5e-1")], "a"),
        (&[("active", "true")], "ac"),
        (&[("active", "false")], "b"),
        (&[("active_ne", "true")], "b"),
        (&[("state", "done")], "bc"),
        (&[("state_in", "new,done")], "abc"),
        (&[("tags", "y")], "b"),
        (&[("tags", "x")], "ab"),
        (&[("tags_in", "y,z")], "b"),
        (&[("tags_ne", "y")], "a"),
        (&[("day_gte", "2026-01-02")], "b"),
        (&[("at_lt", "2026-01-01T10:00:00Z")], "é"),
        (&[("data_null", "true")], "dé"),
        (&[("state", "done"), ("filter", "active || amount < 10"), ("title_like", "a")], "b"),
        // What is empty is absent.
        (&[("title", ""), ("amount_gte", " "), ("sort", ""), ("filter", ""), ("limit", ""), ("cursor", ""), ("expand", "")], "abcdé"),
    ];
    for (parameters, expected) in cases {
        let query: Vec<(&str, &str)> = parameters.iter().copied().chain([("count", "exact")]).collect();
        let answer = admin.query(THINGS, &query).await.expect(200);
        assert_eq!(answer.expect_header("x-total-count"), expected.chars().count().to_string(), "{parameters:?}");
        let mut records = answer.list();
        records.sort_by_key(|record| record["title"].as_str().map(str::to_owned));
        assert_eq!(initials(&records), expected, "{parameters:?}");
    }
}

#[tokio::test]
async fn records_are_named_by_their_ids() {
    let (_app, admin) = five().await;
    for number in 0..40 {
        admin.create("things", json!({"title": format!("more {number}")})).await;
    }
    let all = admin.query(THINGS, &[("limit", "1000")]).await.list();
    let ids: Vec<&str> = all.iter().map(id).collect();
    // All of them, though a page has 30 unless somebody says otherwise.
    let query: Vec<(&str, &str)> = ids.iter().map(|id| ("id", *id)).collect();
    assert_eq!(admin.query(THINGS, &query).await.list().len(), 45);
    let some = admin.query(THINGS, &[("id_in", &ids[..3].join(",")), ("sort", "id")]).await.list();
    assert_eq!(some.iter().map(id).collect::<Vec<_>>(), [ids[2], ids[1], ids[0]]);
    assert_eq!(admin.query(THINGS, &[("id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("id", ids[0])]).await.list().len(), 1);
    assert_eq!(admin.query(THINGS, &[("id", "nothing")]).await.list().len(), 0);
    let both = admin.query(THINGS, &[("filter", &format!("id == '{}' && title == 'apple'", ids[0])), ("count", "exact")]).await;
    assert_eq!(both.expect_header("x-total-count"), "0");
}

#[tokio::test]
async fn values_that_cannot_be_read_are_refused_by_name() {
    let (_app, admin) = five().await;
    let cases = [
        ("amount", "ten"),
        ("amount", "1.5"),
        ("amount", "99999999999999999999"),
        ("amount_in", "1,,2"),
        ("amount_null", "yes"),
        ("ratio_gt", "NaN"),
        ("price", "cheap"),
        ("active", "1"),
        ("at_gte", "yesterday"),
        ("at", "2026-01-01"),
        ("day", "2026-02-30"),
        ("state", "old"),
        ("tags_in", "x,old"),
        ("title", "a\0b"),
        ("title_like", "\0"),
    ];
    for (name, value) in cases {
        admin.query(THINGS, &[(name, value)]).await.problem(400, "query.invalid").errors(&[&format!("/{name} query.value")]);
    }
    for name in [
        "nope_gte",
        "title_",
        "title_nope",
        "active_gt",
        "tags_like",
        "data",
        "data_in",
        "id_null",
        "created_null",
        "secret",
        "secret_null",
    ] {
        admin.query(THINGS, &[(name, "x")]).await.problem(400, "query.invalid").errors(&[&format!("/{name} query.unknown")]);
    }
    // Names that are wrong are wrong even without a value.
    admin.query(THINGS, &[("nope", "")]).await.problem(400, "query.invalid").at("/nope");
    let twice = admin.query(THINGS, &[("amount_gt", "1"), ("amount_gt", "2")]).await.problem(400, "query.invalid");
    twice.errors(&["/amount_gt query.value"]);
    let all =
        admin.query(THINGS, &[("amount", "x"), ("nope", "1"), ("price_gt", "y"), ("filter", "=")]).await.problem(400, "query.invalid");
    all.errors(&["/amount query.value", "/nope query.unknown", "/price_gt query.value", "/filter query.filter"]);
    let many: Vec<(&str, &str)> = vec![("amount", "1"); 1_001];
    admin.query(THINGS, &many).await.problem(400, "query.invalid").at("/amount");
}

#[tokio::test]
async fn the_exact_name_of_a_field_wins() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let fields = json!([
        {"name": "price", "type": "integer"}, {"name": "price_gte", "type": "text"}, {"name": "limit", "type": "integer"},
        {"name": "title", "type": "text"}
    ]);
    admin.collection("things", fields).await;
    admin.create("things", json!({"title": "a", "price": 5, "price_gte": "x", "limit": 1})).await;
    admin.create("things", json!({"title": "b", "price": 9, "price_gte": "y", "limit": 2})).await;
    let found = async |query: &[(&str, &str)]| initials(&admin.query(THINGS, query).await.list());
    assert_eq!(found(&[("price_gte", "x")]).await, "a");
    assert_eq!(found(&[("price_gt", "5")]).await, "b");
    // The names of the list's own parameters are theirs; such a field is reached in other ways.
    assert_eq!(found(&[("limit", "1")]).await, "b");
    assert_eq!(found(&[("limit_lte", "1")]).await, "a");
    assert_eq!(found(&[("filter", "limit == 1")]).await, "a");
}

#[tokio::test]
async fn what_cannot_be_read_cannot_be_asked_for() {
    let (app, admin) = five().await;
    let ann = app.user("ann").await;
    admin.allow("role:authenticated", "things", "read", "").await;
    let closed = json!({"subject": "role:authenticated", "object": "things", "action": "read", "fields": "price tags", "effect": "deny"});
    admin.policy(closed).await;
    for name in ["price", "price_gt", "price_in", "price_null"] {
        let value = if name == "price_null" { "true" } else { "1" };
        ann.query(THINGS, &[(name, value)]).await.problem(403, "field.unreadable").unreadable(name);
    }
    ann.query(THINGS, &[("tags", "x"), ("title", "apple")]).await.problem(403, "field.unreadable").unreadable("tags");
    assert_eq!(initials(&ann.query(THINGS, &[("title", "apple")]).await.list()), "a");
}

#[tokio::test]
async fn parameters_of_fields_turn_pages() {
    let (_app, admin) = five().await;
    let first = admin.query(THINGS, &[("amount_null", "false"), ("sort", "-title"), ("limit", "3")]).await.expect(200);
    let link = first.expect_header("link").to_owned();
    let next = &link[link.find("/api/").expect("a link")..link.find('>').expect("a link")];
    let second = admin.get(next).await.list();
    assert_eq!((initials(&first.list()), initials(&second)), ("écb".to_owned(), "a".to_owned()));
}

#[tokio::test]
async fn the_document_has_the_parameters_of_every_field() {
    let (_app, admin) = five().await;
    let document = admin.get("/openapi.json").await.json(200);
    let parameters = document["paths"][THINGS]["get"]["parameters"].as_array().cloned().expect("parameters");
    let of = |name: &str| parameters.iter().find(|one| one["name"] == name).map(|one| one["schema"].clone()).unwrap_or_default();
    assert_eq!(of("amount_gte"), json!({"type": "integer", "format": "int64"}));
    assert_eq!(of("active"), json!({"type": "boolean"}));
    assert_eq!(of("at_lt"), json!({"type": "string", "format": "date-time"}));
    assert_eq!(of("state"), json!({"type": "string", "enum": ["new", "done"]}));
    assert_eq!(of("tags_null"), json!({"type": "boolean"}));
    assert_eq!(of("amount_in")["items"], json!({"type": "integer", "format": "int64"}));
    for absent in ["secret", "data", "data_gt", "active_gt", "state_like", "id_null", "tags_gt"] {
        assert!(of(absent).is_null(), "{absent}");
    }
    let names: BTreeSet<&str> = parameters.iter().filter_map(|one| one["name"].as_str()).collect();
    let written: usize = parameters.iter().map(|one| one.to_string().len()).sum();
    assert!(names.len() > 80 && written < 16_000, "{} parameters in {written} bytes", names.len());
}

/// Each may nest as deep as the database parses; both together still do.
#[tokio::test]
async fn a_deep_filter_goes_with_many_parameters() {
    let (app, admin) = five().await;
    let ann = app.user("ann").await;
    let deep = (0..11).fold("title == 'apple'".to_owned(), |inner, level| {
        let (operator, other) = if level % 2 == 0 { ("||", "title == 'nothing'") } else { ("&&", "title != 'nothing'") };
        format!("({inner} {operator} {other})")
    });
    admin.allow("role:authenticated", "things", "read", &deep.replace("title", "record.title")).await;
    let numbers: Vec<String> = (100..148).map(|number| number.to_string()).collect();
    let mut query: Vec<(&str, &str)> = numbers.iter().map(|number| ("amount_ne", number.as_str())).collect();
    query.extend([("filter", deep.as_str()), ("tags_in", "x,y,z"), ("count", "exact")]);
    for client in [&admin, &ann] {
        let answer = client.query(THINGS, &query).await.expect(200);
        assert_eq!(answer.expect_header("x-total-count"), "1");
        assert_eq!(initials(&answer.list()), "a");
    }
    let mut names: Vec<String> = Vec::new();
    for field in ["title", "code", "mail", "site", "origin", "amount"] {
        names.extend(["", "_ne", "_gt", "_gte", "_lt", "_lte", "_in", "_null"].map(|end| format!("{field}{end}")));
        names.extend((field != "amount").then(|| format!("{field}_like")));
    }
    let value = |name: &String| if name.ends_with("_null") { "true" } else { "1" };
    let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value(name))).collect();
    admin.query(THINGS, &all).await.problem(400, "query.invalid").errors(&[&format!("/{} query.limit", names[50])]);
    assert_eq!(admin.query(THINGS, &all[..50]).await.list().len(), 0);
    // Some clients send every parameter there is, most of them empty.
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(admin.query(THINGS, &empty).await.list().len(), 5);
}
