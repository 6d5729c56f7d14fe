//! Parts of the document, and how it is sent.

use serde_json::{Value, json};
use tests::{Client, Method, TestApp};

use super::{collect_references, document, things, things_on};

async fn paths(client: &Client, query: &str) -> Vec<String> {
    let document = client.get(&format!("/openapi.json?{query}")).await.json(200);
    document["paths"].as_object().expect("paths").keys().cloned().collect()
}

#[tokio::test]
async fn a_slice_has_its_collections_and_the_way_to_sign_in() {
    let (_app, admin) = things().await;
    admin.collection("others", json!([{"name": "thing", "type": "relation", "collection": "things"}])).await;
    for (query, wanted) in [("collections=things", vec!["things"]), ("collections=others,things,", vec!["others", "things"])] {
        let found = paths(&admin, query).await;
        for path in &found {
            let collection = path.strip_prefix("/api/records/").map(|rest| rest.split('/').next().unwrap_or_default());
            assert!(collection.map_or(path.starts_with("/api/auth/"), |name| wanted.contains(&name)), "`{path}` is in {query}");
        }
        for name in wanted {
            assert!(found.contains(&format!("/api/records/{name}/{{id}}")), "{name} is not in {query}: {found:?}");
        }
        assert!(found.contains(&"/api/auth/login".to_owned()), "{found:?}");
    }
    let whole = paths(&admin, "").await;
    for query in ["collections=", "version=&for=", "collections=,"] {
        assert_eq!(paths(&admin, query).await, whole, "{query}");
    }
}

#[tokio::test]
async fn a_slice_holds_what_it_needs_and_no_more() {
    let (_app, admin) = things().await;
    admin.collection("others", json!([{"name": "title", "type": "text"}])).await;
    let slice = admin.get("/openapi.json?collections=others").await.json(200);
    let mut references = Vec::new();
    collect_references(&slice, &mut references);
    for reference in references {
        assert!(slice.pointer(&reference[1..]).is_some(), "`{reference}` leads nowhere");
    }
    let schemas = slice["components"]["schemas"].as_object().expect("schemas");
    assert!(schemas.contains_key("OthersRecord") && schemas.contains_key("Problem"), "{schemas:?}");
    let unneeded = schemas.keys().find(|name| name.starts_with("Things") || name.starts_with("Plugin") || name.starts_with("Policy"));
    assert_eq!(unneeded, None);
    let tags: Vec<&str> = slice["tags"].as_array().expect("tags").iter().filter_map(|tag| tag["name"].as_str()).collect();
    assert_eq!(tags, ["auth", "others"]);
    let (whole, narrow) = (document(&admin).await.to_string().len(), slice.to_string().len());
    assert!(narrow * 2 < whole, "{narrow} of {whole} bytes");
}

#[tokio::test]
async fn a_question_for_the_document_is_read_strictly() {
    let (app, admin) = things().await;
    let check = async |query: &str, entry: &str| {
        let problem = admin.get(&format!("/openapi.json?{query}")).await.problem(400, "query.invalid");
        assert_eq!(problem.errors, [entry], "{query}");
    };
    check("collections=things,thongs", "/collections query.value").await;
    check("collections=things&collections=users", "/collections query.value").await;
    check("collection=things", "/collection query.unknown").await;
    check("version=2.0", "/version query.value").await;
    check("for=everybody", "/for query.value").await;
    app.anonymous().request(Method::POST, "/openapi.json").send().await.problem(405, "route.method_not_allowed");
}

#[tokio::test]
async fn each_variant_has_its_own_tag() {
    let (app, admin) = things().await;
    let mut tags = Vec::new();
    for query in ["", "?version=3.1", "?collections=things", "?collections=things&version=3.1", "?for=caller"] {
        let path = format!("/openapi.json{query}");
        let tag = admin.get(&path).await.expect(200).expect_header("etag").to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
            let again = admin.request(Method::GET, &path).header("if-none-match", &held).send().await.expect(304);
            assert_eq!((again.expect_header("etag"), again.text.as_str()), (tag.as_str(), ""), "{path}");
        }
        assert!(!tags.contains(&tag), "{path} has the tag of another");
        tags.push(tag);
    }
    let general = app.anonymous().get("/openapi.json").await;
    assert_eq!(general.expect_header("cache-control"), "no-cache");
    assert!(general.expect_header("vary").contains("accept-encoding"), "{general}");
}

#[tokio::test]
async fn the_document_travels_compressed() {
    let (app, admin) = things().await;
    let plain = admin.get("/openapi.json").await.expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    for (accepted, encoding) in [("gzip", Some("gzip")), ("br, gzip;q=0.5", Some("gzip")), ("gzip;q=0", None), ("identity", None)] {
        let answer = app.anonymous().request(Method::GET, "/openapi.json").header("accept-encoding", accepted).send().await.expect(200);
        assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
        let length: usize = answer.expect_header("content-length").parse().expect("a number");
        if encoding.is_some() {
            assert!(length * 4 < plain.text.len(), "{length} of {} bytes", plain.text.len());
            // Two forms of one answer: RFC 9110, section 8.8.3.3.
            let marked = plain.expect_header("etag").strip_suffix('"').map(|open| format!("{open}-gzip\""));
            assert_eq!(answer.header("etag"), marked.as_deref());
            // Other bytes have another tag, and it is known when it comes back.
            let tag = answer.expect_header("etag");
            let again = app.anonymous().request(Method::GET, "/openapi.json").header("accept-encoding", accepted);
            again.header("if-none-match", tag).send().await.expect(304);
        } else {
            assert_eq!(answer.text, plain.text);
        }
    }
}

#[tokio::test]
async fn the_command_prints_every_variant() {
    let (mut app, admin) = things_on(TestApp::on_disk().await).await;
    admin.allow("role:authenticated", "things", "read", "record.owner == caller.id").await;
    let ann = app.user("ann").await;
    let variants = [
        ("collections=things", vec!["--collections", "things"]),
        ("version=3.1", vec!["--version", "3.1"]),
        ("for=caller&collections=things", vec!["--as", "user:ann@test.example", "--collections", "things"]),
    ];
    let mut served = Vec::new();
    for (query, _) in &variants {
        served.push(ann.get(&format!("/openapi.json?{query}")).await.json(200));
    }
    assert!(app.stop().success());
    let data_dir = app.data_dir();
    let run = |more: &[&str]| tests::run([&["openapi", "--data-dir", &data_dir], more].concat());
    for ((query, arguments), served) in variants.iter().zip(&served) {
        let printed = run(arguments);
        assert!(printed.status.success(), "{query}: {printed:?}");
        let printed: Value = serde_json::from_slice(&printed.stdout).expect("the document is JSON");
        for part in ["openapi", "paths", "components", "tags"] {
            assert_eq!(printed[part], served[part], "{query}: {part}");
        }
    }
    let nobody = ["user:01ARZ3NDEKTSV4RRFFQ69G5FAV", "user:nobody@test.example"];
    let wrong = [["--collections", "thongs"], ["--version", "2.0"], ["--as", "somebody"], ["--as", nobody[0]], ["--as", nobody[1]]];
    for wrong in wrong {
        let refused = run(&wrong);
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(wrong[1]), "{wrong:?}: {refused:?}");
        assert!(refused.stdout.is_empty(), "{wrong:?}: {refused:?}");
    }
    let typo = app.folder().join("typo");
    let refused = tests::run(["openapi", "--data-dir", &typo.display().to_string()]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("there is no database"), "{refused:?}");
    assert!(refused.stdout.is_empty() && !typo.exists(), "{refused:?}");
}
