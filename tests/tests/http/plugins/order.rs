//! `/api/rules`: the order in which the rules of a collection run. The rules of the plugin `letters` each add theirs to the text.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{notes, upload_text};

const PATH: &str = "/api/rules/notes";

const LETTERS: &str = r#"
    import { beforeWrite, definePlugin } from "@ironrule/rules";
    const add = (name, order) => beforeWrite({
      name, order, collections: ["notes"], operations: ["create"], run: ({ after }) => ({ text: (after.text ?? "") + name }),
    });
    const late = beforeWrite({ name: "elsewhere", collections: ["audit"], operations: ["create"], run: () => {} });
    export const rules = definePlugin({ name: "letters", version: "1.0.0", rules: [add("a", 0), add("b", 0), add("c", -1), late] });
"#;

async fn letters() -> (TestApp, Client) {
    let (app, admin) = notes().await;
    upload_text(&admin, LETTERS, "all").await.expect(201);
    (app, admin)
}

async fn written(admin: &Client) -> Value {
    admin.create("notes", json!({})).await["text"].clone()
}

async fn order(admin: &Client, rules: &[&str]) -> Value {
    admin.put(PATH, json!({ "order": rules })).await.json(200)
}

#[tokio::test]
async fn an_order_of_rules_that_are_not_there_is_refused() {
    let (_app, admin) = letters().await;
    let listed = json!({"order": ["letters/a", "letters/x", "letters/a", "letters/elsewhere", ""]});
    let errors = ["/order/1 rule.unknown", "/order/2 rule.twice", "/order/3 rule.unknown", "/order/4 rule.unknown"];
    admin.put(PATH, listed).await.problem(422, "plugin.invalid").errors(&errors);
    for body in [json!(["letters/a"]), json!({}), json!({"order": [1]}), json!({"order": [], "rules": []})] {
        admin.put(PATH, body).await.problem(400, "body.shape");
    }
    admin.put("/api/rules/nowhere", json!({"order": []})).await.problem(404, "collection.not_found");
    admin.get("/api/rules/nowhere").await.problem(404, "collection.not_found");
    assert_eq!(written(&admin).await, "cab");
}

#[tokio::test]
async fn rules_run_as_they_are_listed() {
    let (_app, admin) = letters().await;
    assert_eq!(written(&admin).await, "cab");
    let listed = order(&admin, &["letters/b", "letters/c"]).await;
    assert_eq!(written(&admin).await, "bca");
    assert_eq!(listed["order"], json!(["letters/b", "letters/c"]));
    let rules: Vec<_> = listed["rules"].as_array().expect("rules").iter().map(|rule| (&rule["rule"], &rule["listed"])).collect();
    let expected = [("letters/b", true), ("letters/c", true), ("letters/a", false)].map(|(rule, listed)| (json!(rule), json!(listed)));
    assert_eq!(rules, expected.each_ref().map(|(rule, listed)| (rule, listed)));
    assert_eq!(admin.get(PATH).await.json(200), listed);

    order(&admin, &[]).await;
    assert_eq!(written(&admin).await, "cab");
}

#[tokio::test]
async fn an_order_outlives_the_rules_that_it_lists() {
    let (_app, admin) = letters().await;
    order(&admin, &["letters/b", "letters/a"]).await;
    upload_text(&admin, &LETTERS.replace("add(\"b\", 0), ", "").replace("1.0.0", "1.1.0"), "all").await.expect(201);
    assert_eq!(written(&admin).await, "ac");
    admin.patch("/api/plugins/letters", json!({"version": "1.0.0"})).await.expect(200);
    assert_eq!(written(&admin).await, "bac");
}

#[tokio::test]
async fn what_is_shown_of_an_order_can_be_sent_back() {
    let (_app, admin) = letters().await;
    order(&admin, &["letters/b", "letters/a"]).await;
    upload_text(&admin, &LETTERS.replace("add(\"b\", 0), ", "").replace("1.0.0", "1.1.0"), "all").await.expect(201);
    let shown = admin.get(PATH).await.json(200)["order"].clone();
    assert_eq!(shown, json!(["letters/a"]));
    assert_eq!(admin.put(PATH, json!({ "order": shown })).await.json(200)["order"], shown);

    admin.delete("/api/plugins/letters").await.expect(200);
    let shown = admin.get(PATH).await.json(200)["order"].clone();
    assert_eq!(shown, json!([]));
    admin.put(PATH, json!({ "order": shown })).await.expect(200);
}
