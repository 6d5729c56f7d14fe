//! `POST /api/records/{collection}/import`: every row through the story of a write, and how far it came is known exactly.

mod broken;

mod mended;

mod command;

mod raw;

mod once;

use serde_json::{Value, json};
use tests::{Answer, Client, Method, url};

use super::{THINGS, export::lines, things};

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

/// Ids that clients choose.
const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FA0";

async fn import(client: &Client, query: &[(&str, &str)], kind: &str, file: impl Into<String>) -> Answer {
    import_into(client, "things", query, kind, file).await
}

async fn import_into(client: &Client, collection: &str, query: &[(&str, &str)], kind: &str, file: impl Into<String>) -> Answer {
    let path = url(&format!("/api/records/{collection}/import"), query);
    client.request(Method::POST, &path).body(kind, file.into()).send().await
}

async fn export(client: &Client, format: &str) -> String {
    client.query("/api/records/things/export", &[("format", format)]).await.expect(200).text
}

async fn titles(client: &Client) -> Vec<String> {
    let listed = client.query(THINGS, &[("sort", "id"), ("limit", "1000")]).await.list();
    listed.iter().map(|record| record["title"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Records with something in every field, nothing in any, and what is hard to write.
fn hard(owner: &str) -> Vec<Value> {
    vec![
        json!({"title": "everything", "code": "a", "mail": "ann@test.example", "site": "https://x.example/?a=1,2", "amount": 7, "ratio": 0.1,
            "price": "4.50", "active": true, "at": "2026-11-22T17:30:04.123456Z", "day": "2026-11-22", "state": "new", "tags": ["x", "z"],
            "data": {"n": 1, "deep": [null, {"q": "\"quoted\", and, so on"}]}, "owner": owner, "origin": "a far land"}),
        json!({"title": "nothing", "amount": null}),
        json!({"title": "empty", "code": "", "origin": "", "tags": [], "data": {}}),
        json!({"title": "=1+1", "code": "a,b", "origin": "line\r\nbreak\n\"quotes\" ünïcode \u{feff}", "ratio": -1e300, "price": "0.000"}),
        json!({"title": " spaces ", "code": " ", "origin": "null", "active": false, "amount": 9_007_199_254_740_993_i64}),
    ]
}

/// What a client wrote, without what the server adds.
fn plain(records: Vec<Value>) -> Vec<Value> {
    let mut records = records;
    for record in &mut records {
        for name in ["id", "created", "updated"] {
            record.as_object_mut().expect("an object").remove(name);
        }
    }
    records
}

#[tokio::test]
async fn what_was_exported_can_be_imported() {
    let (app, admin) = things().await;
    let ann = app.user("ann").await;
    for record in hard(ann.id()) {
        admin.create("things", record).await;
    }
    let before = plain(lines(&export(&admin, "ndjson").await));
    for (format, kind) in [("ndjson", NDJSON), ("csv", CSV)] {
        let file = export(&admin, format).await;
        for record in admin.get(THINGS).await.list() {
            admin.delete(&super::path(&record)).await.expect(200);
        }
        let done = import(&admin, &[], kind, file.clone()).await.json(200);
        assert_eq!((&done["state"], &done["created"], &done["failed"]), (&json!("done"), &json!(5), &json!(0)), "{done}");
        assert_eq!(done["bytes"], file.len());
        assert_eq!(plain(lines(&export(&admin, "ndjson").await)), before, "as {format}");
    }
}

#[tokio::test]
async fn csv_of_other_programs_is_read() {
    let (_app, admin) = things().await;
    let file = "\u{feff}title,price,active,tags,origin\n\"first\",4.5,TRUE,\"[\"\"x\"\"]\",\"two\nlines\"\n\nlast,,,,\r\n";
    import(&admin, &[], CSV, file).await.expect(200);
    let records = admin.query(THINGS, &[("sort", "id")]).await.list();
    assert_eq!((&records[0]["price"], &records[0]["active"], &records[0]["tags"]), (&json!("4.5"), &json!(true), &json!(["x"])));
    assert_eq!((&records[0]["origin"], &records[1]["title"]), (&json!("two\nlines"), &json!("last")));
    // A column that is not there leaves the default.
    assert_eq!((&records[0]["amount"], &records[1]["price"]), (&json!(1), &Value::Null));
    for (file, error) in [("title,nope\n", "/nope field.unknown"), ("title,title\n", "/title field.duplicate")] {
        import(&admin, &[], CSV, file).await.problem(422, "import.invalid").errors(&[error]);
    }
    let bad = "title,amount\nfine,1\nshort\nlong,1,2\nseven,seven\n\"open,1\n";
    let done = import(&admin, &[("on_error", "skip")], CSV, bad).await.json(200);
    let told: Vec<(u64, &str)> = done["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|one| (one["line"].as_u64().unwrap_or_default(), one["code"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(told, [(3, "row.cells"), (4, "row.cells"), (5, "record.invalid"), (6, "body.malformed")], "{done}");
    assert_eq!((&done["created"], &done["failed"]), (&json!(1), &json!(4)));
}

#[tokio::test]
async fn a_row_that_is_refused_stops_the_import_until_it_is_mended() {
    let (_app, admin) = things().await;
    let good: Vec<String> =
        (0..450).map(|number| format!("{}\n", json!({"title": format!("t{number}"), "code": format!("c{number}")}))).collect();
    let mut bad = good.clone();
    bad[321] = "{\"title\": \"x\", \"amount\": -1}\n".to_owned();
    let problem = import(&admin, &[("import", ID)], NDJSON, bad.concat()).await.problem(422, "import.stopped");
    assert_eq!(problem.answer.expect_header("location"), format!("/api/imports/{ID}"));
    problem.errors(&["/322/title field.length", "/322/amount field.range"]);
    assert_eq!(titles(&admin).await, (0..321).map(|number| format!("t{number}")).collect::<Vec<_>>());
    let stored = admin.get(&format!("/api/imports/{ID}")).await.json(200);
    assert_eq!((&stored["state"], &stored["created"], &stored["line"]), (&json!("stopped"), &json!(321), &json!(321)), "{stored}");
    // Another file cannot go on with it, nor can other parameters.
    import(&admin, &[("import", ID)], NDJSON, good[1..].concat()).await.problem(409, "import.other_file");
    import(&admin, &[("import", ID)], NDJSON, good[..100].concat()).await.problem(409, "import.other_file");
    import(&admin, &[("import", ID), ("on_error", "skip")], NDJSON, good.concat()).await.problem(409, "import.differs");
    import(&admin, &[("import", ID)], CSV, good.concat()).await.problem(409, "import.differs");
    assert_eq!(titles(&admin).await.len(), 321);
    for _ in 0..2 {
        // What is done stays so, however often it comes.
        let done = import(&admin, &[("import", ID)], NDJSON, good.concat()).await.json(200);
        assert_eq!((&done["state"], &done["created"], &done["failed"]), (&json!("done"), &json!(450), &json!(0)), "{done}");
    }
    assert_eq!(titles(&admin).await, (0..450).map(|number| format!("t{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn rows_that_are_refused_can_be_passed_over() {
    let (_app, admin) = things().await;
    let row = |number: usize| match number % 5 {
        0 => json!({"title": "x"}).to_string(),
        1 => "{".to_owned(),
        2 => json!({"title": "again", "code": "same"}).to_string(),
        _ => json!({"title": format!("t{number}"), "owner": null}).to_string(),
    };
    let file: Vec<String> = (0..500).map(row).collect();
    let done = import(&admin, &[("on_error", "skip")], NDJSON, file.join("\n\n")).await.json(200);
    assert_eq!((&done["created"], &done["failed"], &done["state"]), (&json!(201), &json!(299), &json!("done")), "{done}");
    let errors = done["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 100, "only so many are told");
    assert_eq!((&errors[0]["line"], &errors[0]["errors"][0]["pointer"]), (&json!(1), &json!("/title")));
    assert_eq!((&errors[1]["line"], &errors[1]["code"]), (&json!(3), &json!("body.malformed")));
    assert_eq!((&errors[4]["line"], &errors[4]["code"]), (&json!(15), &json!("record.unique")));
    assert_eq!(titles(&admin).await.len(), 201);
}

#[tokio::test]
async fn upserts_change_what_is_there() {
    let (app, admin) = things().await;
    admin.create("things", json!({"title": "old", "code": "a", "origin": "stays", "amount": 5})).await;
    let file = "{\"code\":\"a\",\"title\":\"new\"}\n{\"code\":\"b\",\"title\":\"more\"}\n{\"code\":\"b\",\"title\":\"most\"}\n{\"title\":\"none\"}\n";
    let done = import(&admin, &[("mode", "upsert"), ("on", "code"), ("on_error", "skip")], NDJSON, file).await.json(200);
    assert_eq!((&done["created"], &done["updated"], &done["failed"]), (&json!(1), &json!(2), &json!(1)), "{done}");
    assert_eq!(done["errors"][0]["errors"][0]["pointer"], "/code", "a row says which record it means");
    let records = admin.query(THINGS, &[("sort", "id")]).await.list();
    assert_eq!((&records[0]["title"], &records[0]["origin"], &records[0]["amount"]), (&json!("new"), &json!("stays"), &json!(5)));
    assert_eq!(titles(&admin).await, ["new", "most"]);
    let by_id = format!("{}\n{}\n", json!({"id": records[0]["id"], "title": "by id"}), json!({"id": ID, "title": "chosen"}));
    let done = import(&admin, &[("mode", "upsert"), ("on", "id")], NDJSON, by_id).await.json(200);
    assert_eq!((&done["created"], &done["updated"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(admin.get(&format!("{THINGS}/{ID}")).await.json(200)["title"], "chosen");
    for (query, pointer) in [
        (vec![("mode", "upsert")], "/on query.value"),
        (vec![("mode", "upsert"), ("on", "title")], "/on query.value"),
        (vec![("on", "code")], "/on query.value"),
        (vec![("mode", "merge")], "/mode query.value"),
        (vec![("on_error", "ignore")], "/on_error query.value"),
        (vec![("raw", "perhaps")], "/raw query.value"),
        (vec![("import", "mine")], "/import query.value"),
        (vec![("import", ID), ("dry_run", "true")], "/import query.value"),
        (vec![("skip", "1")], "/skip query.unknown"),
    ] {
        import(&admin, &query, NDJSON, file).await.problem(400, "query.invalid").errors(&[pointer]);
    }
    // Whoever may only create cannot upsert.
    let ann = app.user("ann").await;
    admin.allow("role:authenticated", "things", "create", "true").await;
    import(&ann, &[("mode", "upsert"), ("on", "code")], NDJSON, file).await.problem(403, "policy.denied");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be() {
    let (_app, admin) = things().await;
    let file = "{\"title\":\"good\",\"code\":\"a\"}\n{\"title\":\"b\"}\n{\"title\":\"also\",\"code\":\"a\"}\n";
    let done = import(&admin, &[("dry_run", "true"), ("on_error", "skip")], NDJSON, file).await.json(200);
    assert_eq!((&done["created"], &done["failed"], &done["dry_run"]), (&json!(2), &json!(1), &json!(true)), "{done}");
    let problem =
        import(&admin, &[("dry_run", "true")], NDJSON, file).await.problem(422, "import.stopped").errors(&["/2/title field.length"]);
    assert_eq!(problem.answer.header("location"), None);
    assert_eq!(titles(&admin).await, [""; 0]);
    assert_eq!(admin.get("/api/imports").await.list(), [Value::Null; 0]);
}

#[tokio::test]
async fn an_import_may_no_more_than_its_caller() {
    let (app, admin) = things().await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let file = "{\"title\":\"mine\",\"state\":\"new\"}\n{\"title\":\"late\",\"state\":\"done\"}\n";
    import(&app.anonymous(), &[], NDJSON, file).await.problem(401, "auth.required");
    import(&ann, &[], NDJSON, file).await.problem(403, "policy.denied");
    import(&ann, &[("mode", "nope")], NDJSON, file).await.problem(403, "policy.denied");
    admin.allow("role:authenticated", "things", "create", "record.state == 'new'").await;
    import(&ann, &[("raw", "true")], NDJSON, file).await.problem(403, "policy.denied");
    import(&ann, &[("import", ID)], NDJSON, file).await.problem(422, "import.stopped").errors(&["/2 policy.denied"]);
    assert_eq!(titles(&admin).await, ["mine"]);
    // Others neither see it nor go on with it.
    let path = format!("/api/imports/{ID}");
    ann.get(&path).await.expect(200);
    assert_eq!(ann.get("/api/imports").await.list().len(), 1);
    admin.get(&path).await.expect(200);
    ben.get(&path).await.problem(404, "import.not_found");
    ben.delete(&path).await.problem(404, "import.not_found");
    import(&ben, &[("import", ID)], NDJSON, file).await.problem(404, "import.not_found");
    assert_eq!(ben.get("/api/imports").await.list(), [Value::Null; 0]);
    app.anonymous().get("/api/imports").await.problem(401, "auth.required");
    app.anonymous().get(&path).await.problem(401, "auth.required");
    // Who ends it ends it for good.
    assert_eq!(ann.delete(&path).await.json(200)["state"], "cancelled");
    ann.delete(&path).await.problem(409, "import.over");
    import(&ann, &[("import", ID)], NDJSON, file).await.problem(409, "import.cancelled");
    assert_eq!(titles(&admin).await, ["mine"]);
}

#[tokio::test]
async fn rules_of_plugins_see_every_row() {
    let (_app, admin) = things().await;
    super::super::rules::paste(&admin, include_str!("import/guard.js")).await;
    let file = "{\"title\":\"good\"}\n{\"title\":\"bad\"}\n{\"title\":\"last\"}\n";
    let done = import(&admin, &[("on_error", "skip")], NDJSON, file).await.json(200);
    assert_eq!((&done["created"], &done["failed"]), (&json!(2), &json!(1)), "{done}");
    assert_eq!(done["errors"][0]["code"], "rule.refused");
    let records = admin.query(THINGS, &[("sort", "id")]).await.list();
    assert!(records.iter().all(|record| record["origin"] == "seen"), "{records:?}");
    let done = import(&admin, &[("raw", "true")], NDJSON, file).await.json(200);
    assert_eq!((&done["created"], &done["failed"]), (&json!(3), &json!(0)), "raw asks no rules: {done}");
}

#[tokio::test]
async fn bodies_of_other_types_are_not_read() {
    let (_app, admin) = things().await;
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        import(&admin, &[], kind, "{}").await.problem(415, "body.unsupported_type");
    }
    let path = "/api/records/things/import";
    admin.get(path).await.problem(405, "route.method_not_allowed");
    import_into(&admin, "nope", &[], NDJSON, "").await.problem(404, "collection.not_found");
    let done = import(&admin, &[], NDJSON, "").await.json(200);
    assert_eq!((&done["state"], &done["created"]), (&json!("done"), &json!(0)));
}
