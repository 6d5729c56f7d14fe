//! What is reported about policies that are probably not meant, and that nothing is reported about others.

use std::time::{Duration, Instant};

use model::Collection;
use policies::{Finding, Mode, Policy, PolicySet, Severity, Snapshot, parse_csv, review};

use crate::world::{collection, from_database, from_file, merged, notes, posts, snapshot};

fn collections() -> [Collection; 4] {
    let tasks = collection(
        r#"{"name":"tasks","fields":[{"name":"owner","type":"text","required":true},{"name":"slug","type":"text","unique":true},
            {"name":"state","type":"text"},{"name":"done","type":"bool","required":true}],"indexes":[{"fields":["owner","state"]}]}"#,
    );
    let members = collection(r#"{"name":"members","kind":"auth","fields":[{"name":"name","type":"text"}]}"#);
    [posts(), notes(), tasks, members]
}

fn shown(findings: &[Finding]) -> Vec<String> {
    let place = |finding: &Finding| match (&finding.source, finding.column, finding.position) {
        (Some(source), Some(column), Some(position)) => format!("{source} {column} {position}"),
        (Some(source), Some(column), None) => format!("{source} {column}"),
        (Some(source), ..) => source.clone(),
        _ => String::new(),
    };
    findings.iter().map(|finding| format!("{}: {}: {}", place(finding), finding.code, finding.message)).collect()
}

#[track_caller]
fn check(snapshot: &Snapshot, expected: &[&str]) {
    assert_eq!(shown(&snapshot.lint(&collections())), expected);
}

fn policy(line: &str) -> Policy {
    parse_csv("test.csv", line).expect("a policy").policies.remove(0)
}

#[track_caller]
fn check_one(line: &str, expected: &[&str]) {
    let policy = policy(line);
    let collections = collections();
    let found = review(&policy, collections.iter().find(|collection| collection.name() == policy.object()));
    assert_eq!(shown(&found), expected, "{line}");
    assert!(found.iter().all(|finding| finding.policy.as_ref() == Some(&policy.id().to_string())));
}

#[test]
fn one_policy_is_reviewed() {
    let allow = |condition: &str| format!("p, role:a, *, tasks, update, *, {condition}");
    let deny = |condition: &str| format!("p, role:a, *, tasks, update, *, {condition}, deny");
    check_one("p, role:a, *, tasks, update", &[]);
    check_one(&allow("record.owner == caller.id"), &[]);
    check_one(
        &allow("record.done || !record.done"),
        &["test.csv:1 condition 0: condition.always_true: is always true: leave the condition out"],
    );
    let never = "test.csv:1 condition 0: condition.never_true: is never true, so the policy never allows anything";
    check_one(&allow("record.done && !record.done"), &[never]);
    check_one(&allow("has(record.state) && record.state == null"), &[never]);
    check_one(&deny("record.done"), &[]);
    check_one(&deny("true"), &["test.csv:1 condition 0: condition.always_denies: is always true: leave the condition out"]);
    check_one(
        &deny("record.state == 'a' || record.state != 'a'"),
        &["test.csv:1 condition 0: condition.always_denies: is never false, so the policy denies whatever the record is"],
    );
    check_one(
        &deny("record.done && !record.done"),
        &["test.csv:1 condition 0: condition.never_denies: is always false, so the policy never denies anything"],
    );
    check_one(
        &deny("record.done && record.state == 'closed'"),
        &[
            "test.csv:1 condition 15: condition.unguarded: denies where `record.state` is missing: write `has(record.state) && ...` if that is not meant",
        ],
    );
    check_one(&deny("has(record.state) && record.state == 'closed'"), &[]);
    check_one(&allow("record.done && record.state == 'closed'"), &[]);
    check_one("p, role:a, *, gone, update, *, record.x == 1", &["test.csv:1 object: object.unknown: there is no collection `gone`"]);
    check_one("p, role:a, *, *, update, *, record.x == 1", &[]);
    check_one("p, role:a, *, _users, update", &[]);
    let unfit = review(&policy("p, role:a, *, tasks, update, *, record.x == 1"), Some(&collections()[2]));
    assert_eq!(
        shown(&unfit),
        ["test.csv:1 condition 0: condition.unfit: does not fit the collection `tasks`: unknown field `x` in collection `tasks`"]
    );
    assert_eq!(unfit[0].severity, Severity::Error);
}

#[test]
fn sound_policies_are_not_found_fault_with() {
    check(
        &snapshot(
            "p, role:admin, *, *, *\np, role:anyone, *, tasks, read, title, record.slug == 'a'\np, role:editor, acme, tasks, update\n\
             p, role:anyone, *, members, create, name email password\np, role:authenticated, *, tasks, *, *, record.owner == caller.id\n\
             p, role:anyone, *, tasks, delete, *, record.done, deny\np, role:anyone, *, posts, read\n\
             g, user:boss, role:admin, *\ng, user:u, role:editor, acme"
                .replace(", title,", ", *,")
                .as_str(),
        ),
        &[],
    );
}

