//! The CSV form: what is accepted, and that everything else is refused with its place.

use policies::{Column, DEFAULT_CSV, Effect, Error, Policy, PolicyDraft, RoleLink, Source, parse_csv};

use crate::world;

fn check(text: &str, expected: &str) {
    match world::build(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => assert_eq!(error.to_string(), expected, "{text}"),
    }
}

#[test]
fn errors_name_the_place() {
    check("x, role:a, *, posts, read", "test.csv:1: column 1: `x` is neither `p` nor `g` nor `s`");
    check("\n# fine\np, role:a, *, posts", "test.csv:3: a `p` line has 5 to 8 columns, this one 4");
    check("p, role:a, *, posts, read, *, , allow, more", "test.csv:1: a `p` line has 5 to 8 columns, this one 9");
    check("g, user:a, role:b", "test.csv:1: a `g` line has 4 columns, this one 3");
    check(
        "p, role:a, *, posts, read\n p, , *, posts, read",
        "test.csv:2: column 2 (subject): `` is not `role:NAME`, `user:ID`, `service:ID` or `plugin:NAME`",
    );
    check(
        "p, admin, *, posts, read",
        "test.csv:1: column 2 (subject): `admin` is not `role:NAME`, `user:ID`, `service:ID` or `plugin:NAME`",
    );
    check(
        "p, role:a b, *, posts, read",
        "test.csv:1: column 2 (subject): `role:a b` is not `role:NAME`, `user:ID`, `service:ID` or `plugin:NAME`",
    );
    check(
        "p, role:, *, posts, read",
        "test.csv:1: column 2 (subject): `role:` is not `role:NAME`, `user:ID`, `service:ID` or `plugin:NAME`",
    );
    check("p, *, *, posts, read", "test.csv:1: column 2 (subject): `*` is not `role:NAME`, `user:ID`, `service:ID` or `plugin:NAME`");
    check("p, role:a, , posts, read", "test.csv:1: column 3 (domain): `` is neither a tenant nor `*`");
    check("p, role:a, a.b, posts, read", "test.csv:1: column 3 (domain): `a.b` is neither a tenant nor `*`");
    check(
        "p, role:a, *, Posts, read",
        "test.csv:1: column 4 (object): `Posts` is neither a collection nor `*` nor one of _collections, _policies, _roles, _plugins, _deliveries, _imports, _metrics, _users, _logs, _settings",
    );
    check("p, role:a, *, posts, list", "test.csv:1: column 5 (action): `list` is not one of create, read, update, delete, *");
    check("p, role:a, *, posts, ", "test.csv:1: column 5 (action): `` is not one of create, read, update, delete, *");
    check("p, role:a, *, posts, read,, ", "test.csv:1: column 6 (fields): names no field: write `*` for all");
    check(
        "p, role:a, *, other, read, Title",
        "test.csv:1: column 6 (fields): `Title` is not a field name; write `*` or names with spaces between them",
    );
    check("p, role:a, *, posts, read, title titel", "test.csv:1: column 6 (fields): unknown field `titel` in collection `posts`");
    check("p, role:a, *, posts, read, *, , alow", "test.csv:1: column 8 (effect): `alow` is neither `allow` nor `deny`");
    check("p, role:a, *, posts, read, *, , ", "test.csv:1: column 8 (effect): `` is neither `allow` nor `deny`");
    check("p, role:a, *, posts, read, *, , Deny", "test.csv:1: column 8 (effect): `Deny` is neither `allow` nor `deny`");
    check("g, a, role:b, *", "test.csv:1: column 2 (member): `a` is not `role:NAME`, `user:ID`, `service:ID` or `plugin:NAME`");
    check("g, user:a, b, *", "test.csv:1: column 3 (role): `b` is not `role:NAME`");
    check("g, user:a, user:b, *", "test.csv:1: column 3 (role): `user:b` is not `role:NAME`");
    check(
        "g, user:a, role:anyone, *",
        "test.csv:1: column 3 (role): `role:anyone` cannot be given: who holds it is not a matter of policy",
    );
    check("g, user:a, role:b, ", "test.csv:1: column 4 (tenant): `` is neither a tenant nor `*`");
}

