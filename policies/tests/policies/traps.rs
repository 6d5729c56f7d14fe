//! What goes wrong with stock Casbin (`facts/authorization.md`, sections 1 and 3, each of them executed there) does not go wrong here.

use model::{Action, Caller, Principal, value::Object};
use policies::{Change, Source};

use crate::world::{build, context, from_database, known, may, merged, notes, posts, reads, record, snapshot, user};

/// Casbin without rules runs its matcher once with empty columns, and may say yes.
#[test]
fn no_policies_allow_nothing() {
    let snapshot = snapshot("");
    let nobody = [Caller::anonymous(), user(""), user("u"), Caller::new(Principal::User(String::new()), "", Object::new())];
    for caller in nobody {
        assert!(!reads(&snapshot, &caller, "{}"));
        assert!(!snapshot.allows_object(&caller, Action::Read, ""));
        assert!(!snapshot.allows_object(&caller, Action::Read, "_users"));
    }
}

#[test]
fn only_denials_allow_nothing() {
    let snapshot = snapshot("p, role:other, *, posts, read, *, , deny\np, role:anyone, *, posts, read, title, , deny");
    assert!(!reads(&snapshot, &user("u"), "{}"));
}

/// In Casbin's expressions a missing value equals a missing value.
#[test]
fn nothing_is_nobodys_own() {
    let snapshot =
        snapshot("p, role:anyone, *, posts, *, *, record.owner == caller.id\np, role:anyone, *, posts, *, *, record.team == caller.team");
    for json in ["{}", r#"{"owner":null}"#, r#"{"owner":"","team":null}"#] {
        assert!(!reads(&snapshot, &Caller::anonymous(), json), "{json}");
        assert!(!reads(&snapshot, &user("u"), json), "{json}");
    }
    assert!(reads(&snapshot, &user("u"), r#"{"owner":"u"}"#));
}

#[test]
fn a_denial_over_a_missing_value_denies() {
    let strict = snapshot("p, role:anyone, *, posts, read\np, role:anyone, *, posts, read, *, record.locked == true, deny");
    assert!(!reads(&strict, &user("u"), "{}"));
    assert!(reads(&strict, &user("u"), r#"{"locked":false}"#));
    let lenient = snapshot("p, role:anyone, *, posts, read\np, role:anyone, *, posts, read, *, has(record.locked) && record.locked, deny");
    assert!(reads(&lenient, &user("u"), "{}"));
    assert!(!reads(&lenient, &user("u"), r#"{"locked":true}"#));
}

/// A missing attribute of the caller, too, can take but never give.
#[test]
fn negation_does_not_turn_missing_into_allowed() {
    let snapshot = snapshot(
        "p, role:anyone, *, posts, read, *, !(record.owner == caller.id)\np, role:anyone, *, posts, read, *, record.owner != caller.id",
    );
    assert!(!reads(&snapshot, &Caller::anonymous(), r#"{"owner":"u"}"#));
    assert!(!reads(&snapshot, &user("u"), "{}"));
    assert!(reads(&snapshot, &user("u"), r#"{"owner":"v"}"#));
}

/// rhai has 32-bit integers and no floats: a price failed the request, and -4294967295 was 1.
#[test]
fn numbers_are_not_cut() {
    let snapshot = snapshot("p, role:anyone, *, posts, read, *, record.n == 1");
    for json in [r#"{"n":-4294967295}"#, r#"{"n":4294967297}"#, r#"{"n":-9223372036854775807}"#] {
        assert!(!reads(&snapshot, &user("u"), json), "{json}");
    }
    assert!(reads(&snapshot, &user("u"), r#"{"n":1,"price":9.99}"#));
}

/// Casbin rewrites `r.` and `p.` inside texts, and rhai reserves words.
#[test]
fn texts_of_conditions_are_not_rewritten() {
    let check = |condition: &str, json: &str| {
        let csv = format!("p, role:anyone, *, posts, read, *, {condition}");
        assert!(reads(&snapshot(&csv), &user("u"), json), "{csv}");
        assert!(!reads(&snapshot(&csv), &user("u"), r#"{"title":"other"}"#), "{csv}");
    };
    check("record.title == 'p.txt'", r#"{"title":"p.txt"}"#);
    check("record.title == 'r.sub.id p.eft'", r#"{"title":"r.sub.id p.eft"}"#);
    check("record.title == 'later'", r#"{"title":"later"}"#);
    check("record.title == 'deny'", r#"{"title":"deny"}"#);
    check("record.tags.private == 'new'", r#"{"tags":{"private":"new"}}"#);
}

/// In Casbin one rule that cannot be evaluated fails the request, or not, depending on the order of the rules.
#[test]
fn one_bad_rule_does_not_poison_the_others() {
    let (good, bad) = ("p, role:anyone, *, notes, read, *, record.title == 'a'", "p, role:anyone, *, *, read, *, record.price < 3.5");
    for csv in [format!("{good}\n{bad}"), format!("{bad}\n{good}")] {
        let snapshot = snapshot(&csv);
        assert!(may(&snapshot, &user("u"), Action::Read, &notes(), r#"{"title":"a"}"#));
        assert!(!may(&snapshot, &user("u"), Action::Read, &notes(), r#"{"title":"b"}"#));
    }
}

/// Casbin's loading clears first, so a file that is broken in the middle leaves half of itself.
#[test]
fn a_broken_set_changes_nothing() {
    let snapshot = snapshot("p, role:anyone, *, posts, read\np, user:u, *, posts, read, *, , deny");
    let broken = ["p, role:anyone, *, *, *\np, role:anyone, *, notes, read, *, , dney", "p, role:anyone, *, *, *\ng, role:a, role:a, *"];
    for text in broken {
        let error = build(text).expect_err(text);
        assert!(error.to_string().starts_with("test.csv:2"), "{error}");
        let refused = match policies::parse_csv("b.csv", text) {
            Ok(files) => snapshot.with_files(files, &known).map(drop),
            Err(error) => Err(error),
        };
        assert!(refused.is_err_and(|error| error.to_string().starts_with("b.csv:2")));
    }
    assert!(!reads(&snapshot, &user("u"), "{}") && reads(&snapshot, &user("v"), "{}"));
    assert!(!may(&snapshot, &user("v"), Action::Read, &notes(), "{}"));
}

/// Casbin gave the role of a refused batch until the next full rebuild, and `remove` could leave a link alive.
#[test]
fn a_refused_change_gives_no_role() {
    let before = merged("p, role:admin, *, *, *\ng, role:b, role:a, *", "g, user:u, role:b, *");
    let links = |csv: &str| from_database(csv).links;
    let circle = Change { assign: links("g, user:mallory, role:admin, *\ng, role:a, role:b, *"), ..Change::default() };
    assert!(before.with(&circle, 2, &known).is_err());
    assert!(!reads(&before, &user("mallory"), "{}") && !before.has_link(&links("g, user:mallory, role:admin, *")[0]));
    let after = before.with(&Change { assign: links("g, user:v, role:admin, *"), ..Change::default() }, 3, &known).expect("a change");
    assert!(reads(&after, &user("v"), "{}") && !reads(&after, &user("mallory"), "{}") && !reads(&before, &user("v"), "{}"));
}

/// A cached enforcer kept its answers over a reload.
#[test]
fn a_link_that_is_gone_is_gone() {
    let before = merged("p, role:a, *, posts, read", "g, user:u, role:a, *");
    assert!(reads(&before, &user("u"), "{}"));
    let gone = Change { unassign: from_database("g, user:u, role:a, *").links, ..Change::default() };
    let after = before.with(&gone, 2, &known).expect("a change");
    assert!(!reads(&after, &user("u"), "{}") && reads(&before, &user("u"), "{}"));
}

/// What the file says stays when the database takes back the same words.
#[test]
fn a_removed_repetition_leaves_the_file() {
    let csv = "p, role:anyone, *, posts, read, *, record.locked, deny\np, role:anyone, *, posts, read";
    let before = merged(csv, csv);
    let after = before.with(&Change { remove: from_database(csv).policies, ..Change::default() }, 2, &known).expect("a change");
    assert_eq!(after.len(), 2);
    assert!(!reads(&after, &user("u"), r#"{"locked":true}"#) && reads(&after, &user("u"), r#"{"locked":false}"#));
    assert!(after.policies().all(|policy| matches!(policy.source(), Source::File { .. })));
}

/// Casbin keeps a set, in which a repetition moves a rule and shifts the places of all others.
#[test]
fn repetitions_change_nothing() {
    let csv =
        "p, role:anyone, *, posts, read, title\np, role:anyone, *, posts, read, *, record.locked, deny\np, role:anyone, *, posts, read, n";
    let snapshot = merged(&format!("{csv}\n{csv}"), csv);
    assert_eq!((snapshot.len(), snapshot.policies().count()), (6, 6));
    let (caller, post) = (user("u"), record(r#"{"locked":false}"#));
    let plan = snapshot.plan(&caller, Action::Read, &posts());
    assert!(plan.rules().iter().all(|policy| matches!(policy.source(), Source::File { .. })) && plan.rules().len() == 3);
    let mask = plan.fields(&context(&caller, &post)).into_owned();
    assert!(mask.contains("title") && mask.contains("n") && !mask.contains("team"));
    assert!(!reads(&snapshot, &user("u"), r#"{"locked":true}"#));
}

/// The plan of one collection must not serve another, nor that of one action another, whatever order they are asked in.
#[test]
fn kept_plans_are_not_mixed_up() {
    let snapshot = snapshot(
        "p, role:anyone, *, *, read, *, record.title == 'a'\np, role:anyone, *, posts, update\np, role:a, acme, *, *\ng, user:u, role:a, *",
    );
    for _ in 0..3 {
        assert!(may(&snapshot, &user("u"), Action::Read, &posts(), r#"{"title":"a"}"#));
        assert!(!may(&snapshot, &user("u"), Action::Read, &notes(), r#"{"title":"b"}"#));
        assert!(may(&snapshot, &user("u"), Action::Update, &posts(), "{}"));
        assert!(!may(&snapshot, &user("u"), Action::Update, &notes(), "{}"));
        assert!(!may(&snapshot, &user("u"), Action::Delete, &posts(), "{}"));
        let acme = Caller::new(Principal::User("u".into()), "acme", Object::new());
        assert!(may(&snapshot, &acme, Action::Delete, &posts(), "{}"));
    }
}

/// Names of a request that look like columns, patterns or code are names.
#[test]
fn requests_are_data() {
    let snapshot = snapshot("p, role:anyone, *, posts, read\np, role:a, *, *, *\ng, user:u, role:a, acme");
    for tenant in ["*", "acme\" || true", "main, acme", "\u{0}", "é", &"x".repeat(100_000)] {
        let caller = Caller::new(Principal::User("u".into()), tenant, Object::new());
        assert!(!snapshot.allows_object(&caller, Action::Read, "_users"), "{tenant}");
        assert!(reads(&snapshot, &caller, "{}"));
        assert!(!may(&snapshot, &caller, Action::Update, &posts(), "{}"));
    }
    for object in ["*", "", "_users || true", "posts\" || \"1\" == \"1"] {
        assert!(!snapshot.allows_object(&user("u"), Action::Read, object), "{object}");
    }
}

/// Rules are decided on every thread alike, also at once: scratch engines share nothing.
#[test]
fn threads_agree() {
    let snapshot = snapshot(
        "p, role:a, *, posts, read, *, record.owner == caller.id\np, role:b, *, posts, read\ng, user:u, role:a, *\ng, user:v, role:b, *",
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(reads(&snapshot, &user("u"), r#"{"owner":"u"}"#) && !reads(&snapshot, &user("u"), r#"{"owner":"v"}"#));
                    assert!(reads(&snapshot, &user("v"), "{}") && !reads(&snapshot, &user("w"), "{}"));
                }
            });
        }
    });
}

/// A disabled enforcer says yes to everything, `eval` runs policy text as a program, `keyMatch` panics on `é`, the other matching functions
/// panic on policy text, and a second `g` would share its graph with the first. None of them is reachable: there is only our model, and
/// only our engine speaks to Casbin.
#[test]
fn what_is_dangerous_is_not_used() {
    let (model, engine) = (include_str!("../../model.conf"), include_str!("../../src/engine.rs"));
    for dangerous in ["eval", "keyMatch", "regexMatch", "ipMatch", "globMatch", "g2"] {
        assert!(!model.contains(dangerous), "{dangerous}");
    }
    for dangerous in ["enable_enforce", "CachedEnforcer", "load_policy", "FileAdapter", "StringAdapter", "add_policy", "add_grouping"] {
        assert!(!engine.contains(dangerous), "{dangerous}");
    }
    assert_eq!(engine.matches("Enforcer::new").count(), 1);
}

/// Texts that end within a character of a pattern: Casbin's `keyMatch` cut them there.
#[test]
fn names_that_are_not_ascii_are_compared_whole() {
    let snapshot = snapshot("p, role:anyone, *, posts, read\np, role:anyone, a, *, *");
    for name in ["/é", "é", "a*", "/a*", "аcme", "posts\u{301}"] {
        let caller = Caller::new(Principal::User(name.to_owned()), name, Object::new());
        assert!(!snapshot.allows_object(&caller, Action::Read, name), "{name}");
        assert!(!snapshot.allows_object(&caller, Action::Read, "_users"), "{name}");
        assert!(reads(&snapshot, &caller, "{}"), "{name}");
    }
}
