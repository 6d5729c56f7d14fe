//! What is refused of the data API: by validation, policies, preconditions, keys, relations, and as one of several.

use serde_json::{Value, json};

use super::{
    ask::{
        Leaves, Refusal, Request,
        Who::{Admin, Ann, Nobody},
        refusal,
    },
    bodies::{LARGE, NOTHING, SMALL, THINGS},
};

fn new(record: Value) -> Request {
    Admin.post(THINGS).json(&record)
}

fn change(patch: Value) -> Request {
    Admin.patch(SMALL).json(&patch)
}

pub(super) fn that_are_not_valid() -> Vec<Refusal> {
    let wrong = json!({"title": "x", "amount": -1, "price": "-1", "state": "odd", "owner": "nobody"});
    vec![
        refusal("wrong in every field", new(wrong), 422, "record.invalid"),
        refusal("an unknown field", new(json!({"title": "fine", "nope": 1})), 422, "record.invalid"),
        refusal("a text of a million letters", new(json!({"title": "a".repeat(1_000_000)})), 422, "record.invalid"),
        refusal("a relation to nobody", new(json!({"title": "fine", "owner": NOTHING})), 422, "record.invalid"),
        refusal("a field that stays as it is", change(json!({"origin": "there"})), 422, "record.invalid"),
        refusal("more taken than there is", change(json!({"amount-": 5})), 422, "record.invalid"),
        refusal("a replacement without what is required", Admin.put(SMALL).json(&json!({"amount": 2})), 422, "record.invalid"),
        refusal("a value that is taken", new(json!({"title": "fine", "code": "A"})), 409, "record.unique"),
        refusal("a change to a value that is taken", change(json!({"code": "B"})), 409, "record.unique"),
        refusal("an account that is there", Admin.post("/api/records/users").json(&account("ann")), 409, "record.unique"),
        refusal("a collection that is not there", Admin.post("/api/records/nope").json(&json!({})), 404, "collection.not_found"),
        refusal("a change of nothing", Admin.patch(&at(NOTHING)).json(&json!({"title": "no"})), 404, "record.not_found"),
        refusal("a replacement of nothing", Admin.put(&at(NOTHING)).json(&json!({"title": "no"})), 404, "record.not_found"),
        refusal("a deletion of nothing", Admin.delete(&at(NOTHING)), 404, "record.not_found"),
        refusal("a deletion of what another record needs", Admin.delete(LARGE), 409, "record.referenced"),
    ]
}

fn account(name: &str) -> Value {
    json!({"email": format!("{name}@test.example"), "password": "a-long-test-password-7"})
}

fn at(id: &str) -> String {
    format!("{THINGS}/{id}")
}

pub(super) fn that_policies_deny() -> Vec<Refusal> {
    let post = |record: Value| Ann.post(THINGS).json(&record);
    let hidden = format!("{THINGS}?filter=code+%3D%3D+%27A%27&max=9");
    vec![
        refusal("an action", Ann.delete(SMALL), 403, "policy.denied"),
        refusal("a record as it is", Ann.patch(LARGE).json(&json!({"title": "no"})), 404, "record.not_found"),
        refusal("a record as it would be", post(json!({"title": "fine", "amount": 60})), 403, "policy.denied"),
        refusal("a field of a new record", post(json!({"title": "fine", "origin": "there"})), 403, "policy.denied"),
        refusal("a field of a stored one", Ann.patch(SMALL).json(&json!({"amount": 2})), 403, "policy.denied"),
        refusal("the second of two", post(json!([{"title": "fine"}, {"title": "fine", "amount": 60}])), 403, "policy.denied"),
        refusal(
            "an upsert by what it cannot read",
            Ann.post(&format!("{THINGS}?upsert=code")).json(&json!({"code": "A", "title": "guess"})),
            403,
            "field.unreadable",
        ),
        refusal("a bulk write by what it cannot read", Ann.patch(&hidden).json(&json!({"title": "guess"})), 403, "field.unreadable"),
        refusal("what goes along with a deletion", Ann.delete("/api/records/customers/{customer}"), 409, "record.referenced"),
        refusal("restoring", Ann.post(&format!("{THINGS}/import?raw=true")).text(NDJSON, "{}"), 403, "policy.denied"),
    ]
}

