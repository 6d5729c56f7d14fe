//! `/livez`, `/readyz`, `/api/version`, the command line, and the life of a server: first start, stop, start again.

use serde_json::json;
use tests::{ADMIN_EMAIL, Database, Method, Options, PASSWORD, TestApp, eventually, run};

async fn empty() -> TestApp {
    TestApp::start_with(Options { admin: false, ..Options::default() }).await
}

#[tokio::test]
async fn a_fresh_server_is_closed() {
    let app = empty().await;
    let nobody = app.anonymous();
    let reads = [
        "/api/collections",
        "/api/collections/users",
        "/api/policies",
        "/api/roles",
        "/api/plugins",
        "/api/records/users",
        "/api/records/users/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    ];
    for path in reads {
        nobody.get(path).await.problem(401, "auth.required");
    }
    let writes = [
        ("/api/collections", json!({"name": "things", "fields": []})),
        ("/api/policies", json!({"subject": "role:anyone", "object": "*", "action": "*"})),
        ("/api/records/users", json!({"email": "x@test.example", "password": PASSWORD})),
    ];
    for (path, body) in writes {
        nobody.post(path, body).await.problem(401, "auth.required");
    }
    nobody.delete("/api/collections/users").await.problem(401, "auth.required");
    nobody.upload(b"\0asm".to_vec(), "all").await.problem(401, "auth.required");
}

#[tokio::test]
async fn a_user_of_a_fresh_server_may_do_nothing() {
    let app = TestApp::start().await;
    let ann = app.user("ann").await;
    for path in ["/api/collections", "/api/policies", "/api/roles", "/api/plugins", "/api/records/users"] {
        ann.get(path).await.problem(403, "policy.denied");
    }
    ann.post("/api/collections", json!({"name": "things", "fields": []})).await.problem(403, "policy.denied");
}

#[tokio::test]
async fn a_fresh_server_tells_how_to_create_the_first_admin() {
    let app = empty().await;
    eventually("the output names `admin create`", async || app.output().contains("admin create").then_some(())).await;
}

#[tokio::test]
async fn the_one_time_code_makes_one_admin() {
    let app = empty().await;
    let code = app.setup_code().await;
    let create = |code: &str, email: &str, password: &str| {
        let place = ["--url", app.address(), "--code", code, "--email", email, "--password", password];
        run(["admin", "create"].iter().chain(&place))
    };
    let guess = json!({"code": "nope", "email": ADMIN_EMAIL, "password": PASSWORD});
    app.anonymous().post("/api/setup", guess).await.problem(401, "auth.invalid_credentials");
    assert!(!create("nope", ADMIN_EMAIL, PASSWORD).status.success(), "a wrong code was accepted");
    assert!(!create(&code, ADMIN_EMAIL, "short").status.success(), "a weak password was accepted");
    let created = create(&code, ADMIN_EMAIL, PASSWORD);
    assert!(created.status.success(), "{created:?}");
    app.admin().await.get("/api/policies").await.expect(200);
    let again = create(&code, "second@ironrule.example", PASSWORD);
    assert!(!again.status.success() && !again.stderr.is_empty(), "the code was good twice: {again:?}");
    let login = json!({"identity": "second@ironrule.example", "password": PASSWORD});
    app.anonymous().post("/api/auth/login", login).await.problem(401, "auth.invalid_credentials");
}

#[tokio::test]
async fn a_server_with_an_admin_does_not_offer_to_create_the_first() {
    let mut app = TestApp::on_disk().await;
    // What is printed before `listening on` is there once the server has ended.
    assert!(app.stop().success());
    assert!(!app.output().contains("admin create"), "{}", app.output());
}

#[tokio::test]
async fn the_system_endpoints_are_public() {
    let app = empty().await;
    for path in ["/livez", "/readyz", "/openapi.json", "/docs", "/api/version"] {
        let answer = app.anonymous().get(path).await;
        // `/docs` may send browsers on to `/docs/`.
        assert!(answer.is_success(), "{answer}");
    }
}

#[tokio::test]
async fn the_version_is_the_same_everywhere() {
    let app = empty().await;
    let version = app.anonymous().get("/api/version").await.json(200);
    let version = version["version"].as_str().expect("a version");
    let printed = run(["version"]);
    assert!(printed.status.success());
    assert!(String::from_utf8_lossy(&printed.stdout).contains(version), "{printed:?} lacks {version}");
    let document = app.anonymous().get("/openapi.json").await.json(200);
    assert_eq!(document["info"]["version"], version);
}

#[tokio::test]
async fn every_answer_has_its_own_request_id() {
    let app = empty().await;
    let first = app.anonymous().get("/livez").await;
    let second = app.anonymous().get("/livez").await;
    assert_ne!(first.expect_header("x-request-id"), second.expect_header("x-request-id"));
}

#[tokio::test]
async fn the_log_has_the_request_id_of_a_refusal_and_no_secret() {
    let app = TestApp::start().await;
    let ann = app.user("ann").await;
    let problem = ann.get("/api/policies").await.problem(403, "policy.denied");
    let id = problem.answer.json["request_id"].as_str().expect("an id").to_owned();
    eventually("the log has the request id", async || app.output().contains(&id).then_some(())).await;
    let output = app.output();
    for secret in [PASSWORD, ann.token(), "ann@test.example", ADMIN_EMAIL] {
        assert!(!output.contains(secret), "`{secret}` is in the log:\n{output}");
    }
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let mut app = TestApp::on_disk().await;
    let admin = app.admin().await;
    admin.collection("things", json!([{"name": "title", "type": "text"}])).await;
    let policy = admin.allow("role:anyone", "things", "read", "").await;
    let record = admin.create("things", json!({"title": "kept"})).await;
    let ann = app.user("ann").await;
    admin.put(&format!("/api/roles/editor/members/user:{}", ann.id()), json!({})).await;
    let document = admin.get("/openapi.json").await.json(200);
    let session = app.session("ann@test.example", PASSWORD).await;

    app.restart().await;

    let path = format!("/api/records/things/{}", record["id"].as_str().expect("an id"));
    assert_eq!(app.anonymous().get(&path).await.json(200), record);
    let ann = app.anonymous().logged_in(&session);
    let me = ann.get("/api/auth/me").await.json(200);
    assert!(me["roles"].to_string().contains("editor"), "a role was lost: {me}");
    let admin = app.admin().await;
    let policies = admin.get("/api/policies").await.list();
    assert!(policies.iter().any(|one| one["id"] == policy.as_str()), "the policy was lost: {policies:?}");
    assert_eq!(admin.get("/openapi.json").await.json(200)["paths"], document["paths"]);
    admin.create("things", json!({"title": "written after the restart"})).await;
}

#[tokio::test]
async fn the_demo_is_loaded_once() {
    let mut app = TestApp::shop().await;
    let products = app.anonymous().get("/api/records/products?sort=sku").await.list();
    assert_eq!(products.len(), 3);
    let sam = app.shop_user("sam@shop.example").await;
    let changed = format!("/api/records/products/{}", products[0]["id"].as_str().expect("an id"));
    sam.patch(&changed, json!({"stock": 7})).await.expect(200);
    let removed = format!("/api/records/products/{}", products[1]["id"].as_str().expect("an id"));
    sam.delete(&removed).await.expect(200);

    app.restart().await;

    let after = app.anonymous().get("/api/records/products?sort=sku").await.list();
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!(after[0]["stock"], 7, "the second start took the demo's stock again");
    app.shop_user("ann@shop.example").await;
}

#[tokio::test]
async fn the_demo_says_how_to_place_an_order() {
    let app = TestApp::shop().await;
    let wanted = ["/docs", "ann@shop.example", "sam@shop.example", "curl", "/api/records/orders"];
    let complete = async || wanted.iter().all(|part| app.output().contains(part)).then_some(());
    eventually("the output names the explorer, the users and a curl line", complete).await;
}

#[tokio::test]
async fn unknown_paths_are_problems() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let paths = [
        "/nope",
        "/api",
        "/api/nope",
        "/api/records",
        "/api/records/users/01ARZ3NDEKTSV4RRFFQ69G5FAV/more",
        "/api/auth",
        "/docs/nope.js",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/api/%00",
        "/api/%ff",
    ];
    for path in paths {
        admin.get(path).await.problem(404, "route.not_found");
    }
}

