//! Tests of policies that are written beside them: what a file may say, how it is refused, and what a report tells.

use model::Collection;
use policies::{DEFAULT_CSV, Mode, PolicySet, Report, Snapshot, TrialError, Trials, parse_csv, parse_trials, run};
use serde_json::json;

use crate::world::{self, collection, from_database, from_file};

const SHOP: [&str; 3] = [
    include_str!("../../../server/app/demo/shop/collections.json"),
    include_str!("../../../server/app/demo/shop/policies.csv"),
    include_str!("../../../server/app/demo/shop/policies.test.toml"),
];

/// The collection `users` as every server has it, with more fields.
fn users(fields: &serde_json::Value) -> Collection {
    collection(&json!({"name": "users", "kind": "auth", "fields": fields}).to_string())
}

fn shop(name: &str) -> Option<Collection> {
    let bundle: serde_json::Value = serde_json::from_str(SHOP[0]).expect("json");
    let created = bundle["create"].as_array().expect("a list").iter().find(|definition| definition["name"] == name);
    match name {
        "users" => Some(users(&bundle["extend"]["users"])),
        _ => created.map(|definition| collection(&definition.to_string())),
    }
}

fn known(name: &str) -> Option<Collection> {
    match name {
        "users" => Some(users(&json!([{"name": "team", "type": "text"}]))),
        "orders" => Some(collection(
            r#"{"name":"orders","fields":[
                {"name":"customer","type":"relation","collection":"users","default":"caller.id"},
                {"name":"friends","type":"relation","collection":"users","many":true},
                {"name":"total","type":"decimal","scale":2},
                {"name":"at","type":"datetime"},
                {"name":"status","type":"select","values":["placed","paid"],"default":"placed"},
                {"name":"extra","type":"json"}]}"#,
        )),
        _ => world::known(name),
    }
}

