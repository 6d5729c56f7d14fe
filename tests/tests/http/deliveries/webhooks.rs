use super::*;

#[tokio::test]
async fn a_webhook_arrives_signed() {
    let post = Post::start().await;
    let before = chrono_seconds();
    post.webhook("/ok?a=b", 7, 3).await;
    let delivered = post.reached("webhook", "delivered", 1).await.remove(0);
    let received = post.receiver.all().remove(0);
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/ok?a=b"));
    assert_eq!(received.json(), json!({"number": 7, "text": "grüße"}));
    assert_eq!(received.header("webhook-id"), delivered["id"]);
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!((received.header("authorization"), received.header("x-test")), ("Bearer of-the-plugin", "yes"));
    let sent: u64 = received.header("webhook-timestamp").parse().expect("seconds");
    assert!((before..=chrono_seconds()).contains(&sent), "{sent}");
    let secret = post.admin.get("/api/plugins/post/webhook-secret").await.json(200);
    assert_eq!(secret["source"], "derived");
    assert!(signature::holds(&received, secret["secret"].as_str().expect("a secret")));
    let forged = receiver::Received { body: received.body.replace('7', "8"), ..received };
    assert!(!signature::holds(&forged, secret["secret"].as_str().expect("a secret")));

    assert_eq!((&delivered["attempts"], &delivered["attempts_max"], &delivered["plugin"]), (&json!(1), &json!(3), &json!("post")));
    assert!(delivered["ended"].is_string() && delivered.get("payload").is_none() && delivered.get("error").is_none(), "{delivered}");
    let whole = post.delivery(&delivered).await;
    assert_eq!(whole["payload"]["body"]["number"], 7);
    assert_eq!(whole["payload"]["headers"], json!({"authorization": "***", "x-test": "***"}), "headers may be secrets");
}

fn chrono_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs()
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id() {
    let post = Post::start().await;
    for number in 0..10 {
        post.webhook("/half", number, 5).await;
    }
    let delivered = post.reached("webhook", "delivered", 10).await;
    let received = post.receiver.at("/half");
    for (number, delivery) in delivered.iter().enumerate() {
        let attempts: Vec<_> = received.iter().filter(|one| one.number() == i64::try_from(number).expect("small")).collect();
        let expected = if number % 2 == 0 { 2 } else { 1 };
        assert_eq!((attempts.len(), &delivery["attempts"]), (expected, &json!(expected)), "{number}");
        assert!(attempts.iter().all(|attempt| attempt.header("webhook-id") == delivery["id"]));
    }
}

#[tokio::test]
async fn what_fails_too_often_is_given_up_and_can_be_replayed() {
    let post = Post::start().await;
    post.webhook("/fails", 1, 2).await;
    let dead = post.reached("webhook", "dead", 1).await.remove(0);
    assert_eq!(dead["attempts"], 2);
    let error = dead["error"].as_str().expect("an error");
    assert!(error.contains("500") && error.contains("hello"), "{error}");
    assert_eq!(post.receiver.at("/fails").len(), 2);

    let replayed = post.admin.post(&format!("{}/replay", path(&dead)), json!({})).await.json(200);
    assert_eq!((&replayed["id"], &replayed["attempts"]), (&dead["id"], &json!(0)));
    eventually("it is tried once more", async || (post.receiver.at("/fails").len() == 4).then_some(())).await;
    post.reached("webhook", "dead", 1).await;
    assert!(post.receiver.at("/fails").iter().all(|one| one.header("webhook-id") == dead["id"]));
}

