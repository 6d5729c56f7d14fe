//! `/api/auth`: accounts, sessions and tokens.

use serde_json::{Value, json};
use tests::{ADMIN_EMAIL, Client, Options, PASSWORD, TestApp, eventually};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no `{member}`: {value}"))
}

async fn refresh(nobody: &Client, session: &Value) -> tests::Answer {
    nobody.post("/api/auth/refresh", json!({"refresh_token": text(session, "refresh_token")})).await
}

/// A server where anybody may make an account.
async fn open() -> TestApp {
    let app = TestApp::start().await;
    let policy = json!({"subject": "role:anyone", "object": "users", "action": "create", "fields": "email password"});
    app.admin().await.policy(policy).await;
    app
}

#[tokio::test]
async fn nobody_registers_until_a_policy_says_so() {
    let app = TestApp::start().await;
    let body = json!({"email": "ann@test.example", "password": PASSWORD});
    app.anonymous().post("/api/auth/register", body).await.problem(401, "auth.required");
    let login = json!({"identity": "ann@test.example", "password": PASSWORD});
    app.anonymous().post("/api/auth/login", login).await.problem(401, "auth.invalid_credentials");
}

#[tokio::test]
async fn registering_answers_the_record_without_the_password() {
    let app = open().await;
    let body = json!({"email": "ann@test.example", "password": PASSWORD});
    let record = app.anonymous().post("/api/auth/register", body).await.json(201);
    assert_eq!(record["email"], "ann@test.example");
    assert_eq!(text(&record, "id").len(), 26);
    assert!(record.get("password").is_none(), "{record}");
}

#[tokio::test]
async fn an_email_can_be_registered_once() {
    let app = open().await;
    let body = json!({"email": "ann@test.example", "password": PASSWORD});
    app.anonymous().post("/api/auth/register", body.clone()).await.expect(201);
    let again = app.anonymous().post("/api/auth/register", body).await;
    again.problem(409, "record.unique").errors(&["/email field.unique"]);
    let other_case = json!({"email": "Ann@Test.Example", "password": PASSWORD});
    app.anonymous().post("/api/auth/register", other_case).await.problem(409, "record.unique");
    app.login("ANN@test.example", PASSWORD).await;
}

#[tokio::test]
async fn accounts_that_cannot_be_are_refused() {
    let app = open().await;
    let cases = [
        (json!({}), vec!["/email", "/password"]),
        (json!({"email": "ann@test.example"}), vec!["/password"]),
        (json!({"email": "ann@test.example", "password": null}), vec!["/password"]),
        (json!({"email": "ann@test.example", "password": 12_345_678}), vec!["/password"]),
        (json!({"email": "ann@test.example", "password": "short"}), vec!["/password"]),
        (json!({"email": "ann@test.example", "password": "x".repeat(257)}), vec!["/password"]),
        (json!({"email": "nobody", "password": "short"}), vec!["/email", "/password"]),
        (json!({"email": "ann@test.example", "password": PASSWORD, "nope": 1}), vec!["/nope"]),
        (json!({"email": "ann@test.example", "password": PASSWORD, "roles": ["admin"]}), vec!["/roles"]),
    ];
    for (body, pointers) in cases {
        let problem = app.anonymous().post("/api/auth/register", body).await.any_problem();
        assert_eq!(problem.answer.status, 422, "{}", problem.answer);
        pointers.into_iter().fold(problem, tests::Problem::at);
    }
    app.anonymous().post("/api/auth/register", json!({"email": "ann@test.example", "password": PASSWORD})).await.expect(201);
}

#[tokio::test]
async fn nobody_can_verify_himself() {
    let app = open().await;
    let body = json!({"email": "ann@test.example", "password": PASSWORD, "verified": true});
    let answer = app.anonymous().post("/api/auth/register", body).await;
    if answer.is_success() {
        assert_eq!(answer.json["verified"], false, "{answer}");
    } else {
        answer.any_problem().at("/verified");
    }
}

