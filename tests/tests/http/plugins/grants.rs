//! What a version may touch: what it wishes must be granted, and an upgrade that wishes for more needs a new grant.

use serde_json::{Value, json};
use tests::{Answer, Client, Method, Problem, url};

use super::{notes, upload_text};

const PATH: &str = "/api/plugins/wishful";

/// A plugin with these wishes that changes nothing.
fn text(version: &str, wishes: &Value) -> String {
    format!(
        r#"import {{ beforeWrite, definePlugin }} from "@ironrule/rules";
        const check = beforeWrite({{ name: "check", collections: ["notes"], operations: ["create"], run: () => {{}} }});
        export const rules = definePlugin({{ name: "wishful", version: "{version}", grants: {wishes}, rules: [check] }});"#
    )
}

/// Without `?grant=`.
async fn upgrade(client: &Client, text: &str, query: &[(&str, &str)]) -> Answer {
    client.request(Method::POST, &url("/api/plugins", query)).body("text/javascript", text.to_owned()).send().await
}

#[track_caller]
fn lacks(problem: &Problem, expected: &str) {
    let message = problem.answer.json["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains(expected), "`{expected}` is not named: {}", problem.answer);
}

#[tokio::test]
async fn wider_wishes_need_a_new_grant() {
    let (_app, admin) = notes().await;
    let [narrow, wide] =
        [text("1.0.0", &json!({"read": ["notes"]})), text("2.0.0", &json!({"read": ["notes"], "write": ["audit"], "email": true}))];
    let refused = upgrade(&admin, &narrow, &[]).await.problem(422, "plugin.invalid").errors(&["/grant plugin.grants"]);
    lacks(&refused, "`read:notes`");
    upload_text(&admin, &narrow, "all").await.expect(201);

    for query in [&[][..], &[("grant", "read:notes,write:audit")], &[("mode", "shadow")]] {
        let refused = upgrade(&admin, &wide, query).await.problem(422, "plugin.invalid").errors(&["/grant plugin.grants"]);
        lacks(&refused, "`email`");
        assert!(!refused.answer.text.contains("`read:notes`"), "what is granted is no difference: {}", refused.answer);
    }
    let plugin = admin.get(PATH).await.json(200);
    assert_eq!((&plugin["version"], plugin["versions"].as_array().map(Vec::len)), (&json!("1.0.0"), Some(1)), "{plugin}");

    let upgraded = upgrade(&admin, &wide, &[("grant", "read:notes,write:audit,email")]).await.json(201);
    assert_eq!(upgraded["wishes"]["write"], json!(["audit"]), "{upgraded}");
    // Each version has what was granted to it.
    let back = admin.request(Method::POST, &format!("{PATH}/rollback")).send().await.json(200);
    assert_eq!((&back["version"], &back["grants"]["write"]), (&json!("1.0.0"), &json!([])), "{back}");
    let forward = admin.patch(PATH, json!({"version": "2.0.0"})).await.json(200);
    assert_eq!(forward["grants"]["write"], json!(["audit"]), "{forward}");
}

#[tokio::test]
async fn an_upgrade_that_wishes_for_no_more_keeps_its_grants() {
    let (_app, admin) = notes().await;
    let wishes = json!({"read": ["notes"]});
    upload_text(&admin, &text("1.0.0", &wishes), "read:notes,write:audit").await.expect(201);
    let upgraded = upgrade(&admin, &text("1.0.1", &wishes), &[]).await.json(201);
    let granted = (&upgraded["version"], &upgraded["grants"]["write"], &upgraded["grants"]["read"]);
    assert_eq!(granted, (&json!("1.0.1"), &json!(["audit"]), &json!(["notes"])), "{upgraded}");
}

#[tokio::test]
async fn grants_of_an_installed_plugin_never_fall_below_its_wishes() {
    let (_app, admin) = notes().await;
    upload_text(&admin, &text("1.0.0", &json!({"read": ["notes"]})), "all").await.expect(201);
    let grant = async |grants: Value| admin.patch(PATH, json!({ "grants": grants })).await;
    let refused = grant(json!({"write": ["audit"]})).await.problem(422, "plugin.invalid").errors(&["/grants plugin.grants"]);
    lacks(&refused, "`read:notes`");
    grant(json!({"read": ["notes", "nowhere"]})).await.problem(422, "plugin.invalid").errors(&["/grants collection.unknown"]);
    grant(json!({"read": ["notes"], "webhooks": ["https://x"]})).await.problem(422, "plugin.invalid").errors(&["/grants plugin.grants"]);
    let granted = grant(json!({"write": ["notes"], "webhooks": ["*.example.com"]})).await.json(200);
    assert_eq!(granted["grants"]["webhooks"], json!(["*.example.com"]), "{granted}");
    assert_eq!(admin.get(PATH).await.json(200)["grants"]["write"], json!(["notes"]));
}
