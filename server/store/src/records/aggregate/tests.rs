//! The statement against rows of every kind, those included that their collection would not allow today.

use model::{Caller, aggregate::Group, collection::Definition};
use surrealdb::types::{Object as StoredObject, SurrealValue};

use super::*;
use crate::{Database, Memory, Store, transaction::bind};

async fn store() -> Store {
    Store::open(&Database::Memory, Memory { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20 }).await.expect("a store")
}

fn collection() -> Collection {
    let definition = r#"{"name":"rows","fields":[{"name":"label","type":"text"},{"name":"whole","type":"integer"},
        {"name":"share","type":"number"},{"name":"price","type":"decimal"},{"name":"at","type":"datetime"},{"name":"day","type":"date"}]}"#;
    let definition: Definition = serde_json::from_str(definition).expect("a definition");
    Collection::new(definition).expect("a collection")
}

/// One row per list of fields, under ascending keys.
async fn with(rows: &[&[(&str, Stored)]]) -> (Store, Collection) {
    let (store, collection) = (store().await, collection());
    crate::schema::create_table(&store, &collection).await.expect("a table");
    for (number, fields) in rows.iter().enumerate() {
        let key = format!("{number:026}");
        let mut row = StoredObject::new();
        row.insert("_key", key.clone());
        row.insert("_tenant", "main");
        for (name, value) in *fields {
            row.insert((*name).to_owned(), value.clone());
        }
        let binds = vec![bind("id", crate::row::record_id("rows", &key)), bind("row", Stored::Object(row))];
        store.run("CREATE $id CONTENT $row RETURN NONE".to_owned(), binds).await.expect("a row");
    }
    (store, collection)
}

async fn ask(store: &Store, collection: &Collection, select: &str, group: &str) -> Result<Vec<String>, Failure> {
    let parts = |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let asked = Aggregate {
        filter: None,
        groups: parts(group).iter().map(|text| Group::parse(text).expect("a group")).collect(),
        measures: parts(select).iter().map(|text| Measure::parse(text).expect("a measure")).collect(),
    };
    let caller = Caller::anonymous();
    let ground = Ground { caller: &caller, now: "2026-11-22T10:00:00.000000Z", guards: &[] };
    let found = aggregate(store, collection, ground, &asked).await?;
    Ok(found.into_iter().map(|group| Value::Object(group).to_json()).collect())
}

fn text(text: &str) -> Stored {
    text.to_owned().into_value()
}

fn exact(text: &str) -> Stored {
    Stored::Number(Number::Decimal(text.parse().expect("a decimal")))
}

#[tokio::test]
async fn nothing_is_one_group_or_none() {
    let (store, collection) = with(&[]).await;
    let select = "count,count:price,sum:price,avg:price,min:price,max:at,sum:whole,avg:share";
    let empty =
        r#"{"count":0,"count_price":0,"sum_price":null,"avg_price":null,"min_price":null,"max_at":null,"sum_whole":null,"avg_share":null}"#;
    assert_eq!(ask(&store, &collection, select, "").await.expect("an answer"), [empty]);
    assert!(ask(&store, &collection, select, "label").await.expect("an answer").is_empty());
}

