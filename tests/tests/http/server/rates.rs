//! Limits of how often somebody may ask.

use serde_json::json;
use tests::{Answer, Database, Options, PASSWORD, TestApp};

use super::{NOTES, notes, with};

/// A refusal, with everything that a polite client needs.
fn limited(answer: Answer, limit: &str) {
    let refused = answer.problem(429, "rate.limited").answer;
    let wait: u64 = refused.expect_header("retry-after").parse().expect("seconds");
    assert!((1..=900).contains(&wait), "{refused}");
    assert_eq!((refused.expect_header("ratelimit-limit"), refused.expect_header("ratelimit-remaining")), (limit, "0"), "{refused}");
    assert!(refused.header("ratelimit-reset").is_some(), "{refused}");
}

/// Asks until it is refused. How many were let through.
async fn until_limited(most: usize, limit: &str, ask: impl AsyncFn() -> Answer) -> usize {
    for passed in 0..most {
        let answer = ask().await;
        if answer.status == 429 {
            limited(answer, limit);
            return passed;
        }
    }
    panic!("{most} requests were let through");
}

async fn login(app: &TestApp, identity: &str, password: &str) -> Answer {
    app.anonymous().post("/api/auth/login", json!({"identity": identity, "password": password})).await
}

#[tokio::test]
async fn a_password_can_be_guessed_ten_times_whether_there_is_an_account_or_not() {
    let app = with(&[]).await;
    app.user("ann").await;
    for identity in ["ann@test.example", "nobody@test.example"] {
        for _ in 0..10 {
            login(&app, identity, "wrong-password-1").await.problem(401, "auth.invalid_credentials");
        }
        limited(login(&app, identity, "wrong-password-1").await, "10");
        limited(login(&app, &identity.to_uppercase(), "wrong-password-1").await, "10");
    }
    // The right one is not let through either: whoever guesses would learn from it.
    limited(login(&app, "ann@test.example", PASSWORD).await, "10");
    app.user("bob").await;
}

#[tokio::test]
async fn right_passwords_do_not_count() {
    let app = with(&[]).await;
    app.user("ann").await;
    for _ in 0..3 {
        for _ in 0..8 {
            login(&app, "ann@test.example", "wrong-password-1").await.problem(401, "auth.invalid_credentials");
        }
        login(&app, "ann@test.example", PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn many_guesses_at_once_are_as_many_as_one_after_the_other() {
    let app = with(&[]).await;
    app.user("ann").await;
    let guesses = (0..40).map(|_| login(&app, "ann@test.example", "wrong-password-1"));
    let answers = futures_util::future::join_all(guesses).await;
    let tried = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(tried, 10, "{tried} were tried");
}

#[tokio::test]
async fn logins_of_one_address_have_a_limit_of_their_own() {
    // The admin logs in once.
    let app = with(&[("RATE_AUTH_PER_MINUTE", "5"), ("LOGIN_ATTEMPTS", "0")]).await;
    let admin = app.admin().await;
    let passed = until_limited(20, "5", async || login(&app, "x@test.example", "wrong-password-1").await).await;
    assert!((3..=5).contains(&passed), "{passed}");
    limited(app.anonymous().post("/api/auth/refresh", json!({"refresh_token": "x"})).await, "5");
    limited(app.anonymous().post("/api/auth/register", json!({"email": "x@test.example", "password": PASSWORD})).await, "5");
    limited(app.anonymous().post("/api/setup", json!({"code": "x", "email": "x@test.example", "password": PASSWORD})).await, "5");
    let told = admin.get("/api/auth/me").await.expect(200);
    assert_eq!(told.header("ratelimit-limit"), None, "reads are not limited");
    admin.post("/api/auth/logout", json!({})).await.expect(204);
}

#[tokio::test]
async fn each_principal_has_its_own_limit_for_reads_and_for_writes() {
    let settings = [("RATE_READS_PER_SECOND", "1000"), ("RATE_WRITES_PER_SECOND", "15")];
    let environment = settings.map(|(name, value)| (format!("IRONRULE_{name}"), value.to_owned())).to_vec();
    let app = TestApp::start_with(Options { environment, database: Database::Memory, ..Options::default() }).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    // Writes take longer than a fifteenth of a second only on a machine that is very busy.
    let all = |client: &tests::Client| {
        let client = client.clone();
        async move { futures_util::future::join_all((0..200).map(|_| client.post(NOTES, json!({"text": "x"})))).await }
    };
    let answers = all(&ann).await;
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert!(passed.len() >= 15 && !refused.is_empty(), "{} passed", passed.len());
    refused.into_iter().for_each(|answer| limited(answer, "15"));
    assert!(passed.iter().all(|answer| answer.header("ratelimit-limit") == Some("15")));
    bob.post(NOTES, json!({"text": "of another"})).await.expect(201);
    app.anonymous().post(NOTES, json!({"text": "of nobody"})).await.expect(201);
    let read = ann.get(NOTES).await.expect(200);
    assert_eq!(read.expect_header("ratelimit-limit"), "1000");
    assert_eq!(ann.get("/api/records/notes?count=exact&limit=1").await.expect_header("x-total-count"), (passed.len() + 2).to_string());
}

#[tokio::test]
async fn one_address_has_a_limit_for_everything() {
    let app = with(&[("RATE_REQUESTS_PER_SECOND", "20")]).await;
    let nobody = app.anonymous();
    let answers = futures_util::future::join_all((0..300).map(|_| nobody.get("/api/version"))).await;
    let refused: Vec<_> = answers.into_iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty());
    refused.into_iter().for_each(|answer| limited(answer, "20"));
}
