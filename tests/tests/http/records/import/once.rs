//! `Idempotency-Key` on an import: the same file under the same key is the same import.

use super::*;

const FILE: &str = "{\"title\": \"one\"}\n{\"title\": \"two\"}\n";

async fn send(client: &Client, query: &[(&str, &str)], kind: &str, file: &str) -> Answer {
    send_under("k", client, query, kind, file).await
}

async fn send_under(key: &str, client: &Client, query: &[(&str, &str)], kind: &str, file: &str) -> Answer {
    let path = url("/api/records/things/import", query);
    client.request(Method::POST, &path).header("idempotency-key", key).body(kind, file.to_owned()).send().await
}

#[tokio::test]
async fn a_file_is_taken_once() {
    let (app, admin) = things().await;
    let first = send(&admin, &[], NDJSON, FILE).await.expect(200);
    for _ in 0..2 {
        let again = send(&admin, &[], NDJSON, FILE).await.expect(200);
        assert_eq!((&first.text, first.header("location")), (&again.text, again.header("location")));
        assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    }
    let others = [("{\"title\": \"one\"}\n", NDJSON), ("{\"title\": \"one\"}\n{\"title\": \"tvo\"}\n", NDJSON), ("", NDJSON)];
    for (file, kind) in others {
        send(&admin, &[], kind, file).await.problem(422, "idempotency.mismatch");
    }
    send(&admin, &[("on_error", "skip")], NDJSON, FILE).await.problem(422, "idempotency.mismatch");
    assert_eq!(titles(&admin).await, ["one", "two"]);
    let path = url("/api/records/things/import", &[]);
    let nobody = app.anonymous();
    admin.allow("role:anyone", "things", "create", "").await;
    nobody.request(Method::POST, &path).header("idempotency-key", "k").body(NDJSON, FILE).send().await.problem(400, "idempotency.key");
}

#[tokio::test]
async fn one_that_was_stopped_goes_on_under_its_key() {
    let (_app, admin) = things().await;
    let stopped = send(&admin, &[], NDJSON, "{\"title\": \"one\"}\n{\"title\": 2}\n").await.problem(422, "import.stopped");
    let location = stopped.answer.expect_header("location").to_owned();
    // What was taken must come again as it was; the row that stopped it may be mended.
    send(&admin, &[], NDJSON, "{\"title\": \"uno\"}\n{\"title\": \"two\"}\n").await.problem(422, "idempotency.mismatch");
    let done = send(&admin, &[], NDJSON, FILE).await.expect(200);
    assert_eq!((done.expect_header("location"), &done.json["created"]), (location.as_str(), &json!(2)));
    assert_eq!(titles(&admin).await, ["one", "two"]);
    assert_eq!(send(&admin, &[], NDJSON, FILE).await.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn one_that_was_stopped_by_the_first_row_of_csv_goes_on_too() {
    let (_app, admin) = things().await;
    send(&admin, &[], CSV, "title,code\n,a\ntwo,b\n").await.problem(422, "import.stopped");
    let mended = "title,code\none,a\ntwo,b\n";
    assert_eq!(send(&admin, &[], CSV, mended).await.json(200)["created"], 2);
    assert_eq!(send(&admin, &[], CSV, mended).await.expect(200).header("idempotency-replayed"), Some("true"));
    assert_eq!(titles(&admin).await, ["one", "two"]);
}

#[tokio::test]
async fn a_file_that_has_only_the_names_of_columns_is_the_same_again() {
    let (_app, admin) = things().await;
    for (key, file) in [("a", "title,code\n"), ("b", "\u{feff}title,code"), ("c", "\ntitle,code\r\n\r\n")] {
        let first = send_under(key, &admin, &[], CSV, file).await.expect(200);
        let again = send_under(key, &admin, &[], CSV, file).await.expect(200);
        assert_eq!((&first.text, &first.json["bytes"]), (&again.text, &json!(file.len())));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        send_under(key, &admin, &[], CSV, "title\n").await.problem(422, "idempotency.mismatch");
    }
}

#[tokio::test]
async fn what_was_refused_as_a_whole_can_be_mended_under_its_key() {
    let (_app, admin) = things().await;
    let skip = [("on_error", "skip")];
    send(&admin, &[], CSV, "title,nope\none,1\n").await.problem(422, "import.invalid");
    send(&admin, &skip, CSV, "title,nope\none,1\n").await.problem(422, "import.invalid");
    let done = send(&admin, &skip, NDJSON, FILE).await.expect(200);
    assert_eq!((done.header("idempotency-replayed"), &done.json["created"]), (None, &json!(2)));
    // Now the key stands for this file.
    send(&admin, &skip, CSV, "title\none\ntwo\n").await.problem(422, "idempotency.mismatch");
    send(&admin, &[], NDJSON, FILE).await.problem(422, "idempotency.mismatch");
    assert_eq!(titles(&admin).await, ["one", "two"]);
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let (_app, admin) = things().await;
    for _ in 0..2 {
        let tried = send(&admin, &[("dry_run", "true")], NDJSON, FILE).await.expect(200);
        assert_eq!(tried.header("idempotency-replayed"), None);
    }
    assert_eq!(titles(&admin).await, Vec::<String>::new());
}
