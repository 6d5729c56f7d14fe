use super::*;

#[tokio::test]
async fn deliveries_are_for_those_who_may() {
    let post = Post::start().await;
    post.webhook("/gone", 1, 1).await;
    let dead = post.reached("webhook", "dead", 1).await.remove(0);
    let (one, replay) = (path(&dead), format!("{}/replay", path(&dead)));
    let (nobody, ann) = (post.app.anonymous(), post.app.user("ann").await);
    for (method, path) in [
        (Method::GET, DELIVERIES),
        (Method::GET, &one),
        (Method::POST, &replay),
        (Method::DELETE, &one),
        (Method::DELETE, "/api/deliveries?state=dead"),
        (Method::GET, "/api/plugins/post/webhook-secret"),
    ] {
        nobody.request(method.clone(), path).send().await.problem(401, "auth.required");
        ann.request(method, path).send().await.problem(403, "policy.denied");
    }
    let subject = format!("user:{}", ann.id());
    post.admin.allow(&subject, "_deliveries", "read", "").await;
    assert_eq!(ann.get(DELIVERIES).await.list().len(), 2);
    ann.get(&one).await.expect(200);
    ann.post(&replay, json!({})).await.problem(403, "policy.denied");
    ann.delete(&one).await.problem(403, "policy.denied");
    ann.delete("/api/deliveries?state=dead").await.problem(403, "policy.denied");
    post.admin.allow(&subject, "_deliveries", "update", "").await;
    ann.post(&replay, json!({})).await.expect(200);
    ann.get("/api/plugins/post/webhook-secret").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn deliveries_are_searched_in_pages() {
    let post = Post::start().await;
    for number in 0..5 {
        post.webhook("/ok", number, 1).await;
    }
    post.webhook("/gone", 5, 1).await;
    post.reached("webhook", "delivered", 5).await;
    post.reached("webhook", "dead", 1).await;
    post.reached("after-commit", "delivered", 6).await;
    let mut found = Vec::new();
    let mut next = Some(format!("{DELIVERIES}?kind=webhook&plugin=post&limit=2"));
    while let Some(path) = next {
        let page = post.admin.get(&path).await.expect(200);
        let link = page.header("link").and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0.to_owned()));
        assert!(page.json.as_array().is_some_and(|page| (1..=2).contains(&page.len())), "{page}");
        found.extend(page.list().into_iter().map(|one| one["id"].as_str().expect("an id").to_owned()));
        next = link;
    }
    let mut sorted = found.clone();
    sorted.sort_by(|one, other| other.cmp(one));
    assert_eq!((found.len(), &found), (6, &sorted), "the newest first, each once");
    let count = async |query: &str| post.admin.get(&format!("{DELIVERIES}?{query}")).await.list().len();
    assert_eq!(count("state=dead").await, 1);
    assert_eq!(count("state=delivered&kind=webhook").await, 5);
    assert_eq!(count("plugin=another").await, 0);
    assert_eq!(count("").await, 12);
    for (query, parameter) in [("state=done", "state"), ("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit")] {
        post.admin.get(&format!("{DELIVERIES}?{query}")).await.problem(400, "query.invalid").at(&format!("/{parameter}"));
    }
}

#[tokio::test]
async fn deliveries_can_be_cleared_away() {
    let post = Post::start().await;
    post.webhook("/gone", 1, 1).await;
    post.webhook("/hang", 2, 1).await;
    post.order(json!({"url": post.receiver.url("/ok"), "number": 3, "delay": 100_000})).await;
    post.reached("webhook", "dead", 1).await;
    let running = post.reached("webhook", "running", 1).await.remove(0);
    let waiting = post.reached("webhook", "pending", 1).await.remove(0);
    post.reached("after-commit", "delivered", 3).await;

    post.admin.delete(&path(&running)).await.problem(409, "delivery.under_way");
    post.admin.post(&format!("{}/replay", path(&running)), json!({})).await.problem(409, "delivery.under_way");
    post.admin.post(&format!("{}/replay", path(&waiting)), json!({})).await.problem(409, "delivery.under_way");
    post.admin.delete(&path(&waiting)).await.expect(200);
    post.admin.get(&path(&waiting)).await.problem(404, "delivery.not_found");
    for path in [path(&waiting), format!("{DELIVERIES}/nothing"), format!("{DELIVERIES}/..%2Fx")] {
        post.admin.delete(&path).await.problem(404, "delivery.not_found");
        post.admin.post(&format!("{path}/replay"), json!({})).await.problem(404, "delivery.not_found");
    }
    let purge = async |query: &str| post.admin.delete(&format!("{DELIVERIES}?{query}")).await;
    for (query, parameter) in [("", "state"), ("state=pending", "state"), ("state=running", "state"), ("state=dead&before=now", "before")] {
        purge(query).await.problem(400, "query.invalid").at(&format!("/{parameter}"));
    }
    for query in ["", "state=", "state=pending", "state=done"] {
        let problem = purge(query).await.problem(400, "query.invalid");
        let told = problem.answer.json["errors"][0]["message"].as_str().unwrap_or_default();
        for part in ["`delivered`", "`dead`", "removed for good"] {
            assert!(told.contains(part), "`{query}`: {told}");
        }
    }
    assert_eq!(purge("state=delivered&before=2020-01-01T00:00:00Z").await.json(200)["purged"], 0);
    assert_eq!(purge("state=delivered").await.json(200)["purged"], 3);
    assert_eq!(purge("state=dead").await.json(200)["purged"], 1);
    assert_eq!(post.admin.get(DELIVERIES).await.list().len(), 1, "what runs is left");
}
