//! Files that come again, mended or not: an import goes on behind what it has taken, and with no other file.

use super::*;

#[tokio::test]
async fn a_csv_file_can_be_mended_in_its_first_row() {
    let (_app, admin) = things().await;
    admin.create("things", json!({"title": "there", "code": "taken"})).await;
    let files = [
        ("01ARZ3NDEKTSV4RRFFQ69G5FA1", "title,code\n,one\nreal,two\n", "title,code\nfixed,one\nreal,two\n"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FA2", "amount,title\nmany,first\n2,second\n", "amount,title\n1,first\n2,second\n"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FA3", "\u{feff}title,code\nagain,taken\nlast,six\n", "\u{feff}title,code\nagain,five\nlast,six\n"),
    ];
    for (id, bad, mended) in files {
        import(&admin, &[("import", id)], CSV, bad).await.problem(422, "import.stopped");
        let done = import(&admin, &[("import", id)], CSV, mended).await.json(200);
        assert_eq!((&done["created"], &done["bytes"]), (&json!(2), &json!(mended.len())), "{done}");
    }
    assert_eq!(titles(&admin).await, ["there", "fixed", "real", "first", "second", "again", "last"]);
}

#[tokio::test]
async fn one_that_is_done_takes_no_other_file() {
    let (_app, admin) = things().await;
    // Cut off behind the names of the columns, this is a whole file.
    for _ in 0..2 {
        let done = import(&admin, &[("import", ID)], CSV, "title,code\n").await.json(200);
        assert_eq!((&done["state"], &done["created"]), (&json!("done"), &json!(0)), "{done}");
        for file in ["title,code\none,a\n", "title\n", ""] {
            import(&admin, &[("import", ID)], CSV, file).await.problem(409, "import.other_file");
        }
    }
    assert_eq!(titles(&admin).await, [""; 0]);
}

#[tokio::test]
async fn one_of_which_nothing_was_taken_can_be_begun_anew() {
    let (_app, admin) = things().await;
    let query = [("import", ID)];
    import(&admin, &query, CSV, "title,nope\none,1\n").await.problem(422, "import.invalid");
    assert_eq!(admin.get(&format!("/api/imports/{ID}")).await.json(200)["reason"], "import.invalid");
    let done = import(&admin, &query, NDJSON, "{\"title\": \"one\"}\n").await.json(200);
    assert_eq!((&done["id"], &done["format"], &done["created"]), (&json!(ID), &json!("ndjson"), &json!(1)), "{done}");
    assert_eq!(titles(&admin).await, ["one"]);
}

#[tokio::test]
async fn quotes_in_csv_must_be_whole() {
    let (_app, admin) = things().await;
    let tried = [("dry_run", "true")];
    for (file, error) in [
        ("title,code\nfine,\"unfin", "/2 body.malformed"),
        ("title,code\n5\" disk,\"unfin", "/2 body.malformed"),
        ("title,code\nfine,a\n\"fif\"teen,b\n", "/3 body.malformed"),
        ("title,code\n\"fine\" ,a\n", "/2 body.malformed"),
    ] {
        import(&admin, &tried, CSV, file).await.problem(422, "import.stopped").errors(&[error]);
    }
    for file in ["\"title\"s,code\nfine,a\n", "title,\"code\nfine,a\n"] {
        import(&admin, &tried, CSV, file).await.problem(400, "body.malformed");
    }
    import(&admin, &[], CSV, "title,code\n5\" disk,\"a \"\"b\"\"\"\n\"in, quotes\",c").await.expect(200);
    assert_eq!(titles(&admin).await, ["5\" disk", "in, quotes"]);
}
