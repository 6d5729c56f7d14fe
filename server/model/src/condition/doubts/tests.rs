//! Tables of doubts. That there is one whenever the outcome is unknown is tested on random conditions in `tests/doubts.rs`.

use super::*;
use crate::{Caller, Principal, Record, condition::Scope, value::Object};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let json = br#"{"title": "Ab", "stock": 3, "score": 2.5, "public": true, "tags": ["a"], "data": {"list": [1, 2.5], "n": null}}"#;
    let Ok(Value::Object(mut values)) = Value::from_json(json) else { panic!("not an object") };
    values.insert("price".into(), Value::Decimal("2.50".parse().expect("decimal")));
    values.insert("prices".into(), Value::List(vec![Value::Decimal("2.50".parse().expect("decimal"))]));
    let time = "2026-11-22T00:00:00.000000Z";
    let record = Record { id: "r1".into(), tenant: "main".into(), version: 1, created: time.into(), updated: time.into(), values };
    let caller = Caller::new(Principal::Anonymous, "main", Object::new());
    let context = Context { record: &record, before: None, caller: &caller, now: time };
    let condition = Condition::parse(text, Scope::Policy).expect(text);
    let doubts = condition.doubts(&context);
    let found: Vec<String> = doubts.iter().map(|doubt| format!("{} {}: {}", doubt.position, doubt.path, doubt.found)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_doubt_names_what_is_missing() {
    check("record.owner == caller.id", &["0 record.owner: missing", "16 caller.id: missing"]);
    check("record.locked", &["0 record.locked: missing"]);
    check("!(record.locked == true)", &["2 record.locked: missing"]);
    check("before.title == 'Ab'", &["0 before.title: missing"]);
    check("record.data.n < 1", &["0 record.data.n: missing"]);
    check("record.title.contains(caller.team)", &["22 caller.team: missing"]);
    check("caller.id in record.readers", &["0 caller.id: missing", "13 record.readers: missing"]);
}

#[test]
fn a_doubt_names_what_is_of_another_type() {
    check("record.title", &["0 record.title: a text"]);
    check("record.tags == 'a'", &["0 record.tags: a list"]);
    check("record.data != 'a'", &["0 record.data: an object"]);
    check("record.public < 1", &["0 record.public: a boolean"]);
    check("record.title < 5", &["0 record.title: a text"]);
    check("record.title < record.stock", &["0 record.title: a text", "15 record.stock: a number"]);
    check("record.stock.startsWith('3')", &["0 record.stock: a number"]);
    check("'a'.startsWith(record.stock)", &["15 record.stock: a number"]);
    check("record.stock in record.title", &["16 record.title: a text"]);
    check("record.data in ['a']", &["0 record.data: an object"]);
}

#[test]
fn a_float_beside_a_decimal_is_a_doubt() {
    check("record.price == 2.5", &["0 record.price: a decimal"]);
    check("record.price < record.score", &["0 record.price: a decimal", "15 record.score: a float"]);
    check("record.price in [2.5]", &["0 record.price: a decimal"]);
    check("record.price in record.data.list", &["0 record.price: a decimal", "16 record.data.list: a list with a float"]);
    check("2.5 in record.prices", &["7 record.prices: a list with a decimal"]);
    check("record.score in record.prices", &["0 record.score: a float", "16 record.prices: a list with a decimal"]);
}

#[test]
fn constants_are_blamed_only_alone() {
    check("1 < 'a'", &["0 1: a number", "0 \"a\": a text"]);
    check("record.stock < true", &["0 true: a boolean"]);
    check("'x'.contains(1)", &["0 1: a number"]);
}

#[test]
fn only_unknown_terms_are_blamed() {
    check("record.title == 'Ab'", &[]);
    check("record.owner == null || record.x", &[]);
    check("record.owner == 'u1' && record.stock == 4", &[]);
    check("record.owner == 'u1' || record.stock == 3", &[]);
    check("record.owner == 'u1' && record.stock == 3", &["0 record.owner: missing"]);
    check("record.stock == 4 || !record.x && record.stock == 3 || record.y && false", &["22 record.x: missing"]);
    check("record.x && record.y && !record.x", &["0 record.x: missing", "12 record.y: missing"]);
}