#[tokio::test]
async fn wrong_methods_name_the_right_ones() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let cases = [
        (Method::POST, "/livez", vec!["GET"]),
        (Method::DELETE, "/openapi.json", vec!["GET"]),
        (Method::GET, "/api/auth/login", vec!["POST"]),
        (Method::PUT, "/api/collections", vec!["GET", "POST"]),
        (Method::POST, "/api/collections/users", vec!["DELETE", "GET", "PATCH"]),
        (Method::PATCH, "/api/policies", vec!["DELETE", "GET", "POST"]),
        (Method::PUT, "/api/records/users", vec!["DELETE", "GET", "PATCH", "POST"]),
        (Method::POST, "/api/records/users/01ARZ3NDEKTSV4RRFFQ69G5FAV", vec!["DELETE", "GET", "PATCH", "PUT"]),
        (Method::GET, "/api/roles/staff/members/user:1", vec!["DELETE", "PUT"]),
        (Method::TRACE, "/api/plugins", vec!["GET", "POST"]),
    ];
    for (method, path, allowed) in cases {
        let problem = admin.request(method, path).send().await.problem(405, "route.method_not_allowed");
        let header = problem.answer.expect_header("allow");
        let mut found: Vec<&str> = header.split(',').map(str::trim).filter(|one| !["HEAD", "OPTIONS"].contains(one)).collect();
        found.sort_unstable();
        assert_eq!(found, allowed, "{}", problem.answer);
        assert_eq!(header.contains("HEAD"), allowed.contains(&"GET"), "{}", problem.answer);
    }
}