#[tokio::test]
async fn a_login_answers_a_session() {
    let app = TestApp::start().await;
    app.user("ann").await;
    let session = app.session("ann@test.example", PASSWORD).await;
    assert_eq!(session["token_type"], "Bearer");
    assert!(session["expires_in"].as_u64().is_some_and(|seconds| (1..=86_400).contains(&seconds)), "{session}");
    assert_ne!(text(&session, "access_token"), text(&session, "refresh_token"));
    assert_eq!(session["record"]["email"], "ann@test.example");
    assert!(session["record"].get("password").is_none(), "{session}");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let app = TestApp::start().await;
    app.user("ann").await;
    let refuse = async |identity: &str, password: &str| {
        let answer = app.anonymous().post("/api/auth/login", json!({"identity": identity, "password": password})).await;
        answer.problem(401, "auth.invalid_credentials").message().to_owned()
    };
    let message = refuse("ann@test.example", "not-the-password-1").await;
    assert_eq!(refuse("nobody@test.example", PASSWORD).await, message);
    assert_eq!(refuse("ann@test.example", "").await, message);
    assert_eq!(refuse("", PASSWORD).await, message);
    assert_eq!(refuse("ann@test.example' OR '1'='1", PASSWORD).await, message);
}

#[tokio::test]
async fn a_login_needs_both_words() {
    let app = TestApp::start().await;
    for body in [json!({}), json!({"identity": "ann@test.example"}), json!({"identity": 1, "password": PASSWORD}), json!([]), json!("x")] {
        let problem = app.anonymous().post("/api/auth/login", body).await.any_problem();
        assert!([400, 422].contains(&problem.answer.status), "{}", problem.answer);
    }
}

#[tokio::test]
async fn me_is_the_caller() {
    let app = TestApp::start().await;
    let ann = app.user("ann").await;
    let me = ann.get("/api/auth/me").await.json(200);
    assert_eq!(me["principal"], format!("user:{}", ann.id()));
    assert_eq!(me["record"]["email"], "ann@test.example");
    assert!(me["record"].get("password").is_none(), "{me}");
    assert!(me["roles"].is_array(), "{me}");
    assert!(!me["roles"].to_string().contains("admin"), "{me}");
    let admin = app.admin().await.get("/api/auth/me").await.json(200);
    assert!(admin["roles"].to_string().contains("admin"), "{admin}");
    app.anonymous().get("/api/auth/me").await.problem(401, "auth.required");
}

#[tokio::test]
async fn a_refresh_token_is_spent_once() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    app.user("ann").await;
    let first = app.session("ann@test.example", PASSWORD).await;
    let second = refresh(&nobody, &first).await.json(200);
    assert_ne!(text(&second, "refresh_token"), text(&first, "refresh_token"));
    assert_eq!(second["token_type"], "Bearer");
    assert_eq!(second["record"], first["record"]);
    nobody.logged_in(&second).get("/api/auth/me").await.expect(200);
    let third = refresh(&nobody, &second).await.json(200);
    nobody.logged_in(&third).get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_session() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    app.user("ann").await;
    let first = app.session("ann@test.example", PASSWORD).await;
    let second = refresh(&nobody, &first).await.json(200);
    assert_eq!(refresh(&nobody, &first).await.any_problem().answer.status, 401);
    assert_eq!(refresh(&nobody, &second).await.any_problem().answer.status, 401);
    nobody.logged_in(&second).get("/api/auth/me").await.problem(401, "auth.invalid_token");
    nobody.logged_in(&first).get("/api/auth/me").await.problem(401, "auth.invalid_token");
}

#[tokio::test]
async fn of_many_who_refresh_at_once_one_wins_at_most() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    app.user("ann").await;
    let session = app.session("ann@test.example", PASSWORD).await;
    let answers = futures_util::future::join_all((0..10).map(|_| refresh(&nobody, &session))).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(won <= 1, "{won} got a new session");
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.any_problem().answer.status, 401);
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let app = TestApp::start().await;
    app.user("ann").await;
    let session = app.session("ann@test.example", PASSWORD).await;
    for token in ["", "nope", text(&session, "access_token"), &"x".repeat(10_000)] {
        let problem = app.anonymous().post("/api/auth/refresh", json!({"refresh_token": token})).await.any_problem();
        assert_eq!(problem.answer.status, 401, "{}", problem.answer);
    }
    let problem = app.anonymous().post("/api/auth/refresh", json!({})).await.any_problem();
    assert!([400, 422].contains(&problem.answer.status), "{}", problem.answer);
}

#[tokio::test]
async fn a_refresh_token_opens_nothing_else() {
    let app = TestApp::start().await;
    app.user("ann").await;
    let session = app.session("ann@test.example", PASSWORD).await;
    let thief = app.anonymous().with_token(text(&session, "refresh_token"));
    thief.get("/api/auth/me").await.problem(401, "auth.invalid_token");
}

