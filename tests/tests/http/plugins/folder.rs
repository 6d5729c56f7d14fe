//! Plugins in the folder of the data directory: installed when the file is new, and not again after somebody has decided otherwise.

use std::{fs, path::Path};

use serde_json::json;
use tests::{TestApp, run};

use super::{behave, notes_on, variant};

fn put(app: &TestApp, file: &str, content: &[u8]) {
    let folder = Path::new(&app.data_dir()).join("plugins");
    fs::create_dir_all(&folder).expect("the folder is made");
    fs::write(folder.join(file), content).expect("the file is written");
}

/// The digest of the only plugin; none if there is none.
async fn digest(app: &TestApp) -> Option<String> {
    let plugins = app.admin().await.get("/api/plugins").await.list();
    assert!(plugins.len() < 2, "{plugins:?}");
    plugins.first().map(|plugin| plugin["digest"].as_str().expect("a digest").to_owned())
}

#[tokio::test]
async fn what_was_decided_after_the_folder_stays() {
    let (mut app, _admin) = notes_on(TestApp::on_disk().await).await;
    put(&app, "hostile.wasm", &variant(0));
    app.restart().await;
    let from_folder = digest(&app).await.expect("it is installed");

    let uploaded = app.admin().await.upload(variant(1), "all").await.json(201)["digest"].as_str().map(str::to_owned);
    app.restart().await;
    assert_eq!(digest(&app).await, uploaded, "the folder replaced what was uploaded later");
    app.admin().await.delete("/api/plugins/hostile").await.expect(200);
    app.restart().await;
    assert_eq!(digest(&app).await, None, "the folder brought back what was removed");

    put(&app, "hostile.wasm", &variant(2));
    app.restart().await;
    let changed = digest(&app).await.expect("a changed file is installed");
    assert_ne!(changed, from_folder);
    behave(&app.admin().await, "refuse").await.problem(422, "rule.refused");
}

#[tokio::test]
async fn javascript_in_the_folder_is_compiled() {
    let (mut app, _admin) = notes_on(TestApp::on_disk().await).await;
    let text = r#"
        import { beforeWrite, definePlugin } from "@ironrule/rules";
        const rule = beforeWrite({ name: "mark", collections: ["notes"], operations: ["create"], run: () => ({ text: "marked" }) });
        export const rules = definePlugin({ name: "marking", version: "1.0.0", rules: [rule] });
    "#;
    put(&app, "marking.js", text.as_bytes());
    app.restart().await;
    assert_eq!(app.admin().await.create("notes", json!({})).await["text"], "marked");
    let compiled = digest(&app).await;
    app.restart().await;
    assert_eq!(digest(&app).await, compiled, "it was compiled again");

    app.stop();
    put(&app, "marking.js", b"export const rules = ;");
    let output = run(["serve", "--data-dir", &app.data_dir(), "--listen", "127.0.0.1:0"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("marking.js"), "{message}");
}
