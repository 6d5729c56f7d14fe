//! `GET /api/records/{collection}/aggregate`: what is refused, what is computed, and that it tells no more than a list.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{THINGS, path, things};

const AGGREGATE: &str = "/api/records/things/aggregate";

/// Six things. Two have no state, one has nothing that can be counted.
async fn six() -> (TestApp, Client) {
    let (app, admin) = things().await;
    let records = [
        json!({"title": "apple", "amount": 10, "price": "9.50", "ratio": 0.5, "active": true, "state": "new", "tags": ["x"], "day": "2026-01-01", "at": "2026-01-01T10:00:00Z"}),
        json!({"title": "banana", "amount": 9, "price": "0.10", "ratio": -0.25, "active": false, "state": "done", "day": "2026-01-02", "at": "2026-01-04T23:59:59.999999Z"}),
        json!({"title": "cherry", "amount": 100, "price": "0.20", "active": true, "state": "done", "day": "2026-02-01", "at": "2026-01-05T00:00:00+00:00"}),
        json!({"title": "damson", "amount": 1, "price": "3", "state": "done", "at": "2026-01-05T01:00:00+02:00"}),
        json!({"title": "elder", "amount": 7, "price": "1.005", "active": true, "tags": ["x", "y"], "at": "2025-12-31T23:00:00Z"}),
        json!({"title": "fig", "amount": null}),
    ];
    for record in records {
        admin.create("things", record).await;
    }
    (app, admin)
}

async fn groups(client: &Client, query: &[(&str, &str)]) -> Value {
    Value::Array(client.query(AGGREGATE, query).await.list())
}

#[tokio::test]
async fn parameters_that_cannot_be_read_are_refused_by_name() {
    let (_app, admin) = six().await;
    let cases = [
        ("select", "nope", "query.value"),
        ("select", "sum", "query.value"),
        ("select", "sum:nope", "query.value"),
        ("select", "sum:title", "query.value"),
        ("select", "avg:at", "query.value"),
        ("select", "min:title", "query.value"),
        ("select", "max:active", "query.value"),
        ("select", "sum:data", "query.value"),
        ("select", "median:amount", "query.value"),
        ("select", "sum:secret", "query.value"),
        ("select", "count,count", "query.value"),
        ("select", "count,,sum:amount", "query.value"),
        ("select", "COUNT", "query.value"),
        ("select", "sum(amount)", "query.value"),
        ("select", "sum:amount; DROP TABLE things", "query.value"),
        ("group", "nope", "query.value"),
        ("group", "data", "query.value"),
        ("group", "tags", "query.value"),
        ("group", "secret", "query.value"),
        ("group", "id", "query.value"),
        ("group", "month:title", "query.value"),
        ("group", "hour:at", "query.value"),
        ("group", "month:", "query.value"),
        ("group", "state,state", "query.value"),
        ("group", "title,code,mail,site,state", "query.value"),
        ("group", "`state`", "query.value"),
        ("having", "count >", "query.having"),
        ("having", "nope > 1", "query.having"),
        ("having", "amount > 1", "query.having"),
        ("having", "created > now", "query.having"),
        ("having", "count == 'one'", "query.having"),
        ("sort", "amount", "query.sort"),
        ("sort", "--count", "query.sort"),
        ("sort", "count,count", "query.sort"),
        ("filter", "nope == 1", "query.filter"),
        ("limit", "0", "query.value"),
        ("limit", "1001", "query.value"),
        ("limit", "ten", "query.value"),
        ("offset", "-1", "query.value"),
        ("cursor", "x", "query.unknown"),
        ("fields", "title", "query.unknown"),
        ("count", "exact", "query.unknown"),
    ];
    for (name, value, code) in cases {
        let problem = admin.query(AGGREGATE, &[(name, value)]).await.problem(400, "query.invalid");
        problem.errors(&[&format!("/{name} {code}")]);
    }
    let many = "count,".repeat(16) + "count";
    admin.query(AGGREGATE, &[("select", &many)]).await.problem(400, "query.invalid").errors(&["/select query.value"]);
    admin.query(AGGREGATE, &[("limit", "1"), ("limit", "2")]).await.problem(400, "query.invalid").at("/limit");
    let problem = admin.query(AGGREGATE, &[("select", "x"), ("group", "y"), ("limit", "z")]).await.problem(400, "query.invalid");
    problem.errors(&["/select query.value", "/group query.value", "/limit query.value"]);
}

#[tokio::test]
async fn nothing_else_is_done_at_this_path() {
    let (_app, admin) = six().await;
    for answer in [
        admin.post(AGGREGATE, json!({})).await,
        admin.put(AGGREGATE, json!({})).await,
        admin.patch(AGGREGATE, json!({})).await,
        admin.delete(AGGREGATE).await,
    ] {
        assert_eq!(answer.expect(405).expect_header("allow"), "GET, HEAD");
    }
    admin.get("/api/records/nope/aggregate").await.problem(404, "collection.not_found");
}

