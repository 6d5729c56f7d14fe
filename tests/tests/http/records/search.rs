//! `search`: records by the words in their texts, best first.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::list::initials;

const POSTS: &str = "/api/records/posts";

fn definition(search: Value) -> Value {
    json!({"name": "posts", "search": search, "fields": [
        {"name": "title", "type": "text"},
        {"name": "body", "type": "text"},
        {"name": "amount", "type": "integer"},
        {"name": "secret", "type": "text", "hidden": true}
    ]})
}

async fn posts() -> (TestApp, Client) {
    let app = TestApp::on_disk().await;
    let admin = app.admin().await;
    admin.post("/api/collections", definition(json!(["title", "body"]))).await.expect(201);
    let posts = [
        json!({"title": "a pie of apples", "body": "Peel the apples. Bake the pie.", "amount": 1, "secret": "sesame"}),
        json!({"title": "bread", "body": "An apple goes well with it; apples, apple.", "amount": 2}),
        json!({"title": "Crème brûlée", "body": "No apple, no pie!", "amount": 3}),
        json!({"title": "doughnut", "body": format!("{} apple at the end of it", "many other words ".repeat(200)), "amount": 4}),
        json!({"title": "Éclair", "amount": 5}),
    ];
    for post in posts {
        admin.create("posts", post).await;
    }
    (app, admin)
}

async fn found(client: &Client, query: &[(&str, &str)]) -> String {
    initials(&client.query(POSTS, query).await.list())
}

#[tokio::test]
async fn words_are_found_best_first() {
    let (_app, admin) = posts().await;
    // Often in a short text before once in a long one.
    assert_eq!(found(&admin, &[("search", "apple")]).await, "bCd");
    assert_eq!(found(&admin, &[("search", "APPLE!")]).await, "bCd");
    assert_eq!(found(&admin, &[("search", "apple"), ("sort", "title")]).await, "Cbd");
    assert_eq!(found(&admin, &[("search", "apple"), ("sort", "-amount")]).await, "dCb");
    // All words, in whatever field.
    assert_eq!(found(&admin, &[("search", "apple pie")]).await, "C");
    assert_eq!(found(&admin, &[("search", "apples pie")]).await, "a");
    assert_eq!(found(&admin, &[("search", "bread apple")]).await, "b");
    assert_eq!(found(&admin, &[("search", "bread doughnut")]).await, "");
    assert_eq!(found(&admin, &[("search", "nothing")]).await, "");
    // Accents and capitals make no difference.
    assert_eq!(found(&admin, &[("search", "creme brulee")]).await, "C");
    assert_eq!(found(&admin, &[("search", "éclair")]).await, "É");
    admin.create("posts", json!({"title": "Zürich 北京 fooBar v2"})).await;
    for words in ["北京", "zurich", "FOOBAR", "v2 2", "ZÜRICH"] {
        assert_eq!(found(&admin, &[("search", words)]).await, "Z", "{words}");
    }
    assert_eq!(found(&admin, &[("search", "' OR true")]).await, "");
    assert_eq!(found(&admin, &[("search", "sesame")]).await, "");
}

