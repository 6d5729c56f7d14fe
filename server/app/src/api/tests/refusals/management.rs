//! What is refused of collections, policies, roles, plugins and deliveries.

use serde_json::{Value, json};

use super::{
    ask::{
        Leaves, Refusal, Request,
        Who::{Admin, Ann, Nobody},
        refusal,
    },
    bodies::NOTHING,
    world::CLERK,
};

fn collection(definition: Value) -> Request {
    Admin.post("/api/collections").json(&definition)
}

pub(super) fn of_collections() -> Vec<Refusal> {
    let change = |name: &str, change: Value| Admin.patch(&format!("/api/collections/{name}")).json(&change);
    let nowhere = json!([{"name": "to", "type": "relation", "collection": "nowhere"}]);
    let unfit = json!({"fields": [{"name": "title", "type": "text"}], "indexes": []});
    let alteration = format!("/api/collections/things/alterations/{NOTHING}");
    vec![
        refusal("a name that cannot be", collection(json!({"name": "No Name", "fields": []})), 422, "collection.invalid"),
        refusal("a name that is taken", collection(json!({"name": "things", "fields": []})), 409, "collection.exists"),
        refusal("a list", collection(json!([])), 400, "body.shape"),
        refusal("a relation to nowhere", collection(json!({"name": "more", "fields": nowhere})), 422, "collection.invalid"),
        refusal("a change to a relation to nowhere", change("shelves", json!({"fields": nowhere})), 422, "collection.invalid"),
        refusal("a change that policies would not fit", change("things?force=true", unfit), 422, "collection.invalid"),
        refusal("a change of nothing", change("nope", json!({"description": "no"})), 404, "collection.not_found"),
        refusal("dropping nothing", Admin.delete("/api/collections/nope"), 404, "collection.not_found"),
        refusal("dropping what is built in", Admin.delete("/api/collections/users?force=true"), 422, "collection.invalid"),
        refusal("dropping what another points to", Admin.delete("/api/collections/things?force=true"), 409, "collection.referenced"),
        refusal("dropping what has records", Admin.delete("/api/collections/shelves"), 409, "collection.data_loss"),
        refusal("looking for a change that is none", Admin.get(&alteration), 404, "alteration.not_found"),
        refusal("not by everybody", Ann.post("/api/collections").json(&json!({"name": "more", "fields": []})), 403, "policy.denied"),
        refusal("not by nobody", Nobody.delete("/api/collections/shelves?force=true"), 401, "auth.required"),
    ]
}

pub(super) fn under_keys() -> Vec<Refusal> {
    let keyed = |key: &'static str, name: &str| collection(json!({"name": name, "fields": []})).header("idempotency-key", key);
    vec![
        refusal("a key of another request", keyed("kept", "more"), 422, "idempotency.mismatch"),
        refusal("two keys", keyed("one", "more").header("idempotency-key", "two"), 400, "idempotency.key"),
        refusal("an invalid definition under a key", keyed("fresh", "No Name"), 422, "collection.invalid"),
        refusal("a name that is taken under a key", keyed("fresh", "things"), 409, "collection.exists"),
    ]
}

/// A change that would lose something is found out by making it: what it made goes half a minute later, and its row tells of it for those who
/// did not wait. It begins and ends with a new picture of the world. So these must be the last lines of a catalogue.
pub(super) fn of_lossy_changes() -> Vec<Refusal> {
    const TRIED: &[Leaves] =
        &[Leaves::Changed("definitions"), Leaves::New("shelves-"), Leaves::New("_alterations:"), Leaves::Changed("_versions:world")];
    let fewer = || Admin.patch("/api/collections/shelves").json(&json!({"fields": [{"name": "label", "type": "text"}]}));
    let keyed = fewer().header("idempotency-key", "lossy");
    vec![
        refusal("a field with values goes", fewer(), 409, "collection.data_loss").leaves(TRIED),
        // What was noted under the key when the change began is forgotten.
        refusal("a field with values goes, under a key", keyed, 409, "collection.data_loss").leaves(TRIED),
    ]
}

