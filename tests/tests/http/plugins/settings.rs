//! Settings and secrets of a plugin. The plugin `greeter` writes down what it sees of them.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tests::{Client, Method, TestApp, eventually};

use super::{notes, notes_on, upload_text};

const PATH: &str = "/api/plugins/greeter";
const SETTINGS: &str = "/api/plugins/greeter/settings";
const SECRET: &str = "correct-horse-battery-staple";

const GREETER: &str = r#"
    import { beforeWrite, definePlugin, setting } from "@ironrule/rules";
    const settings = [{ name: "greeting", default: "hello", description: "What is said." }, { name: "token", secret: true }];
    const greet = () => ({ text: `${setting("greeting")}/${(setting("token") ?? "").length}` });
    const rule = beforeWrite({ name: "greet", collections: ["notes"], operations: ["create"], run: greet });
    export const rules = definePlugin({ name: "greeter", version: "1.0.0", settings, rules: [rule] });
"#;

async fn greeter() -> (TestApp, Client) {
    let (app, admin) = notes().await;
    upload_text(&admin, GREETER, "all").await.expect(201);
    (app, admin)
}

/// What the rule has seen.
async fn seen(admin: &Client) -> Value {
    admin.create("notes", json!({})).await["text"].clone()
}

fn setting<'a>(settings: &'a Value, name: &str) -> &'a Value {
    let all = settings.as_array().unwrap_or_else(|| panic!("no list: {settings}"));
    all.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("no `{name}`: {settings}"))
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() {
    let (_app, admin) = greeter().await;
    let long = "x".repeat((16 << 10) + 1);
    let body = json!({"nothing": "x", "greeting": 7, "token": long});
    let errors = ["/nothing plugin.setting_unknown", "/greeting plugin.setting_type", "/token plugin.setting_length"];
    admin.put(SETTINGS, body).await.problem(422, "plugin.invalid").errors(&errors);
    admin.put(SETTINGS, json!(["greeting"])).await.problem(400, "body.shape");
    admin.put("/api/plugins/none/settings", json!({})).await.problem(404, "plugin.not_found");
    admin.get("/api/plugins/none/settings").await.problem(404, "plugin.not_found");
    assert_eq!(seen(&admin).await, "hello/0");
}

#[tokio::test]
async fn a_setting_holds_from_the_next_request_on() {
    let (_app, admin) = greeter().await;
    assert_eq!(seen(&admin).await, "hello/0");
    let settings = admin.put(SETTINGS, json!({"greeting": "hi", "token": SECRET})).await.json(200);
    let greeting =
        json!({"name": "greeting", "secret": false, "set": true, "value": "hi", "default": "hello", "description": "What is said."});
    assert_eq!(setting(&settings, "greeting"), &greeting);
    assert_eq!(setting(&settings, "token"), &json!({"name": "token", "secret": true, "set": true}));
    assert_eq!(seen(&admin).await, format!("hi/{}", SECRET.len()));

    // Whoever writes back what was read does not know the secret.
    admin.put(SETTINGS, json!({})).await.expect(200);
    assert_eq!(seen(&admin).await, format!("hello/{}", SECRET.len()));
    admin.put(SETTINGS, json!({"greeting": "", "token": null})).await.expect(200);
    assert_eq!(seen(&admin).await, "/0");
    assert_eq!(admin.get(SETTINGS).await.json(200), admin.get(PATH).await.json(200)["settings"]);
}

#[tokio::test]
async fn settings_outlive_upgrades_and_end_with_the_plugin() {
    let (_app, admin) = greeter().await;
    admin.put(SETTINGS, json!({"greeting": "hi", "token": SECRET})).await.expect(200);
    upload_text(&admin, &GREETER.replace("1.0.0", "1.0.1"), "all").await.expect(201);
    assert_eq!(seen(&admin).await, format!("hi/{}", SECRET.len()));
    admin.delete(PATH).await.expect(200);
    upload_text(&admin, GREETER, "all").await.expect(201);
    assert_eq!(seen(&admin).await, "hello/0");
}

/// Whether the text stands in any file below the folder.
fn stands_in(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        let holds = |path: &Path| fs::read(path).expect("a file").windows(text.len()).any(|part| part == text.as_bytes());
        if path.is_dir() { stands_in(&path, text) } else { holds(&path) }
    })
}

#[tokio::test]
async fn a_secret_is_shown_to_nobody_and_stored_encrypted() {
    let (mut app, admin) = notes_on(TestApp::on_disk().await).await;
    upload_text(&admin, GREETER, "all").await.expect(201);
    let mut answers = vec![admin.put(SETTINGS, json!({"greeting": "plain-as-can-be", "token": SECRET})).await];
    for path in [SETTINGS, PATH, "/api/plugins", "/api/plugins/greeter?source=true", "/api/plugins/greeter/runs"] {
        answers.push(admin.get(path).await);
    }
    answers.push(admin.patch(PATH, json!({})).await);
    for answer in answers {
        assert!(answer.is_success() && !answer.text.contains(SECRET), "{answer}");
    }
    // Killed, because a database that is closed compresses what it has, and the search would find nothing at all.
    app.kill9();
    assert!(stands_in(Path::new(&app.data_dir()), "plain-as-can-be"), "the search finds nothing");
    assert!(!stands_in(Path::new(&app.data_dir()), SECRET), "the secret is stored as it is");
    assert!(!app.output().contains(SECRET), "the secret is in the log");
}