#[tokio::test]
async fn without_rights_nothing_is_computed() {
    let (app, _admin) = six().await;
    app.anonymous().get(AGGREGATE).await.problem(401, "auth.required");
    app.user("ann").await.get(AGGREGATE).await.problem(403, "policy.denied");
}

#[tokio::test]
async fn a_result_that_does_not_fit_is_refused() {
    let (_app, admin) = things().await;
    for (title, price) in [("one", "9999999999999999999999999999"), ("two", "0.1")] {
        let record = json!({"title": title, "amount": i64::MAX, "price": price, "ratio": -1e308});
        admin.create("things", record).await;
    }
    for select in ["sum:amount", "sum:price", "avg:price", "sum:ratio"] {
        let problem = admin.query(AGGREGATE, &[("select", select)]).await.problem(400, "query.invalid");
        problem.errors(&["/select query.limit"]);
    }
    let found = groups(&admin, &[("select", "max:amount,max:price,min:ratio")]).await;
    assert_eq!(found, json!([{"max_amount": i64::MAX, "max_price": "9999999999999999999999999999", "min_ratio": -1e308}]));
}

#[tokio::test]
async fn of_nothing_there_is_one_group_or_none() {
    let (_app, admin) = things().await;
    let select = "count,count:price,sum:price,avg:amount,min:ratio,max:at";
    let empty = json!([{"count": 0, "count_price": 0, "sum_price": null, "avg_amount": null, "min_ratio": null, "max_at": null}]);
    assert_eq!(groups(&admin, &[("select", select)]).await, empty);
    assert_eq!(groups(&admin, &[("select", select), ("filter", "false")]).await, empty);
    assert_eq!(groups(&admin, &[("select", select), ("group", "state")]).await, json!([]));
    assert_eq!(groups(&admin, &[("select", select), ("having", "count > 0")]).await, json!([]));
}

