//! Effects and settings, from the guest's side to the records.

use std::collections::BTreeMap;
use std::sync::Arc;

use plugins::{Grants, Ground, Instances, Plugin, Run};
use serde_json::json;

use crate::guest::Guest;
use crate::memory::{MemoryRecords, Mood};
use crate::setup::{all, event, failure, run, runtime};

async fn enqueue(kind: &str, payload: &str, grants: Grants) -> Run {
    let escape = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let members = format!("(data (i32.const 8192) \"{}\") (data (i32.const 8448) \"{}\")", escape(kind), escape(payload));
    let call = format!(
        "(call $enqueue (i32.const 8192) (i32.const {}) (i32.const 8448) (i32.const {}) @object @answer)",
        kind.len(),
        payload.len()
    );
    let plugin = Guest::with_members(&format!("{call} (call $tell)"), &members).load(runtime().await).await.expect("loads");
    let ground = Ground { grants: Arc::new(grants), ..Ground::default() };
    plugin.run(&Instances::default(), ground, Box::new(MemoryRecords::new(Mood::Well)), event("r", "notes", &json!({}))).await
}

#[tokio::test]
async fn a_granted_effect_reaches_the_outbox() {
    let webhooks = ["api.example.com".to_owned()].into();
    let mut run = enqueue("webhook", r#"{"url":"https://api.example.com/x","body":[1]}"#, Grants { webhooks, ..Grants::default() }).await;
    assert!(run.result.is_ok(), "{:?}", run.result);
    let payload = json!({ "url": "https://api.example.com/x", "method": "POST", "headers": {}, "body": [1] });
    let expected = json!([{ "kind": "webhook", "payload": payload, "options": { "key": null, "delay_ms": 0, "max_attempts": null } }]);
    assert_eq!(all(&mut run.records, "effects").await, expected);
}

#[tokio::test]
async fn what_is_not_granted_or_not_well_formed_does_not() {
    let mail = r#"{"to":["a@example.com"],"subject":"s","text":"t"}"#;
    for (kind, payload, expected) in [
        ("webhook", r#"{"url":"https://api.example.com/x"}"#, "no grant for webhooks to `api.example.com`"),
        ("email", mail, "no grant for e-mail"),
        ("job", r#"{"rule":"r"}"#, "no after-commit rule `r`"),
        ("job", r#"{"rule":"#, "a job: EOF"),
        ("fax", "{}", "`fax` is no kind of effect"),
    ] {
        let mut run = enqueue(kind, payload, Grants::default()).await;
        assert!(failure(&run).message.contains(expected), "{kind}: {:?}", failure(&run));
        assert_eq!(all(&mut run.records, "effects").await, json!([]), "{kind}");
    }
}

#[tokio::test]
async fn a_giant_effect_is_a_failure_that_the_rule_sees() {
    let giant = Guest::runs("(call $enqueue @job (i32.const 131072) (i32.const 70000) @object @answer) (call $tell)");
    let plugin = giant.load(runtime().await).await.expect("loads");
    let mut run = run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await;
    assert_eq!(failure(&run).message, "an effect of 70002 bytes, at most 65536 are allowed");
    assert_eq!(all(&mut run.records, "effects").await, json!([]));
}

/// Answers the value of a setting as its details; no value as `{}`.
fn reads_setting(name: &str) -> Guest {
    Guest::with_members(
        &format!(
            "(call $setting (i32.const 8192) (i32.const {}) @answer)
             (if (result i32) (i32.load8_u (i32.const 768))
               (then (call $details (i32.load (i32.const 772)) (i32.load (i32.const 776))))
               (else (call $accept)))",
            name.len()
        ),
        &format!("(data (i32.const 8192) \"{name}\")"),
    )
}

async fn setting(plugin: &Plugin, values: &[(&str, &str)]) -> String {
    let settings: BTreeMap<_, _> = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let ground = Ground { settings: Arc::new(settings), ..Ground::default() };
    let run = plugin.run(&Instances::default(), ground, Box::new(MemoryRecords::new(Mood::Well)), event("r", "notes", &json!({}))).await;
    assert_eq!(run.host_calls, 1);
    run.result.expect("the rule agrees").details
}

#[tokio::test]
async fn settings_are_what_the_operator_set_or_their_default() {
    let known = reads_setting("known").load(runtime().await).await.expect("loads");
    assert_eq!(setting(&known, &[]).await, r#"{"a":1}"#);
    assert_eq!(setting(&known, &[("known", r#"{"b":2}"#)]).await, r#"{"b":2}"#);
    let unknown = reads_setting("other").load(runtime().await).await.expect("loads");
    assert_eq!(setting(&unknown, &[("other", r#"{"b":2}"#)]).await, "{}", "not declared, so not there");
}
