//! The author's path, as a newcomer walks it: the commands of docs/plugins.md, run as they stand there.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tests::{Client, TestApp, binary, repository};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

/// The fenced commands between `<!-- path: NAME -->` and `<!-- end -->`.
fn commands(name: &str) -> String {
    let guide = fs::read_to_string(repository().join("docs/plugins.md")).expect("the guide");
    let start = guide.split_once(&format!("<!-- path: {name} -->")).unwrap_or_else(|| panic!("no path `{name}` in the guide")).1;
    let path = start.split_once("<!-- end -->").expect("an end").0;
    let blocks = path.split("```sh\n").skip(1).map(|rest| rest.split_once("```").expect("a closed block").0);
    let commands: String = blocks.collect();
    assert!(commands.contains("ironrule plugin "), "the path does nothing: {commands}");
    commands
}

/// The names of the paths, in the order in which a reader comes to them.
fn paths() -> Vec<String> {
    let guide = fs::read_to_string(repository().join("docs/plugins.md")).expect("the guide");
    let names = guide.split("<!-- path: ").skip(1).map(|rest| rest.split_once(" -->").expect("a name").0.to_owned());
    names.collect()
}

/// A server with its admin, in whose folder the commands run with the binary under test.
struct Walk {
    app: TestApp,
    admin: Client,
}

impl Walk {
    async fn begin() -> Self {
        let app = TestApp::start().await;
        let admin = app.admin().await;
        let tools = app.folder().join("bin");
        fs::create_dir_all(&tools).expect("a folder");
        std::os::unix::fs::symlink(binary(), tools.join("ironrule")).expect("a link");
        std::os::unix::fs::symlink(repository().join("plugins"), app.folder().join("plugins")).expect("a link");
        Self { app, admin }
    }

    async fn posts(&self) {
        self.admin.collection("posts", json!([{"name": "title", "type": "text"}, {"name": "words", "type": "integer"}])).await;
    }

    fn bash(&self, script: &str) -> Command {
        let mut bash = Command::new("bash");
        let path = format!("{}:{}", self.app.folder().join("bin").display(), std::env::var("PATH").unwrap_or_default());
        bash.args(["-c", &format!("set -euo pipefail\n{script}")]).current_dir(self.app.folder()).env("PATH", path);
        bash.env("IRONRULE_URL", self.app.address()).env("IRONRULE_TOKEN", self.admin.token());
        bash
    }

    /// Everything that the commands print; all of them succeed.
    fn run(&self, commands: &str) -> String {
        let output = self.bash(commands).output().expect("bash starts");
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{commands}\nended with {}:\n{printed}", output.status);
        printed
    }

    /// Everything that a command prints that does not succeed.
    fn fails(&self, command: &str) -> String {
        let output = self.bash(command).output().expect("bash starts");
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success(), "{command}\nsucceeded:\n{printed}");
        printed
    }

    /// Writes a rule that does nothing, of the plugin `wishful`.
    fn wishful(&self, file: &str, version: &str, grants: &str) {
        let text = format!(
            r#"import {{ beforeWrite, definePlugin }} from "@ironrule/rules";
            const rule = beforeWrite({{ name: "nothing", collections: ["posts"], operations: ["create"], run() {{}} }});
            export const rules = definePlugin({{ name: "wishful", version: "{version}", grants: {grants}, rules: [rule] }});"#
        );
        fs::write(self.app.folder().join(file), text).expect("the rule is written");
    }

    /// Runs a path of the guide, whose output must have all of these parts.
    fn walk(&self, path: &str, parts: &[&str]) {
        expect(&self.run(&commands(path)), parts);
    }
}

fn expect(printed: &str, parts: &[&str]) {
    for part in parts {
        assert!(printed.contains(part), "`{part}` is missing in:\n{printed}");
    }
}

