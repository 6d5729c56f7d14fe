//! What must not be seen by whoever looks at runs: the plugin `payment-webhook` reads a secret setting.

use serde_json::{Value, json};
use tests::{Client, Method, TestApp, repository};

const SECRET: &str = "whsec_a-secret-of-9-words";
const STRIPE: &str = "/api/ext/payment-webhook/stripe";

async fn shop() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let folder = repository().join("plugins/examples/payment-webhook");
    let collections = std::fs::read_to_string(folder.join("collections.json")).expect("the collections of the example");
    let collections: Value = serde_json::from_str(&collections).expect("JSON");
    let collections = collections["create"].as_array().expect("collections to create").clone();
    for definition in collections {
        admin.post("/api/collections", definition).await.expect(201);
    }
    admin.upload(std::fs::read(folder.join("payment_webhook.wasm")).expect("the component"), "all").await.expect(201);
    let settings = admin.put("/api/plugins/payment-webhook/settings", json!({"signing_secret": SECRET})).await;
    assert!(settings.is_success(), "{settings}");
    (app, admin)
}

#[tokio::test]
async fn secret_settings_are_in_nothing_that_is_kept() {
    let (app, admin) = shop().await;
    let request = app.anonymous().request(Method::POST, STRIPE).header("stripe-signature", "t=1,v1=00");
    // Somebody who has found the secret sends it around: it is not kept either.
    request.json(&json!({"id": "evt_1", "type": "x", "note": SECRET})).send().await.problem(403, "rule.refused");

    let runs = admin.get("/api/plugins/payment-webhook/runs").await.list();
    assert_eq!((runs.len(), &runs[0]["redacted"], &runs[0]["outcome"]), (1, &json!(true), &json!("rejected")), "{runs:?}");
    let whole = admin.get(&format!("/api/plugins/payment-webhook/runs/{}", runs[0]["seq"])).await.expect(200);
    let calls = whole.json["transcript"].as_array().expect("a transcript");
    let read = calls.iter().find(|call| call["call"] == "host.setting").unwrap_or_else(|| panic!("no setting is read: {whole}"));
    assert_eq!((&read["input"], &read["output"]), (&json!("{\"name\":\"signing_secret\"}"), &json!("\"***\"")), "{whole}");
    for part in ["stats", "logs", "failures", "runs"] {
        let answer = admin.get(&format!("/api/plugins/payment-webhook/{part}")).await.expect(200);
        assert!(!answer.text.contains("9-words"), "{answer}");
    }
    assert!(!whole.text.contains("9-words"), "{whole}");
    assert!(whole.json["event"]["after"]["body"]["note"] == "***", "{whole}");
    assert!(!app.output().contains("9-words"), "the secret is in the log of the server");
}
