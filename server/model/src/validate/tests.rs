//! Drafts against a collection with a field of every type.

use super::*;
use crate::collection::Definition;

fn collection() -> Collection {
    let definition: Definition = serde_json::from_str(
        r#"{"name":"things","fields":[
            {"name":"title","type":"text","required":true,"min":2,"max":5,"pattern":"^[a-z]+$"},
            {"name":"mail","type":"email"},
            {"name":"site","type":"url"},
            {"name":"count","type":"integer","min":0,"default":1},
            {"name":"ratio","type":"number","max":1},
            {"name":"price","type":"decimal","min":0},
            {"name":"cost","type":"decimal","scale":2},
            {"name":"on","type":"bool"},
            {"name":"at","type":"datetime"},
            {"name":"day","type":"date"},
            {"name":"kind","type":"select","values":["a","b"]},
            {"name":"tags","type":"select","values":["x","y","z"],"many":true,"max":2},
            {"name":"data","type":"json","schema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}},
            {"name":"owner","type":"relation","collection":"users","immutable":true}
        ]}"#,
    )
    .expect("definition");
    Collection::new(definition).expect("collection")
}

fn stamp() -> Stamp {
    Stamp { id: "01".into(), tenant: "main".into(), now: "2026-11-22T00:00:00.000000Z".into(), caller: None }
}

fn check(draft: &str, expected: Result<&str, &[&str]>) {
    let result = create(&collection(), Draft::parse(draft.as_bytes()).expect("draft"), stamp());
    match (result, expected) {
        (Ok(new), Ok(part)) => {
            let json = Value::Object(new.into_record().values).to_json();
            assert!(json.contains(part), "{json} lacks {part}");
        }
        (Err(violations), Err(expected)) => {
            let found: Vec<_> = violations.0.iter().map(|one| format!("{} {}", one.pointer.as_str(), one.code)).collect();
            assert_eq!(found, expected, "{draft}");
        }
        (result, _) => panic!("{draft}: {result:?}"),
    }
}

#[test]
fn values_are_converted() {
    check(r#"{"title":"abc"}"#, Ok(r#""count":1"#));
    check(r#"{"title":"abc","price":"4.50"}"#, Ok(r#""price":"4.50""#));
    check(r#"{"title":"abc","cost":"4.5"}"#, Ok(r#""cost":"4.50""#));
    check(r#"{"title":"abc","price":4.5}"#, Ok(r#""price":"4.5""#));
    check(r#"{"title":"abc","cost":"4.505"}"#, Err(&["/cost field.scale"]));
    check(r#"{"title":"abc","count":3.0}"#, Ok(r#""count":3"#));
    check(r#"{"title":"abc","ratio":-0.0}"#, Ok(r#""ratio":0.0"#));
    check(r#"{"title":"abc","at":"2026-11-22T01:00:00+01:00"}"#, Ok(r#""at":"2026-11-22T00:00:00.000000Z""#));
    check(r#"{"title":"abc","tags":["x","y"],"data":{"n":1}}"#, Ok(r#""tags":["x","y"],"data":{"n":1}"#));
    check(r#"{"title":"abc","id":"mine","created":"x"}"#, Ok(r#""title":"abc""#));
}

#[test]
fn every_failing_field_is_reported() {
    check(
        r#"{"mail":"x","site":"ftp://a","count":-1,"ratio":2,"price":"-1","on":1,"at":"now","day":"2026-02-30","kind":"c",
            "tags":["x","x","q"],"data":{"n":"1"},"owner":"me","nope":1}"#,
        Err(&[
            "/title field.required",
            "/mail field.format",
            "/site field.format",
            "/count field.range",
            "/ratio field.range",
            "/price field.range",
            "/on field.type",
            "/at field.format",
            "/day field.format",
            "/kind field.choice",
            "/tags field.length",
            "/data/n field.schema",
            "/owner field.format",
            "/nope field.unknown",
        ]),
    );
    check(r#"{"title":"a"}"#, Err(&["/title field.length"]));
    check(r#"{"title":"ABC"}"#, Err(&["/title field.pattern"]));
    check(r#"{"title":"abc","tags":["x","x"]}"#, Err(&["/tags/1 field.duplicate"]));
    check(r#"{"title":"abc","count":9223372036854775808}"#, Err(&["/count field.type"]));
    check(r#"{"title":null}"#, Err(&["/title field.required"]));
}

#[test]
fn restored_records_are_as_they_were() {
    let collection = collection();
    let draft = |text: &str| Draft::parse(text.as_bytes()).expect("draft");
    let whole = r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","title":"abc","count":null,"created":"2020-01-01T00:00:00Z","updated":"2021-01-01T00:00:00Z"}"#;
    let stored = restore(&collection, draft(whole), stamp(), None).expect("valid").into_record();
    assert_eq!((stored.id.as_str(), stored.version), ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1));
    assert_eq!((stored.created.as_str(), stored.updated.as_str()), ("2020-01-01T00:00:00.000000Z", "2021-01-01T00:00:00.000000Z"));
    assert_eq!(stored.values["count"], Value::Null, "null is not the default");
    let next = restore(&collection, draft(r#"{"title":"abd"}"#), stamp(), Some(&stored)).expect("valid").into_record();
    assert_eq!((next.version, next.created, next.updated), (2, stored.created.clone(), stamp().now));
    let other = restore(&collection, draft(r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAW","title":"abd"}"#), stamp(), Some(&stored));
    assert_eq!(other.expect_err("another id").0[0].code, "field.immutable");
    let wrong = restore(&collection, draft(r#"{"id":"x","title":"abc","created":"now","updated":7}"#), stamp(), None).expect_err("wrong");
    let found: Vec<_> = wrong.0.iter().map(|one| format!("{} {}", one.pointer.as_str(), one.code)).collect();
    assert_eq!(found, ["/id field.format", "/created field.format", "/updated field.format"]);
}

#[test]
fn immutable_fields_stay() {
    let collection = collection();
    let draft = Draft::parse(br#"{"title":"abc","owner":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#).expect("draft");
    let stored = create(&collection, draft, stamp()).expect("valid").into_record();
    let patch = |text: &str| merged(&stored, Draft::parse(text.as_bytes()).expect("patch"));
    let error = update(&collection, &stored, patch(r#"{"owner":null}"#), "t").expect_err("immutable");
    assert_eq!(error.0[0].code, "field.immutable");
    let next = update(&collection, &stored, patch(r#"{"title":"abd"}"#), "t").expect("valid").into_record();
    assert_eq!((next.version, changed_fields(Some(&stored), &next)), (2, vec!["title"]));
    let put = replaced(&collection, &stored, Draft::parse(br#"{"title":"new"}"#).expect("draft"));
    let next = update(&collection, &stored, put, "t").expect("valid").into_record();
    assert_eq!(next.values["owner"], stored.values["owner"]);
    assert_eq!(next.values["count"], Value::Integer(1));
}
