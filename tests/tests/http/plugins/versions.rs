//! Versions that are kept: upgrades, going back, switching off and on.

use serde_json::{Value, json};
use tests::{Client, Method, TestApp};

use super::{behave, hostile, misbehaving, notes, notes_on, upload_text, variant};

const PATH: &str = "/api/plugins/hostile";

/// A server with two versions of the same plugin, and their digests. The second one runs.
async fn two() -> (TestApp, Client, [String; 2]) {
    let (app, admin) = notes().await;
    let mut digests = Vec::new();
    for number in 0..2 {
        let installed = admin.upload(variant(number), "all").await.json(201);
        digests.push(installed["digest"].as_str().expect("a digest").to_owned());
    }
    let [one, two] = &digests[..] else { panic!("two digests") };
    let digests = [one.clone(), two.clone()];
    (app, admin, digests)
}

/// The beginning of the digest of the version whose rules ran just now.
async fn runs(admin: &Client) -> String {
    behave(admin, "well").await.expect(201);
    let stats = admin.get("/api/plugins/hostile/stats").await.json(200);
    let rules = stats["rules"].as_array().expect("rules");
    let last = rules.iter().filter(|rule| rule["mode"] == "active").max_by_key(|rule| rule["last_call"].as_str().unwrap_or_default());
    last.and_then(|rule| rule["digest"].as_str()).unwrap_or_else(|| panic!("nothing ran: {stats}")).to_owned()
}

async fn plugin(admin: &Client) -> Value {
    admin.get(PATH).await.json(200)
}

#[tokio::test]
async fn a_version_that_is_not_kept_cannot_run() {
    let (_app, admin, [_, second]) = two().await;
    for wanted in ["nope", "", "0123456789ab", &second[..11], &format!("{second}0")] {
        for member in ["version", "shadow"] {
            let refused = admin.patch(PATH, json!({member: wanted})).await.problem(422, "plugin.invalid");
            refused.errors(&[&format!("/{member} plugin.version_unknown")]);
        }
    }
    assert_eq!(plugin(&admin).await["digest"], second.as_str());
}

#[tokio::test]
async fn versions_of_one_name_are_told_apart_by_their_digests() {
    let (_app, admin, [first, second]) = two().await;
    let name = plugin(&admin).await["version"].as_str().expect("a version").to_owned();
    admin.patch(PATH, json!({"version": name})).await.problem(422, "plugin.invalid").errors(&["/version plugin.version_ambiguous"]);
    for wanted in [&first[..12], &second[..], &first[..20]] {
        let changed = admin.patch(PATH, json!({"version": wanted})).await.json(200);
        assert!(changed["digest"].as_str().is_some_and(|digest| digest.starts_with(wanted)), "{changed}");
        assert!(wanted.starts_with(&runs(&admin).await), "another version ran");
    }
}

#[tokio::test]
async fn there_is_no_way_back_from_the_first_version() {
    let (_app, admin) = misbehaving().await;
    let back = format!("{PATH}/rollback");
    admin.request(Method::POST, &back).send().await.problem(422, "plugin.invalid").errors(&[" plugin.no_previous"]);
    // The same code again is no other version.
    admin.upload(hostile(), "all").await.expect(201);
    admin.request(Method::POST, &back).send().await.problem(422, "plugin.invalid").errors(&[" plugin.no_previous"]);
    admin.request(Method::POST, "/api/plugins/none/rollback").send().await.problem(404, "plugin.not_found");
}

#[tokio::test]
async fn going_back_twice_is_going_forward() {
    let (_app, admin, [first, second]) = two().await;
    assert!(second.starts_with(&runs(&admin).await));
    for (digest, previous) in [(&first, &second), (&second, &first)] {
        let back = admin.request(Method::POST, &format!("{PATH}/rollback")).send().await.json(200);
        assert_eq!((back["digest"].as_str(), back["previous"].as_str()), (Some(&**digest), Some(&**previous)), "{back}");
        assert!(digest.starts_with(&runs(&admin).await), "another version ran");
    }
}

#[tokio::test]
async fn an_upgrade_keeps_the_place_of_the_plugin() {
    let (_app, admin, [first, second]) = two().await;
    let before = plugin(&admin).await;
    assert_eq!((&before["state"], &before["previous"]), (&json!("running"), &json!(first)), "{before}");
    let versions: Vec<_> =
        before["versions"].as_array().expect("versions").iter().map(|version| (&version["digest"], &version["active"])).collect();
    assert_eq!(versions, [(&json!(second), &json!(true)), (&json!(first), &json!(false))], "the latest first");
    let by = before["versions"][0]["by"].as_str().unwrap_or_default();
    assert_eq!(by, format!("user:{}", admin.id()));
    let after = admin.upload(variant(7), "all").await.json(201);
    assert_eq!(after["installed"], before["installed"]);
}

