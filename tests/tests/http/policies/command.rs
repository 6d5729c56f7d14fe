//! `ironrule policy explain`, `policy test` and `policy lint`.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use tests::{TestApp, repository, run};

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn policy(arguments: &[&str]) -> Output {
    run(["policy"].iter().chain(arguments))
}

#[tokio::test]
async fn a_running_server_explains_on_the_command_line() {
    let app = TestApp::shop().await;
    let (admin, ann) = (app.admin().await, app.shop_user("ann@shop.example").await);
    let product = ann.get("/api/records/products").await.list()[0]["id"].clone();
    let order = ann.create("orders", json!({"items": [{"product": product, "quantity": 1}]})).await;
    let target = format!("orders/{}", order["id"].as_str().unwrap_or_default());
    let ask = |who: &str, action: &str, more: &[&str]| {
        let fixed = ["explain", "--url", app.address(), "--token", admin.token(), "--as", who, action, &target];
        policy(&fixed.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let allowed = ask("user:ann@shop.example", "read", &[]);
    assert!(allowed.status.success(), "{}", printed(&allowed));
    let text = printed(&allowed);
    assert!(text.contains("ALLOW (allowed_by)") && text.contains("record.customer == caller.id: true"), "{text}");
    assert!(text.contains("a list asks: _tenant = $tenant AND `customer` = $c1"), "{text}");
    let denied = printed(&ask("user:ben@shop.example", "read", &[]));
    assert!(denied.contains("DENY (no_condition_holds)") && denied.contains("record.customer == caller.id: false"), "{denied}");
    let update = ask("user:ann@shop.example", "update", &["--change", r#"{"status":"paid"}"#, "--json"]);
    let update: Value = serde_json::from_slice(&update.stdout).unwrap_or_else(|error| panic!("{error}: {}", printed(&update)));
    assert_eq!((&update["decision"], &update["result"]["decision"]), (&json!("deny"), &json!("deny")));
    for wrong in [ask("ann", "read", &[]), ask("user:ann@shop.example", "list", &[]), policy(&["explain", "--as", "user:x", "read"])] {
        assert!(!wrong.status.success() && !printed(&wrong).contains("panicked"), "{}", printed(&wrong));
    }
    let stranger = policy(&["explain", "--url", app.address(), "--as", "anonymous", "read", "orders"]);
    assert!(!stranger.status.success() && printed(&stranger).contains("auth.required"), "{}", printed(&stranger));
}

#[tokio::test]
async fn a_stopped_server_explains_from_its_data_directory() {
    let mut app = TestApp::shop().await;
    assert!(app.stop().success());
    let answer = policy(&["explain", "--data-dir", &app.data_dir(), "--as", "user:sam@shop.example", "update", "orders"]);
    let text = printed(&answer);
    assert!(answer.status.success() && text.contains("role:staff") && text.contains("fields: status"), "{text}");
}

/// The policies of this repository are tested by the command that users have.
#[test]
fn the_policies_of_the_repository_pass_their_tests_and_cover_every_line() {
    for folder in ["policies", "server/app/demo/shop"] {
        let folder = repository().join(folder).display().to_string();
        let report = policy(&["test", &folder, "--json"]);
        assert!(report.status.success(), "{folder}: {}", printed(&report));
        let report: Value = serde_json::from_slice(&report.stdout).expect("json");
        assert!(report["results"].as_array().is_some_and(|results| !results.is_empty()), "{report}");
        assert_eq!(report["coverage"]["uncovered"], json!([]), "{folder}");
        let lint = policy(&["lint", &folder]);
        assert!(lint.status.success(), "{folder}: {}", printed(&lint));
    }
}

fn written(folder: &Path, files: &[(&str, &str)]) -> String {
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("written");
    }
    folder.display().to_string()
}

const COLLECTIONS: &str =
    r#"{"extend": {}, "create": [{"name": "notes", "fields": [{"name": "title", "type": "text"}, {"name": "owner", "type": "text"}]}]}"#;

#[test]
fn a_policy_test_that_fails_says_what_happened_instead() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let policies = "p, role:authenticated, *, notes, read, *, record.owner == caller.id\np, role:editor, *, notes, update\n";
    let tests = "[users.ann]\n\n[records.\"notes/1\"]\nowner = \"ann\"\n\n\
        [[test]]\nname = \"ann reads her own note\"\nas = \"ann\"\naction = \"read\"\non = \"notes/1\"\nexpect = \"allowed\"\n\n\
        [[test]]\nname = \"nobody else\"\nas = \"anonymous\"\naction = \"read\"\non = \"notes/1\"\nexpect = \"allowed\"\n";
    let path = written(folder.path(), &[("collections.json", COLLECTIONS), ("notes.csv", policies), ("notes.test.toml", tests)]);
    let report = policy(&["test", &path]);
    let text = printed(&report);
    assert!(!report.status.success(), "{text}");
    assert!(text.contains("FAILED nobody else in ") && !text.contains("FAILED ann reads"), "{text}");
    assert!(text.contains("2 policy tests, 1 failed") && text.contains("notes.csv:2"), "{text}");
    let broken = written(folder.path(), &[("notes.test.toml", "[[test]]\nname = \"x\"\nexpects = \"allowed\"\n")]);
    let report = policy(&["test", &broken]);
    assert!(!report.status.success() && printed(&report).contains("notes.test.toml"), "{}", printed(&report));
}

#[test]
fn lint_stops_a_build_that_has_a_mistake() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = written(folder.path(), &[("collections.json", COLLECTIONS), ("notes.csv", "p, role:anyone, *, notes, create\n")]);
    let open = policy(&["lint", &path]);
    assert!(printed(&open).contains("[collection.world_writable]"), "{}", printed(&open));
    written(folder.path(), &[("notes.csv", "p, role:authenticated, *, notes, read, *, record.titel == 'a'\n")]);
    let wrong = policy(&["lint", &path]);
    assert!(
        !wrong.status.success() && printed(&wrong).contains("notes.csv:1: column 7 (condition): unknown field `titel`"),
        "{}",
        printed(&wrong)
    );
    assert!(!policy(&["lint", "/nowhere"]).status.success());
}