#[tokio::test]
async fn a_changed_key_breaks_the_plugin_and_loses_nothing() {
    let (mut app, admin) = notes_on(TestApp::on_disk().await).await;
    upload_text(&admin, GREETER, "all").await.expect(201);
    admin.put(SETTINGS, json!({"greeting": "hi", "token": SECRET})).await.expect(200);
    let file = Path::new(&app.data_dir()).join("secret.key");
    let key = fs::read(&file).expect("the key");
    assert!(app.stop().success());
    fs::write(&file, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").expect("written");

    app.restart().await;
    let admin = app.admin().await;
    let plugin = admin.get(PATH).await.json(200);
    let reason = plugin["broken"].as_str().unwrap_or_default();
    assert!(plugin["state"] == "broken" && reason.contains("`token`") && reason.contains("`secret_key`"), "{plugin}");
    let refused = admin.post("/api/records/notes", json!({})).await.problem(500, "plugin.broken");
    assert_eq!(refused.answer.json["plugin"], "greeter", "{}", refused.answer);
    admin.create("audit", json!({"note": "not the business of this plugin"})).await;
    let settings = admin.get(SETTINGS).await.json(200);
    assert!(setting(&settings, "token")["problem"].is_string() && setting(&settings, "greeting")["value"] == "hi", "{settings}");

    admin.patch(PATH, json!({"enabled": false})).await.expect(200);
    admin.create("notes", json!({})).await;
    assert_eq!(admin.patch(PATH, json!({"enabled": true})).await.json(200)["state"], "broken");
    assert!(app.stop().success());
    fs::write(&file, key).expect("written");

    app.restart().await;
    let admin = app.admin().await;
    assert_eq!(seen(&admin).await, format!("hi/{}", SECRET.len()));
}

#[tokio::test]
async fn a_secret_that_is_set_anew_repairs_the_plugin() {
    let (mut app, admin) = notes_on(TestApp::on_disk().await).await;
    upload_text(&admin, GREETER, "all").await.expect(201);
    admin.put(SETTINGS, json!({"token": SECRET})).await.expect(200);
    assert!(app.stop().success());
    fs::remove_file(Path::new(&app.data_dir()).join("secret.key")).expect("removed");
    app.restart().await;
    let admin = app.admin().await;
    admin.post("/api/records/notes", json!({})).await.problem(500, "plugin.broken");
    let settings = admin.put(SETTINGS, json!({"token": "brand-new"})).await.json(200);
    assert!(setting(&settings, "token")["problem"].is_null(), "{settings}");
    assert_eq!(seen(&admin).await, "hello/9");
}

#[tokio::test]
async fn a_secret_that_no_log_could_be_kept_clean_of_is_refused() {
    let (_app, admin) = greeter().await;
    for short in ["", "hush!"] {
        let refused = admin.put(SETTINGS, json!({"token": short})).await.problem(422, "plugin.invalid");
        let refused = refused.errors(&["/token plugin.setting_length"]);
        assert!(refused.answer.text.contains("at least 6 bytes"), "{}", refused.answer);
    }
    // What is no secret may be as short as it likes.
    admin.put(SETTINGS, json!({"token": "hush!!", "greeting": "hi"})).await.expect(200);
    assert_eq!(seen(&admin).await, "hi/6");
}

#[tokio::test]
async fn what_webhooks_cannot_be_signed_with_is_refused() {
    let (_app, admin) = notes().await;
    let signing = GREETER.replace(r#"{ name: "token", secret: true }"#, r#"{ name: "token" }, { name: "webhook_secret", secret: true }"#);
    upload_text(&admin, &signing, "all").await.expect(201);
    // 23, 24, 64 and 65 bytes.
    let [short, least, most, long] =
        [("AAAA".repeat(7), "AAA="), ("AAAA".repeat(8), ""), ("AAAA".repeat(21), "AA=="), ("AAAA".repeat(21), "AAA=")]
            .map(|(base64, end)| format!("whsec_{base64}{end}"));
    for wrong in ["", " ", "not base64 !!", "whsec_", "whsec_c2hvcnQ=", &short, &long, &least[..30], &format!("{least} {short}")] {
        let refused = admin.put(SETTINGS, json!({"webhook_secret": wrong})).await.problem(422, "plugin.invalid");
        let refused = refused.errors(&["/webhook_secret plugin.setting_value"]);
        assert!(refused.answer.text.contains("`whsec_` and the base64 of 24 to 64"), "{}", refused.answer);
    }
    for right in [&*least, &most, &least["whsec_".len()..], &format!("{least} {most}")] {
        admin.put(SETTINGS, json!({"webhook_secret": right})).await.expect(200);
    }
    assert_eq!(admin.get("/api/plugins/greeter/webhook-secret").await.json(200), json!({"source": "setting"}));
    admin.put(SETTINGS, json!({"webhook_secret": null})).await.expect(200);
    assert_eq!(admin.get("/api/plugins/greeter/webhook-secret").await.json(200)["source"], "derived");
}

/// Says its secret to everybody who listens.
const TALKER: &str = r#"
    import { beforeWrite, definePlugin, log, setting } from "@ironrule/rules";
    function talk({ after }) {
      const token = setting("token");
      log.info(`the token is ${token}`, { token });
      if (after.behaviour === "throw") throw new Error(`no luck with ${token}`);
    }
    const rule = beforeWrite({ name: "talk", collections: ["notes"], operations: ["create"], run: talk });
    export const rules = definePlugin({ name: "greeter", version: "1.0.0", settings: [{ name: "token", secret: true }], rules: [rule] });
"#;

/// The same rule, to which the setting is none that nobody may see.
fn careless() -> String {
    TALKER.replace(", secret: true", "").replace("1.0.0", "2.0.0")
}

/// The rule talks, and nobody hears the secret.
async fn says_nothing(app: &TestApp, admin: &Client) {
    admin.create("notes", json!({})).await;
    admin.post("/api/records/notes", json!({"behaviour": "throw"})).await.problem(500, "plugin.internal");
    let mut paths = vec![SETTINGS.to_owned(), PATH.to_owned()];
    paths.extend(["logs", "failures", "runs"].map(|part| format!("{PATH}/{part}")));
    let runs = admin.get(&format!("{PATH}/runs")).await.list();
    paths.extend(runs.iter().map(|run| format!("{PATH}/runs/{}", run["seq"])));
    for path in paths {
        let answer = admin.get(&path).await.expect(200);
        assert!(!answer.text.contains(SECRET), "{path}: {answer}");
    }
    let said = |text: &str| app.output().contains(text);
    eventually("the server has logged what the rule said", async || (said("the token is ***") && said("no luck with ***")).then_some(()))
        .await;
    assert!(!said(SECRET), "the secret is in the log of the server");
    let settings = admin.get(SETTINGS).await.json(200);
    assert_eq!(setting(&settings, "token"), &json!({"name": "token", "secret": true, "set": true}));
}

#[tokio::test]
async fn a_secret_is_in_no_log() {
    let (app, admin) = notes().await;
    upload_text(&admin, TALKER, "all").await.expect(201);
    admin.put(SETTINGS, json!({"token": SECRET})).await.expect(200);
    says_nothing(&app, &admin).await;
}

#[tokio::test]
async fn what_was_given_as_a_secret_stays_one_whatever_a_version_calls_it() {
    let (app, admin) = notes().await;
    upload_text(&admin, TALKER, "all").await.expect(201);
    admin.put(SETTINGS, json!({"token": "another-horse"})).await.expect(200);
    upload_text(&admin, &careless(), "all").await.expect(201);
    admin.put(SETTINGS, json!({})).await.expect(200);
    admin.put(SETTINGS, json!({"token": SECRET})).await.expect(200);
    says_nothing(&app, &admin).await;
    // Once it is taken away, the next one is what the version says.
    admin.put(SETTINGS, json!({"token": null})).await.expect(200);
    let settings = admin.put(SETTINGS, json!({"token": "plain"})).await.json(200);
    assert_eq!(setting(&settings, "token"), &json!({"name": "token", "secret": false, "set": true, "value": "plain"}));
}

/// A value that was given to a version to which it was no secret.
async fn given_carelessly() -> (TestApp, Client) {
    let (app, admin) = notes().await;
    upload_text(&admin, &careless(), "all").await.expect(201);
    let settings = admin.put(SETTINGS, json!({"token": SECRET})).await.json(200);
    assert_eq!(setting(&settings, "token")["value"], SECRET);
    (app, admin)
}

#[tokio::test]
async fn what_a_version_declares_a_secret_is_one_to_all_others() {
    let (app, admin) = given_carelessly().await;
    upload_text(&admin, TALKER, "all").await.expect(201);
    says_nothing(&app, &admin).await;
    admin.request(Method::POST, &format!("{PATH}/rollback")).send().await.expect(200);
    says_nothing(&app, &admin).await;
}

#[tokio::test]
async fn what_a_watched_version_declares_a_secret_is_one() {
    let (app, admin) = given_carelessly().await;
    let shadow = admin.request(Method::POST, "/api/plugins?grant=all&mode=shadow").body("text/javascript", TALKER.to_owned());
    shadow.send().await.expect(201);
    says_nothing(&app, &admin).await;
}

#[tokio::test]
async fn what_a_version_declares_a_secret_is_one_when_it_comes_back() {
    let (app, admin) = notes().await;
    upload_text(&admin, TALKER, "all").await.expect(201);
    upload_text(&admin, &careless(), "all").await.expect(201);
    admin.put(SETTINGS, json!({"token": SECRET})).await.expect(200);
    admin.patch(PATH, json!({"version": "1.0.0"})).await.expect(200);
    admin.patch(PATH, json!({"version": "2.0.0"})).await.expect(200);
    says_nothing(&app, &admin).await;
}