#[tokio::test]
async fn ten_versions_are_kept_and_those_in_use() {
    let (_app, admin, [first, second]) = two().await;
    admin.patch(PATH, json!({"shadow": first})).await.expect(200);
    for number in 2..12 {
        admin.upload(variant(number), "all").await.expect(201);
    }
    let plugin = plugin(&admin).await;
    let kept: Vec<&str> =
        plugin["versions"].as_array().expect("versions").iter().filter_map(|version| version["digest"].as_str()).collect();
    assert_eq!(kept.len(), 10, "{kept:?}");
    assert!(kept.contains(&&*first) && !kept.contains(&&*second), "{kept:?}");
    admin.patch(PATH, json!({"version": second})).await.problem(422, "plugin.invalid").errors(&["/version plugin.version_unknown"]);
}

#[tokio::test]
async fn nothing_of_a_disabled_plugin_runs_until_it_is_enabled() {
    let (mut app, admin) = notes_on(TestApp::on_disk().await).await;
    admin.upload(hostile(), "all").await.expect(201);
    behave(&admin, "refuse").await.problem(422, "rule.refused");
    let disabled = admin.patch(PATH, json!({"enabled": false})).await.json(200);
    assert_eq!((&disabled["state"], &disabled["enabled"]), (&json!("disabled"), &json!(false)));
    behave(&admin, "refuse").await.expect(201);

    app.restart().await;
    let admin = app.admin().await;
    behave(&admin, "refuse").await.expect(201);
    assert_eq!(admin.get("/api/plugins").await.list()[0]["state"], "disabled");
    // What it is about is known, though nothing of it was loaded.
    assert!(plugin(&admin).await["manifest"]["rules"].as_array().is_some_and(|rules| !rules.is_empty()));
    assert_eq!(admin.patch(PATH, json!({"enabled": true})).await.json(200)["state"], "running");
    behave(&admin, "refuse").await.problem(422, "rule.refused");
    // An upload is meant to run.
    admin.patch(PATH, json!({"enabled": false})).await.expect(200);
    admin.upload(variant(1), "all").await.expect(201);
    behave(&admin, "refuse").await.problem(422, "rule.refused");
}

#[tokio::test]
async fn changes_that_say_something_unknown_are_refused() {
    let (_app, admin) = misbehaving().await;
    for body in [json!({"enable": false}), json!({"enabled": "no"}), json!({"grants": {"delete": []}}), json!({"version": 1}), json!([])] {
        admin.patch(PATH, body).await.problem(400, "body.shape");
    }
    admin.patch("/api/plugins/none", json!({})).await.problem(404, "plugin.not_found");
    admin.get("/api/plugins/none").await.problem(404, "plugin.not_found");
    admin.patch(&format!("{PATH}?dryrun=true"), json!({})).await.problem(400, "query.invalid").errors(&["/dryrun query.unknown"]);
    let upload = admin.request(Method::POST, "/api/plugins?grants=all").body("application/wasm", hostile()).send().await;
    upload.problem(400, "query.invalid").errors(&["/grants query.unknown"]);
    assert_eq!(admin.patch(PATH, json!({})).await.json(200)["state"], "running");
}

#[tokio::test]
async fn nobody_looks_or_changes_without_rights() {
    let (app, admin, [first, _]) = two().await;
    let ann = app.user("ann").await;
    admin.policy(json!({"subject": format!("user:{}", ann.id()), "object": "_plugins", "action": "read"})).await;
    let ben = app.user("ben").await;
    let (settings, back, order) = (format!("{PATH}/settings"), format!("{PATH}/rollback"), "/api/rules/notes");
    for path in [PATH, &settings, order] {
        app.anonymous().get(path).await.problem(401, "auth.required");
        ben.get(path).await.problem(403, "policy.denied");
        ann.get(path).await.expect(200);
    }
    for client in [&ann, &ben] {
        client.patch(PATH, json!({"version": first})).await.problem(403, "policy.denied");
        client.request(Method::POST, &back).send().await.problem(403, "policy.denied");
        client.put(&settings, json!({})).await.problem(403, "policy.denied");
        client.put(order, json!({"order": []})).await.problem(403, "policy.denied");
        client.delete(PATH).await.problem(403, "policy.denied");
        upload_text(client, "nonsense", "all").await.problem(403, "policy.denied");
    }
    // Whether there is such a plugin is not told either.
    ben.patch("/api/plugins/none", json!({})).await.problem(403, "policy.denied");
    app.anonymous().put(&settings, json!({})).await.problem(401, "auth.required");
    assert_ne!(plugin(&admin).await["digest"], first.as_str());
}