pub(super) fn that_have_terms() -> Vec<Refusal> {
    let upsert = || Admin.post(&format!("{THINGS}?upsert=code")).json(&json!({"code": "A", "title": "other"}));
    let keyed = |key: &'static str, record: Value| new(record).header("idempotency-key", key);
    let twice = keyed("one", json!({"title": "fine"})).header("idempotency-key", "two");
    let anonymous = Nobody.post(THINGS).header("idempotency-key", "mine").json(&json!({"title": "fine"}));
    vec![
        refusal("a change of another version", change(json!({"amount": 2})).header("if-match", "\"nope\""), 412, "record.version_mismatch"),
        refusal("a deletion of another version", Admin.delete(SMALL).header("if-match", "\"nope\""), 412, "record.version_mismatch"),
        refusal(
            "a new record where one is",
            Admin.put(SMALL).header("if-none-match", "*").json(&json!({"title": "again"})),
            412,
            "record.version_mismatch",
        ),
        refusal("an upsert where nothing is to be", upsert().header("if-none-match", "*"), 412, "record.version_mismatch"),
        refusal(
            "a new record that is to be a version of one",
            new(json!({"title": "fine"})).header("if-match", "*"),
            412,
            "record.version_mismatch",
        ),
        refusal(
            "a bulk write of one version",
            Admin.delete(&format!("{THINGS}?filter=true&max=100")).header("if-match", "*"),
            412,
            "record.version_mismatch",
        ),
        refusal("an upsert of another version", upsert().header("if-match", "\"nope\""), 412, "record.version_mismatch"),
        refusal("a key of another request", keyed("kept", json!({"title": "other"})), 422, "idempotency.mismatch"),
        refusal("a key with a space", keyed("a b", json!({"title": "fine"})), 400, "idempotency.key"),
        refusal("two keys", twice, 400, "idempotency.key"),
        refusal("a key of nobody", anonymous, 400, "idempotency.key"),
        // It may be mended and sent under the same key.
        refusal("an invalid record under a key", keyed("fresh", json!({"title": "x"})), 422, "record.invalid"),
    ]
}

pub(super) fn of_several() -> Vec<Refusal> {
    let upserts = json!([{"code": "A", "title": "changed"}, {"code": "N", "title": "new"}, {"code": "B", "title": "x"}]);
    let bulk = |max: usize| format!("{THINGS}?filter=true&max={max}");
    let batch = |last: Value| {
        let first = json!({"op": "create", "collection": "things", "record": {"title": "first"}, "as": "first"});
        let second = json!({"op": "update", "collection": "things", "id": "{small}", "record": {"amount+": 1}});
        Admin.post("/api/batch").json(&json!({"operations": [first, second, last]}))
    };
    vec![
        refusal("one of three is not valid", new(json!([{"title": "one"}, {"title": "x"}, {"title": "three"}])), 422, "record.invalid"),
        refusal("a value of one of two is taken", new(json!([{"title": "one"}, {"title": "two", "code": "A"}])), 409, "record.unique"),
        refusal("two want one value", new(json!([{"title": "one", "code": "N"}, {"title": "two", "code": "N"}])), 409, "record.unique"),
        refusal(
            "the last of three upserts is not valid",
            Admin.post(&format!("{THINGS}?upsert=code")).json(&upserts),
            422,
            "record.invalid",
        ),
        refusal("more than were meant", Admin.patch(&bulk(2)).json(&json!({"amount": 2})), 409, "bulk.too_many"),
        refusal("more deletions than were meant", Admin.delete(&bulk(2)), 409, "bulk.too_many"),
        refusal(
            "an unknown field of none",
            Admin.patch(&format!("{THINGS}?filter=false&max=1")).json(&json!({"nope": 1})),
            422,
            "record.invalid",
        ),
        refusal("one of all has nothing left", Admin.patch(&bulk(100)).json(&json!({"amount-": 1})), 422, "record.invalid"),
        refusal("all want one value", Admin.patch(&bulk(100)).json(&json!({"code": "same"})), 409, "record.unique"),
        refusal("one of all is needed", Admin.delete(&bulk(100)), 409, "record.referenced"),
        refusal(
            "a batch whose last record is not valid",
            batch(json!({"op": "create", "collection": "things", "record": {"title": "x"}})),
            422,
            "record.invalid",
        ),
        refusal(
            "a batch that ends with a value that is taken",
            batch(json!({"op": "update", "collection": "things", "id": {"$ref": "first.id"}, "record": {"code": "A"}})),
            409,
            "record.unique",
        ),
        refusal(
            "a batch that ends with a change of nothing",
            batch(json!({"op": "update", "collection": "things", "id": NOTHING, "record": {"title": "no"}})),
            404,
            "record.not_found",
        ),
        refusal(
            "a batch that ends with a deletion of what is needed",
            batch(json!({"op": "delete", "collection": "things", "id": "{large}"})),
            409,
            "record.referenced",
        ),
        refusal(
            "a batch that names a result that is not there",
            batch(json!({"op": "delete", "collection": "things", "id": {"$ref": "nobody.id"}})),
            422,
            "record.invalid",
        ),
    ]
}