#[test]
fn open_collections_are_found() {
    let words = |what: &str| format!("collection.world_writable: anybody, logged in or not, may {what}");
    check(
        &snapshot(
            "p, role:anyone, *, notes, *\np, role:anyone, *, members, create\np, role:b, acme, tasks, update, state\ng, role:anyone, role:b, acme\n\
             p, role:anyone, *, tasks, delete, *, record.done\np, role:authenticated, *, tasks, create",
        ),
        &[
            &format!("test.csv:1: {}", words("create, update, delete any record of `notes`")),
            &format!("test.csv:2: {}", words("create any record of `members`")),
            &format!("test.csv:3: {}", words("update any record of `tasks`")),
        ],
    );
    // A denial closes the door again.
    check(
        &snapshot("p, role:anyone, *, notes, delete\np, role:authenticated, *, *, delete, *, , deny"),
        &[&format!("test.csv:1: {}", words("delete any record of `notes`"))],
    );
    let closed = snapshot("p, role:anyone, *, notes, delete\np, role:anyone, *, *, delete, *, , deny");
    assert!(closed.lint(&collections()).iter().all(|finding| finding.code != "collection.world_writable"));
    let all = snapshot("p, role:anyone, *, *, update").lint(&collections());
    assert_eq!(all.iter().filter(|finding| finding.code == "collection.world_writable").count(), 4);
}

#[test]
fn roles_that_nobody_holds_are_found() {
    check(
        &merged(
            "p, role:a, *, tasks, read\np, role:b, *, tasks, read\np, role:c, main, tasks, read\np, role:c, acme, tasks, read\n\
             p, role:c, *, notes, read\np, role:d, acme, tasks, read\np, role:e, main, tasks, read\np, role:f, *, notes, read\n\
             g, role:a, role:b, *\ng, role:c, role:d, *\ng, role:d, role:e, main\ng, role:authenticated, role:f, main",
            "g, user:u, role:c, acme",
        ),
        &[
            "a.csv:1: role.unheld: nobody holds `role:a`",
            "a.csv:2: role.unheld: nobody holds `role:b`",
            "a.csv:3: role.unheld: nobody holds `role:c` in the tenant `main`",
            "a.csv:7: role.unheld: nobody holds `role:e`",
        ],
    );
}

#[test]
fn overridden_policies_are_found() {
    let words = |line: u32, by: u32, whom: &str| {
        format!("test.csv:{line}: policy.unreachable: always overridden by test.csv:{by}, which denies it to `{whom}`")
    };
    let links = "\ng, user:u, role:a, *\ng, role:a, role:b, main";
    let check = |csv: &str, expected: &[String]| {
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        self::check(&snapshot(&format!("{csv}{links}")), &expected);
    };
    check("p, role:a, *, tasks, read\np, role:a, *, tasks, read, *, , deny", &[words(1, 2, "role:a")]);
    check("p, role:a, *, tasks, read\np, role:anyone, *, *, *, *, , deny", &[words(1, 2, "role:anyone")]);
    check("p, role:a, *, tasks, read\np, role:authenticated, *, *, read, *, , deny", &[words(1, 2, "role:authenticated")]);
    check("p, role:a, main, tasks, read\np, role:b, *, tasks, read, *, , deny", &[words(1, 2, "role:b")]);
    check("p, user:u, main, tasks, read\np, role:b, main, tasks, read, *, , deny", &[words(1, 2, "role:b")]);
    // Not in every tenant, not everybody, not everything, not without condition, not whole.
    check("p, role:a, *, tasks, read\np, role:b, *, tasks, read, *, , deny", &[]);
    check("p, role:b, main, tasks, read\np, role:a, *, tasks, read, *, , deny", &[]);
    check("p, role:anyone, *, posts, read\np, role:authenticated, *, posts, read, *, , deny", &[]);
    check("p, role:a, *, tasks, *\np, role:a, *, tasks, read, *, , deny", &[]);
    check("p, role:a, *, *, read\np, role:a, *, tasks, read, *, , deny", &[]);
    check("p, role:a, *, tasks, read\np, role:a, main, tasks, read, *, , deny", &[]);
    check("p, role:a, *, tasks, read\np, role:a, *, tasks, read, *, record.done, deny", &[]);
    check("p, role:a, *, tasks, read\np, role:a, *, tasks, read, state, , deny", &[]);
    // Whoever holds this role need not be logged in.
    self::check(&snapshot("p, role:c, *, posts, read\np, role:authenticated, *, posts, read, *, , deny\ng, role:anyone, role:c, *"), &[]);
}

#[test]
fn sealed_and_repeated_policies_are_found() {
    check(
        &merged(
            "s, tasks\np, role:anyone, *, posts, read, title n, record.n == 1 && has(record.title)\np, role:anyone, *, notes, read",
            "p, role:anyone, *, tasks, read\np, role:anyone, *, tasks, update, *, , deny",
        ),
        &[
            "a.csv:2 condition 0: condition.no_index: lists under this policy look at every record of `posts`: an index that begins with `n` would help",
            "database: policy.unreachable: `tasks` is sealed by a.csv:1, so what the database allows about it does not count",
        ],
    );
    check(
        &merged(
            "p, role:anyone, *, posts, update, title n, record.title == 'a  b' && has(record.n)\np, role:anyone, *, notes, read",
            "p, role:anyone, *, notes, read\np, role:anyone, *, posts, update, n title, record.title=='a  b'&&has( record.n )\n\
             p, role:anyone, *, posts, update, n title, record.title=='a b'&&has(record.n)\n\
             p, role:anyone, *, posts, update, n title, has(record.title)&&record.title=='a  b', deny",
        ),
        &["database: policy.unreachable: says the same as a.csv:2", "database: policy.unreachable: says the same as a.csv:1"],
    );
}