#[test]
fn conditions_are_parsed_and_typed_when_they_are_loaded() {
    let error = |condition: &str| world::build(&format!("\np, role:a, *, posts, read, *, {condition}")).expect_err(condition).to_string();
    for condition in
        ["record.owner ==", "record.owner = caller.id", "loop {}", "true; true", "r.obj.owner == r.sub.id", "eval(record.title)"]
    {
        assert!(error(condition).starts_with("test.csv:2: column 7 (condition): "), "{}", error(condition));
    }
    assert!(error("record.titel == 'a'").contains("unknown field `titel` in collection `posts`"));
    assert!(error("record.n == 'five'").starts_with("test.csv:2: column 7 (condition): "));
    // Of a collection that does not exist yet nothing is known.
    world::snapshot("p, role:a, *, later, read, anything, record.titel == 'a'");
}

#[test]
fn system_objects_are_allowed_or_denied_whole() {
    let part = "a system object is allowed or denied whole: write `*`";
    check("p, role:a, *, _users, read, email", &format!("test.csv:1: column 6 (fields): {part}"));
    let part = "a system object has no records, so it takes no condition";
    check("p, role:a, *, _users, read, *, caller.id == 'a'", &format!("test.csv:1: column 7 (condition): {part}"));
    assert!(world::build("p, role:a, *, _secrets, read").is_err());
}

#[test]
fn quotes_are_whole_or_refused() {
    check("p, role:a, *, posts, read, *, \"true", "test.csv:1: the quote at character 31 is not closed");
    check("p, role:a, *, posts, read, *, tr\"ue\"", "test.csv:1: unexpected quote at character 33: quote the whole column");
    check("p, role:a, *, posts, read, *, \"true\" x", "test.csv:1: unexpected text after a quote at character 38");
    check("p, role:a, *, posts, read, *, \"true\" \"x\"", "test.csv:1: unexpected text after a quote at character 38");
    check("p, role:a, *, posts, read, *, \"true\np, role:b, *, posts, read\"", "test.csv:1: the quote at character 31 is not closed");
    let policies = parse_csv("a", "p,role:a,*,posts,read,*,  \"record.title == \"\"a, b\"\"\"  , deny").expect("a policy").policies;
    assert_eq!((policies[0].columns()[5], policies[0].effect()), ("record.title == \"a, b\"", Effect::Deny));
}

#[test]
fn what_cannot_be_seen_is_refused() {
    check("p, role:a, *, posts, read\rp, role:b, *, posts, read", "test.csv:1: control character U+000D at character 26");
    check("p, role:a, *, posts, read, *, record.title == '\u{202e}'", "test.csv:1: control character U+202E at character 48");
    check("p, role:a, *, posts, read, *, record.title == '\u{0}'", "test.csv:1: control character U+0000 at character 48");
    check(&format!("p, role:a, *, posts, read, {}", "a ".repeat(9_000)), "test.csv:1: longer than 16384 bytes");
    let draft = PolicyDraft {
        subject: "role:a".into(),
        domain: "*".into(),
        object: "posts".into(),
        action: "read".into(),
        fields: "*".into(),
        condition: "record.title == 'a\np, role:anyone, *, *, *'".into(),
        effect: Effect::Allow,
    };
    let refused = Policy::new(&draft, Source::Database).expect_err("a line break");
    assert!(matches!(refused, Error::Column { column: Column::Condition, .. }));
    assert_eq!(refused.to_string(), "database: column 7 (condition): contains the control character U+000A");
}