#[tokio::test]
async fn the_paths_without_any_tools_one_after_the_other() {
    assert_eq!(paths(), ["javascript", "replay", "typescript", "rust", "operator"], "they are walked in another order here");
    let walk = Walk::begin().await;
    walk.walk(
        "javascript",
        &[
            "2 fixtures, 0 failed",
            "quiet 0.1.0 keeps the contract",
            "installed quiet 0.1.0",
            "\"words\":3",
            "title.shouting",
            "do not shout",
            "info  no-shouting refused a title {\"title\":\"READ THIS NOW\"}",
        ],
    );
    assert_eq!(walk.admin.get("/api/records/posts").await.list().len(), 1, "the second one was refused");

    let first = walk.admin.get("/api/plugins/quiet").await.json(200)["digest"].clone();
    walk.walk("replay", &["no-shouting posts rejected invalid", "wrote run.json", "title.shouting", "back to quiet 0.1.0"]);
    assert_eq!(walk.admin.get("/api/plugins/quiet").await.json(200)["digest"], first);

    let parts = [
        "installed tenant-quota 1.0.0",
        "per_owner=20",
        "per_tenant (not set)",
        ", disabled",
        "installed quiet 0.1.0 (",
        "), watched ",
        "quiet 0.2.0 (",
        "quiet/no-shouting before-write create update",
        "removed tenant-quota",
    ];
    walk.walk("operator", &parts);
    assert_eq!(walk.admin.get("/api/rules/posts").await.json(200)["order"], json!(["quiet/no-shouting"]));
    // All that a watched version says can be seen.
    walk.run("sed -i s/0.2.0/0.3.0/ quiet/plugin.js && ironrule plugin install quiet/plugin.js --shadow");
    for title in ["one", "two", "three"] {
        walk.admin.post("/api/records/posts", json!({"title": title})).await.expect(201);
    }
    let runs = walk.admin.get("/api/plugins/quiet/runs").await.list();
    assert_eq!(runs.iter().filter(|run| run["mode"] == "shadow").count(), 3, "{runs:?}");
    walk.run("ironrule plugin unwatch quiet");
    let quiet = walk.admin.get("/api/plugins/quiet").await.json(200);
    assert_eq!((&quiet["version"], &quiet["shadow"]), (&json!("0.2.0"), &json!(null)));
    walk.admin.get("/api/plugins/tenant-quota").await.problem(404, "plugin.not_found");
}

#[tokio::test]
async fn a_rule_about_a_collection_that_is_not_there_is_warned_of() {
    let walk = Walk::begin().await;
    let printed = walk.run("ironrule plugin new quiet && ironrule plugin install quiet/plugin.js");
    expect(&printed, &["installed quiet 0.1.0", "warning: the rule `no-shouting` is about `posts`"]);
    walk.posts().await;
    let printed = walk.run("ironrule plugin install quiet/plugin.js");
    assert!(!printed.contains("warning"), "{printed}");
}

