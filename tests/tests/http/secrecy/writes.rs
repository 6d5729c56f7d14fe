//! Guesses by the writes that change what is stored where it is, that find their record by what it has, or that copy from one to another.

use serde_json::{Value, json};
use tests::{Method, url};

use super::{
    NOBODY,
    asks::Ask,
    copies::{Copies, SECRETS, secret},
};

const VAULT: &str = "/api/records/vault";

/// Writes none of which may succeed for somebody who guesses.
pub fn guesses(copies: &Copies) -> Vec<Ask> {
    let mut asks = modifiers(copies);
    asks.extend(upserts(copies));
    asks.extend(bulks(copies));
    asks.extend(batches(copies));
    asks
}

/// What comes of a modifier depends on what is stored: whether it fits, whether it changes anything.
fn modifiers(copies: &Copies) -> Vec<Ask> {
    let steps = [json!(1), json!(i64::MAX), json!("1"), json!("red"), json!(["red", "green", "blue"]), json!({"n": 1}), Value::Null];
    let mut asks = Vec::new();
    for number in [0, 1, 4] {
        let path = format!("{VAULT}/{}", copies.vault[number]);
        for field in SECRETS {
            for sign in ["+", "-"] {
                let name = format!("{field}{sign}");
                asks.extend(steps.iter().map(|step| Ask::send(Method::PATCH, &path, &json!({&name: step}))));
            }
            asks.push(Ask::send(Method::PATCH, &path, &json!({"title": "guess", format!("{field}+"): 0, field: null})));
        }
    }
    for id in &copies.users[3..] {
        let path = format!("/api/records/users/{id}");
        asks.extend([1, i64::MAX].map(|step| Ask::send(Method::PATCH, &path, &json!({"salary+": step}))));
        asks.push(Ask::send(Method::PATCH, &path, &json!({"password+": "x"})));
    }
    asks
}

/// Whoever could find a record by a secret would know that the guess is right.
fn upserts(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    for number in [1, 3, 6] {
        for side in [0, 1] {
            for field in ["s_code", "s_mail", "h_code"] {
                let body = json!({"title": "guess", field: secret(field, number, side, &copies.users)});
                asks.push(Ask::send(Method::POST, format!("{VAULT}?upsert={field}"), &body));
                asks.push(Ask::send(Method::POST, format!("{VAULT}?upsert={field}"), &json!([body, body])));
            }
            for field in SECRETS.into_iter().filter(|field| *field != "w_json") {
                let value = secret(field, number, side, &copies.users);
                for id in [copies.vault[number].as_str(), NOBODY].into_iter().filter(|_| !value.is_null()) {
                    asks.push(Ask::send(Method::POST, format!("{VAULT}?upsert=id"), &json!({"id": id, "title": "guess", field: value})));
                }
            }
        }
    }
    asks
}

/// Only tried, so that what is allowed changes nothing.
fn bulks(copies: &Copies) -> Vec<Ask> {
    let path = |filter: &str| url(VAULT, &[("filter", filter), ("max", "1000"), ("dry_run", "true")]);
    let mut asks = Vec::new();
    for field in SECRETS {
        for filter in [format!("has({field})"), format!("{field} == null"), format!("true || has({field})")] {
            asks.push(Ask::send(Method::PATCH, path(&filter), &json!({"title": "guess"})));
            asks.push(Ask { method: Method::DELETE, ..Ask::get(path(&filter)) });
        }
        let value = secret(field, 1, 0, &copies.users);
        for filter in ["true", "active == true", "amount == 1"] {
            asks.push(Ask::send(Method::PATCH, path(filter), &json!({field: value})));
            asks.push(Ask::send(Method::PATCH, path(filter), &json!({format!("{field}+"): 1})));
        }
    }
    asks.push(Ask { method: Method::DELETE, ..Ask::get(path("state == 'done'")) });
    asks
}

/// What is copied from a result is what its client sees of it.
fn batches(copies: &Copies) -> Vec<Ask> {
    let mut asks = Vec::new();
    for number in [0, 1, 5] {
        for field in SECRETS {
            let operations = json!([
                {"op": "update", "collection": "vault", "id": copies.vault[number], "record": {"title": "seen"}, "as": "seen"},
                {"op": "update", "collection": "vault", "id": copies.vault[number], "record": {"title": {"$ref": format!("seen.{field}")}}}
            ]);
            asks.push(Ask::send(Method::POST, "/api/batch", &json!({"operations": operations})));
        }
    }
    asks
}