/// How a single attempt ends, in the words that are kept.
async fn given_up(post: &Post, url: &str) -> String {
    let id = post.order(json!({"url": url, "number": 1, "attempts": 1})).await["id"].clone();
    let dead = post.reached("webhook", "dead", 1).await.remove(0);
    assert_eq!(dead["attempts"], 1, "{id}");
    dead["error"].as_str().expect("an error").to_owned()
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let post = Post::start().await;
    let error = given_up(&post, &post.receiver.url("/moved")).await;
    assert!(error.contains("302") && error.contains("redirects are not followed"), "{error}");
    assert!(post.receiver.at("/target").is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let post = Post::start().await;
    let start = Instant::now();
    post.webhook("/hang", 1, 1).await;
    eventually("it has arrived", async || (!post.receiver.at("/hang").is_empty()).then_some(())).await;
    for number in 0..20 {
        post.webhook("/ok", number, 1).await;
    }
    post.reached("webhook", "delivered", 20).await;
    assert_eq!(post.deliveries("webhook").await[0]["state"], "running");
    let dead = post.reached("webhook", "dead", 1).await.remove(0);
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("timed out")), "{dead}");
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let post = Post::start().await;
    let start = Instant::now();
    let error = given_up(&post, &post.receiver.url("/endless")).await;
    assert!(error.contains("500") && error.len() < 1_000, "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_failure() {
    let post = Post::start().await;
    let error = given_up(&post, &post.receiver.url("/garbage")).await;
    assert!(error.contains("error sending request"), "{error}");
}

#[tokio::test]
async fn who_is_gone_is_not_asked_again_and_who_is_busy_says_when() {
    let post = Post::start().await;
    post.webhook("/gone", 1, 5).await;
    let dead = post.reached("webhook", "dead", 1).await.remove(0);
    assert_eq!((&dead["attempts"], post.receiver.at("/gone").len()), (&json!(1), 1));
    post.webhook("/busy", 2, 5).await;
    post.reached("webhook", "delivered", 1).await;
    assert_eq!(post.receiver.at("/busy").len(), 2);
}

/// The plugin has a grant for these hosts, and the operator has named one port of one of them.
#[tokio::test]
async fn private_addresses_are_not_called() {
    let post = Post::start().await;
    let (other, port) = (Receiver::start().await, post.receiver.port());
    let secure = |host: &str| format!("https://{host}:{}/ok", other.port());
    for (number, (url, expected)) in [
        (other.url("/ok"), "only for hosts among"),
        (secure("127.0.0.1"), "127.0.0.1 is not a public address"),
        // Granted as they are written, they are what they mean.
        (secure("2130706433"), "127.0.0.1 is not a public address"),
        (secure("0x7f.1"), "127.0.0.1 is not a public address"),
        (secure("[::ffff:127.0.0.1]"), "no grant for webhooks to `[::ffff:7f00:1]`"),
        (format!("https://localhost:{port}/ok"), "not a public address"),
        (format!("http://localhost:{port}/ok"), "only for hosts among"),
    ]
    .into_iter()
    .enumerate()
    {
        post.order(json!({"url": url, "number": number, "attempts": 1})).await;
        let dead = post.reached("webhook", "dead", number + 1).await.pop().expect("a delivery");
        assert!(dead["error"].as_str().is_some_and(|error| error.contains(expected)), "{url}: {dead}");
    }
    // Other forms of a granted address are other hosts to the grant, so a rule cannot ask for them at all.
    for host in ["017700000001", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "user@127.0.0.1"] {
        let order = json!({"url": format!("http://{host}:{port}/ok"), "number": 1});
        post.admin.post(ORDERS, order).await.problem(500, "plugin.internal");
    }
    assert!(post.receiver.all().is_empty() && other.all().is_empty());
}

#[tokio::test]
async fn webhooks_of_one_key_keep_their_order() {
    let post = Post::start().await;
    let url = post.receiver.url("/half");
    for number in 0..12 {
        post.order(json!({"url": url, "key": "one", "number": number})).await;
        post.order(json!({"url": url, "key": "other", "number": 1_001 + 2 * number})).await;
    }
    // The odd numbers never fail, and do not wait for the others.
    post.reached("webhook", "delivered", 24).await;
    let accepted = |from: i64| -> Vec<i64> {
        let all = post.receiver.at("/half").into_iter().filter(|one| one.accepted).map(|one| one.number());
        all.filter(|number| (from..from + 1_000).contains(number)).collect()
    };
    assert_eq!(accepted(0), (0..12).collect::<Vec<_>>());
    assert_eq!(accepted(1_000), (0..12).map(|number| 1_001 + 2 * number).collect::<Vec<_>>());
    let attempts: Vec<i64> = post.receiver.at("/half").iter().map(|one| one.number()).filter(|number| *number < 1_000).collect();
    let expected: Vec<i64> = (0..12).flat_map(|number| vec![number; if number % 2 == 0 { 2 } else { 1 }]).collect();
    assert_eq!(attempts, expected, "nothing overtakes what has failed");
}
