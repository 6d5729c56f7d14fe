//! Writes that rules make inside of other writes: which of them are refused, what the rule hears of it, and what whoever began it all hears.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{all, paste};

/// Rules are called like `items-update`. What one has caught can be read in the field `heard`.
const PLUGIN: &str = r#"import { beforeWrite, definePlugin, records } from "@ironrule/rules";
    const on = (collection, operation, run) =>
      beforeWrite({ name: `${collection}-${operation}`, collections: [collection], operations: [operation], run });
    const heard = (call) => {
      try {
        call();
        return "done";
      } catch (error) {
        return error.code;
      }
    };
    export const rules = definePlugin({
      name: "nested", version: "1.0.0", writes_as: "WRITES_AS", grants: { write: ["items", "logs", "parents", "children"] },
      rules: [RULES],
    });"#;

/// A server with these rules.
async fn ruled(writes_as: &str, rules: &str) -> (TestApp, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let text = |name: &str| json!({"name": name, "type": "text"});
    let number = |name: &str| json!({"name": name, "type": "integer", "default": 0});
    let sku = json!({"name": "sku", "type": "text", "unique": true});
    admin.collection("items", json!([sku, number("stock"), text("heard")])).await;
    admin.collection("logs", json!([text("msg"), text("heard")])).await;
    admin.collection("parents", json!([text("name"), number("count")])).await;
    let points = |name: &str, on_delete: &str| json!({"name": name, "type": "relation", "collection": "parents", "on_delete": on_delete});
    admin.collection("children", json!([text("name"), text("heard"), points("parent", "cascade"), points("guide", "unset")])).await;
    paste(&admin, PLUGIN.replace("WRITES_AS", writes_as).replace("RULES", rules)).await;
    (app, admin)
}

fn at(collection: &str, record: &Value) -> String {
    format!("/api/records/{collection}/{}", record["id"].as_str().expect("an id"))
}

async fn stored(admin: &Client, collection: &str, record: &Value) -> Value {
    admin.get(&at(collection, record)).await.json(200)
}

#[tokio::test]
async fn a_rule_hears_that_the_record_it_is_asked_about_is_being_written() {
    let rules = r#"
        on("items", "create", ({ id }) => ({ heard: heard(() => records.update("items", id, { stock: 7 })) })),
        on("items", "update", ({ id }) => {
          const changed = heard(() => records.update("items", id, { stock: 7 }));
          return { heard: `${changed} ${heard(() => records.delete("items", id))}` };
        }),
        on("logs", "update", ({ id }) => void records.update("logs", id, { msg: "lost" })),"#;
    let (_app, admin) = ruled("plugin", rules).await;
    let made = admin.post("/api/records/items", json!([{"sku": "a", "stock": 1}, {"sku": "b"}])).await.json(201);
    assert_eq!((&made[0]["heard"], &made[1]["heard"]), (&json!("not-allowed"), &json!("not-allowed")));
    // The record is free again after each of them.
    for stock in [2, 3] {
        let changed = admin.patch(&at("items", &made[0]), json!({"stock": stock})).await.json(200);
        assert_eq!((&changed["stock"], &changed["heard"]), (&json!(stock), &json!("not-allowed not-allowed")));
        assert_eq!(stored(&admin, "items", &made[0]).await, changed);
    }

    let log = admin.create("logs", json!({"msg": "first"})).await;
    admin.patch(&at("logs", &log), json!({"msg": "second"})).await.problem(500, "plugin.internal");
    assert_eq!(stored(&admin, "logs", &log).await, log);
    let failures = admin.get("/api/plugins/nested/failures").await.list();
    assert!(failures.len() == 1 && failures[0].to_string().contains("is being written"), "{failures:?}");
}

#[tokio::test]
async fn a_rule_of_a_rule_hears_it_too() {
    let rules = r#"
        on("parents", "update", ({ id, after }) => void (after.name === "all" && records.create("children", { parent: id }))),
        on("children", "create", ({ after }) => ({ heard: heard(() => records.update("parents", after.parent, { "count+": 1 })) })),
        on("logs", "create", ({ after }) => ({ heard: heard(() => records.delete("parents", after.msg)) })),
        on("children", "update", ({ before }) => ({ heard: heard(() => records.delete("parents", before.parent)) })),"#;
    let (_app, admin) = ruled("plugin", rules).await;
    let parent = admin.create("parents", json!({"name": "one"})).await;
    let child = admin.create("children", json!({"parent": parent["id"]})).await;
    assert_eq!((&child["heard"], &stored(&admin, "parents", &parent).await["count"]), (&json!("done"), &json!(1)));
    // The child would have to go along while it is written.
    let changed = admin.patch(&at("children", &child), json!({"name": "changed"})).await.json(200);
    assert_eq!(changed["heard"], "conflict");
    admin.patch(&at("parents", &parent), json!({"name": "all"})).await.expect(200);
    let children = all(&admin, "children").await;
    assert_eq!(children.iter().map(|child| child["heard"].clone()).collect::<Vec<_>>(), ["conflict", "not-allowed"]);
    assert_eq!(stored(&admin, "parents", &parent).await["count"], 1);
    let log = admin.create("logs", json!({"msg": parent["id"]})).await;
    assert_eq!((&log["heard"], all(&admin, "children").await.len()), (&json!("done"), 0));
}

