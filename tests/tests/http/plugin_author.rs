//! The author's path, as a newcomer walks it: the commands of docs/plugins.md, run as they stand there.

use std::{fs, path::Path, process::Command};

use tests::{TestApp, binary, repository};

/// The fenced commands between `<!-- path: NAME -->` and `<!-- end -->`.
fn commands(name: &str) -> String {
    let guide = fs::read_to_string(repository().join("docs/plugins.md")).expect("the guide");
    let start = guide.split_once(&format!("<!-- path: {name} -->")).unwrap_or_else(|| panic!("no path `{name}` in the guide")).1;
    let path = start.split_once("<!-- end -->").expect("an end").0;
    let blocks = path.split("```sh\n").skip(1).map(|rest| rest.split_once("```").expect("a closed block").0);
    let commands: String = blocks.collect();
    assert!(commands.contains("ironrule plugin test"), "the path tests nothing: {commands}");
    commands
}

/// Runs the commands in a folder with the binary under test, and returns everything that they print.
fn walk(app: &TestApp, token: &str, folder: &Path, commands: &str) -> String {
    let tools = folder.join("bin");
    fs::create_dir_all(&tools).expect("a folder");
    std::os::unix::fs::symlink(binary(), tools.join("ironrule")).expect("a link");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let script = format!("set -euo pipefail\n{commands}");
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(folder).env("PATH", path);
    bash.env("IRONRULE_URL", app.address()).env("IRONRULE_TOKEN", token);
    let output = bash.output().expect("bash starts");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{commands}\nended with {}:\n{printed}", output.status);
    printed
}

#[tokio::test]
async fn the_path_without_any_tools() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let printed = walk(&app, admin.token(), app.folder(), &commands("javascript"));
    for part in
        ["2 fixtures, 0 failed", "quiet 0.1.0 keeps the contract", "installed quiet 0.1.0", "\"words\":3", "title.shouting", "do not shout"]
    {
        assert!(printed.contains(part), "`{part}` is missing in:\n{printed}");
    }
    assert_eq!(admin.get("/api/records/posts").await.list().len(), 1, "the second one was refused");
}

#[tokio::test]
async fn the_path_in_typescript() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("posts", serde_json::json!([{"name": "title", "type": "text"}, {"name": "words", "type": "integer"}])).await;
    let printed = walk(&app, admin.token(), app.folder(), &commands("typescript"));
    for part in ["2 fixtures, 0 failed", "wrote typed/typed.wasm", "installed typed: watched "] {
        assert!(printed.contains(part), "`{part}` is missing in:\n{printed}");
    }
    let shouted = admin.post("/api/records/posts", serde_json::json!({"title": "READ THIS"})).await;
    shouted.expect(201);
}

#[test]
fn a_fixture_that_does_not_hold_is_told_and_fails_the_command() {
    let folder = tempfile::TempDir::with_prefix("ironrule-").expect("a folder");
    let run = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).current_dir(folder.path()).output().expect("the binary starts");
        (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    };
    assert!(run(&["plugin", "new", "quiet"]).0);
    let (again, printed) = run(&["plugin", "new", "quiet"]);
    assert!(!again && printed.contains("is there already"), "{printed}");
    let (odd, printed) = run(&["plugin", "new", "../Odd"]);
    assert!(!odd && printed.contains("is no name for a plugin"), "{printed}");
    let rule = folder.path().join("quiet/plugin.js");
    let text = fs::read_to_string(&rule).expect("the rule").replace("title.shouting", "title.loud");
    fs::write(&rule, text).expect("the rule is changed");
    let (passed, printed) = run(&["plugin", "test", "quiet"]);
    assert!(!passed && printed.contains("FAILED  no-shouting") && printed.contains("title.loud"), "{printed}");
    let (passed, printed) = run(&["plugin", "test", "quiet", "--limit-instructions", "10"]);
    assert!(!passed && printed.contains("the limit is 10"), "{printed}");
    fs::write(&rule, "export const rules = {;").expect("the rule is changed");
    let (passed, printed) = run(&["plugin", "check", "quiet/plugin.js"]);
    assert!(!passed && printed.contains("plugin.js:1"), "{printed}");
}
