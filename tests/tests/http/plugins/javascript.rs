//! Rules that are given as JavaScript text and compiled in the server.

use serde_json::json;
use tests::Method;

use super::{hostile, notes, upload_text};

const SHOUT: &str = r#"
    import { beforeWrite, definePlugin } from "@ironrule/rules";
    const shout = ({ after, fail }) => (after.text ? { text: after.text.toUpperCase() } : fail("/text", "note.silent", "say something"));
    const rule = beforeWrite({ name: "shout", collections: ["notes"], operations: ["create"], run: shout });
    export const rules = definePlugin({ name: "shouting", version: "1.0.0", rules: [rule] });
"#;

#[tokio::test]
async fn text_that_is_no_plugin_is_refused() {
    let (app, admin) = notes().await;
    for text in ["", "export const rules = ;", "export const nothing = 1;", "throw new Error('no')"] {
        upload_text(&admin, text, "all").await.problem(422, "plugin.invalid").errors(&[" plugin.component"]);
    }
    let nothing = upload_text(&admin, "export const nothing = 1;", "all").await.problem(422, "plugin.invalid");
    let told = nothing.answer.json["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(told.contains("the module exports no `rules`") && !told.contains("panicked"), "{told}");
    let broken = upload_text(&admin, "\nexport const rules = {{;", "all").await.problem(422, "plugin.invalid");
    assert!(broken.answer.text.contains(":2:"), "the line is not told: {}", broken.answer);
    let request = |kind: &str, body: Vec<u8>| admin.request(Method::POST, "/api/plugins?grant=all").body(kind, body).send();
    request("text/javascript", vec![0xff, 0xfe]).await.problem(400, "body.malformed");
    request("text/javascript", vec![b' '; (1 << 20) + 1]).await.problem(413, "body.too_large");
    request("text/plain", SHOUT.into()).await.problem(415, "body.unsupported_type");
    // What it is said to be counts.
    request("application/wasm", SHOUT.into()).await.problem(422, "plugin.invalid");
    request("text/javascript", hostile()).await.any_problem();
    upload_text(&app.anonymous(), SHOUT, "all").await.problem(401, "auth.required");
    assert!(admin.get("/api/plugins").await.list().is_empty());
}

#[tokio::test]
async fn a_rule_about_a_collection_that_is_not_there_yet_is_told() {
    let (_app, admin) = notes().await;
    let later = SHOUT.replace(r#"["notes"]"#, r#"["notes", "nots"]"#);
    let installed = upload_text(&admin, &later, "all").await.json(201);
    let warnings = installed["warnings"].as_array().expect("warnings");
    let told = |warning: &serde_json::Value| warning.as_str().is_some_and(|text| text.contains("`shout`") && text.contains("`nots`"));
    assert!(warnings.len() == 1 && told(&warnings[0]), "{installed}");
    assert_eq!(admin.get("/api/plugins/shouting").await.json(200)["warnings"], installed["warnings"]);
    admin.collection("nots", json!([{"name": "text", "type": "text"}])).await;
    assert_eq!(admin.get("/api/plugins/shouting").await.json(200)["warnings"], json!([]));
    assert_eq!(admin.create("nots", json!({"text": "hush"})).await["text"], "HUSH");
}

#[tokio::test]
async fn a_rule_in_javascript_runs_and_its_text_can_be_read_again() {
    let (_app, admin) = notes().await;
    let installed = upload_text(&admin, SHOUT, "all").await.json(201);
    assert_eq!((&installed["name"], &installed["versions"][0]["javascript"]), (&json!("shouting"), &json!(true)), "{installed}");
    assert_eq!(admin.create("notes", json!({"text": "hush"})).await["text"], "HUSH");
    admin.post("/api/records/notes", json!({})).await.problem(422, "rule.refused").errors(&["/text note.silent"]);
    assert!(installed["source"].is_null() && admin.get("/api/plugins/shouting").await.json(200)["source"].is_null());
    assert_eq!(admin.get("/api/plugins/shouting?source=true").await.json(200)["source"], SHOUT);
    admin.get("/api/plugins/shouting?source=perhaps").await.problem(400, "query.invalid");

    let request =
        admin.request(Method::POST, "/api/plugins").body("application/javascript; charset=utf-8", SHOUT.replace("1.0.0", "1.1.0"));
    assert_eq!(request.send().await.json(201)["version"], "1.1.0");
    // The same text is no other version, and makes the first one run again.
    let again = upload_text(&admin, SHOUT, "all").await.json(201);
    assert_eq!((&again["digest"], again["versions"].as_array().map(Vec::len)), (&installed["digest"], Some(2)), "{again}");
    admin.upload(hostile(), "all").await.expect(201);
    assert!(admin.get("/api/plugins/hostile?source=true").await.json(200)["source"].is_null(), "a component has no text");
}