#[tokio::test]
async fn a_search_goes_with_everything_else() {
    let (_app, admin) = posts().await;
    assert_eq!(found(&admin, &[("search", "apple"), ("filter", "amount > 2")]).await, "Cd");
    assert_eq!(found(&admin, &[("search", "apple"), ("amount_gte", "3"), ("title_ne", "doughnut")]).await, "C");
    assert_eq!(found(&admin, &[("search", "apple"), ("offset", "1"), ("limit", "1")]).await, "C");
    let counted = admin.query(POSTS, &[("search", "apple"), ("count", "exact"), ("limit", "2"), ("fields", "title")]).await.expect(200);
    assert_eq!((counted.expect_header("x-total-count"), counted.expect_header("content-range")), ("3", "posts 0-1/3"));
    for sort in ["", "title", "-title"] {
        let (mut walked, mut cursor) = (String::new(), String::new());
        loop {
            let query = [("search", "apple"), ("limit", "1"), ("sort", sort), ("cursor", cursor.as_str())];
            let page = admin.query(POSTS, &query).await.expect(200);
            let next = page.header("x-next-cursor").map(str::to_owned);
            walked.push_str(&initials(&page.list()));
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        let expected = [("", "bCd"), ("title", "Cbd"), ("-title", "dbC")].into_iter().find(|(known, _)| *known == sort);
        assert_eq!(Some(walked.as_str()), expected.map(|(_, walked)| walked), "sort `{sort}`");
    }
}

#[tokio::test]
async fn what_is_written_is_found_and_what_is_gone_is_not() {
    let (mut app, admin) = posts().await;
    let apple = admin.query(POSTS, &[("search", "brulee")]).await.list().remove(0);
    let path = format!("{POSTS}/{}", super::id(&apple));
    admin.patch(&path, json!({"body": "Cream, sugar"})).await.expect(200);
    assert_eq!(found(&admin, &[("search", "apple")]).await, "bd");
    assert_eq!(found(&admin, &[("search", "sugar")]).await, "C");
    admin.delete(&path).await.expect(200);
    assert_eq!(found(&admin, &[("search", "sugar")]).await, "");
    admin.post(POSTS, json!({"title": 7})).await.any_problem();
    app.restart().await;
    let admin = app.admin().await;
    assert_eq!(found(&admin, &[("search", "apple")]).await, "bd");
}

#[tokio::test]
async fn questions_that_cannot_be_answered_are_refused() {
    let (_app, admin) = posts().await;
    admin.collection("plain", json!([{"name": "title", "type": "text"}])).await;
    for name in ["search", "q"] {
        admin.query("/api/records/plain", &[(name, "x")]).await.problem(400, "query.invalid").errors(&[&format!("/{name} query.unknown")]);
    }
    assert_eq!(admin.query("/api/records/plain", &[("search", " ")]).await.list().len(), 0);
    let long = "word ".repeat(300);
    for text in ["!?.", "a\0b", &long] {
        admin.query(POSTS, &[("search", text)]).await.problem(400, "query.invalid").errors(&["/search query.value"]);
    }
    let many = "one two three four five six seven eight nine ten eleven";
    admin.query(POSTS, &[("search", many)]).await.problem(400, "query.invalid").errors(&["/search query.limit"]);
    let ranked = admin.query(POSTS, &[("search", "apple"), ("limit", "1")]).await.expect(200);
    let cursor = ranked.expect_header("x-next-cursor").to_owned();
    for query in [vec![("cursor", cursor.as_str())], vec![("cursor", &cursor), ("search", "apple"), ("sort", "title")]] {
        admin.query(POSTS, &query).await.problem(400, "query.invalid").errors(&["/cursor query.cursor"]);
    }
    // `ranked:99999999999`, behind every match that there can be.
    let query = [("cursor", "cmFua2VkOjk5OTk5OTk5OTk5"), ("search", "apple")];
    admin.query(POSTS, &query).await.problem(400, "query.invalid").errors(&["/cursor query.cursor"]);
    let plain = admin.query(POSTS, &[("limit", "1")]).await.expect(200);
    let cursor = plain.expect_header("x-next-cursor").to_owned();
    let query = [("cursor", cursor.as_str()), ("search", "apple")];
    admin.query(POSTS, &query).await.problem(400, "query.invalid").errors(&["/cursor query.cursor"]);
}

#[tokio::test]
async fn other_clients_search_in_their_words() {
    let (_app, admin) = posts().await;
    let server = admin.query(POSTS, &[("q", "apple"), ("_start", "0"), ("_end", "2")]).await.expect(200);
    assert_eq!((server.expect_header("x-total-count").to_owned(), initials(&server.list())), ("3".to_owned(), "bC".to_owned()));
    let simple = admin.query(POSTS, &[("filter", r#"{"q":"apple","amount_gt":2}"#), ("range", "[0,9]")]).await.expect(200);
    assert_eq!((simple.expect_header("content-range").to_owned(), initials(&simple.list())), ("posts 0-1/2".to_owned(), "Cd".to_owned()));
    admin.query(POSTS, &[("q", "apple"), ("search", "apple")]).await.problem(400, "query.invalid").errors(&["/search query.value"]);
    admin.query(POSTS, &[("q", "apple"), ("limit", "1")]).await.problem(400, "query.invalid").at("/limit");
}

#[tokio::test]
async fn policies_and_masks_hold_for_searches() {
    let (app, admin) = posts().await;
    let ann = app.user("ann").await;
    ann.query(POSTS, &[("search", "apple")]).await.problem(403, "policy.denied");
    admin.allow("role:authenticated", "posts", "read", "record.amount != 2").await;
    assert_eq!(found(&ann, &[("search", "apple")]).await, "Cd");
    let counted = ann.query(POSTS, &[("search", "apple"), ("count", "exact")]).await;
    assert_eq!(counted.expect_header("x-total-count"), "2");
    let closed = json!({"subject": "role:authenticated", "object": "posts", "action": "read", "fields": "body", "effect": "deny"});
    admin.policy(closed).await;
    ann.query(POSTS, &[("search", "apple")]).await.problem(403, "field.unreadable").unreadable("search");
}

/// The order must not tell about records that the caller cannot see: how common a word is among them.
#[tokio::test]
async fn hidden_records_do_not_change_the_order() {
    let (app, admin) = posts().await;
    let ann = app.user("ann").await;
    admin.allow("role:authenticated", "posts", "read", "record.amount < 100").await;
    for text in ["rare common", "rare rare common", "common common rare", "common rare rare rare"] {
        admin.create("posts", json!({"title": text, "amount": 50})).await;
    }
    let order = async || ann.query(POSTS, &[("search", "rare common"), ("fields", "title")]).await.list();
    let before = order().await;
    assert_eq!(before.len(), 4);
    for _ in 0..30 {
        admin.create("posts", json!({"title": "common common", "body": "common", "amount": 100})).await;
    }
    assert_eq!(order().await, before);
}

#[tokio::test]
async fn what_is_searched_can_change() {
    let app = TestApp::on_disk().await;
    let admin = app.admin().await;
    admin.post("/api/collections", definition(json!([]))).await.expect(201);
    admin.create("posts", json!({"title": "apple", "body": "pie"})).await;
    let alter = async |change: Value| admin.patch("/api/collections/posts", change).await;
    for search in [json!(["amount"]), json!(["secret"]), json!(["nope"]), json!(["title", "title"]), json!(["id"])] {
        alter(json!({"search": search}))
            .await
            .problem(422, "collection.invalid")
            .at(&format!("/search/{}", search.as_array().map_or(0, |list| list.len() - 1)));
    }
    admin.patch("/api/collections/posts?dry_run=true", json!({"search": ["title"]})).await.expect(200);
    admin.query(POSTS, &[("search", "apple")]).await.problem(400, "query.invalid");
    assert_eq!(alter(json!({"search": ["title"]})).await.json(200)["search"], json!(["title"]));
    assert_eq!(found(&admin, &[("search", "apple")]).await, "a");
    assert_eq!(found(&admin, &[("search", "pie")]).await, "");
    alter(json!({"search": ["body", "title"]})).await.expect(200);
    assert_eq!(found(&admin, &[("search", "pie")]).await, "a");
    // A field keeps being searched under its new name.
    let fields = json!([{"name": "title", "type": "text"}, {"name": "text", "type": "text"}, {"name": "amount", "type": "integer"}, {"name": "secret", "type": "text", "hidden": true}]);
    let renamed = alter(json!({"rename": {"body": "text"}, "fields": fields})).await.json(200);
    assert_eq!(renamed["search"], json!(["text", "title"]));
    assert_eq!(found(&admin, &[("search", "pie")]).await, "a");
    admin.create("posts", json!({"title": "bread", "text": "pie too"})).await;
    assert_eq!(found(&admin, &[("search", "pie"), ("sort", "title")]).await, "ab");
    // A field that goes cannot be left to be searched.
    let fewer = json!([{"name": "title", "type": "text"}, {"name": "amount", "type": "integer"}, {"name": "secret", "type": "text", "hidden": true}]);
    admin.patch("/api/collections/posts?force=true", json!({"fields": fewer})).await.problem(422, "collection.invalid").at("/search/0");
    admin.patch("/api/collections/posts?force=true", json!({"fields": fewer, "search": ["title"]})).await.expect(200);
    assert_eq!(found(&admin, &[("search", "pie")]).await, "");
    let document = admin.get("/openapi.json").await.json(200);
    let parameters = document["paths"][POSTS]["get"]["parameters"].as_array().cloned().unwrap_or_default();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "search"));
    alter(json!({"search": []})).await.expect(200);
    admin.query(POSTS, &[("search", "apple")]).await.problem(400, "query.invalid");
}
