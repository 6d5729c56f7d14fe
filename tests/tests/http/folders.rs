//! What the operator puts into the data directory: policies and plugins in files, read at start.

use std::{fs, path::Path};

use serde_json::json;
use tests::{TestApp, repository, run};

fn put(app: &TestApp, file: &str, content: &[u8]) {
    let path = Path::new(&app.data_dir()).join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
    fs::write(path, content).expect("the file is written");
}

#[tokio::test]
async fn a_plugin_in_the_folder_is_installed_once() {
    let mut app = TestApp::on_disk().await;
    let admin = app.admin().await;
    admin.collection("notes", json!([{"name": "behaviour", "type": "text"}])).await;
    admin.collection("audit", json!([{"name": "note", "type": "text"}])).await;
    let component = fs::read(repository().join("plugins/examples/hostile/hostile.wasm")).expect("the component");
    put(&app, "plugins/hostile.wasm", &component);

    app.restart().await;
    let admin = app.admin().await;
    let installed = admin.get("/api/plugins").await.list();
    assert_eq!(installed.len(), 1, "{installed:?}");
    assert_eq!(installed[0]["name"], "hostile");
    let refused = admin.post("/api/records/notes", json!({"behaviour": "refuse"})).await;
    refused.problem(422, "rule.refused").errors(&["/behaviour note.refused"]);

    app.restart().await;
    assert_eq!(app.admin().await.get("/api/plugins").await.list(), installed, "it was installed again");
}

#[tokio::test]
async fn a_policy_in_a_file_is_in_force_and_only_changed_there() {
    let mut app = TestApp::on_disk().await;
    app.admin().await.collection("notes", json!([{"name": "text", "type": "text"}])).await;
    app.anonymous().get("/api/records/notes").await.problem(401, "auth.required");
    put(&app, "policies/site.csv", b"# p, subject, tenant, object, action\np, role:anyone, *, notes, read\n");

    app.restart().await;
    app.anonymous().get("/api/records/notes").await.expect(200);
    let admin = app.admin().await;
    let policies = admin.get("/api/policies").await.list();
    let policy = policies.iter().find(|policy| policy["object"] == "notes").expect("the policy");
    assert!(policy["source"]["name"].as_str().is_some_and(|name| name.ends_with("site.csv")), "{policy}");
    assert_eq!(policy["source"]["line"], 2, "{policy}");
    let id = policy["id"].as_str().expect("an id");
    admin.delete(&format!("/api/policies/{id}")).await.problem(404, "policy.not_found");
    app.anonymous().get("/api/records/notes").await.expect(200);
}

#[tokio::test]
async fn a_broken_policy_file_is_named_with_line_and_column() {
    let mut app = TestApp::on_disk().await;
    put(&app, "policies/site.csv", b"p, role:anyone, *, users, read\np, role:anyone, *, users, reed\n");
    app.stop();
    let output = run(["serve", "--data-dir", &app.data_dir(), "--listen", "127.0.0.1:0"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the server started without a policy that somebody wrote");
    assert!(message.contains("site.csv:2") && message.contains("column 5"), "{message}");
}
