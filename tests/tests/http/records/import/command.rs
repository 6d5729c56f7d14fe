//! `ironrule export` and `ironrule import`: the same from a terminal.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use tests::{ADMIN_EMAIL, PASSWORD, TestApp, run};

use super::{super::things_on, THINGS, export, hard, titles};

fn ironrule(app: &TestApp, command: &[&str]) -> Output {
    let place = ["--url", app.address(), "--email", ADMIN_EMAIL, "--password", PASSWORD];
    run(command.iter().chain(&place))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_out_and_come_back() {
    let (app, admin) = things_on(TestApp::start().await).await;
    for record in hard(app.user("ann").await.id()) {
        admin.create("things", record).await;
    }
    let before = export(&admin, "ndjson").await;
    let definition = admin.get("/api/collections/things").await.json(200);
    for name in ["things.csv", "things.ndjson"] {
        let file = app.folder().join(name);
        let written = ironrule(&app, &["export", "things", "--output", text(&file)]);
        assert!(written.status.success(), "{}", said(&written));
        assert_eq!(fs::read_to_string(&file).expect("a file"), export(&admin, name.rsplit('.').next().expect("an end")).await);
        admin.delete("/api/collections/things?force=true").await.expect(200);
        admin.post("/api/collections", definition.clone()).await.expect(201);
        let read = ironrule(&app, &["import", "things", text(&file), "--raw"]);
        assert!(read.status.success() && said(&read).contains("5 created"), "{}", said(&read));
        assert_eq!(export(&admin, "ndjson").await, before);
    }
    let printed = ironrule(&app, &["export", "things", "--fields", "title", "--sort", "-title", "--filter", "title.startsWith('e')"]);
    let lines: Vec<Value> =
        String::from_utf8_lossy(&printed.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().map(|line| &line["title"]).collect::<Vec<_>>(), ["everything", "empty"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told() {
    let (app, admin) = things_on(TestApp::start().await).await;
    let file = app.folder().join("rows.ndjson");
    let missing = ironrule(&app, &["export", "nope", "--output", text(&file)]);
    assert!(!missing.status.success() && said(&missing).contains("collection.not_found"), "{}", said(&missing));
    assert!(!file.exists());
    let rows =
        |second: Value| [json!({"title": "first", "code": "a"}), second, json!({"title": "third"})].map(|row| format!("{row}\n")).concat();
    fs::write(&file, rows(json!({"title": "x"}))).expect("a file");
    let tried = ironrule(&app, &["import", "things", text(&file), "--dry-run", "--skip"]);
    assert!(tried.status.success() && said(&tried).contains("2 created"), "{}", said(&tried));
    assert_eq!(titles(&admin).await, [""; 0]);
    let stopped = ironrule(&app, &["import", "things", text(&file)]);
    let told = said(&stopped);
    assert!(!stopped.status.success() && told.contains("line 2") && told.contains("/2/title"), "{told}");
    let id = told.split("--import ").nth(1).and_then(|rest| rest.get(..26)).unwrap_or_else(|| panic!("no id: {told}"));
    fs::write(&file, rows(json!({"title": "second"}))).expect("a file");
    let done = ironrule(&app, &["import", "things", text(&file), "--import", id]);
    assert!(done.status.success() && said(&done).contains("3 created"), "{}", said(&done));
    assert_eq!(titles(&admin).await, ["first", "second", "third"]);
    fs::write(&file, json!({"title": "changed", "code": "a"}).to_string()).expect("a file");
    let changed = ironrule(&app, &["import", "things", text(&file), "--upsert", "code"]);
    assert!(changed.status.success() && said(&changed).contains("1 changed"), "{}", said(&changed));
    assert_eq!(admin.query(THINGS, &[("filter", "code == 'a'")]).await.list()[0]["title"], "changed");
}
