use super::*;

#[tokio::test]
async fn an_email_arrives() {
    let post = Post::start().await;
    post.order(json!({"to": "ann@test.example", "number": 1})).await;
    let delivered = post.reached("email", "delivered", 1).await.remove(0);
    let mail = post.mailbox.all().remove(0);
    assert_eq!((mail.from.as_str(), mail.to), ("shop@test.example", vec!["ann@test.example".to_owned()]));
    let id = format!("Message-ID: <{}@test.example>", delivered["id"].as_str().expect("an id"));
    for line in [id.as_str(), "To: ann@test.example", "From: Shop <shop@test.example>", "multipart/alternative", "Danke.", "<p>Danke.</p>"]
    {
        assert!(mail.text.contains(line), "`{line}` is missing:\n{}", mail.text);
    }
    assert!(mail.text.contains("Subject: Bestellung =?utf-8?"), "{}", mail.text);
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_and_one_for_good_is_not() {
    let post = Post::start().await;
    post.order(json!({"to": "later@test.example", "number": 1})).await;
    let delivered = post.reached("email", "delivered", 1).await.remove(0);
    assert_eq!(delivered["attempts"], 2);
    post.order(json!({"to": "never@test.example", "number": 2})).await;
    let dead = post.reached("email", "dead", 1).await.remove(0);
    assert_eq!(dead["attempts"], 1);
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("no such mailbox")), "{dead}");
    assert_eq!(post.mailbox.all().len(), 1);
}

#[tokio::test]
async fn without_a_mail_server_an_email_is_given_up_with_the_reason() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("orders", json!([{"name": "to", "type": "text"}])).await;
    let source = r#"import { beforeWrite, definePlugin, email } from "@ironrule/rules";
        const run = ({ after }) => void email({ to: after.to, subject: "s", text: "t" });
        const send = beforeWrite({ name: "send", collections: ["orders"], operations: ["create"], run });
        export const rules = definePlugin({ name: "mail", version: "1.0.0", grants: { email: true }, rules: [send] });"#;
    install(&admin, source).await.expect(201);
    admin.create("orders", json!({"to": "ann@test.example"})).await;
    let dead = eventually("it is given up", async || admin.query(DELIVERIES, &[("state", "dead")]).await.list().pop()).await;
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("`smtp_url`")), "{dead}");
}