#[tokio::test]
async fn values_are_exact_and_nulls_do_not_count() {
    let (_app, admin) = six().await;
    let found = groups(&admin, &[("select", "count,count:price,sum:price,avg:price,min:price,max:price")]).await;
    let expected =
        json!([{"count": 6, "count_price": 5, "sum_price": "13.805", "avg_price": "2.761", "min_price": "0.1", "max_price": "9.5"}]);
    assert_eq!(found, expected);
    let found = groups(&admin, &[("select", "sum:amount,avg:amount,min:amount,max:amount,sum:ratio,count:tags")]).await;
    assert_eq!(found[0]["sum_amount"], 127);
    assert_eq!(found[0]["avg_amount"], 25.4);
    assert_eq!((&found[0]["min_amount"], &found[0]["max_amount"]), (&json!(1), &json!(100)));
    assert_eq!((&found[0]["sum_ratio"], &found[0]["count_tags"]), (&json!(0.25), &json!(2)));
    let found = groups(&admin, &[("select", "min:at,max:at,min:day,max:day")]).await;
    let expected = json!([{
        "min_at": "2025-12-31T23:00:00.000000Z",
        "max_at": "2026-01-05T00:00:00.000000Z",
        "min_day": "2026-01-01",
        "max_day": "2026-02-01",
    }]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn records_are_grouped_by_values() {
    let (_app, admin) = six().await;
    let found = groups(&admin, &[("select", "count,sum:price"), ("group", "state")]).await;
    let expected = json!([
        {"state": null, "count": 2, "sum_price": "1.005"},
        {"state": "done", "count": 3, "sum_price": "3.3"},
        {"state": "new", "count": 1, "sum_price": "9.5"},
    ]);
    assert_eq!(found, expected);
    let found = groups(&admin, &[("group", "state,active"), ("filter", "state == 'done'")]).await;
    let expected = json!([
        {"state": "done", "active": null, "count": 1},
        {"state": "done", "active": false, "count": 1},
        {"state": "done", "active": true, "count": 1},
    ]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn records_are_grouped_by_times_in_utc() {
    let (_app, admin) = six().await;
    let cases = [
        ("day:at", json!([null, "2025-12-31", "2026-01-01", "2026-01-04", "2026-01-05"]), json!([1, 1, 1, 2, 1])),
        ("week:at", json!([null, "2025-12-29", "2026-01-05"]), json!([1, 4, 1])),
        ("month:at", json!([null, "2025-12-01", "2026-01-01"]), json!([1, 1, 4])),
        ("year:at", json!([null, "2025-01-01", "2026-01-01"]), json!([1, 1, 4])),
        ("month:day", json!([null, "2026-01-01", "2026-02-01"]), json!([3, 2, 1])),
    ];
    for (group, values, counts) in cases {
        let (part, field) = group.split_once(':').expect("a part");
        let found = groups(&admin, &[("group", group)]).await;
        let found = found.as_array().expect("groups");
        let of = |name: &str| found.iter().map(|group| group[name].clone()).collect::<Value>();
        assert_eq!((of(&format!("{field}_{part}")), of("count")), (values, counts), "{group}");
    }
    let found = groups(&admin, &[("group", "year:created"), ("having", "created_year > '2000-01-01'")]).await;
    assert!(found[0]["count"].as_i64() >= Some(1), "{found}");
}

/// A query, the initials of the groups that it answers, and how many there are in all.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

#[tokio::test]
async fn groups_are_selected_sorted_and_cut() {
    let (_app, admin) = six().await;
    let titles = async |query: &[(&str, &str)]| {
        let mut all = vec![("group", "title"), ("select", "count,sum:amount,sum:price")];
        all.extend(query);
        let answer = admin.query(AGGREGATE, &all).await.expect(200);
        let total = answer.expect_header("x-total-count").to_owned();
        let initials: String = answer.list().iter().filter_map(|group| group["title"].as_str()?.chars().next()).collect();
        (initials, total)
    };
    let cases: [Case<'_>; 9] = [
        (&[], "abcdef", "6"),
        (&[("sort", "-title")], "fedcba", "6"),
        (&[("sort", "-sum_amount")], "cabedf", "6"),
        (&[("sort", "sum_price")], "fbceda", "6"),
        (&[("sort", "count,-sum_price"), ("limit", "2")], "ad", "6"),
        (&[("limit", "2"), ("offset", "3")], "de", "6"),
        (&[("offset", "6")], "", "6"),
        (&[("having", "sum_amount > 8 && sum_price < '5'")], "bc", "2"),
        (&[("having", "sum_amount == null || title.startsWith('a')"), ("limit", "")], "af", "2"),
    ];
    for (query, expected, total) in cases {
        assert_eq!(titles(query).await, (expected.to_owned(), total.to_owned()), "{query:?}");
    }
}

#[tokio::test]
async fn a_field_that_is_not_read_in_every_record_is_not_aggregated() {
    let (app, admin) = six().await;
    let ann = app.user("ann").await;
    let subject = format!("user:{}", ann.id());
    admin.allow(&subject, "things", "read", "record.active == true").await;
    let always = json!({"subject": subject, "object": "things", "action": "read", "fields": "origin", "effect": "deny"});
    admin.policy(always).await;
    let sometimes = json!({"subject": subject, "object": "things", "action": "read", "fields": "price at", "condition": "record.state == 'done'", "effect": "deny"});
    admin.policy(sometimes).await;
    let cases = [
        ("select", "sum:price"),
        ("select", "count,max:price"),
        ("select", "count:price"),
        ("select", "count:origin"),
        ("select", "min:at"),
        ("group", "origin"),
        ("group", "price"),
        ("group", "month:at"),
        ("filter", "price > '1'"),
        ("filter", "has(origin)"),
    ];
    for (name, value) in cases {
        ann.query(AGGREGATE, &[(name, value)]).await.any_problem().unreadable(name);
        admin.query(AGGREGATE, &[(name, value)]).await.expect(200);
    }
    // Nor does a filter help that keeps to the records in which it could be read.
    let narrow = [("select", "sum:price"), ("filter", "state == 'new'")];
    ann.query(AGGREGATE, &narrow).await.any_problem().unreadable("select");
    // What the own account does not show can be asked for in no parameter.
    let own = json!({"subject": subject, "object": "users", "action": "read", "fields": "email", "effect": "deny"});
    admin.policy(own).await;
    for name in ["filter", "having"] {
        let answer = ann.query(AGGREGATE, &[(name, "caller.email == 'x'")]).await;
        answer.any_problem().unreadable(name);
    }
}

#[tokio::test]
async fn an_aggregate_tells_what_a_list_shows() {
    let (app, admin) = things().await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    admin.allow("role:anyone", "things", "read", "record.active == true").await;
    admin.allow("role:authenticated", "things", "read", "record.owner == caller.id").await;
    let locked = json!({"subject": "role:anyone", "object": "things", "action": "read", "condition": "record.state == 'done' && record.amount > 20", "effect": "deny"});
    admin.policy(locked).await;
    let masked = json!({"subject": "role:anyone", "object": "things", "action": "read", "fields": "origin", "effect": "deny"});
    admin.policy(masked).await;
    for number in 0..60_i64 {
        let owner = [json!(ann.id()), json!(ben.id()), Value::Null][usize::try_from(number % 3).expect("an index")].clone();
        let state = [json!("new"), json!("done"), Value::Null, json!("done")][usize::try_from(number / 3 % 4).expect("an index")].clone();
        let price = if number % 7 == 0 { Value::Null } else { json!(format!("{}.{:02}", number * 13 % 50, number * 31 % 100)) };
        let record = json!({
            "title": format!("thing {number:02}"), "owner": owner, "state": state, "active": number % 5 == 0, "amount": number * 17 % 41,
            "price": price, "at": format!("2026-0{}-1{}T0{}:00:00Z", number % 3 + 1, number % 9, number % 10), "origin": "far",
        });
        admin.create("things", record).await;
    }
    let everybody = [("nobody", app.anonymous()), ("ann", ann), ("ben", ben), ("admin", admin)];
    let mut counted = Vec::new();
    for (name, caller) in &everybody {
        for filter in ["true", "amount < 30", "state != 'new'", "active || has(price)"] {
            let listed = caller.query(THINGS, &[("limit", "1000"), ("filter", filter)]).await.list();
            let found = groups(caller, &[("group", "state,month:at"), ("select", SELECT), ("filter", filter)]).await;
            assert_eq!(found, computed(&listed), "as {name} with `{filter}`");
            let all = groups(caller, &[("filter", filter)]).await;
            assert_eq!(all, json!([{"count": listed.len()}]), "as {name} with `{filter}`");
        }
        counted.push(groups(caller, &[]).await[0]["count"].as_i64().expect("a count"));
    }
    assert!(counted[0] > 0 && counted[0] < counted[1] && counted[1] < counted[3], "the callers see the same: {counted:?}");
}

const SELECT: &str = "count,count:price,sum:price,sum:amount,max:amount,min:at";

/// The same from the records of a list, in cents, because decimals are not to be rounded here either.
fn computed(records: &[Value]) -> Value {
    let mut groups: BTreeMap<(String, String), Vec<&Value>> = BTreeMap::new();
    for record in records {
        let month = record["at"].as_str().expect("a time")[..7].to_owned();
        groups.entry((record["state"].as_str().unwrap_or_default().to_owned(), month)).or_default().push(record);
    }
    let group = |((state, month), records): ((String, String), Vec<&Value>)| {
        let prices: Vec<i64> = records.iter().filter_map(|record| cents(record["price"].as_str()?)).collect();
        let amounts = || records.iter().filter_map(|record| record["amount"].as_i64());
        let sum = prices.iter().sum::<i64>();
        json!({
            "state": if state.is_empty() { Value::Null } else { json!(state) },
            "at_month": format!("{month}-01"),
            "count": records.len(),
            "count_price": prices.len(),
            "sum_price": if prices.is_empty() { Value::Null } else { json!(plain(sum)) },
            "sum_amount": amounts().sum::<i64>(),
            "max_amount": amounts().max(),
            "min_at": records.iter().filter_map(|record| record["at"].as_str()).min(),
        })
    };
    groups.into_iter().map(group).collect()
}

fn cents(price: &str) -> Option<i64> {
    let (whole, rest) = price.split_once('.')?;
    Some(whole.parse::<i64>().ok()? * 100 + rest.parse::<i64>().ok()?)
}

/// Without zeros at the end, as decimals of a field without `scale` are computed.
fn plain(cents: i64) -> String {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[tokio::test]
async fn a_scale_is_kept_and_deletions_are_noticed() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("orders", json!([{"name": "total", "type": "decimal", "scale": 2}])).await;
    let aggregate = "/api/records/orders/aggregate";
    let mut last = Value::Null;
    for total in ["1", "2.5", "0.5"] {
        last = admin.create("orders", json!({"total": total})).await;
    }
    let select = [("select", "sum:total,avg:total,max:total")];
    let found = admin.query(aggregate, &select).await.list();
    assert_eq!(found, [json!({"sum_total": "4.00", "avg_total": "1.3333333333333333333333333333", "max_total": "2.50"})]);
    let gone = path(&last).replace("things", "orders");
    admin.delete(&gone).await.expect(200);
    assert_eq!(admin.query(aggregate, &select).await.list()[0]["sum_total"], "3.50");
    // A field with the name of a result is no trouble until both are asked for.
    admin.collection("visits", json!([{"name": "count", "type": "integer"}])).await;
    admin.create("visits", json!({"count": 3})).await;
    let visits = "/api/records/visits/aggregate";
    assert_eq!(admin.query(visits, &[("group", "count"), ("select", "sum:count")]).await.list(), [json!({"count": 3, "sum_count": 3})]);
    admin.query(visits, &[("group", "count")]).await.problem(400, "query.invalid").errors(&["/select query.value"]);
}