#[tokio::test]
async fn a_logout_ends_the_session_at_once_and_no_other() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let other = app.user("ann").await;
    let session = app.session("ann@test.example", PASSWORD).await;
    let ann = nobody.logged_in(&session);
    ann.post("/api/auth/logout", json!({})).await.expect(204);
    ann.get("/api/auth/me").await.problem(401, "auth.invalid_token");
    ann.post("/api/auth/logout", json!({})).await.problem(401, "auth.invalid_token");
    assert_eq!(refresh(&nobody, &session).await.any_problem().answer.status, 401);
    other.get("/api/auth/me").await.expect(200);
    nobody.post("/api/auth/logout", json!({})).await.problem(401, "auth.required");
}

#[tokio::test]
async fn a_wrong_token_is_never_anonymous() {
    let app = TestApp::shop().await;
    let ann = app.shop_user("ann@shop.example").await;
    let token = ann.token();
    let (body, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let mut flipped = signature.to_owned().into_bytes();
    if let Some(first) = flipped.first_mut() {
        *first = if *first == b'A' { b'B' } else { b'A' };
    }
    let flipped = String::from_utf8(flipped).expect("text");
    // {"alg":"none"} before the same claims, and no signature.
    let unsigned = body.split_once('.').map_or_else(String::new, |(_, claims)| format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}."));
    let wrong = ["nope", &format!("{token}x"), &format!("{body}.{flipped}"), body, &unsigned, &"x".repeat(5_000)].map(str::to_owned);
    for token in wrong {
        // Anybody may read products, but not with a false name.
        ann.with_token(&token).get("/api/records/products").await.problem(401, "auth.invalid_token");
    }
    for header in ["Basic YW5uOmRlbW8=", "Bearer", "Bearer ", token] {
        let request = app.anonymous().request(tests::Method::GET, "/api/records/products").header("authorization", header);
        request.send().await.problem(401, "auth.invalid_token");
    }
}

#[tokio::test]
async fn an_access_token_expires_and_the_refresh_token_outlives_it() {
    let environment = vec![("IRONRULE_ACCESS_TOKEN_SECONDS".to_owned(), "1".to_owned())];
    let app = TestApp::start_with(Options { environment, ..Options::default() }).await;
    let nobody = app.anonymous();
    let session = app.session(ADMIN_EMAIL, PASSWORD).await;
    assert_eq!(session["expires_in"], 1, "the setting does not arrive");
    let ann = nobody.logged_in(&session);
    let expired = async || Some(ann.get("/api/auth/me").await).filter(|answer| answer.status != 200);
    eventually("the token expires", expired).await.problem(401, "auth.invalid_token");
    let renewed = refresh(&nobody, &session).await.json(200);
    nobody.logged_in(&renewed).get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn the_session_of_a_deleted_user_is_over() {
    let app = TestApp::start().await;
    let (admin, ann) = (app.admin().await, app.user("ann").await);
    admin.delete(&format!("/api/records/users/{}", ann.id())).await.expect(200);
    ann.get("/api/auth/me").await.problem(401, "auth.invalid_token");
    let login = json!({"identity": "ann@test.example", "password": PASSWORD});
    app.anonymous().post("/api/auth/login", login).await.problem(401, "auth.invalid_credentials");
}

#[tokio::test]
async fn an_admin_can_set_a_password_and_nobody_can_read_it() {
    let app = TestApp::start().await;
    let (admin, ann) = (app.admin().await, app.user("ann").await);
    let path = format!("/api/records/users/{}", ann.id());
    let changed = admin.patch(&path, json!({"password": "another-password-8"})).await.json(200);
    assert!(changed.get("password").is_none(), "{changed}");
    let old = json!({"identity": "ann@test.example", "password": PASSWORD});
    app.anonymous().post("/api/auth/login", old).await.problem(401, "auth.invalid_credentials");
    app.login("ann@test.example", "another-password-8").await;
    // Whoever knew the old one is out.
    ann.get("/api/auth/me").await.problem(401, "auth.invalid_token");
    for filter in ["password != null", "password.startsWith('$')", "has(password)"] {
        let problem = admin.query("/api/records/users", &[("filter", filter)]).await.any_problem();
        assert!([400, 403].contains(&problem.answer.status), "{}", problem.answer);
    }
    let problem = admin.get("/api/records/users?sort=password").await.any_problem();
    assert!([400, 403].contains(&problem.answer.status), "{}", problem.answer);
}
