use super::*;

/// The plugin `teller` tells the secret to everybody whom it knows. What they hear is right, and nobody else hears it.
const TELLER: &str = r#"
    import { afterCommit, beforeWrite, definePlugin, email, job, setting, webhook } from "@ironrule/rules";
    function tell({ after: order }) {
      const key = setting("key");
      webhook(`${order.url}?key=${encodeURIComponent(key)}`, { key }, { key: `for ${key}`, maxAttempts: 1 });
      email({ to: "ann@test.example", subject: `The key ${key}`, text: "Hello." });
      job("later", { key }, { maxAttempts: 1 });
    }
    function later({ after }) {
      throw new Error(`no luck with ${after.key}`);
    }
    export const rules = definePlugin({
      name: "teller",
      version: "1.0.0",
      grants: { webhooks: ["127.0.0.1"], email: true },
      settings: [{ name: "key", secret: true }],
      rules: [
        beforeWrite({ name: "tell", collections: ["orders"], operations: ["create"], run: tell }),
        afterCommit({ name: "later", run: later }),
      ],
    });
"#;

const SECRET: &str = "S3cr3t of \"5\" words";

#[tokio::test]
async fn the_secrets_of_a_plugin_are_in_no_delivery_and_in_no_log() {
    let post = Post::start().await;
    post.admin.delete("/api/plugins/post").await.expect(200);
    install(&post.admin, TELLER).await.expect(201);
    post.admin.put("/api/plugins/teller/settings", json!({"key": SECRET})).await.expect(200);
    for path in ["/garbage", "/echo"] {
        post.order(json!({"url": post.receiver.url(path)})).await;
    }
    let webhooks = post.reached("webhook", "dead", 2).await;
    let jobs = post.reached("job", "dead", 2).await;
    let emails = post.reached("email", "delivered", 2).await;

    let received = post.receiver.all();
    assert!(received.iter().all(|one| one.path.ends_with("?key=S3cr3t%20of%20%225%22%20words")), "{received:?}");
    assert!(received.iter().all(|one| one.json()["key"] == SECRET), "{received:?}");
    let error = |delivery: &Value, expected: &str| {
        assert!(delivery["error"].as_str().is_some_and(|error| error.contains(expected)), "{expected}: {delivery}");
    };
    error(&webhooks[0], "error sending request");
    error(&webhooks[1], "400 Bad Request: /echo?key=***");
    jobs.iter().for_each(|job| error(job, "no luck with ***"));
    let list = post.admin.get(DELIVERIES).await.expect(200);
    assert!(!list.text.contains("S3cr3t"), "{list}");
    for delivery in webhooks.iter().chain(&jobs).chain(&emails) {
        let whole = post.admin.get(&path(delivery)).await.expect(200);
        assert!(!whole.text.contains("S3cr3t") && whole.json["payload"].to_string().contains("***"), "{whole}");
    }
    assert_eq!(post.delivery(&webhooks[0]).await["payload"]["body"], json!({"key": "***"}));

    let replayed = post.admin.post(&format!("{}/replay", path(&webhooks[1])), json!({})).await.expect(200);
    assert!(!replayed.text.contains("S3cr3t"), "{replayed}");
    let output = eventually("what was given up is in the log", async || {
        let output = post.app.output();
        (output.matches("a delivery was given up").count() >= 4).then_some(output)
    })
    .await;
    assert!(output.contains("no luck with ***") && !output.contains("S3cr3t"), "the log of the server has the secret");
}