const NDJSON: &str = "application/x-ndjson";

pub(super) fn of_imports() -> Vec<Refusal> {
    let import = |query: &str, file: &str| Admin.post(&format!("{THINGS}/import?{query}")).text(NDJSON, file);
    let csv = |query: &str| Admin.post(&format!("{THINGS}/import?{query}")).text("text/csv", "title,nope\nfine,1\n");
    let bad = "{\"title\":\"from a file\"}\n{\"title\":\"x\"}\n";
    let long = format!("{{\"title\":\"{}\"}}\n", "a".repeat(1 << 20));
    let foreign = Ann.post(&format!("{THINGS}/import?import={{stopped}}")).text(NDJSON, bad);
    vec![
        refusal("a bad row of a dry run", import("dry_run=true", bad), 422, "import.stopped"),
        refusal("a row that is too large", import("dry_run=true", &long), 413, "row.too_large"),
        refusal("a column that is no field", csv("dry_run=true"), 422, "import.invalid"),
        // It can be looked up what became of it; the key is free.
        refusal("a column that is no field, under a key", csv("").header("idempotency-key", "file"), 422, "import.invalid")
            .leaves(&[Leaves::New("_imports:")]),
        refusal("a type that is no file", Admin.post(&format!("{THINGS}/import")).text("text/plain", bad), 415, "body.unsupported_type"),
        refusal("an unknown mode", import("mode=merge", bad), 400, "query.invalid"),
        refusal("another's import", foreign, 404, "import.not_found"),
        refusal("other parameters", import("import={stopped}&on_error=skip", bad), 409, "import.differs"),
        refusal("an import that was ended", import("import={cancelled}", bad), 409, "import.cancelled"),
        refusal("ending what is over", Admin.delete("/api/imports/{done}"), 409, "import.over"),
        refusal("ending nothing", Admin.delete(&format!("/api/imports/{NOTHING}")), 404, "import.not_found"),
        // Whoever goes on holds the import from then on, before the file can be compared; it says what broke it off.
        refusal("another file", import("import={stopped}", "{\"title\":\"another\"}\n"), 409, "import.other_file")
            .leaves(&[Leaves::Changed("_imports:")]),
        // The import can go on when its first row is mended.
        refusal("a first row that is bad", import("on_error=stop", "{\"title\":\"x\"}\n"), 422, "import.stopped")
            .leaves(&[Leaves::New("_imports:")]),
    ]
}
