use super::*;
use crate::{Caller, Principal, Record, Truth, collection::Definition, condition::Context, value::Object};

fn collection() -> Collection {
    let definition = r#"{"name": "things", "fields": [
        {"name": "title", "type": "text"}, {"name": "price", "type": "decimal"}, {"name": "price_gte", "type": "integer"},
        {"name": "amount", "type": "integer"}, {"name": "ratio", "type": "number"}, {"name": "active", "type": "bool"},
        {"name": "at", "type": "datetime"}, {"name": "day", "type": "date"}, {"name": "mail", "type": "email"},
        {"name": "state", "type": "select", "values": ["new", "done"]}, {"name": "data", "type": "json"},
        {"name": "tags", "type": "select", "values": ["x", "y"], "many": true}, {"name": "secret", "type": "text", "hidden": true},
        {"name": "owner", "type": "relation", "collection": "things"}]}"#;
    let definition: Definition = serde_json::from_str(definition).expect("a definition");
    Collection::new(definition).expect("a collection")
}

/// What the parameter says about a record: a truth, or the words of a refusal.
fn ask(record: &str, name: &str, values: &[&str]) -> Result<Truth, String> {
    let collection = collection();
    let parameter = find(&collection, name).ok_or_else(|| "unknown".to_owned())?;
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let condition = parameter.condition(&collection, &values)?;
    let Ok(Value::Object(mut record)) = Value::from_json(record.as_bytes()) else { panic!("not an object: {record}") };
    for decimal in record.values_mut().filter(|value| value.as_text().is_some_and(|text| text.starts_with("d:"))) {
        *decimal = Value::Decimal(decimal.as_text().unwrap_or_default()[2..].parse().expect("a decimal"));
    }
    let time = "2026-01-01T00:00:00.000000Z".to_owned();
    let record =
        Record { id: "01A".to_owned(), tenant: String::new(), version: 1, created: time.clone(), updated: time.clone(), values: record };
    let caller = Caller::new(Principal::Anonymous, "main", Object::new());
    Ok(condition.evaluate(&Context { record: &record, before: None, caller: &caller, now: &time }))
}

fn check(record: &str, name: &str, values: &[&str], expected: Truth) {
    assert_eq!(ask(record, name, values), Ok(expected), "{name}={values:?} of {record}");
}

#[test]
fn parameters_ask_about_fields() {
    use Truth::{False, True, Unknown};
    check(r#"{"amount": 5}"#, "amount", &["5"], True);
    check(r#"{"amount": 5}"#, "amount", &["4", "5"], True);
    check(r#"{"amount": 5}"#, "amount", &[], False);
    check(r#"{"amount": 5}"#, "amount_in", &["1,5", "7"], True);
    check(r#"{"amount": 5}"#, "amount_ne", &["5"], False);
    check(r#"{"amount": 5}"#, "amount_ne", &["4", "6"], True);
    check(r#"{"amount": null}"#, "amount_ne", &["4"], Unknown);
    check(r#"{"amount": 5}"#, "amount_gt", &["5"], False);
    check(r#"{"amount": 5}"#, "amount_lte", &[" 5 "], True);
    check(r#"{"amount": null}"#, "amount_null", &["true"], True);
    check(r#"{"amount": 5}"#, "amount_null", &["false"], True);
    check(r#"{"ratio": 0.5}"#, "ratio_lt", &["1"], True);
    check(r#"{"price": "d:4.50"}"#, "price", &["4.5"], True);
    check(r#"{"price": "d:4.50"}"#, "price_gt", &["4"], True);
    check(r#"{"price_gte": 3}"#, "price_gte", &["3"], True);
    check(r#"{"active": true}"#, "active", &["true"], True);
    check(r#"{"at": "2026-01-01T10:00:00.000000Z"}"#, "at", &["2026-01-01T11:00:00+01:00"], True);
    check(r#"{"day": "2026-01-02"}"#, "day_gte", &["2026-01-01"], True);
    check(r#"{"mail": "ann@x.example"}"#, "mail", &["Ann@X.example"], True);
    check(r#"{"title": "Apple pie"}"#, "title_like", &["pie"], True);
    check(r#"{"title": "Apple pie"}"#, "title_like", &["Pie"], False);
    check(r#"{"title": "null"}"#, "title", &["null"], True);
    check(r#"{"title": "it's \\ a"}"#, "title", &["it's \\ a"], True);
    check(r#"{"title": "x' || true || 'x"}"#, "title", &["x"], False);
    check(r#"{"state": "new"}"#, "state_in", &["new,done"], True);
    check(r#"{"tags": ["x"]}"#, "tags", &["x"], True);
    check(r#"{"tags": ["x"]}"#, "tags", &["y", "x"], True);
    check(r#"{"tags": ["x"]}"#, "tags_ne", &["x"], False);
    check(r#"{"data": null}"#, "data_null", &["true"], True);
    check("{}", "id", &["01A", "01B"], True);
    check("{}", "id_gt", &["01A"], False);
    check("{}", "created_lte", &["2026-01-01T00:00:00Z"], True);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let refused = |name: &str, values: &[&str], part: &str| {
        let reason = ask("{}", name, values).expect_err(name);
        assert!(reason.contains(part), "{name}={values:?}: {reason}");
    };
    for unknown in [
        "nope",
        "secret",
        "secret_like",
        "amount_like",
        "active_gt",
        "active_in",
        "state_gt",
        "tags_gt",
        "data",
        "data_ne",
        "id_null",
        "amount_",
    ] {
        refused(unknown, &["1"], "unknown");
    }
    refused("amount", &["5.0"], "`5.0` is not a `integer`");
    refused("amount_in", &["5,x"], "`x` is not a `integer`");
    refused("ratio", &["inf"], "is not a `number`");
    refused("price", &["four"], "is not a `decimal`");
    refused("active", &["yes"], "is not a `bool`");
    refused("at", &["yesterday"], "is not a `datetime`");
    refused("day", &["2026-02-30"], "is not a `date`");
    refused("state", &["old"], "not among the values");
    refused("tags", &["z"], "not among the values");
    refused("title", &["a\0"], "NUL");
    refused("amount_null", &["maybe"], "neither `true` nor `false`");
    refused("amount_gt", &["1", "2"], "stands twice");
    refused("amount", &vec!["1"; 1_001], "more than 1000 values");
    refused("tags", &vec!["x"; 101], "more than 100 values");
}

#[test]
fn every_parameter_is_found_by_its_name() {
    let collection = collection();
    let all = all(&collection);
    for (name, parameter) in &all {
        assert_eq!(find(&collection, name).as_ref(), Some(parameter), "{name}");
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "price_gte").count(), 1, "{names:?}");
    assert!(names.len() > 60 && names.contains(&"owner_null") && !names.iter().any(|name| name.starts_with("secret")), "{names:?}");
}