#[test]
fn omitted_columns_comments_and_repetitions() {
    let text = "\u{feff}# comment\r\n\r\n  # another\r\n\tp,role:a,*,posts,read\r\np, role:a, *, posts, read, *\r\n p , role:a,*,posts,read,*,,allow\r\n\
                p, role:a, main, posts, update, title  n, true\r\ng, user:u, role:a, main\r\ng, user:u, role:a,main\r\ng, role:anyone, role:b, *";
    let snapshot = world::together(parse_csv("policies/a.csv", text).expect("sound policies")).expect("a snapshot");
    let shown = |policy: &Policy| format!("{} {} | {} | {}", policy.source(), policy.subject(), policy.fields(), policy.columns()[5]);
    let mut shown: Vec<_> = snapshot.policies().map(|policy| shown(policy)).collect();
    shown.sort();
    assert_eq!(shown, ["policies/a.csv:4 role:a | * | ", "policies/a.csv:7 role:a | title n | true"]);
    let shown = |link: &RoleLink| format!("{} {} {} {}", link.source(), link.member(), link.role(), link.tenant());
    let mut shown: Vec<_> = snapshot.links().map(|link| shown(link)).collect();
    shown.sort();
    assert_eq!(shown, ["policies/a.csv:10 role:anyone role:b *", "policies/a.csv:8 user:u role:a main"]);
}

#[test]
fn ids_depend_on_the_columns_alone() {
    let id = |text: &str| parse_csv("a", text).expect("a policy").policies[0].id().to_string();
    assert_eq!(id("p, role:a, *, posts, read"), id("\n\np,role:a,*,posts,read,*,\"\",allow"));
    assert_ne!(id("p, role:a, *, posts, read"), id("p, role:a, *, posts, read, *, , deny"));
    assert_ne!(id("p, role:a, *, posts, read, a, b.c"[..].replace("b.c", "true").as_str()), id("p, role:a, *, posts, read, a"));
    assert!(id(DEFAULT_CSV).len() == 16 && id(DEFAULT_CSV).bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn policies_are_shown_and_read_as_json() {
    let policies = parse_csv("a.csv", "p, role:a, *, posts, read, title, true, deny").expect("a policy").policies;
    let shown = serde_json::to_value(&policies[0]).expect("json");
    let id = policies[0].id().to_string();
    let expected = serde_json::json!({"id": id, "subject": "role:a", "domain": "*", "object": "posts", "action": "read", "fields": "title",
        "condition": "true", "effect": "deny", "source": {"kind": "file", "name": "a.csv", "line": 1}});
    assert_eq!(shown, expected);
    let draft: PolicyDraft = serde_json::from_str(r#"{"subject":"role:a","object":"posts","action":"read"}"#).expect("a draft");
    assert_eq!((draft.domain.as_str(), draft.fields.as_str(), draft.condition.as_str(), draft.effect), ("*", "*", "", Effect::Allow));
    assert!(serde_json::from_str::<PolicyDraft>(r#"{"subject":"role:a","object":"posts","action":"read","cond":"false"}"#).is_err());
    let link = RoleLink::new("user:u", "role:a", "*", Source::Database).expect("a link");
    assert_eq!(serde_json::to_value(link).expect("json")["source"], serde_json::json!({"kind": "database"}));
}

/// The places must not slip when lines are skipped, and the first error is the one that is told.
#[test]
fn the_first_error_is_told() {
    let fine = "# a\n\np, role:a, *, posts, read\n\n# b\n";
    check(
        &format!("{fine}p, role:a, *, posts, list\np, \"x"),
        "test.csv:6: column 5 (action): `list` is not one of create, read, update, delete, *",
    );
    check(
        &format!("{fine}p, role:b, *, posts, read\np, \"x\np, role:a, *, posts, list"),
        "test.csv:7: the quote at character 4 is not closed",
    );
    check("p, \"x", "test.csv:1: the quote at character 4 is not closed");
    check("\"\"", "test.csv:1: column 1: `` is neither `p` nor `g` nor `s`");
    check(",", "test.csv:1: column 1: `` is neither `p` nor `g` nor `s`");
}