fn read(text: &str) -> Trials {
    parse_trials("a.test.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn report(csv: &str, text: &str) -> Report {
    let set = from_file(csv);
    let snapshot = Snapshot::build(set, 1, Mode::Verify, &known).expect("a snapshot");
    run(&snapshot, &known, &[read(text)])
}

#[track_caller]
fn passes(csv: &str, text: &str) {
    let report = report(csv, text);
    assert!(report.passed() && !report.results.is_empty(), "{report:#?}");
}

#[track_caller]
fn fails(csv: &str, text: &str, expected: &str) {
    let report = report(csv, text);
    let messages: Vec<_> = report.results.iter().filter_map(|result| result.message.as_deref()).collect();
    assert_eq!(messages.join("\n"), expected, "{text}");
    assert!(!report.passed());
}

#[test]
fn the_trials_of_the_demo_shop_pass() {
    let set = parse_csv("demo/policies.csv", SHOP[1]).expect("sound policies");
    let snapshot = Snapshot::build(set, 1, Mode::Verify, &shop).expect("a snapshot");
    let trials = parse_trials("demo/policies.test.toml", SHOP[2]).unwrap_or_else(|error| panic!("{error}"));
    let report = run(&snapshot, &shop, &[trials]);
    assert!(report.passed() && report.results.len() > 20, "{report:#?}");
    assert_eq!((report.coverage.policies, report.coverage.covered), (11, 11), "{report:#?}");
}

#[test]
fn the_trials_of_the_default_policies_pass() {
    let set = parse_csv("policies/default.csv", DEFAULT_CSV).expect("sound policies");
    let snapshot = Snapshot::build(set, 1, Mode::Verify, &known).expect("a snapshot");
    let trials =
        parse_trials("policies/default.test.toml", include_str!("../../default.test.toml")).unwrap_or_else(|error| panic!("{error}"));
    let report = run(&snapshot, &known, &[trials]);
    assert!(report.passed() && report.results.len() == 5, "{report:#?}");
    assert!(report.coverage.uncovered.is_empty(), "{report:#?}");
}

/// Whatever line of the demo shop's policies is lost, some trial notices.
#[test]
fn every_policy_of_the_demo_shop_is_needed_by_a_trial() {
    let trials = [parse_trials("policies.test.toml", SHOP[2]).unwrap_or_else(|error| panic!("{error}"))];
    for lost in 0..11 {
        let mut set = parse_csv("policies.csv", SHOP[1]).expect("sound policies");
        let policy = set.policies.remove(lost);
        let report = run(&Snapshot::build(set, 1, Mode::Plan, &shop).expect("a snapshot"), &shop, &trials);
        assert!(!report.passed(), "{:?}", policy.columns());
    }
}

const OWN: &str = "p, role:customer, *, orders, *, *, record.customer == caller.id";

#[test]
fn everybody_can_be_asked_about() {
    let check = |csv: &str, who: &str, expected: &str| {
        let text = format!(
            "[users.ann]\nroles = [\"customer\"]\nfields = {{ team = \"a\" }}\n[users.ben]\ntenant = \"acme\"\nroles = [\"customer\"]\n\
             [[test]]\n{who}\naction = \"read\"\non = \"posts\"\nrecord = {{ title = \"a\" }}\nexpect = \"{expected}\""
        );
        passes(csv, &text);
    };
    let role = "p, role:customer, main, posts, read";
    check(role, "as = \"ann\"", "allowed");
    check(role, "as = \"ben\"", "denied");
    check("p, role:customer, acme, posts, read", "as = \"ben\"", "allowed");
    check("p, role:customer, *, posts, read", "as = \"anonymous\"", "denied");
    check("p, role:anyone, *, posts, read", "as = \"anonymous\"", "allowed");
    check("p, role:anyone, acme, posts, read", "as = \"anonymous\"", "denied");
    check("p, role:anyone, acme, posts, read", "as = \"anonymous\"\ntenant = \"acme\"", "allowed");
    check(role, "roles = [\"customer\"]", "allowed");
    check(role, "roles = [\"other\"]", "denied");
    check(role, "roles = [\"other\", \"customer\"]\ntenant = \"acme\"", "denied");
    check("p, role:more, *, posts, read", "as = \"ann\"\nroles = [\"more\"]", "allowed");
    check(role, "as = \"service:x\"", "denied");
    check(role, "as = \"service:x\"\nroles = [\"customer\"]", "allowed");
    check("p, service:x, *, posts, read", "as = \"service:x\"", "allowed");
    check("p, plugin:x, *, posts, read", "as = \"plugin:x\"", "allowed");
    check("p, user:ann, *, posts, read", "as = \"ann\"", "allowed");
    check("p, role:staff, *, posts, read\ng, role:customer, role:staff, *", "as = \"ann\"", "allowed");
    check("p, role:anyone, *, posts, read, *, caller.team == 'a' && 'customer' in caller.roles", "as = \"ann\"", "allowed");
    check("p, role:anyone, *, posts, read, *, caller.team == 'a'", "as = \"ben\"", "denied");
    check("p, role:anyone, *, posts, read, *, caller.id == 'ann'", "as = \"ann\"", "allowed");
}

/// Conditions see of an account what they see of it in the server.
#[test]
fn callers_show_no_secrets() {
    let csv = "p, role:anyone, *, posts, read, *, has(caller.email) && !has(caller.password)";
    let user = "[users.ann]\nfields = { email = \"A@a.example\", password = \"secret\" }\n";
    let test = "[[test]]\nas = \"ann\"\naction = \"read\"\non = \"posts\"\nrecord = {}\nexpect = \"allowed\"";
    passes(csv, &format!("{user}{test}"));
    passes("p, role:anyone, *, posts, read, *, caller.email == 'a@a.example'", &format!("{user}{test}"));
}

/// The roles of one trial are not those of the next.
#[test]
fn roles_are_given_for_one_trial() {
    let test = |roles: &str, expect: &str| {
        format!("[[test]]\nas = \"service:x\"\nroles = [{roles}]\naction = \"read\"\non = \"posts\"\nexpect = \"{expect}\"\n")
    };
    let text = [test("\"a\"", "allowed"), test("", "denied"), test("\"a\"", "allowed"), test("\"b\"", "denied")].concat();
    passes("p, role:a, *, posts, read", &text);
}

#[test]
fn records_take_the_form_in_which_they_are_stored() {
    let check = |condition: &str, record: &str| {
        let test = "as = \"service:x\"\naction = \"read\"\nexpect = \"allowed\"\nnow = 2026-11-22T13:00:00+01:00\n";
        let csv = format!("p, role:anyone, *, orders, read, *, \"{condition}\"");
        passes(&csv, &format!("[[test]]\n{test}on = \"orders\"\nrecord = {{ {record} }}"));
        passes(&csv, &format!("[records.\"orders/1\"]\n{}\n[[test]]\n{test}on = \"orders/1\"", record.replace(", ", "\n")));
    };
    check("record.total == 4.50", "total = \"4.5\"");
    check("record.total == 4.50", "total = 4.5");
    check("record.total < 5", "total = 4");
    check("record.at == timestamp('2026-01-01T00:00:00Z')", "at = \"2026-01-01T02:00:00+02:00\"");
    check("record.at == timestamp('2026-01-01T00:00:00Z')", "at = 2026-01-01T00:00:00Z");
    check("record.created < now && record.updated == now", "created = 2026-11-22T11:59:59Z");
    check("record.customer == 'ann' && 'ben' in record.friends", "customer = \"ann\", friends = [\"ben\"]");
    check("record.extra.a.b == 1 && record.status == null && record.total == null", "extra = { a = { b = 1 } }");
    passes(
        "p, role:anyone, *, orders, read, *, record.id == '7'",
        "[[test]]\nas = \"anonymous\"\naction = \"read\"\non = \"orders\"\nrecord = { id = \"7\" }\nexpect = \"allowed\"\n\
         [records.\"orders/7\"]\n[[test]]\nas = \"anonymous\"\naction = \"read\"\non = \"orders/7\"\nexpect = \"allowed\"",
    );
}

#[test]
fn creates_are_as_a_client_sends_them() {
    let check = |csv: &str, record: &str, expected: &str| {
        let users = "[users.ann]\nroles = [\"customer\"]\n";
        passes(csv, &format!("{users}[[test]]\nas = \"ann\"\naction = \"create\"\non = \"orders\"\nrecord = {record}\n{expected}"));
    };
    check(OWN, "{}", "expect = \"allowed\"\nby = \"a.csv:1\"\nreason = \"allowed_by\"");
    check(OWN, "{ customer = \"ben\" }", "expect = \"denied\"\nreason = \"no_condition_holds\"");
    let some = "p, role:customer, *, orders, create, total, record.status == 'placed'";
    check(some, "{ total = 1 }", "expect = \"allowed\"\nfields = [\"total\"]\nhidden = [\"status\", \"created\", \"id\"]");
    // A default that nobody asked for is not the client's doing.
    check(some, "{}", "expect = \"allowed\"");
    check(some, "{ status = \"placed\" }", "expect = \"denied\"\nreason = \"field_forbidden\"");
    let closed = "p, role:customer, *, orders, create\np, role:anyone, *, orders, *, status, , deny";
    check(closed, "{ total = 1 }", "expect = \"allowed\"");
    check(closed, "{ total = 1, status = \"paid\" }", "expect = \"denied\"\nreason = \"field_forbidden\"\nby = \"a.csv:2\"");
}

#[test]
fn updates_look_at_the_record_before_and_after() {
    let check = |csv: &str, change: &str, expected: &str| {
        let text = format!(
            "[users.ann]\nroles = [\"customer\"]\n[records.\"orders/1\"]\ncustomer = \"ann\"\nstatus = \"placed\"\nextra = {{ a = 1, b = 2 }}\n\
             [[test]]\nas = \"ann\"\naction = \"update\"\non = \"orders/1\"\nchange = {change}\n{expected}"
        );
        passes(csv, &text);
    };
    let (allowed, denied) = ("expect = \"allowed\"", "expect = \"denied\"");
    check(OWN, "{ total = 1 }", allowed);
    check(OWN, "{ customer = \"ben\" }", denied);
    check("p, role:customer, *, orders, update, *, record.status == 'placed'", "{ status = \"paid\" }", denied);
    let stored = "expect = \"denied\"\nreason = \"no_condition_holds\"";
    check("p, role:customer, *, orders, update, *, record.status == 'paid'", "{ status = \"paid\" }", stored);
    check("p, role:customer, *, orders, update, *, before.status == 'placed'", "{ status = \"paid\" }", allowed);
    check("p, role:customer, *, orders, update, *, record.extra.a == 1", "{ extra = { b = 3 } }", allowed);
    check("p, role:customer, *, orders, update, *, record.extra.a == 1", "{ extra = { a = 3 } }", denied);
    // What is not changed need not be open, and what is must be before and after.
    check("p, role:customer, *, orders, update, total", "{ status = \"placed\", total = 1 }", allowed);
    let widening = "p, role:customer, *, orders, update, status\np, role:customer, *, orders, update, total, record.status == 'paid'";
    check(widening, "{ status = \"paid\", total = 1 }", "expect = \"denied\"\nreason = \"field_forbidden\"");
    check(widening, "{ status = \"paid\" }", "expect = \"allowed\"\nfields = [\"status\"]\nhidden = [\"total\"]");
    check(OWN, "{}", allowed);
}

#[test]
fn deletions_see_the_stored_record_twice() {
    let text = |status: &str, expect: &str| {
        format!(
            "[[test]]\nroles = [\"a\"]\naction = \"delete\"\non = \"orders\"\nrecord = {{ status = \"{status}\" }}\nexpect = \"{expect}\""
        )
    };
    let csv = "p, role:a, *, orders, delete, *, before.status == 'placed' && record.status == 'placed'";
    passes(csv, &text("placed", "allowed"));
    passes(csv, &text("paid", "denied"));
}

#[test]
fn collections_and_system_objects_can_be_asked_about() {
    let text = |on: &str, expect: &str| format!("[[test]]\nroles = [\"a\"]\naction = \"read\"\non = \"{on}\"\nexpect = \"{expect}\"");
    passes("p, role:a, *, posts, read", &text("posts", "allowed"));
    passes("p, role:a, *, posts, read, *, record.locked", &text("posts", "depends\"\nreason = \"depends_on_record"));
    passes("p, role:a, *, posts, update", &text("posts", "denied"));
    passes("p, role:a, *, _policies, read", &text("_policies", "allowed"));
    passes("p, role:a, *, _policies, update", &text("_policies", "denied\"\nreason = \"no_policy"));
}

#[test]
fn failures_say_what_was_decided_instead() {
    let test =
        |more: &str| format!("[[test]]\nroles = [\"a\"]\naction = \"read\"\non = \"orders\"\nrecord = {{ status = \"paid\" }}\n{more}");
    let allow = "p, role:a, *, orders, read, status";
    fails(allow, &test("expect = \"denied\""), "expected denied, but it is allowed by a.csv:1 (p, role:a, *, orders, read, status)");
    fails(
        "p, role:a, *, orders, read, *, record.status == 'placed'",
        &test("expect = \"allowed\""),
        "expected allowed, but it is denied: no condition holds (nearest: a.csv:1: its condition is false)",
    );
    fails(
        "p, role:b, *, orders, read",
        &test("expect = \"allowed\""),
        "expected allowed, but it is denied: no policy allows it (nearest: a.csv:1: `user:somebody` does not hold `role:b`)",
    );
    fails(
        allow,
        &test(
            "expect = \"allowed\"\nby = \"a.csv:2\"\nreason = \"denied_by\"\nfields = [\"total\", \"status\"]\nhidden = [\"id\", \"at\"]",
        ),
        "expected the reason `denied_by`, but it is `allowed_by`; expected it to be decided by `a.csv:2`; `total` is not open; `id` is open: \
         it is allowed by a.csv:1 (p, role:a, *, orders, read, status) (open: status, id)",
    );
    fails(
        "p, role:a, *, orders, read, *, record.total > 1",
        "[[test]]\nroles = [\"a\"]\naction = \"read\"\non = \"orders\"\nexpect = \"allowed\"",
        "expected allowed, but it is dependent on the record",
    );
    let update = "[records.\"orders/1\"]\nstatus = \"placed\"\n[[test]]\nroles = [\"a\"]\naction = \"update\"\non = \"orders/1\"\n";
    fails(
        "p, role:a, *, orders, update, *, record.status == 'placed'",
        &format!("{update}change = {{ status = \"paid\" }}\nexpect = \"allowed\""),
        "expected allowed, but with the change it is denied: no condition holds (nearest: a.csv:1: its condition is false)",
    );
    fails(
        "p, role:a, *, orders, update, total at",
        &format!("{update}change = {{ status = \"paid\" }}\nexpect = \"allowed\""),
        "expected allowed, but it is denied: `status` is not among the fields that may be written (total, at)",
    );
}

#[test]
fn records_that_do_not_fit_fail() {
    let check = |fixture: &str, expected: &str| {
        fails(OWN, &format!("{fixture}\n[[test]]\nroles = [\"a\"]\naction = \"read\"\non = \"posts\"\nexpect = \"denied\""), expected);
    };
    check("[records.\"orders/1\"]\ntitel = 1", "unknown field `titel` in collection `orders`");
    check(
        "[records.\"orders/1\"]\nstatus = \"gone\"",
        "`status`: \"gone\" does not fit the field, which is of type `select`: placed, paid",
    );
    check("[records.\"orders/1\"]\ntotal = \"much\"", "`total`: \"much\" does not fit the field, which is of type `decimal`");
    check("[records.\"orders/1\"]\nat = \"noon\"", "`at`: \"noon\" does not fit the field, which is of type `datetime`");
    check("[records.\"orders/1\"]\ncreated = \"noon\"", "`created`: `noon` is not an RFC 3339 datetime");
    check("[records.\"orders/1\"]\ncustomer = 1", "`customer`: 1 does not fit the field, which is of type `relation`");
    check(
        "[records.\"orders/1\"]\nfriends = \"ann\"",
        "`friends`: \"ann\" does not fit the field, which is of type `relation`, with many values",
    );
    check("[records.\"gone/1\"]", "there is no collection `gone`");
    check("[users.ann]\nfields = { name = \"Ann\" }", "unknown field `name` in collection `users`");
    let one = |more: &str, expected: &str| {
        fails(OWN, &format!("[users.ann]\n[[test]]\nas = \"ann\"\nexpect = \"denied\"\n{more}"), expected);
    };
    one("action = \"read\"\non = \"gone\"", "there is no collection `gone`");
    one(
        "action = \"create\"\non = \"orders\"\nrecord = { total = true }",
        "`total`: true does not fit the field, which is of type `decimal`",
    );
    let change = "[[test]]\nroles = [\"customer\"]\naction = \"update\"\non = \"orders\"\nrecord = { customer = \"somebody\" }\n\
                  change = { id = \"x\" }\nexpect = \"denied\"";
    fails(OWN, change, "`id` is not for clients to change");
}

#[test]
fn what_nobody_has_tried_is_told() {
    let csv = "p, role:a, *, orders, read, status\np, role:a, *, orders, read, *, record.status == 'placed'\n\
               p, role:a, *, orders, read, *, record.total > 5, deny\np, role:b, *, orders, read\np, role:anyone, *, orders, read, at, , deny\n\
               p, role:a, *, orders, update, *, \"record.status in ['paid', 'placed']\"";
    let mut set: PolicySet = from_file(csv);
    set.extend(from_database("p, role:a, *, orders, read, status\np, role:c, *, orders, read"));
    let snapshot = Snapshot::build(set, 1, Mode::Plan, &known).expect("a snapshot");
    let trials = read("[[test]]\nroles = [\"a\"]\naction = \"read\"\non = \"orders\"\nrecord = { status = \"paid\" }\nexpect = \"denied\"");
    let report = run(&snapshot, &known, &[trials]);
    assert!(report.passed(), "{report:?}");
    // The first and the fifth hold, the third decides: its condition is unknown.
    let uncovered: Vec<_> = report.coverage.uncovered.iter().map(|policy| format!("{}: {}", policy.source, policy.text)).collect();
    assert_eq!(
        uncovered,
        [
            "a.csv:2: p, role:a, *, orders, read, *, record.status == 'placed'",
            "a.csv:4: p, role:b, *, orders, read",
            "a.csv:6: p, role:a, *, orders, update, *, \"record.status in ['paid', 'placed']\"",
            "database: p, role:c, *, orders, read"
        ]
    );
    assert_eq!((report.coverage.policies, report.coverage.covered), (7, 3));
    let again = from_file(&uncovered.iter().map(|line| format!("{}\n", line.split_once(": ").expect("a line").1)).collect::<String>());
    assert!(again.policies.iter().zip(&report.coverage.uncovered).all(|(policy, told)| policy.id() == told.id));
}

#[test]
fn json_says_the_same() {
    let toml = "now = \"2026-11-22T12:00:00Z\"\n[users.ann]\nroles = [\"customer\"]\n[records.\"orders/1\"]\ncustomer = \"ann\"\nat = 2026-01-01T00:00:00Z\n\
                [[test]]\nname = \"one\"\nas = \"ann\"\naction = \"read\"\non = \"orders/1\"\nexpect = \"allowed\"\nfields = [\"total\"]\n\
                [[test]]\nas = \"anonymous\"\naction = \"read\"\non = \"orders/1\"\nexpect = \"allowed\"";
    let json = json!({
        "now": "2026-11-22T12:00:00Z", "users": {"ann": {"roles": ["customer"]}},
        "records": {"orders/1": {"customer": "ann", "at": "2026-01-01T00:00:00Z"}},
        "test": [{"name": "one", "as": "ann", "action": "read", "on": "orders/1", "expect": "allowed", "fields": ["total"]},
                 {"as": "anonymous", "action": "read", "on": "orders/1", "expect": "allowed"}]
    });
    let snapshot = Snapshot::build(from_file(OWN), 1, Mode::Plan, &known).expect("a snapshot");
    let json = parse_trials("a.test.json", &json.to_string()).expect("trials");
    assert_eq!((json.file(), json.len(), json.is_empty()), ("a.test.json", 2, false));
    let report = run(&snapshot, &known, &[read(toml), json]);
    let shown = serde_json::to_value(&report).expect("json");
    let message = "expected allowed, but it is denied: no policy allows it (nearest: a.csv:1: `anonymous` does not hold `role:customer`)";
    // What is asked of the nearest policy, its condition included.
    let message = message.replace("`role:customer`)", "`role:customer` and its condition is unknown: `caller.id` is missing)");
    assert_eq!(
        shown,
        json!({
            "results": [
                {"file": "a.test.toml", "line": 7, "name": "one", "passed": true, "message": null},
                {"file": "a.test.toml", "line": 14, "name": "anonymous: read orders/1: allowed", "passed": false, "message": message},
                {"file": "a.test.json", "line": null, "name": "one", "passed": true, "message": null},
                {"file": "a.test.json", "line": null, "name": "anonymous: read orders/1: allowed", "passed": false, "message": message}
            ],
            "coverage": {"policies": 1, "covered": 1, "uncovered": []}
        })
    );
}

#[track_caller]
fn refused(file: &str, text: &str, expected: &str) -> TrialError {
    let error = parse_trials(file, text).expect_err(text);
    assert_eq!(error.to_string(), expected, "{text}");
    error
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let toml = |text: &str, expected: &str| drop(refused("a.test.toml", text, expected));
    toml("[[test]\n", "a.test.toml:1: unclosed array table, expected `]`");
    toml("a = 1", "a.test.toml:1: unknown field `a`, expected one of `now`, `users`, `records`, `test`");
    toml("\n[[tests]]\nname = \"a\"", "a.test.toml:2: unknown field `tests`, expected one of `now`, `users`, `records`, `test`");
    toml("now = \"noon\"", "a.test.toml: `now`: \"noon\" is not an RFC 3339 datetime");
    toml("[users.ann]\nrole = \"a\"", "a.test.toml:1: user `ann`: unknown field `role`, expected one of `roles`, `tenant`, `fields`");
    toml("\n[users.\"ann b\"]", "a.test.toml:2: user `ann b`: a name has letters, digits, `-` and `_` only");
    toml("[users.ann]\nroles = [\"role:a\"]", "a.test.toml:1: user `ann`: `role:a` is not a role");
    toml("[users.ann]\nroles = [\"anyone\"]", "a.test.toml:1: user `ann`: `anyone` cannot be given: who holds it follows from who it is");
    toml("[users.ann]\ntenant = \"*\"", "a.test.toml:1: user `ann`: `*` is not a tenant");
    toml("[users.ann]\nfields = { n = inf }", "a.test.toml:1: `inf` is not a finite number");
    toml(
        "[users.ann]\nfields = { team = \"a\" }\n[records.\"users/ann\"]\nteam = \"a\"",
        "a.test.toml:3: record `users/ann`: the fields of this record stand in `[users.ann]` already",
    );
    toml("[records.orders]", "a.test.toml:1: record `orders`: write `collection/id`");
    toml("[records.\"orders/\"]", "a.test.toml:1: record `orders/`: write `collection/id`");
    toml("[records.\"_users/1\"]", "a.test.toml:1: record `_users/1`: `_users` is not a collection");
    toml("[records.\"orders/1\"]\nid = \"2\"", "a.test.toml:1: record `orders/1`: the id stands in the name of the record");
    toml("records = { \"orders/1\" = 1 }", "a.test.toml:1: record `orders/1`: expected fields and their values, got integer");
}

#[test]
fn bad_tests_are_refused_with_their_name() {
    let check = |test: &str, expected: &str| {
        let text = format!("[users.ann]\n\n[records.\"orders/1\"]\n\n[[test]]\nname = \"x\"\n{test}");
        let error = refused("a.test.toml", &text, &format!("a.test.toml:5: test `x`: {expected}"));
        assert_eq!((error.line, error.test.as_deref()), (Some(5), Some("x")));
    };
    let fine = "as = \"ann\"\naction = \"read\"\non = \"orders/1\"\nexpect = \"allowed\"\n";
    let with = |what: &str, instead: &str| {
        assert!(fine.contains(what));
        fine.replace(what, instead)
    };
    check(
        &format!("{fine}expcet = 1"),
        "unknown field `expcet`, expected one of `name`, `as`, `roles`, `tenant`, `action`, `on`, `record`, `change`, `expect`, `by`, `reason`, `fields`, `hidden`, `now`",
    );
    check(&with("expect = \"allowed\"\n", ""), "missing field `expect`");
    check(&with("\"allowed\"", "\"yes\""), "`expect`: `yes` is not one of allowed, denied, depends");
    check(&with("\"allowed\"", "1"), "invalid type: integer `1`, expected a string");
    check(&with("\"read\"", "\"list\""), "`action`: `list` is not one of create, read, update, delete");
    check(&with("as = \"ann\"\n", ""), "say who it is: `as` or `roles`");
    check(&with("\"ann\"", "\"bob\""), "`as`: there is no `[users.bob]` in this file");
    check(&with("\"ann\"", "\"user:ann\""), "`as`: users are named as in `[users.NAME]`; others as `service:ID` or `plugin:NAME`");
    check(&with("\"ann\"", "\"service:\""), "`as`: `service:` is not a principal: write `user:ID`, `service:ID` or `plugin:NAME`");
    check(&with("\"ann\"", "\"anonymous\"\nroles = [\"a\"]"), "`anonymous` cannot be given roles");
    check(&with("\"ann\"", "\"ann\"\ntenant = \"acme\""), "the tenant of `ann` stands in `[users.ann]`");
    check(&with("\"ann\"", "\"anonymous\"\ntenant = \"*\""), "`*` is not a tenant");
    check(&with("orders/1", "orders/2"), "`on`: there is no `[records.\"orders/2\"]` in this file");
    check(&with("orders/1", "users/bob"), "`on`: there is no `[records.\"users/bob\"]` in this file");
    check(&with("orders/1", "_secrets"), "`on`: `_secrets` is not a collection");
    check(&with("orders/1", "_users\"\nrecord = {}\nby = \""), "`_users` has no records");
    check(&with("\"orders/1\"", "\"orders/1\"\nrecord = {}"), "`record` belongs to `on = \"orders\"`, without an id");
    check(&with("\"orders/1\"", "\"orders/1\"\nchange = {}"), "`change` belongs to `action = \"update\"`");
    check(&with("\"read\"", "\"create\""), "a new record has no id yet: write `on = \"orders\"` and `record`");
    check(
        &with("\"read\"", "\"update\"\nchange = {}").replace("orders/1", "orders"),
        "say which record changes: `on = \"collection/id\"` or `record`",
    );
    check(
        &with("\"allowed\"", "\"denied\"\nhidden = [\"id\"]"),
        "no field is open where the answer is denied: leave `fields` and `hidden` out",
    );
    check(
        &format!("{fine}reason = \"because\""),
        "`reason`: `because` is not one of allowed_by, denied_by, no_policy, no_condition_holds, depends_on_record, field_forbidden",
    );
    check(&format!("{fine}now = \"noon\""), "`now`: \"noon\" is not an RFC 3339 datetime");
}

#[test]
fn bad_json_is_refused() {
    let json = |text: &str, expected: &str| drop(refused("a.test.json", text, expected));
    json("{\n  \"test\": [}", "a.test.json:2: expected value at line 2 column 12");
    json("{\"tests\": []}", "a.test.json:1: unknown field `tests`, expected one of `now`, `users`, `records`, `test` at line 1 column 8");
    json("{\n \"records\": {\"orders/1\": {},\n \"orders/1\": {}}}", "a.test.json:3: duplicate key `orders/1` at line 3 column 11");
    json("{\"test\": [{\"name\": \"x\", \"as\": \"anonymous\"}]}", "a.test.json: test `x`: missing field `action`");
    json("{\"test\": [1]}", "a.test.json: test `number 1`: invalid type: integer `1`, expected names and values");
}