pub(super) fn of_policies() -> Vec<Refusal> {
    let policy = |object: &str, condition: &str| {
        let policy = json!({"subject": "role:authenticated", "object": object, "action": "read", "condition": condition});
        Admin.post("/api/policies").json(&policy)
    };
    let fine = json!({"subject": "role:authenticated", "object": "links", "action": "read"});
    let wrong = json!({"subject": "role:authenticated", "object": "links", "action": "write"});
    let circle = json!({"add": [fine], "assign": [{"member": "role:one", "role": "role:two"}, {"member": "role:two", "role": "role:one"}]});
    let lockout = json!({"subject": "role:anyone", "object": "*", "action": "*", "condition": "record.locked == true", "effect": "deny"});
    let changes = |change: &Value| Admin.post("/api/policies/changes").json(change);
    vec![
        refusal("a condition that cannot be read", policy("links", "record.thing =="), 422, "policy.invalid"),
        refusal("a condition on no field", policy("links", "record.nope == 1"), 422, "policy.invalid"),
        refusal("an object that is none", policy("_nope", ""), 422, "policy.invalid"),
        refusal("one that locks everybody out", Admin.post("/api/policies").json(&lockout), 422, "policy.invalid"),
        refusal("the second of two", changes(&json!({"add": [fine, wrong]})), 422, "policy.invalid"),
        refusal("a removal of nothing behind a policy", changes(&json!({"add": [fine], "remove": ["nope"]})), 422, "policy.invalid"),
        refusal("roles in a circle behind a policy", changes(&circle), 422, "policy.invalid"),
        refusal("removing nothing", Admin.delete("/api/policies/nope"), 404, "policy.not_found"),
        refusal("not by everybody", Ann.post("/api/policies").json(&fine), 403, "policy.denied"),
        refusal("looking for a decision that is none", Admin.get(&format!("/api/policies/decisions/{NOTHING}")), 404, "decision.not_found"),
    ]
}

pub(super) fn of_roles() -> Vec<Refusal> {
    vec![
        refusal("a member that is nobody", Admin.put("/api/roles/editor/members/nobody:1").json(&json!({})), 422, "role.invalid"),
        refusal("a role that everybody has", Admin.put("/api/roles/anyone/members/user:{ann}").json(&json!({})), 422, "role.invalid"),
        refusal("a role that was not given", Admin.delete("/api/roles/editor/members/user:{ann}"), 404, "role.not_found"),
        refusal("not by everybody", Ann.put("/api/roles/admin/members/user:{ann}").json(&json!({})), 403, "policy.denied"),
    ]
}

pub(super) fn of_plugins() -> Vec<Refusal> {
    let upload = |kind: &'static str, code: &str| Admin.post("/api/plugins?grant=all").bytes(kind, code);
    let half = Admin.post("/api/plugins?grant=read:ledger").bytes("text/javascript", CLERK);
    let component = "application/wasm";
    let delivery = format!("/api/deliveries/{NOTHING}");
    vec![
        refusal("no component", upload(component, "nope"), 422, "plugin.invalid"),
        refusal("the beginning of a component", upload(component, "\0asm\u{d}\0\u{1}\0"), 422, "plugin.invalid"),
        refusal("text that is no JavaScript", upload("text/javascript", "export const rules = ;"), 422, "plugin.invalid"),
        refusal("JavaScript that is no plugin", upload("text/javascript", "export const nothing = 1;"), 422, "plugin.invalid"),
        refusal("neither of them", upload("text/plain", "nope"), 415, "body.unsupported_type"),
        refusal("a plugin without what it wishes", half, 422, "plugin.invalid"),
        refusal("a version that is none", Admin.patch("/api/plugins/clerk").json(&json!({"version": "nope"})), 422, "plugin.invalid"),
        refusal("the version before the first", Admin.post("/api/plugins/clerk/rollback"), 422, "plugin.invalid"),
        refusal("a setting that is none", Admin.put("/api/plugins/hostile/settings").json(&json!({"nothing": "x"})), 422, "plugin.invalid"),
        refusal("changing nothing", Admin.patch("/api/plugins/none").json(&json!({"enabled": false})), 404, "plugin.not_found"),
        refusal("removing nothing", Admin.delete("/api/plugins/none"), 404, "plugin.not_found"),
        refusal("the order of no rules", Admin.put("/api/rules/nowhere").json(&json!({"order": []})), 404, "collection.not_found"),
        refusal("not by everybody", Ann.delete("/api/plugins/clerk"), 403, "policy.denied"),
        refusal("a delivery that is none", Admin.delete(&delivery), 404, "delivery.not_found"),
        refusal("looking for a run that is none", Admin.get(&format!("/api/plugins/clerk/runs/{NOTHING}")), 404, "run.not_found"),
        refusal("telling nothing again", Admin.post(&format!("{delivery}/replay")), 404, "delivery.not_found"),
    ]
}
