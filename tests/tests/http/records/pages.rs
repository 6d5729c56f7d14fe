//! Pages of a list: limit, offset, cursors, and the links from one to the next.

use std::collections::HashSet;

use serde_json::{Value, json};
use tests::{Answer, Client, TestApp, url};

use super::{THINGS, id, path, things_on};

const COUNT: usize = 47;

/// Many things, with many equal amounts and states.
async fn many() -> (TestApp, Client) {
    many_on(TestApp::start().await).await
}

async fn many_on(app: TestApp) -> (TestApp, Client) {
    let (app, admin) = things_on(app).await;
    for number in 0..COUNT {
        let amount = if number % 5 == 0 { Value::Null } else { json!(number % 4) };
        let price = format!("{}.{}", number % 3, number % 7);
        let state = if number % 2 == 0 { json!("new") } else { Value::Null };
        let record = json!({"title": format!("thing {number:03}"), "amount": amount, "price": price, "state": state, "ratio": -(number as f64) / 50.0});
        admin.create("things", record).await;
    }
    (app, admin)
}

/// The ids of all pages, found by following `X-Next-Cursor`.
async fn walk(client: &Client, query: &[(&str, &str)]) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = query.to_vec();
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = client.query(THINGS, &query).await.expect(200);
        cursor = page.header("x-next-cursor").map(str::to_owned);
        assert_eq!(cursor.is_some(), next_link(&page).is_some(), "the link and the cursor disagree: {page}");
        let records = page.list();
        assert!(!records.is_empty() || cursor.is_none(), "an empty page that has a next one");
        ids.extend(records.iter().map(|record| id(record).to_owned()));
        assert!(ids.len() <= 10 * COUNT, "the walk does not end");
        if cursor.is_none() {
            return ids;
        }
    }
}

/// The target of `Link: <...>; rel="next"`, without scheme and host.
fn next_link(page: &Answer) -> Option<String> {
    let (target, rest) = page.header("link")?.strip_prefix('<')?.split_once('>')?;
    assert!(rest.contains("rel=\"next\""), "{page}");
    let start = target.find("/api/").unwrap_or_else(|| panic!("not a link to the list: {page}"));
    Some(target[start..].to_owned())
}

fn ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| id(record).to_owned()).collect()
}

#[tokio::test]
async fn a_walk_by_cursor_meets_every_record_once() {
    let (_app, admin) = many_on(TestApp::on_disk().await).await;
    for sort in
        ["title", "-title", "amount", "-amount", "price,-amount", "-state,price", "ratio", "-ratio", "created", "-created", "id", "-id"]
    {
        let whole = ids(&admin.query(THINGS, &[("sort", sort), ("limit", "1000")]).await.list());
        assert_eq!(whole.len(), COUNT);
        for limit in ["1", "7", "46", "47", "48"] {
            // One record a page is slow; two orders are enough for that.
            if limit == "1" && !["-amount", "title"].contains(&sort) {
                continue;
            }
            let walked = walk(&admin, &[("sort", sort), ("limit", limit)]).await;
            assert_eq!(walked, whole, "sort `{sort}`, limit {limit}");
        }
    }
}

#[tokio::test]
async fn both_directions_are_each_others_mirror() {
    let (_app, admin) = many().await;
    for sort in ["title", "amount", "price", "ratio", "created", "id"] {
        let up = walk(&admin, &[("sort", sort), ("limit", "10")]).await;
        let mut down = walk(&admin, &[("sort", &format!("-{sort}")), ("limit", "10")]).await;
        down.reverse();
        assert_eq!(up, down, "sort `{sort}`");
    }
}