#[tokio::test]
async fn nulls_and_what_is_no_number_do_not_count() {
    let rows: [&[(&str, Stored)]; 5] = [
        &[("label", text("a")), ("whole", 1_i64.into_value())],
        &[("label", text("a")), ("whole", 2_i64.into_value())],
        &[("label", text("a")), ("whole", Stored::Null)],
        &[("label", Stored::Null), ("whole", text("nine"))],
        &[],
    ];
    let (store, collection) = with(&rows).await;
    let found = ask(&store, &collection, "count,count:whole,sum:whole,avg:whole,min:whole,max:whole", "label").await.expect("an answer");
    let expected = [
        r#"{"label":null,"count":2,"count_whole":1,"sum_whole":null,"avg_whole":null,"min_whole":null,"max_whole":null}"#,
        r#"{"label":"a","count":3,"count_whole":2,"sum_whole":3,"avg_whole":1.5,"min_whole":1,"max_whole":2}"#,
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn no_digit_of_a_decimal_is_lost() {
    let cases: [(&[&str], &str); 6] = [
        (&["0.1", "0.2"], "0.3"),
        (&["4.5", "-4.5"], "0"),
        (&["10000000000000", "0.00000001"], "10000000000000.00000001"),
        (&["0.000000000000000001", "0.000000000000000001", "1"], "1.000000000000000002"),
        (&["79228162514264337593543950334", "1"], "79228162514264337593543950335"),
        (&["9999999999999.99999999", "-0.99999999"], "9999999999999"),
    ];
    for (values, expected) in cases {
        let fields: Vec<Vec<(&str, Stored)>> = values.iter().map(|value| vec![("price", exact(value))]).collect();
        let rows: Vec<&[(&str, Stored)]> = fields.iter().map(Vec::as_slice).collect();
        let (store, collection) = with(&rows).await;
        let found = ask(&store, &collection, "sum:price", "").await.expect("an answer");
        assert_eq!(found, [format!(r#"{{"sum_price":"{expected}"}}"#)], "{values:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let most = "79228162514264337593543950335";
    let rows: [&[(&str, Stored)]; 2] =
        [&[("price", exact(most)), ("whole", i64::MAX.into_value())], &[("price", exact("0.1")), ("whole", 1_i64.into_value())]];
    let (store, collection) = with(&rows).await;
    for select in ["sum:price", "avg:price", "sum:whole"] {
        let failure = ask(&store, &collection, select, "").await.expect_err(select);
        assert!(matches!(failure, Failure::Overflow(_)), "{select}: {failure:?}");
    }
    let found = ask(&store, &collection, "max:price,max:whole", "").await.expect("an answer");
    assert_eq!(found, [format!(r#"{{"max_price":"{most}","max_whole":{}}}"#, i64::MAX)]);
}

#[tokio::test]
async fn times_are_grouped_in_utc() {
    let rows: [&[(&str, Stored)]; 4] = [
        &[("at", text("2025-12-29T00:00:00.000000Z")), ("day", text("2026-02-01"))],
        &[("at", text("2026-01-01T23:59:59.999999Z")), ("day", text("2026-02-28"))],
        &[("at", text("2026-01-05T00:00:00.000000Z")), ("day", text("2027-02-28"))],
        &[],
    ];
    let (store, collection) = with(&rows).await;
    let cases = [
        (
            "day:at",
            r#"[{"at_day":null,"count":1},{"at_day":"2025-12-29","count":1},{"at_day":"2026-01-01","count":1},{"at_day":"2026-01-05","count":1}]"#,
        ),
        ("week:at", r#"[{"at_week":null,"count":1},{"at_week":"2025-12-29","count":2},{"at_week":"2026-01-05","count":1}]"#),
        ("month:at", r#"[{"at_month":null,"count":1},{"at_month":"2025-12-01","count":1},{"at_month":"2026-01-01","count":2}]"#),
        ("year:day", r#"[{"day_year":null,"count":1},{"day_year":"2026-01-01","count":2},{"day_year":"2027-01-01","count":1}]"#),
    ];
    for (group, expected) in cases {
        let found = ask(&store, &collection, "count", group).await.expect("an answer");
        assert_eq!(format!("[{}]", found.join(",")), expected, "{group}");
    }
    let found = ask(&store, &collection, "min:at,max:at,max:day", "").await.expect("an answer");
    let expected = r#"{"min_at":"2025-12-29T00:00:00.000000Z","max_at":"2026-01-05T00:00:00.000000Z","max_day":"2027-02-28"}"#;
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn too_many_groups_are_refused() {
    let (store, collection) = with(&[]).await;
    let fill = format!(
        "FOR $n IN 0..{} {{ CREATE rows CONTENT {{ _key: <string> $n, _tenant: 'main', whole: $n }} RETURN NONE }}",
        GROUPS_MAX + 1
    );
    store.run(fill, Vec::new()).await.expect("rows");
    let failure = ask(&store, &collection, "count", "whole").await.expect_err("too many groups");
    assert!(matches!(failure, Failure::TooMany), "{failure:?}");
}
