//! Versions that are only watched: they are asked, and whatever they say changes nothing.

use serde_json::{Value, json};
use tests::{Client, Method};

use super::{behave, hostile, notes, variant, written};

const PATH: &str = "/api/plugins/hostile";

async fn watch(admin: &Client, component: Vec<u8>) -> tests::Answer {
    admin.request(Method::POST, "/api/plugins?grant=all&mode=shadow").body("application/wasm", component).send().await
}

/// How often the rule that behaves badly ran in this mode.
async fn calls(admin: &Client, mode: &str) -> u64 {
    let stats = admin.get("/api/plugins/hostile/stats").await.json(200);
    let rules = stats["rules"].as_array().expect("rules");
    rules.iter().filter(|rule| rule["rule"] == "hostile" && rule["mode"] == mode).filter_map(|rule| rule["calls"].as_u64()).sum()
}

#[tokio::test]
async fn what_runs_is_not_its_own_shadow() {
    let (_app, admin) = notes().await;
    let installed = admin.upload(hostile(), "all").await.json(201);
    watch(&admin, hostile()).await.problem(422, "plugin.invalid").errors(&["/mode plugin.version"]);
    let shadow = json!({"shadow": installed["digest"]});
    admin.patch(PATH, shadow).await.problem(422, "plugin.invalid").errors(&["/shadow plugin.version"]);
    let request = admin.request(Method::POST, "/api/plugins?grant=all&mode=both").body("application/wasm", hostile());
    request.send().await.problem(400, "query.invalid");
    assert_eq!(admin.get(PATH).await.json(200)["shadow"], Value::Null);
}

#[tokio::test]
async fn a_shadow_changes_nothing_and_is_noted() {
    let (_app, admin) = notes().await;
    let watched = watch(&admin, hostile()).await.json(201);
    assert_eq!((&watched["state"], &watched["digest"]), (&json!("watched"), &Value::Null), "{watched}");
    let behaviours =
        ["refuse", "panic", "loop", "write", "trap-after-write", "internal", "retry", "write-elsewhere", "garbage", "count-global"];
    for behaviour in behaviours {
        let note = behave(&admin, behaviour).await.json(201);
        assert!(note["count"].is_null(), "a shadow changed the record: {note}");
    }
    assert_eq!(written(&admin).await, (behaviours.len(), 0), "a shadow wrote something");
    assert_eq!((calls(&admin, "shadow").await, calls(&admin, "active").await), (behaviours.len() as u64, 0));

    // Nothing is left without it; but it may go, or run.
    admin.patch(PATH, json!({"shadow": null})).await.problem(422, "plugin.invalid").errors(&["/shadow plugin.version"]);
    let running = admin.patch(PATH, json!({"version": watched["shadow"]})).await.json(200);
    assert_eq!((&running["state"], &running["shadow"]), (&json!("running"), &Value::Null), "{running}");
    behave(&admin, "refuse").await.problem(422, "rule.refused");
}

#[tokio::test]
async fn a_shadow_is_watched_beside_the_version_that_runs() {
    let (_app, admin) = notes().await;
    let active = admin.upload(hostile(), "all").await.json(201);
    let watched = watch(&admin, variant(1)).await.json(201);
    assert_eq!((&watched["digest"], &watched["state"]), (&active["digest"], &json!("running")), "{watched}");
    behave(&admin, "refuse").await.problem(422, "rule.refused");
    behave(&admin, "write").await.expect(201);
    assert_eq!(written(&admin).await, (1, 1));
    assert_eq!((calls(&admin, "shadow").await, calls(&admin, "active").await), (2, 2));

    admin.patch(PATH, json!({"enabled": false})).await.expect(200);
    behave(&admin, "refuse").await.expect(201);
    let quiet = admin.patch(PATH, json!({"enabled": true, "shadow": null})).await.json(200);
    assert_eq!(quiet["shadow"], Value::Null);
    behave(&admin, "well").await.expect(201);
    assert_eq!((calls(&admin, "shadow").await, calls(&admin, "active").await), (2, 3));
    // It is kept, and can be watched again.
    admin.patch(PATH, json!({"shadow": watched["shadow"]})).await.expect(200);
    behave(&admin, "well").await.expect(201);
    assert_eq!(calls(&admin, "shadow").await, 3);
}

#[tokio::test]
async fn a_shadow_sees_its_grants_and_no_more() {
    let (_app, admin) = notes().await;
    let text = r#"
        import { beforeWrite, definePlugin, records } from "@ironrule/rules";
        const run = ({ after }) => { records.update("audit", after.text, { note: "changed" }); };
        const rule = beforeWrite({ name: "meddle", collections: ["notes"], operations: ["create"], run });
        export const rules = definePlugin({ name: "meddling", version: "1.0.0", grants: { write: ["audit"] }, rules: [rule] });
    "#;
    let audit = admin.create("audit", json!({"note": "as it was"})).await;
    let path = format!("/api/records/audit/{}", audit["id"].as_str().expect("an id"));
    let request = admin.request(Method::POST, "/api/plugins?grant=write:audit&mode=shadow").body("text/javascript", text);
    let watched = request.send().await.json(201);
    admin.create("notes", json!({"text": audit["id"]})).await;
    assert_eq!(admin.get(&path).await.json(200)["note"], "as it was");
    admin.patch("/api/plugins/meddling", json!({"version": watched["shadow"]})).await.expect(200);
    admin.create("notes", json!({"text": audit["id"]})).await;
    assert_eq!(admin.get(&path).await.json(200)["note"], "changed", "the rule does nothing at all");
}