#[tokio::test]
async fn nothing_points_to_a_record_that_is_gone_whatever_rules_do_meanwhile() {
    let rules = r#"
        on("children", "delete", ({ before }) => {
          const again = () => records.create("children", { name: "again", parent: before.parent });
          if (before.name === "stubborn") again();
          if (before.name === "mild") heard(again);
          if (before.name === "pair") heard(() => records.delete("children", before.heard));
          if (before.parent) records.update("parents", before.parent, { "count-": 1 });
        }),
        on("children", "update", ({ before }) => (before.name === "keeps" ? { guide: before.guide } : undefined)),"#;
    let (_app, admin) = ruled("plugin", rules).await;
    let parent = admin.create("parents", json!({"count": 3})).await;
    let child = |name: &str| json!({"name": name, "parent": parent["id"]});
    let stubborn = admin.create("children", child("stubborn")).await;
    admin.delete(&at("parents", &parent)).await.problem(500, "plugin.internal");
    assert_eq!((stored(&admin, "parents", &parent).await, all(&admin, "children").await.len()), (parent.clone(), 1));

    admin.patch(&at("children", &stubborn), json!({"name": "mild"})).await.expect(200);
    let pair = [admin.create("children", child("pair")).await, admin.create("children", child("pair")).await];
    let guided = admin.create("children", json!({"name": "keeps", "guide": parent["id"]})).await;
    for (one, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
        admin.patch(&at("children", one), json!({"heard": other["id"]})).await.expect(200);
    }
    admin.delete(&at("parents", &parent)).await.problem(409, "record.referenced");
    assert_eq!(all(&admin, "children").await.len(), 4);

    admin.patch(&at("children", &guided), json!({"name": "lets go"})).await.expect(200);
    admin.delete(&at("parents", &parent)).await.expect(200);
    let left = all(&admin, "children").await;
    assert_eq!((left.len(), &left[0]["guide"]), (1, &Value::Null));
}

/// What is written to `logs` makes an item, whose number says how that ends.
const MAKES_ITEMS: &str = r#"
    on("logs", "create", ({ after }) => {
      const [what, sku, stock] = after.msg.split(" ");
      const make = () => records.create("items", { sku, stock: Number(stock) });
      return { heard: what === "try" ? heard(make) : void make() };
    }),
    on("items", "create", ({ after, fail, reject }) => {
      if (after.stock === 3) reject("forbidden", "not this one");
      if (after.stock === 4) reject("conflict", "not now");
      if (after.stock === 5) fail("/sku", "sku.bad", "a bad one");
      if (after.stock >= 8) records.create("parents", { name: "half written" });
      if (after.stock === 8) fail("/sku", "sku.bad", "a bad one");
    }),
    on("children", "delete", ({ before, fail }) => {
      if (before.name === "locked") fail("/name", "child.locked", "it is locked");
    }),"#;

#[tokio::test]
async fn a_rule_may_be_ready_for_what_its_write_meets() {
    let (_app, admin) = ruled("plugin", MAKES_ITEMS).await;
    for (msg, heard) in [
        ("try dup 1", "done"),
        ("try dup 1", "exists"),
        ("try other 3", "not-allowed"),
        ("try other 4", "conflict"),
        ("try other 5", "invalid"),
        ("try other 6", "done"),
    ] {
        assert_eq!(admin.create("logs", json!({"msg": msg})).await["heard"], heard, "{msg}");
    }
    assert_eq!(all(&admin, "items").await.len(), 2);
}

#[tokio::test]
async fn what_is_wrong_with_the_record_of_a_rule_does_not_point_into_what_a_client_sent() {
    let (_app, admin) = ruled("plugin", MAKES_ITEMS).await;
    admin.create("logs", json!({"msg": "make dup 1"})).await;
    let says = |problem: &tests::Problem, words: &str| {
        let message = problem.answer.json["errors"][0]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(words), "{}", problem.answer);
    };
    let taken = admin.post("/api/records/logs", json!({"msg": "make dup 9"})).await.problem(409, "record.unique");
    says(&taken, "in `items`: another record has this `sku`");
    taken.errors(&[" field.unique"]);
    let refused = admin.post("/api/records/logs", json!({"msg": "make bad 8"})).await.problem(422, "rule.refused");
    says(&refused, "in `items`: a bad one");
    refused.errors(&[" sku.bad"]);
    let several = json!([{"msg": "make good 1"}, {"msg": "make bad 8"}]);
    admin.post("/api/records/logs", several).await.problem(422, "rule.refused").errors(&["/1 sku.bad"]);
    assert_eq!((all(&admin, "items").await.len(), all(&admin, "parents").await.len()), (1, 0));

    let parent = admin.create("parents", json!({})).await;
    let child = admin.create("children", json!({"name": "locked", "parent": parent["id"]})).await;
    let kept = admin.delete(&at("parents", &parent)).await.problem(422, "rule.refused");
    says(&kept, &format!("in `{}` of `children`: it is locked", child["id"].as_str().expect("an id")));
    kept.errors(&[" child.locked"]);
}

#[tokio::test]
async fn a_caller_who_may_not_write_what_a_rule_writes_hears_so() {
    let (app, admin) = ruled("caller", MAKES_ITEMS).await;
    let ann = app.user("ann").await;
    for action in ["create", "read"] {
        admin.allow(&format!("user:{}", ann.id()), "logs", action, "").await;
    }
    ann.post("/api/records/logs", json!({"msg": "make one 1"})).await.problem(403, "policy.denied");
    assert_eq!(ann.create("logs", json!({"msg": "try one 1"})).await["heard"], "not-allowed");
    assert_eq!(admin.get("/api/plugins/nested/failures").await.list(), Vec::<Value>::new());
    admin.allow(&format!("user:{}", ann.id()), "items", "create", "").await;
    ann.create("logs", json!({"msg": "make one 1"})).await;
    assert_eq!((all(&admin, "logs").await.len(), all(&admin, "items").await.len()), (2, 1));
}