#[test]
fn lists_without_index_are_found() {
    let check = |condition: &str, expected: Option<&str>| {
        let found = snapshot(&format!("p, role:anyone, *, tasks, read, *, {condition}")).lint(&collections());
        let found: Vec<_> = found.iter().filter(|finding| finding.code == "condition.no_index").collect();
        let advice = found.first().map(|finding| finding.message.rsplit(": ").next().expect("an advice"));
        assert_eq!(advice, expected, "{condition}");
    };
    let state = Some("an index that begins with `state` would help");
    let nothing = Some("no field is compared with `==` or `in`");
    check("record.owner == caller.id", None);
    check("record.slug == 'a' || record.id == caller.id", None);
    check("record.state == 'a' && record.owner == caller.id", None);
    check("record.state == 'a'", state);
    check("record.owner == caller.id || record.state == 'a'", state);
    check("record.state > 'a'", nothing);
    // What the caller is does not say where the records are.
    check("'staff' in caller.roles", None);
    check("record.owner == caller.id || 'staff' in caller.roles", None);
    check("record.state == 'a' || 'staff' in caller.roles", state);
    check("record.state > 'a' && 'staff' in caller.roles", nothing);
    check("record.state > 'a' && ('staff' in caller.roles || record.slug == 'a')", nothing);
    let other = snapshot("p, role:anyone, *, tasks, update, *, record.state == 'a'\np, role:anyone, *, tasks, read, *, record.done, deny");
    assert_eq!(other.lint(&collections()), []);
}

#[test]
fn conditions_about_everything_are_held_against_each_collection() {
    check(
        &snapshot("p, role:anyone, *, *, read, *, record.title == 'a'\np, role:anyone, *, *, read, *, record.absent == 1"),
        &["test.csv:2 condition 0: condition.never_true: fits no collection, so the policy never allows anything"],
    );
    check(
        &snapshot(
            "p, role:anyone, *, *, read, *, has(record.title) && record.owner == 'x', deny\np, role:anyone, *, *, read, title, has(record.id), deny",
        ),
        &[
            "test.csv:1 condition 21: condition.unguarded: in the collection `notes` it denies where `record.owner` is missing: write `has(record.owner) && ...` if that is not meant",
            "test.csv:1 condition 0: condition.unfit: cannot be decided for `members`, `tasks`, the system objects, so there the policy denies always",
        ],
    );
}

#[test]
fn findings_are_json() {
    let found = snapshot("p, role:anyone, *, tasks, delete, *, record.state == 'a', deny").lint(&collections());
    let expected = serde_json::json!([{
        "code": "condition.unguarded", "severity": "warning", "policy": found[0].policy, "source": "test.csv:1", "column": "condition",
        "position": 0, "message": "denies where `record.state` is missing: write `has(record.state) && ...` if that is not meant"
    }]);
    assert_eq!(serde_json::to_value(&found).expect("json"), expected);
}

/// It takes half a second; looking at every pair of them took half a minute.
#[test]
fn many_policies_are_looked_at_in_time() {
    let time = |count: usize| {
        let lines = (0..count).map(|at| match at % 5 {
            0 => format!("p, user:u{at}, *, tasks, read, *, record.owner == 'x{at}'\n"),
            1 => format!("p, role:r{at}, t{}, tasks, update, state\n", at % 997),
            2 => format!("g, user:u{at}, role:r{}, t{}\n", at - 1, at % 997),
            3 => format!("p, user:v{at}, *, tasks, read, *, , deny\n"),
            _ => format!("p, role:anyone, t{at}, tasks, delete\n"),
        });
        let mut set = PolicySet::default();
        let text: String = lines.collect();
        set.extend(from_file(&text));
        set.extend(from_database("p, role:anyone, *, notes, read"));
        let snapshot = Snapshot::build(set, 1, Mode::Plan, &|_| None).expect("a snapshot");
        let start = Instant::now();
        let findings = snapshot.lint(&collections());
        (start.elapsed(), findings.len())
    };
    let (small, large) = (time(25_000), time(100_000));
    println!("25 000: {small:?}, 100 000: {large:?}");
    assert!(large.0 < Duration::from_secs(8), "{small:?} {large:?}");
}

/// A guardrail with a typing error in it is none.
#[test]
fn seals_on_nothing_are_found() {
    let findings = snapshot("s, posts\ns, prodcts\ns, _policies").lint(&[posts()]);
    let shown: Vec<_> = findings.iter().map(|finding| (finding.code, finding.source.as_deref())).collect();
    assert_eq!(shown, [("object.unknown", Some("test.csv:2"))]);
}
