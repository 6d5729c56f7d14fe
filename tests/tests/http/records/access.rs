//! Who sees what: list, single read, filter, sort and total must say the same to everybody.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{THINGS, id, path, things};

/// Callers with very different rights, and records that differ in what the rights depend on.
pub async fn world() -> (TestApp, Vec<(&'static str, Client)>) {
    let (app, admin) = things().await;
    let (ann, ben, sam) = (app.user("ann").await, app.user("ben").await, app.user("sam").await);
    admin.put(&format!("/api/roles/staff/members/user:{}", sam.id()), json!({})).await;
    admin.allow("role:anyone", "things", "read", "record.active == true").await;
    admin.allow("role:authenticated", "things", "read", "record.owner == caller.id").await;
    admin.policy(json!({"subject": "role:staff", "object": "things", "action": "read", "fields": "title state amount"})).await;
    let locked = json!({"subject": "role:anyone", "object": "things", "action": "read", "condition": "record.state == 'done' && record.amount > 5", "effect": "deny"});
    admin.policy(locked).await;
    for (number, owner) in [ann.id(), ben.id(), "", ann.id(), ben.id(), ""].into_iter().cycle().take(36).enumerate() {
        let state = [json!("new"), json!("done"), Value::Null][number % 3].clone();
        let active = [json!(true), json!(false), Value::Null][number / 3 % 3].clone();
        let owner = if owner.is_empty() { Value::Null } else { json!(owner) };
        let record = json!({"title": format!("thing {number:02}"), "state": state, "active": active, "owner": owner, "amount": number % 11, "origin": "a far land"});
        admin.create("things", record).await;
    }
    let callers = vec![("nobody", app.anonymous()), ("ann", ann), ("ben", ben), ("sam", sam), ("admin", admin)];
    (app, callers)
}

#[tokio::test]
async fn list_and_single_read_agree_for_everybody() {
    let (_app, callers) = world().await;
    let all = callers[4].1.query(THINGS, &[("limit", "1000")]).await.list();
    let mut sizes = Vec::new();
    for (name, caller) in &callers {
        let listed = caller.query(THINGS, &[("limit", "1000"), ("count", "exact")]).await.expect(200);
        let total = listed.expect_header("x-total-count").to_owned();
        let listed = listed.list();
        assert_eq!(total, listed.len().to_string(), "the total of {name}");
        for record in &all {
            let alone = caller.get(&path(record)).await;
            match listed.iter().find(|other| other["id"] == record["id"]) {
                Some(other) => assert_eq!(&alone.json(200), other, "as {name} sees it"),
                None => drop(alone.problem(404, "record.not_found")),
            }
        }
        sizes.push(listed.len());
    }
    // The test is worth something only if the callers see different things, and even the admin not all that was written.
    assert!(sizes[0] > 0 && sizes[0] < sizes[1] && sizes[1] < sizes[3] && sizes[3] <= sizes[4] && sizes[4] < 36, "{sizes:?}");
}

#[tokio::test]
async fn nobody_sees_more_than_the_policies_say() {
    let (_app, callers) = world().await;
    for (name, caller) in &callers[..3] {
        for record in caller.query(THINGS, &[("limit", "1000")]).await.list() {
            let allowed = record["active"] == true || (!caller.id().is_empty() && record["owner"] == caller.id());
            let denied = record["state"] == "done" && record["amount"].as_i64() > Some(5);
            assert!(allowed && !denied, "{name} sees {record}");
        }
    }
}

#[tokio::test]
async fn a_filter_never_widens_what_is_seen() {
    let (_app, callers) = world().await;
    let filters = [
        "true",
        "active == false",
        "active != true",
        "!active",
        "owner != caller.id",
        "owner == null",
        "state == 'done' && amount > 5",
        "state == 'done' || true",
        "!(state == 'new')",
    ];
    for (name, caller) in &callers[..3] {
        let seen: Vec<Value> = caller.query(THINGS, &[("limit", "1000")]).await.list();
        for filter in filters {
            let found = caller.query(THINGS, &[("limit", "1000"), ("filter", filter), ("count", "exact")]).await.expect(200);
            let total = found.expect_header("x-total-count").to_owned();
            let found = found.list();
            assert!(found.iter().all(|record| seen.contains(record)), "{name} sees more with `{filter}`");
            assert_eq!(total, found.len().to_string(), "{name} counts more with `{filter}`");
        }
    }
}

#[tokio::test]
async fn pages_do_not_show_what_lies_between() {
    let (_app, callers) = world().await;
    for (name, caller) in &callers {
        let whole = caller.query(THINGS, &[("limit", "1000"), ("sort", "title")]).await.list();
        let mut walked = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut query = vec![("limit", "3"), ("sort", "title")];
            if !cursor.is_empty() {
                query.push(("cursor", &cursor));
            }
            let page = caller.query(THINGS, &query).await.expect(200);
            let next = page.header("x-next-cursor").map(str::to_owned);
            let records = page.list();
            assert!(records.len() == 3 || next.is_none(), "a page of {name} has gaps");
            walked.extend(records);
            match next {
                Some(next) => cursor = next,
                None => break,
            }
            assert!(walked.len() < 100, "the walk does not end");
        }
        assert_eq!(walked, whole, "the pages of {name}");
    }
}