#[tokio::test]
async fn a_walk_keeps_its_filter_and_fields_through_the_links() {
    let (_app, admin) = many().await;
    let query = [("filter", "state == 'new' && amount != 1"), ("sort", "-price,title"), ("fields", "price,title"), ("limit", "5")];
    let whole = [query[0], query[1], ("limit", "1000")];
    let expected = ids(&admin.query(THINGS, &whole).await.list());
    let mut found = Vec::new();
    let mut next = Some(url(THINGS, &query));
    while let Some(path) = next {
        let page = admin.get(&path).await.expect(200);
        next = next_link(&page);
        let records = page.list();
        assert!(records.iter().all(|record| record.get("amount").is_none()), "`fields` was lost: {records:?}");
        found.extend(ids(&records));
        assert!(found.len() <= COUNT, "the walk does not end");
    }
    assert!(expected.len() > 10);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_walk_is_not_disturbed_by_writes() {
    let (_app, admin) = many().await;
    let before: HashSet<String> = walk(&admin, &[("sort", "title"), ("limit", "1000")]).await.into_iter().collect();
    let mut found = Vec::new();
    let mut next = Some(url(THINGS, &[("sort", "title"), ("limit", "10")]));
    let mut page_number = 0;
    while let Some(path_of_page) = next {
        let page = admin.get(&path_of_page).await.expect(200);
        next = next_link(&page);
        let records = page.list();
        // Before and behind the cursor, and the record that the cursor stands on.
        admin.create("things", json!({"title": "a new thing"})).await;
        admin.create("things", json!({"title": format!("z new {page_number}")})).await;
        admin.delete(&path(records.last().expect("a record"))).await.expect(200);
        found.extend(ids(&records));
        page_number += 1;
        assert!(page_number < 100, "the walk does not end");
    }
    let distinct: HashSet<String> = found.iter().cloned().collect();
    assert_eq!(distinct.len(), found.len(), "a record came twice");
    assert!(before.is_subset(&distinct), "a record was left out");
}

#[tokio::test]
async fn a_cursor_survives_a_restart() {
    let (mut app, admin) = many_on(TestApp::on_disk().await).await;
    let page = admin.query(THINGS, &[("sort", "amount"), ("limit", "40")]).await.expect(200);
    let next = next_link(&page).expect("a next page");
    let first = page.list();
    app.restart().await;
    let rest = app.admin().await.get(&next).await.list();
    let all: HashSet<String> = ids(&first).into_iter().chain(ids(&rest)).collect();
    assert_eq!((rest.len(), all.len()), (COUNT - 40, COUNT));
}

#[tokio::test]
async fn a_page_has_thirty_records_unless_said_otherwise() {
    let (_app, admin) = many().await;
    assert_eq!(admin.get(THINGS).await.list().len(), 30);
    assert_eq!(admin.query(THINGS, &[("limit", "3")]).await.list().len(), 3);
    assert_eq!(admin.query(THINGS, &[("limit", "1000")]).await.list().len(), COUNT);
}

#[tokio::test]
async fn an_offset_skips() {
    let (_app, admin) = many().await;
    let whole = ids(&admin.query(THINGS, &[("sort", "title"), ("limit", "1000")]).await.list());
    for (offset, limit) in [(0, 5), (5, 5), (45, 5), (47, 5), (1_000, 5)] {
        let query = [("sort", "title"), ("offset", &offset.to_string()), ("limit", &limit.to_string())];
        let page = ids(&admin.query(THINGS, &query).await.list());
        let expected: Vec<String> = whole.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(page, expected, "offset {offset}, limit {limit}");
    }
    let page = admin.query(THINGS, &[("offset", "45"), ("limit", "5"), ("count", "exact")]).await.expect(200);
    assert!(next_link(&page).is_none(), "{page}");
    assert_eq!(page.expect_header("x-total-count"), COUNT.to_string());
    assert!(page.expect_header("content-range").contains("45-46/47"), "{page}");
}

#[tokio::test]
async fn a_cursor_that_does_not_fit_is_refused() {
    let (_app, admin) = many().await;
    let page = admin.query(THINGS, &[("sort", "title"), ("limit", "5")]).await.expect(200);
    let cursor = page.expect_header("x-next-cursor").to_owned();
    let cut = &cursor[..cursor.len() / 2];
    let cases = [("title", "nope"), ("title", cut), ("title", "!!!"), ("amount", cursor.as_str()), ("-title", cursor.as_str())];
    for (sort, cursor) in cases {
        let problem = admin.query(THINGS, &[("sort", sort), ("cursor", cursor)]).await.problem(400, "query.invalid");
        problem.errors(&["/cursor query.cursor"]);
    }
}

/// Cursors say in base64 what they are, so that anybody can make one up: the values must be such as the fields have.
#[tokio::test]
async fn a_cursor_that_was_made_up_is_refused() {
    let (_app, admin) = many().await;
    let cases = [
        // {"order":"amount","values":["x"],"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}
        ("amount", "eyJvcmRlciI6ImFtb3VudCIsInZhbHVlcyI6WyJ4Il0sImlkIjoiMDFBUlozTkRFS1RTVjRSUkZGUTY5RzVGQVYifQ"),
        // [true]
        ("amount", "eyJvcmRlciI6ImFtb3VudCIsInZhbHVlcyI6W3RydWVdLCJpZCI6IjAxQVJaM05ERUtUU1Y0UlJGRlE2OUc1RkFWIn0"),
        // [7]
        ("title", "eyJvcmRlciI6InRpdGxlIiwidmFsdWVzIjpbN10sImlkIjoiMDFBUlozTkRFS1RTVjRSUkZGUTY5RzVGQVYifQ"),
        // ["yesterday"]
        ("created", "eyJvcmRlciI6ImNyZWF0ZWQiLCJ2YWx1ZXMiOlsieWVzdGVyZGF5Il0sImlkIjoiMDFBUlozTkRFS1RTVjRSUkZGUTY5RzVGQVYifQ"),
        // [3], "id":"zz"
        ("amount", "eyJvcmRlciI6ImFtb3VudCIsInZhbHVlcyI6WzNdLCJpZCI6Inp6In0"),
        // [3], "known":-1
        ("amount", "eyJvcmRlciI6ImFtb3VudCIsInZhbHVlcyI6WzNdLCJpZCI6IjAxQVJaM05ERUtUU1Y0UlJGRlE2OUc1RkFWIiwia25vd24iOi0xfQ"),
    ];
    for (sort, cursor) in cases {
        let problem = admin.query(THINGS, &[("sort", sort), ("cursor", cursor)]).await.problem(400, "query.invalid");
        problem.errors(&["/cursor query.cursor"]);
    }
    // [3] with the id of a record that is not there, as after a deletion.
    let gone = "eyJvcmRlciI6ImFtb3VudCIsInZhbHVlcyI6WzNdLCJpZCI6IjAxQVJaM05ERUtUU1Y0UlJGRlE2OUc1RkFWIn0";
    admin.query(THINGS, &[("sort", "amount"), ("cursor", gone)]).await.expect(200);
}

#[tokio::test]
async fn a_cursor_opens_nothing_that_is_closed() {
    let (app, admin) = many().await;
    let page = admin.query(THINGS, &[("sort", "title"), ("limit", "5")]).await.expect(200);
    let next = next_link(&page).expect("a next page");
    let ann = app.user("ann").await;
    ann.get(&next).await.problem(403, "policy.denied");
    admin.allow("role:anyone", "things", "read", "record.state == 'new'").await;
    let records = ann.get(&next).await.list();
    assert!(!records.is_empty() && records.iter().all(|record| record["state"] == "new"), "{records:?}");
    // Nor does it lead over a field that its reader may not see.
    admin.policy(json!({"subject": "role:anyone", "object": "things", "action": "read", "fields": "title", "effect": "deny"})).await;
    ann.get(&next).await.any_problem().unreadable("sort");
}

/// Large records: a page has at most 8 MiB, however many it may have, and the next one goes on from there.
#[tokio::test]
async fn a_page_of_large_records_ends_early() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("things", json!([{"name": "title", "type": "text"}, {"name": "body", "type": "text", "max": 1_000_000}])).await;
    for number in 0..12 {
        let body = format!("{number:02} {}", "long ".repeat(180_000));
        admin.create("things", json!({"title": format!("{number:02}"), "body": body})).await;
    }
    for sort in ["title", "-created", ""] {
        let whole = ids(&admin.query(THINGS, &[("fields", "id"), ("sort", sort), ("limit", "12")]).await.list());
        let first = admin.query(THINGS, &[("sort", sort), ("limit", "1000"), ("count", "exact")]).await.expect(200);
        assert!(first.text.len() <= 8 << 20, "{} bytes", first.text.len());
        assert!(first.expect_header("content-range").ends_with("/12"));
        let shown = first.list().len();
        assert!((5..12).contains(&shown), "{shown} records");
        assert_eq!(walk(&admin, &[("sort", sort), ("limit", "1000")]).await, whole);
        assert_eq!(walk(&admin, &[("sort", sort), ("limit", "1000"), ("fields", "id")]).await, whole);
    }
    let offset = admin.query(THINGS, &[("_sort", "body"), ("_start", "3"), ("_end", "6"), ("fields", "title")]).await.list();
    assert_eq!(offset.iter().map(|record| record["title"].clone()).collect::<Vec<_>>(), ["03", "04", "05"]);
}