#[test]
fn a_wrong_command_line_is_explained() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data").display().to_string();
    for (name, value) in [("--nope", "1"), ("--demo", "nope"), ("--listen", "nowhere"), ("--database", "nope://")] {
        let output = run(["serve", "--data-dir", &data, name, value]);
        assert!(!output.status.success(), "`{name} {value}` was accepted");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(value) || message.contains(name), "the message does not name `{name}`: {message}");
    }
    assert!(!run(["nope"]).status.success());
}

#[test]
fn a_wrong_setting_is_explained() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("ironrule.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:0\"\n").expect("the file is written");
    let output = run(["--config", &file.display().to_string(), "serve"]);
    assert!(!output.status.success(), "an unknown setting was accepted");
    assert!(String::from_utf8_lossy(&output.stderr).contains("lisen"), "the message does not name it: {output:?}");
}

#[test]
fn an_admin_needs_an_address_and_a_strong_password() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data").display().to_string();
    for (email, password) in [("nobody", PASSWORD), (ADMIN_EMAIL, "short")] {
        let output = run(["admin", "create", "--email", email, "--password", password, "--data-dir", &data]);
        assert!(!output.status.success(), "`{email}` with `{password}` was accepted");
        assert!(!output.stderr.is_empty(), "there is no explanation");
    }
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let app = TestApp::on_disk().await;
    let output = run(["serve", "--data-dir", &app.data_dir(), "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success(), "the second server started");
    assert!(String::from_utf8_lossy(&output.stderr).contains("data"), "the message does not say why: {output:?}");
    app.anonymous().get("/readyz").await.expect(200);
}

/// Without caps RocksDB takes half of the machine for its cache alone.
#[tokio::test]
async fn the_memory_caps_reach_the_database() {
    let environment = [("IRONRULE_BLOCK_CACHE_MB", "48"), ("IRONRULE_WRITE_BUFFER_MB", "6")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let app = TestApp::start_with(Options { database: Database::Disk, environment, ..Options::default() }).await;
    let database = std::path::Path::new(&app.data_dir()).join("db");
    let text_of = |name: &str| {
        let files = std::fs::read_dir(&database).expect("the database").filter_map(Result::ok);
        // `LOG.old...` is of the command that made the administrator.
        let files =
            files.filter(|file| file.file_name() == name || name.ends_with('-') && file.file_name().to_string_lossy().starts_with(name));
        files.map(|file| std::fs::read_to_string(file.path()).expect("a text")).collect::<String>()
    };
    let options = text_of("OPTIONS-");
    assert!(options.contains("\n  write_buffer_size=6291456\n"), "{options}");
    assert!(options.contains("\n  max_write_buffer_number=4\n"), "{options}");
    let log = text_of("LOG");
    let capacity = log.lines().find(|line| line.trim_start().starts_with("capacity"));
    assert!(capacity.is_some_and(|line| line.contains("50331648")), "{capacity:?}");
}

#[tokio::test]
async fn an_unknown_parameter_of_the_management_api_is_refused() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("keep", json!([{"name": "text", "type": "text"}])).await;
    let careless = [
        (Method::DELETE, "/api/collections/keep?force=true&dry_run=true"),
        (Method::PATCH, "/api/collections/keep?dryrun=true"),
        (Method::GET, "/api/policies?zz=1"),
        (Method::POST, "/api/auth/logout?zz=1"),
    ];
    for (method, path) in careless {
        let refused = admin.request(method, path).json(&json!({"fields": []})).send().await.problem(400, "query.invalid");
        assert!(refused.answer.text.contains("query.unknown"), "{}", refused.answer);
    }
    let kept = admin.get("/api/collections/keep").await.json(200);
    assert_eq!(kept["fields"][0]["name"], "text", "{kept}");
}

/// What cannot be read is named, what stands twice is not read in one of two ways, and what has no value is absent.
#[tokio::test]
async fn parameters_of_the_management_api_are_read_like_those_of_records() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("keep", json!([{"name": "text", "type": "text"}])).await;
    let before = admin.get("/api/collections/keep").await.json(200);
    for (method, path, errors) in [
        (Method::DELETE, "/api/collections/keep?force=yes", "/force query.value"),
        (Method::PATCH, "/api/collections/keep?wait=soon", "/wait query.value"),
        (Method::PATCH, "/api/collections/keep?dry_run=false&dry_run=true", "/dry_run query.value"),
        (Method::GET, "/api/policies?limit=1&limit=2", "/limit query.value"),
        (Method::GET, "/api/policies?after=zz", "/after query.cursor"),
        (Method::GET, "/api/imports?cursor=zz", "/cursor query.cursor"),
        (Method::GET, "/api/deliveries?cursor=zz", "/cursor query.cursor"),
        (Method::GET, "/api/records/keep?text=%ff", "/text query.value"),
        (Method::GET, "/api/records/keep?text=%zz", "/text query.value"),
        (Method::GET, "/api/records/keep?limit=1&text=%", "/text query.value"),
        (Method::GET, "/api/records/keep?text=%4", "/text query.value"),
        (Method::GET, "/api/policies?limit=%+1", "/limit query.value"),
        (Method::DELETE, "/api/records/keep?filter=text%20!=%20%22%C3%28%22&max=10", "/filter query.value"),
    ] {
        let refused = admin.request(method, path).json(&json!({"description": "changed"})).send().await;
        refused.problem(400, "query.invalid").errors(&[errors]);
    }
    assert_eq!(admin.get("/api/collections/keep").await.json(200), before);
    // What a page ended with may be gone when the next one is asked for.
    for (path, gone) in [
        ("/api/policies?after", "0123456789abcdef"),
        ("/api/imports?cursor", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("/api/deliveries?cursor", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ] {
        admin.get(&format!("{path}={gone}")).await.expect(200);
    }
    assert_eq!(admin.get("/api/records/keep?text=%EF%BF%BD").await.list(), Vec::<serde_json::Value>::new());
    let changed = admin.request(Method::PATCH, "/api/collections/keep?dry_run=&force=&wait=").json(&json!({"description": "changed"}));
    assert_eq!(changed.send().await.json(200)["description"], "changed");
}

#[tokio::test]
async fn what_the_command_line_takes_from_the_environment_is_no_unknown_setting() {
    let environment =
        [("IRONRULE_DEMO", "shop"), ("IRONRULE_SETUP_CODE", "x"), ("IRONRULE_TOKEN", "x"), ("IRONRULE_URL", "http://x.example")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let app = TestApp::start_with(Options { environment, admin: false, ..Options::default() }).await;
    assert_eq!(app.anonymous().get("/api/records/products").await.list().len(), 3);
}
