//! Kill -9 at any moment: what was acknowledged is there, what was not is there as a whole or not at all. The rush of orders with a crash
//! is in `shop/rush`.

use std::collections::HashSet;

use serde_json::json;
use tests::{Client, TestApp, eventually};

#[tokio::test]
async fn acknowledged_records_survive_and_half_ones_do_not_exist() {
    let mut app = TestApp::on_disk().await;
    let mut admin = app.admin().await;
    admin.collection("things", json!([{"name": "code", "type": "text", "unique": true}, {"name": "text", "type": "text"}])).await;
    let mut acknowledged: HashSet<String> = HashSet::new();
    for round in 0..3 {
        let writers: Vec<_> = (0..8).map(|writer| tokio::spawn(write(admin.clone(), format!("{round}-{writer}")))).collect();
        let wanted = acknowledged.len() + 100;
        let enough = async || {
            let counted = admin.query("/api/records/things", &[("count", "exact"), ("limit", "1")]).await;
            let count: usize = counted.expect_header("x-total-count").parse().expect("a number");
            (count >= wanted).then_some(())
        };
        eventually("a hundred records are written", enough).await;
        app.kill9();
        for writer in writers {
            acknowledged.extend(writer.await.expect("the writer ends"));
        }
        app.restart().await;
        admin = app.admin().await;
        let stored = codes(&admin).await;
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        // At most one write of each writer was under way.
        assert!(stored.len() <= acknowledged.len() + 8, "round {round}: {} stored, {} acknowledged", stored.len(), acknowledged.len());
        acknowledged = stored;
    }
    // The index of unique values is whole, too: nothing stored can be stored again.
    let code = acknowledged.iter().next().expect("a code");
    let again = admin.post("/api/records/things", json!({"code": code})).await;
    again.problem(409, "record.unique");
}

/// Writes until the server is gone; returns what was acknowledged.
async fn write(admin: Client, prefix: String) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0_u32.. {
        let code = format!("{prefix}-{number}");
        let body = json!({"code": code, "text": "x".repeat(500)});
        match admin.request(tests::Method::POST, "/api/records/things").json(&body).try_send().await {
            Ok(answer) => {
                answer.expect(201);
                acknowledged.push(code);
            }
            Err(_) => break,
        }
    }
    acknowledged
}

/// The codes of all stored things, each of which must be whole.
async fn codes(admin: &Client) -> HashSet<String> {
    let mut codes = HashSet::new();
    let mut next = Some("/api/records/things?limit=1000&sort=code".to_owned());
    while let Some(path) = next {
        let page = admin.get(&path).await.expect(200);
        next = page
            .header("x-next-cursor")
            .map(|cursor| tests::url("/api/records/things", &[("limit", "1000"), ("sort", "code"), ("cursor", cursor)]));
        for record in page.list() {
            assert_eq!(record["text"].as_str().map(str::len), Some(500), "a half record: {record}");
            assert!(codes.insert(record["code"].as_str().expect("a code").to_owned()), "twice: {record}");
        }
    }
    codes
}

#[tokio::test]
async fn a_collection_is_there_as_a_whole_or_not_at_all() {
    let mut app = TestApp::on_disk().await;
    let mut sure: Vec<String> = Vec::new();
    for round in 0..4 {
        let admin = app.admin().await;
        let maker = tokio::spawn(async move {
            let mut made = Vec::new();
            for number in 0_u32.. {
                let name = format!("made_{round}_{number}");
                let body = json!({"name": name, "fields": [{"name": "title", "type": "text", "unique": true}]});
                match admin.request(tests::Method::POST, "/api/collections").json(&body).try_send().await {
                    Ok(answer) => {
                        answer.expect(201);
                        made.push(name);
                    }
                    Err(_) => break,
                }
            }
            made
        });
        let wanted = format!("made_{round}_{}", 2 + 2 * round);
        let nobody = app.anonymous();
        eventually("some collections are made", async || nobody.get("/openapi.json").await.text.contains(&wanted).then_some(())).await;
        app.kill9();
        sure.extend(maker.await.expect("the maker ends"));
        app.restart().await;
        let admin = app.admin().await;
        let listed: Vec<String> =
            admin.get("/api/collections").await.list().iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect();
        for name in &sure {
            assert!(listed.contains(name), "round {round}: `{name}` was lost");
        }
        // What is listed works, also the one that nobody has heard the answer of.
        for name in listed.iter().filter(|name| name.starts_with(&format!("made_{round}_"))) {
            admin.create(name, json!({"title": "one"})).await;
            admin.post(&format!("/api/records/{name}"), json!({"title": "one"})).await.problem(409, "record.unique");
        }
        for number in 0..3 {
            let name = format!("made_again_{round}_{number}");
            admin.collection(&name, json!([{"name": "title", "type": "text"}])).await;
        }
    }
}

#[tokio::test]
async fn a_revoked_session_stays_revoked() {
    let mut app = TestApp::on_disk().await;
    let ann = app.user("ann").await;
    let session = app.session("ann@test.example", tests::PASSWORD).await;
    app.anonymous().logged_in(&session).post("/api/auth/logout", json!({})).await.expect(204);
    app.kill9();
    app.restart().await;
    app.anonymous().logged_in(&session).get("/api/auth/me").await.problem(401, "auth.invalid_token");
    app.anonymous().with_token(ann.token()).get("/api/auth/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_running_requests_finish() {
    let mut app = TestApp::on_disk().await;
    let admin = app.admin().await;
    admin.collection("things", json!([{"name": "code", "type": "text", "unique": true}, {"name": "text", "type": "text"}])).await;
    let writers: Vec<_> = (0..8).map(|writer| tokio::spawn(write(admin.clone(), format!("w{writer}")))).collect();
    let counted =
        async || admin.query("/api/records/things", &[("count", "exact"), ("limit", "1")]).await.json.as_array().map_or(0, Vec::len);
    eventually("writing has begun", async || (counted().await > 0).then_some(())).await;
    let status = tokio::task::block_in_place(|| app.stop());
    assert!(status.success(), "{status}");
    let mut acknowledged = HashSet::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("the writer ends"));
    }
    app.restart().await;
    let stored = codes(&app.admin().await).await;
    assert_eq!(stored, acknowledged, "a stop answers everything that it has begun");
}