#[tokio::test]
async fn unreadable_fields_can_neither_be_seen_nor_asked_about() {
    let (_app, callers) = world().await;
    // Sam may read title, state and amount of everything, but all of what is active, which does not count for the others.
    let sam = &callers[3].1;
    for record in sam.query(THINGS, &[("limit", "1000")]).await.list() {
        if record["active"] != true {
            assert!(record.get("origin").is_none_or(Value::is_null), "{record}");
        }
    }
    let ann = &callers[1].1;
    let admin = &callers[4].1;
    admin
        .policy(json!({"subject": "role:authenticated", "object": "things", "action": "read", "fields": "origin price", "effect": "deny"}))
        .await;
    let cases = [
        ("filter", "origin == 'a far land'"),
        ("filter", "origin.startsWith('a')"),
        ("filter", "has(origin)"),
        ("filter", "!has(price)"),
        ("filter", "title == 'x' || origin != 'x'"),
        ("filter", "title == origin"),
        ("sort", "origin"),
        ("sort", "title,-price"),
    ];
    for (name, value) in cases {
        ann.query(THINGS, &[(name, value)]).await.any_problem().unreadable(name);
        let counted = ann.query(THINGS, &[(name, value), ("count", "exact"), ("limit", "1")]).await;
        counted.any_problem().unreadable(name);
    }
    let answer = ann.query(THINGS, &[("limit", "1000")]).await;
    assert!(!answer.text.contains("a far land"), "{answer}");
    let wanted = ann.query(THINGS, &[("fields", "title,origin")]).await;
    assert!(!wanted.text.contains("a far land"), "{wanted}");
}

#[tokio::test]
async fn nobody_writes_what_only_others_may() {
    let (_app, callers) = world().await;
    let all = callers[4].1.query(THINGS, &[("limit", "1000")]).await.list();
    for (name, caller) in &callers[..4] {
        let refusals = [
            caller.post(THINGS, json!({"title": "written"})).await,
            caller.patch(&path(&all[0]), json!({"title": "written"})).await,
            caller.put(&path(&all[0]), json!({"title": "written"})).await,
            caller.delete(&path(&all[0])).await,
        ];
        for refusal in refusals {
            let expected = if *name == "nobody" { (401, "auth.required") } else { (403, "policy.denied") };
            refusal.problem(expected.0, expected.1);
        }
    }
    assert_eq!(callers[4].1.query(THINGS, &[("limit", "1000")]).await.list(), all);
}

#[tokio::test]
async fn a_users_record_is_not_public() {
    let (_app, callers) = world().await;
    let (nobody, ann, ben) = (&callers[0].1, &callers[1].1, &callers[2].1);
    let one = format!("/api/records/users/{}", ann.id());
    nobody.get(&one).await.problem(401, "auth.required");
    let refused = ben.get(&one).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    let listed = ben.get("/api/records/users").await;
    assert!(!listed.text.contains("ann@test.example"), "{listed}");
    let refused = ben.patch(&one, json!({"email": "taken@test.example"})).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    assert!(!id(&ann.get("/api/auth/me").await.json(200)["record"]).is_empty());
}