#[tokio::test]
async fn what_is_first_installed_is_granted_its_wishes_and_an_upgrade_no_more_than_before() {
    let walk = Walk::begin().await;
    walk.posts().await;
    walk.wishful("one.js", "1.0.0", r#"{ read: ["posts"] }"#);
    let wide = r#"{ read: ["posts"], write: ["users"], webhooks: ["example.com"], email: true }"#;
    walk.wishful("two.js", "2.0.0", wide);
    walk.wishful("three.js", "3.0.0", wide);
    expect(&walk.run("ironrule plugin install one.js"), &["installed wishful 1.0.0", "granted read:posts\n"]);

    let all = "read:posts,write:users,webhook:example.com,email";
    for command in ["ironrule plugin install two.js", "ironrule plugin install two.js --shadow"] {
        let advice = format!("`--grant all`, which is `--grant {all}`");
        expect(&walk.fails(command), &["`write:users`, `webhook:example.com`, `email`", &advice]);
    }
    expect(&walk.fails("ironrule plugin install two.js --grant read:posts,email"), &["`write:users`, `webhook:example.com`"]);
    let plugin = walk.admin.get("/api/plugins/wishful").await.json(200);
    assert_eq!((&plugin["version"], &plugin["grants"]["write"], &plugin["shadow"]), (&json!("1.0.0"), &json!([]), &json!(null)));

    let granted = format!("granted {all}\n");
    let printed = walk.run("ironrule plugin install two.js --grant all");
    expect(&printed, &["installed wishful 2.0.0", &granted]);
    expect(&walk.run("ironrule plugin install three.js"), &["installed wishful 3.0.0", &granted]);
}

#[tokio::test]
async fn what_is_first_only_watched_is_granted_its_wishes_too() {
    let walk = Walk::begin().await;
    walk.posts().await;
    walk.wishful("one.js", "1.0.0", "{}");
    walk.wishful("two.js", "2.0.0", r#"{ query: ["posts"] }"#);
    expect(&walk.run("ironrule plugin install two.js --shadow"), &["installed wishful: watched ", "granted query:posts\n"]);
    // What was granted to the plugin stays, though this version wishes for nothing.
    expect(&walk.run("ironrule plugin install one.js"), &["installed wishful 1.0.0", "granted query:posts\n"]);
}

#[tokio::test]
async fn the_path_in_typescript() {
    let walk = Walk::begin().await;
    walk.posts().await;
    walk.walk(
        "typescript",
        &["2 fixtures, 0 failed", "wrote typed/src/collections.ts", "wrote typed/typed.wasm", "installed typed: watched "],
    );
    let shouted = walk.admin.post("/api/records/posts", json!({"title": "READ THIS"})).await;
    shouted.expect(201);
    let types = fs::read_to_string(walk.app.folder().join("typed/src/collections.ts")).expect("the types");
    expect(&types, &["export interface Posts {\n  title?: string | null;\n  words?: number | null;\n}", "export interface Users {"]);
    assert!(!types.contains("password"), "{types}");
}

/// Needs a compiler for wasm32-unknown-unknown: rustup's, or Debian's as `plugins/build-guest.sh` has it.
#[tokio::test]
async fn the_path_in_rust() {
    let mut guests = Command::new(repository().join("plugins/build-guest.sh"));
    let environment = guests.arg("--environment").stderr(Stdio::inherit()).output().expect("bash starts");
    if environment.status.code() == Some(3) {
        eprintln!("skipped: there is no compiler for wasm32-unknown-unknown here, and none can be had");
        return;
    }
    assert!(environment.status.success(), "{environment:?}");
    let walk = Walk::begin().await;
    walk.posts().await;
    let environment = String::from_utf8(environment.stdout).expect("text");
    let printed = walk.run(&format!("{environment}\nexport PATH=\"$PWD/bin:$PATH\"\n{}", commands("rust")));
    let parts = [
        "2 fixtures, 0 failed",
        "fast 0.1.0 keeps the contract",
        "installed fast 0.1.0",
        "please speak quietly",
        "refused the title `READ THIS NOW`",
        "wrote fast.json",
        "title.shouting",
    ];
    expect(&printed, &parts);
    assert_eq!(walk.admin.get("/api/records/posts").await.list().len(), 0);
}

#[tokio::test]
async fn log_lines_are_shown_as_they_come() {
    let walk = Walk::begin().await;
    walk.posts().await;
    walk.run("ironrule plugin new quiet && ironrule plugin install quiet/plugin.js");
    let mut follower = tokio::process::Command::from(walk.bash("exec ironrule plugin logs -f quiet"));
    let mut follower = follower.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    for title in ["ONE", "TWO", "THREE"] {
        walk.admin.post("/api/records/posts", json!({"title": title})).await.problem(422, "rule.refused");
        let line = timeout(Duration::from_secs(60), lines.next_line()).await.expect("a line in time").expect("text");
        assert!(line.as_deref().is_some_and(|line| line.contains(&format!("{{\"title\":\"{title}\"}}"))), "{line:?}");
    }
}

#[tokio::test]
async fn a_run_that_comes_out_differently_is_told() {
    let walk = Walk::begin().await;
    walk.posts().await;
    walk.run("ironrule plugin new quiet && ironrule plugin install quiet/plugin.js");
    walk.admin.post("/api/records/posts", json!({"title": "LOUD"})).await.problem(422, "rule.refused");
    walk.run("ironrule plugin runs quiet --out run.json && sed -i s/title.shouting/title.loud/ quiet/plugin.js");
    let output = walk.bash("ironrule plugin replay run.json quiet/plugin.js").output().expect("bash starts");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{printed}");
    expect(&printed, &["title.shouting", "title.loud", "the run came out differently"]);
    let output = walk.bash("ironrule plugin runs quiet --seq 999 --out other.json").output().expect("bash starts");
    assert!(!output.status.success() && !walk.app.folder().join("other.json").exists(), "{output:?}");
}

/// Whether the command succeeds, and all that it prints.
fn run_in(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(binary()).args(arguments).current_dir(folder).output().expect("the binary starts");
    (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn what_goes_wrong_is_told_by_its_own_name() {
    let folder = tempfile::TempDir::with_prefix("ironrule-").expect("a folder");
    let fails = |arguments: &[&str], part: &str| {
        let (succeeded, printed) = run_in(folder.path(), arguments);
        assert!(!succeeded && printed.contains(part), "{arguments:?}: {printed}");
    };
    fails(&["plugin", "check", "gone.js"], "ironrule: gone.js: ");
    fails(&["plugin", "build", "gone"], "ironrule: gone: ");
    fails(&["plugin", "list", "--url", "http://127.0.0.1:1"], "ironrule: cannot reach the server: ");
    fails(&["plugin", "new", "Odd"], "ironrule: `Odd` is no name");
    fails(&["policy", "test", "gone"], "ironrule: there is no folder gone");
    fs::write(folder.path().join("ironrule.toml"), "nonsense = 1\n").expect("a configuration");
    fails(&["serve"], "ironrule: configuration: ");
}

#[test]
fn a_plugin_without_its_collections_is_told_what_they_are() {
    let folder = tempfile::TempDir::with_prefix("ironrule-").expect("a folder");
    assert!(run_in(folder.path(), &["plugin", "new", "quiet"]).0);
    fs::remove_file(folder.path().join("quiet/collections.json")).expect("it was there");
    let (succeeded, printed) = run_in(folder.path(), &["plugin", "test", "quiet"]);
    assert!(!succeeded, "{printed}");
    expect(&printed, &["ironrule: quiet/collections.json: ", "`{\"create\": [{\"name\": \"posts\"", "`GET /api/collections`"]);
}

#[test]
fn a_fixture_that_does_not_hold_is_told_and_fails_the_command() {
    let folder = tempfile::TempDir::with_prefix("ironrule-").expect("a folder");
    let run = |arguments: &[&str]| run_in(folder.path(), arguments);
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
