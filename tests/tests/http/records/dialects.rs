//! Lists in the words of other clients: `ra-data-simple-rest`, json-server. What those clients really do is tried with their packages;
//! here is what is understood, and what is refused.

use serde_json::{Value, json};
use tests::{Answer, Client};

use super::{
    THINGS, id,
    list::{five, initials},
};

/// The parameters of a list.
type Query<'a> = &'a [(&'a str, &'a str)];

async fn simple(client: &Client, query: &[(&str, &str)]) -> (String, String) {
    let answer = client.query(THINGS, query).await.expect(200);
    let range = answer.expect_header("content-range").to_owned();
    (initials(&answer.list()), range)
}

async fn server(client: &Client, query: &[(&str, &str)]) -> (String, String) {
    let answer = client.query(THINGS, query).await.expect(200);
    let total = answer.expect_header("x-total-count").to_owned();
    (initials(&answer.list()), total)
}

fn both(records: &str, total: &str) -> (String, String) {
    (records.to_owned(), total.to_owned())
}

#[tokio::test]
async fn simple_rest_is_understood() {
    let (_app, admin) = five().await;
    let sorted = ("sort", r#"["title","ASC"]"#);
    assert_eq!(simple(&admin, &[sorted, ("range", "[0,1]"), ("filter", "{}")]).await, both("ab", "things 0-1/5"));
    assert_eq!(simple(&admin, &[sorted, ("range", "[2,3]")]).await, both("cd", "things 2-3/5"));
    assert_eq!(simple(&admin, &[("sort", r#"["title","DESC"]"#), ("range", "[4,99]")]).await, both("a", "things 4-4/5"));
    assert_eq!(simple(&admin, &[sorted, ("range", "[10,19]")]).await, both("", "things */5"));
    let filters = [
        (r#"{"title":"apple"}"#, "a"),
        (r#"{"title":["apple","banana"]}"#, "ab"),
        (r#"{"amount_gte":11}"#, "cé"),
        (r#"{"active":true,"state":"done"}"#, "c"),
        (r#"{"price":9.5}"#, "ac"),
        (r#"{"amount":null}"#, "d"),
        (r#"{"title":""}"#, "abcdé"),
        (r#"{"title":[]}"#, ""),
        (r#"{"tags":["y","z"]}"#, "b"),
        (r#"{"title":"x' || true"}"#, ""),
    ];
    for (filter, expected) in filters {
        let (records, range) = simple(&admin, &[sorted, ("filter", filter)]).await;
        assert_eq!(records, expected, "{filter}");
        assert!(range.ends_with(&format!("/{}", expected.chars().count())), "{range}");
    }
    let page = admin.query(THINGS, &[("range", "[0,1]")]).await.expect(200);
    assert_eq!((page.header("link"), page.header("x-next-cursor")), (None, None), "it counts, and has no word for a cursor");
}

#[tokio::test]
async fn records_named_by_ids_are_all_sent() {
    let (_app, admin) = five().await;
    for number in 0..40 {
        admin.create("things", json!({"title": format!("more {number}")})).await;
    }
    let all = admin.query(THINGS, &[("limit", "1000")]).await.list();
    let ids: Vec<&str> = all.iter().map(id).collect();
    let found = admin.query(THINGS, &[("filter", &json!({"id": ids}).to_string())]).await.list();
    assert_eq!(found.len(), 45);
}

#[tokio::test]
async fn json_server_is_understood() {
    let (_app, admin) = five().await;
    let cases: [(Query<'_>, &str, &str); 13] = [
        (&[("_sort", "title"), ("_order", "ASC"), ("_start", "0"), ("_end", "2")], "ab", "5"),
        (&[("_sort", "title"), ("_order", "DESC"), ("_start", "1"), ("_end", "3")], "dc", "5"),
        (&[("_sort", "title"), ("_start", "3"), ("_end", "30")], "dé", "5"),
        (&[("_sort", "price,title"), ("_order", "desc,asc"), ("_start", "0"), ("_end", "9")], "bacdé", "5"),
        (&[("_sort", "-price,title"), ("_end", "9")], "bacdé", "5"),
        (&[("_sort", "title"), ("_page", "2"), ("_limit", "2")], "cd", "5"),
        (&[("_sort", "title"), ("_page", "2"), ("_per_page", "4")], "é", "5"),
        (&[("_sort", "title"), ("_limit", "1")], "a", "5"),
        (&[("_sort", "title"), ("_start", "1"), ("_limit", "2")], "bc", "5"),
        (&[("_sort", "title"), ("_page", "1")], "abcdé", "5"),
        (&[("_sort", "title"), ("state", "done")], "bc", "2"),
        (&[("_sort", "title"), ("amount_gte", "10"), ("amount_lte", "11"), ("title_like", "a")], "aé", "2"),
        (&[("_sort", "title"), ("_start", ""), ("_end", ""), ("title_ne", "apple")], "bcdé", "4"),
    ];
    for (query, records, total) in cases {
        assert_eq!(server(&admin, query).await, both(records, total), "{query:?}");
    }
}

#[tokio::test]
async fn what_a_dialect_cannot_mean_is_refused_by_name() {
    let (_app, admin) = five().await;
    let cases: [(Query<'_>, &[&str]); 27] = [
        (&[("sort", "[\"title\"]")], &["/sort query.sort"]),
        (&[("sort", "[\"title\",\"UP\"]")], &["/sort query.sort"]),
        (&[("sort", "[title,ASC]")], &["/sort query.sort"]),
        (&[("sort", "[\"nope\",\"ASC\"]")], &["/sort query.sort"]),
        (&[("sort", "[\"-title,amount\",\"ASC\"]")], &["/sort query.sort"]),
        (&[("range", "0-9")], &["/range query.value"]),
        (&[("range", "[9,0]")], &["/range query.value"]),
        (&[("range", "[-1,5]")], &["/range query.value"]),
        (&[("range", "[0,1000]")], &["/range query.value"]),
        (&[("range", "[0,9223372036854775807]")], &["/range query.value"]),
        (&[("filter", "{\"nope\":1}")], &["/filter query.unknown"]),
        (&[("filter", "{\"title\":")], &["/filter query.filter"]),
        (&[("filter", "{\"amount\":\"ten\"}")], &["/filter query.value"]),
        (&[("filter", "{\"data\":{\"n\":1}}")], &["/filter query.filter"]),
        (&[("filter", "{\"secret\":\"sesame\"}")], &["/filter query.unknown"]),
        (&[("_sort", "nope")], &["/_sort query.sort"]),
        (&[("_sort", "title"), ("_order", "up")], &["/_order query.value"]),
        (&[("_order", "asc")], &["/_order query.value"]),
        (&[("_start", "x"), ("_end", "5")], &["/_start query.value"]),
        (&[("_start", "5"), ("_end", "5")], &["/_end query.value"]),
        (&[("_start", "0"), ("_end", "1001")], &["/_end query.value"]),
        (&[("_start", "100001"), ("_end", "100002")], &["/_start query.value"]),
        (&[("_page", "0")], &["/_page query.value"]),
        (&[("_page", "2"), ("_start", "3")], &["/_page query.value"]),
        (&[("_limit", "2"), ("_end", "3")], &["/_limit query.value"]),
        (&[("_sort", "title"), ("_embed", "owner")], &["/_embed query.unknown"]),
        (&[("_sort", "title"), ("_sort", "amount")], &["/_sort query.value"]),
    ];
    for (query, errors) in cases {
        admin.query(THINGS, query).await.problem(400, "query.invalid").errors(errors);
    }
}

/// What a client of a dialect reads has the names and numbers that it has sent, not those of `limit` and `offset`.
#[tokio::test]
async fn what_is_refused_is_told_in_the_words_of_the_dialect() {
    let (_app, admin) = five().await;
    let cases: [(Query<'_>, &str); 7] = [
        (&[("_start", "5"), ("_end", "2")], "`_end` (2) is not greater than `_start` (5)"),
        (&[("_start", "5"), ("_end", "2000")], "from `_start` (5) to `_end` (2000) there are more than 1000 records"),
        (&[("_end", "2000")], "`2000` is not a whole number from 1 to 1000"),
        (&[("_page", "20001"), ("_limit", "10")], "20000 pages of 10 come before page 20001, and at most 100000 records may"),
        (&[("range", "[0,5000]")], "from position 0 to 5000 there are more than 1000 records"),
        (&[("range", "[200000,200009]")], "the first position is 200000, and at most 100000 records may come before it"),
        (&[("range", "[9,0]")], "expected a JSON array such as `[0,9]`: the first and the last position"),
    ];
    for (query, message) in cases {
        let problem = admin.query(THINGS, query).await.problem(400, "query.invalid");
        assert_eq!(problem.answer.json["errors"][0]["message"], message, "{query:?}");
    }
}

#[tokio::test]
async fn dialects_are_not_mixed() {
    let (_app, admin) = five().await;
    let cases: [(Query<'_>, &str); 8] = [
        (&[("range", "[0,9]"), ("limit", "5")], "/limit query.value"),
        (&[("limit", "5"), ("range", "[0,9]")], "/range query.value"),
        (&[("sort", "title"), ("filter", "{}")], "/filter query.value"),
        (&[("_start", "0"), ("sort", "title")], "/sort query.value"),
        (&[("_start", "0"), ("range", "[0,9]")], "/range query.value"),
        (&[("_sort", "title"), ("filter", "true")], "/filter query.value"),
        (&[("_sort", "title"), ("count", "exact")], "/count query.value"),
        (&[("cursor", "x"), ("_end", "3")], "/_end query.value"),
    ];
    for (query, error) in cases {
        let problem = admin.query(THINGS, query).await.problem(400, "query.invalid");
        assert!(problem.errors.iter().any(|found| found == error), "{query:?}: {:?}", problem.errors);
    }
    // What every dialect shares, and what is empty, is of none.
    let shared = admin.query(THINGS, &[("_sort", "title"), ("fields", "title"), ("limit", ""), ("amount_gt", "10")]).await;
    assert_eq!(initials(&shared.list()), "cé");
}

/// What clients do besides lists: they send back whole records, and odd types of content.
#[tokio::test]
async fn whole_records_come_back_and_deletions_say_what_they_like() {
    let (_app, admin) = five().await;
    let record = admin.query(THINGS, &[("title", "apple")]).await.list().remove(0);
    let path = super::path(&record);
    let mut changed = record.clone();
    changed["title"] = json!("apricot");
    changed["created"] = json!("1999-01-01T00:00:00Z");
    let put = admin.put(&path, changed).await.json(200);
    assert_eq!((&put["title"], &put["created"], &put["id"]), (&json!("apricot"), &record["created"], &record["id"]));
    let delete = |kind: &'static str, body: &'static str| admin.request(tests::Method::DELETE, &path).body(kind, body).send();
    let deleted: Answer = delete("text/plain", "").await;
    assert_eq!(deleted.json(200)["title"], "apricot");
    delete("text/plain", "").await.problem(404, "record.not_found");
    let next = admin.query(THINGS, &[("title", "banana")]).await.list().remove(0);
    let gone: Value = admin.request(tests::Method::DELETE, &super::path(&next)).body("application/json", "{}").send().await.json(200);
    assert_eq!(gone["id"], next["id"]);
}