/// A cursor cannot carry a long value along; it continues behind it all the same, though its record is gone and the server is another one.
#[tokio::test]
async fn a_cursor_behind_a_long_value_continues() {
    let mut app = TestApp::on_disk().await;
    let admin = app.admin().await;
    admin.collection("things", json!([{"name": "body", "type": "text", "max": 1_000_000}])).await;
    let body = |number: usize| format!("{}{}", "long ".repeat(2_000), number / 2);
    for number in 0..10 {
        admin.create("things", json!({"body": body(number)})).await;
    }
    let query = [("sort", "-body"), ("fields", "id"), ("limit", "3")];
    let whole = ids(&admin.query(THINGS, &[("sort", "-body"), ("fields", "id")]).await.list());
    assert_eq!(walk(&admin, &query).await, whole);

    let first = admin.query(THINGS, &query).await.expect(200);
    let cursor = first.expect_header("x-next-cursor").to_owned();
    assert!(cursor.len() < 200, "{cursor}");
    let first = first.list();
    assert_eq!(ids(&first), whole[..3]);
    admin.delete(&path(&first[2])).await.expect(200);
    app.restart().await;
    let admin = app.admin().await;
    let next = [("sort", "-body"), ("fields", "id"), ("cursor", cursor.as_str())];
    assert_eq!(ids(&admin.query(THINGS, &next).await.list()), whole[3..]);
    // It is a cursor of this order, and nobody can make one up: this is `kept:` and a name.
    let refused = [("sort", "body"), ("cursor", cursor.as_str())];
    admin.query(THINGS, &refused).await.problem(400, "query.invalid").errors(&["/cursor query.cursor"]);
    let made_up = format!("a2VwdDow{}", "MDAw".repeat(21));
    admin.query(THINGS, &[("sort", "-body"), ("cursor", &made_up)]).await.problem(400, "query.invalid").errors(&["/cursor query.cursor"]);
}

/// Headers stay small, however long the question is.
#[tokio::test]
async fn a_long_question_has_a_short_answer() {
    let (_app, admin) = many().await;
    let all = ids(&admin.query(THINGS, &[("limit", "1000")]).await.list());
    let values = format!("{},{}", all.join(","), "01ARZ3NDEKTSV4RRFFQ69G5FAV,".repeat(200).trim_end_matches(','));
    let first = admin.query(THINGS, &[("id_in", &values), ("limit", "40"), ("sort", "id")]).await.expect(200);
    assert!(first.header("link").is_none(), "the link would be longer than 4 KiB");
    let cursor = first.expect_header("x-next-cursor").to_owned();
    let second = admin.query(THINGS, &[("id_in", &values), ("limit", "40"), ("sort", "id"), ("cursor", &cursor)]).await.expect(200);
    assert_eq!((first.list().len(), second.list().len()), (40, COUNT - 40));
}
