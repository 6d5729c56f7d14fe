//! What plugins refuse or break, after they have written records and queued effects.

use serde_json::{Value, json};

use super::ask::{Refusal, Request, Who::Admin, refusal};

/// An order for which the clerk writes a record, changes another, deletes a third and queues a job before it looks at the text.
fn order(text: &str) -> Value {
    json!({"text": text, "page": "{page}", "gone": "{leaf}"})
}

fn orders(orders: Value) -> Request {
    Admin.post("/api/records/orders").json(&orders)
}

fn with(mut order: Value, name: &str, value: Value) -> Value {
    order[name] = value;
    order
}

pub(super) fn of_the_clerk() -> Vec<Refusal> {
    let stored = "/api/records/orders/{order}";
    let batch = json!({"operations": [
        {"op": "create", "collection": "orders", "record": order("fine")},
        {"op": "create", "collection": "orders", "record": {"text": "refuse"}}
    ]});
    let upsert = Admin.post("/api/records/orders?upsert=code").json(&with(order("refuse"), "code", json!("taken")));
    let bulk = Admin.patch("/api/records/orders?filter=true&max=9").json(&json!({"code": "one"}));
    let import =
        Admin.post("/api/records/orders/import?dry_run=true").text("application/x-ndjson", "{\"text\":\"fine\"}\n{\"text\":\"refuse\"}\n");
    vec![
        refusal("a refusal", orders(order("refuse")), 422, "rule.refused"),
        refusal("a rule that forbids", orders(order("forbid")), 403, "rule.refused"),
        refusal("a rule that finds a conflict", orders(order("clash")), 409, "rule.refused"),
        refusal("a rule that throws", orders(order("throw")), 500, "plugin.internal"),
        refusal("a rule that never ends", orders(order("loop")), 500, "plugin.timeout"),
        refusal("what a rule let pass and is not valid", orders(with(order("fine"), "number", json!(11))), 422, "record.invalid"),
        refusal("what a rule let pass and is taken", orders(with(order("fine"), "code", json!("taken"))), 409, "record.unique"),
        refusal("what a rule let pass and leads nowhere", orders(with(order("fine"), "customer", json!("nobody"))), 422, "record.invalid"),
        refusal("the third of three", orders(json!([order("fine"), {"text": "fine"}, {"text": "refuse"}])), 422, "rule.refused"),
        refusal("a change", Admin.patch(stored).json(&order("refuse")), 422, "rule.refused"),
        refusal("a replacement", Admin.put(stored).json(&order("refuse")), 422, "rule.refused"),
        refusal("a deletion", Admin.delete("/api/records/orders/{locked}"), 422, "rule.refused"),
        refusal("what goes along with a deletion", Admin.delete("/api/records/customers/{customer}"), 422, "rule.refused"),
        refusal("an upsert", upsert, 422, "rule.refused"),
        refusal("a change of all to one value", bulk, 409, "record.unique"),
        refusal("the second of a batch", Admin.post("/api/batch").json(&batch), 422, "rule.refused"),
        refusal("the second of a file", import, 422, "import.stopped"),
    ]
}

/// The example `hostile`: what it does is in its README.
pub(super) fn of_the_hostile() -> Vec<Refusal> {
    let note = |behaviour: &str| Admin.post("/api/records/notes").json(&json!({"behaviour": behaviour}));
    vec![
        refusal("refuses", note("refuse"), 422, "rule.refused"),
        refusal("asks for another attempt, every time", note("retry"), 409, "write.conflict"),
        refusal("computes without end", note("loop"), 500, "plugin.timeout"),
        refusal("allocates without end", note("allocate"), 500, "plugin.memory"),
        refusal("calls itself without end", note("recurse"), 500, "plugin.stack"),
        refusal("panics after a write", note("trap-after-write"), 500, "plugin.trap"),
        refusal("panics after a creation, a change, a deletion and a job", note("trap-after:11"), 500, "plugin.trap"),
        refusal("panics in a rule that its own write runs", note("reenter-panic"), 500, "plugin.trap"),
        refusal("reads without end", note("host-flood"), 500, "plugin.budget"),
        refusal("queues without end", note("effect-flood"), 500, "plugin.budget"),
        refusal("answers too much", note("giant-output"), 500, "plugin.output"),
        refusal("answers nonsense", note("garbage"), 500, "plugin.garbage"),
        refusal("writes what it was not granted", note("write-elsewhere"), 500, "plugin.internal"),
        refusal("writes itself deeper without end", note("reenter-forever"), 500, "plugin.internal"),
        refusal(
            "panics after a write of an endpoint",
            Admin.post("/api/ext/hostile/act/trap-after-write").json(&json!({})),
            500,
            "plugin.trap",
        ),
    ]
}
