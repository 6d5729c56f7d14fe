//! What plans answer: rows, fields, system objects.

use std::sync::Arc;

use model::{Action, Caller, Principal, value::Object};
use policies::{Access, DEFAULT_CSV, FieldMask, SYSTEM_OBJECTS};

use crate::world::{collection, context, fields_read, may, merged, notes, posts, reads, record, snapshot, user};

#[test]
fn by_default_admins_may_everything_and_nobody_else_anything() {
    let snapshot = snapshot(&format!("{DEFAULT_CSV}\ng, user:boss, role:admin, *"));
    for action in Action::ALL {
        assert_eq!(snapshot.plan(&user("boss"), action, &posts()).access(), &Access::Always);
        assert!(SYSTEM_OBJECTS.iter().all(|object| snapshot.allows_object(&user("boss"), action, object)));
        for caller in [user("u"), Caller::anonymous(), Caller::new(Principal::Plugin("p".into()), "main", Object::new())] {
            assert_eq!(snapshot.plan(&caller, action, &posts()).access(), &Access::Never);
            assert!(!SYSTEM_OBJECTS.iter().any(|object| snapshot.allows_object(&caller, action, object)));
        }
    }
    assert!(snapshot.plan(&user("boss"), Action::Read, &posts()).unconditional_fields().is_all());
}

#[test]
fn the_system_may_everything_even_without_policies() {
    let snapshot = snapshot("p, role:anyone, *, *, *, *, , deny");
    assert_eq!(snapshot.plan(&Caller::system(), Action::Delete, &posts()).access(), &Access::Always);
    assert!(snapshot.allows_object(&Caller::system(), Action::Delete, "_policies"));
}

#[test]
fn plugins_have_the_rights_that_are_written_down() {
    let snapshot = snapshot("p, plugin:order-guard, *, posts, update");
    let caller = Caller::new(Principal::Plugin("order-guard".into()), "main", Object::new());
    assert!(may(&snapshot, &caller, Action::Update, &posts(), "{}"));
    assert!(!may(&snapshot, &caller, Action::Read, &posts(), "{}"));
}

#[test]
fn a_denial_wins_wherever_it_comes_from() {
    let snapshot = merged(
        "p, role:anyone, *, posts, read\np, role:anyone, *, notes, read, *, , deny",
        "p, role:anyone, *, *, *\np, user:u, *, posts, *, *, record.locked, deny",
    );
    assert!(reads(&snapshot, &user("u"), r#"{"locked":false}"#));
    assert!(!reads(&snapshot, &user("u"), r#"{"locked":true}"#));
    assert!(reads(&snapshot, &user("v"), r#"{"locked":true}"#));
    assert!(!may(&snapshot, &user("v"), Action::Read, &notes(), "{}"));
    assert!(may(&snapshot, &user("v"), Action::Update, &notes(), "{}"));
}

#[test]
fn access_is_never_always_or_a_guard() {
    let check = |csv: &str, expected: &str| {
        let shown = match snapshot(csv).plan(&user("u"), Action::Read, &posts()).access() {
            Access::Never => "never".to_owned(),
            Access::Always => "always".to_owned(),
            Access::When(guard) => {
                let texts = |conditions: &[Arc<model::Condition>]| {
                    conditions.iter().map(|one| one.source().to_owned()).collect::<Vec<_>>().join(" | ")
                };
                format!("{} ; {}", texts(&guard.any_of), texts(&guard.none_of))
            }
        };
        assert_eq!(shown, expected, "{csv}");
    };
    check("", "never");
    check("p, role:anyone, *, posts, read", "always");
    check("p, role:anyone, *, posts, read, title", "always");
    check("p, role:anyone, *, posts, update", "never");
    check("p, role:anyone, *, posts, read, *, record.locked\np, role:anyone, *, *, *, title, record.locked", "record.locked ; ");
    check("p, role:anyone, *, posts, read, *, record.locked\np, user:u, *, *, read, *, record.n == 1", "record.locked | record.n == 1 ; ");
    check("p, role:anyone, *, posts, read\np, user:u, *, *, *, *, record.locked, deny", "true ; record.locked");
    check("p, role:anyone, *, posts, read\np, user:u, *, *, *, *, , deny", "never");
    check("p, role:anyone, *, posts, read\np, user:u, *, *, *, title, , deny", "always");
    check("p, role:anyone, *, posts, *, *, record.locked, deny", "never");
}

#[test]
fn fields_follow_the_rules_that_hold() {
    let snapshot = snapshot(
        "p, role:anyone, *, posts, read, title status\np, role:authenticated, *, posts, read, team, record.status == 'published'\n\
         p, role:authenticated, *, posts, read, *, record.owner == caller.id\np, role:authenticated, *, posts, read, price, , deny\n\
         p, role:authenticated, *, posts, read, n tags, record.locked, deny",
    );
    assert_eq!(fields_read(&snapshot, &Caller::anonymous(), r#"{"locked":false}"#), ["title", "status"]);
    assert_eq!(fields_read(&snapshot, &user("u"), r#"{"owner":"v","status":"published","locked":false}"#), ["team", "title", "status"]);
    assert_eq!(
        fields_read(&snapshot, &user("u"), r#"{"owner":"u","locked":false}"#),
        ["owner", "team", "title", "status", "n", "locked", "tags"]
    );
    assert_eq!(fields_read(&snapshot, &user("u"), r#"{"owner":"u","locked":true}"#), ["owner", "team", "title", "status", "locked"]);
    assert_eq!(fields_read(&snapshot, &user("u"), r#"{"owner":"u"}"#), ["owner", "team", "title", "status", "locked"]);
}

#[test]
fn lists_may_ask_about_what_every_record_shows() {
    let check = |csv: &str, expected: &[&str]| {
        let snapshot = snapshot(csv);
        let plan = snapshot.plan(&user("u"), Action::Read, &posts());
        let posts = posts();
        let names: Vec<_> =
            posts.fields().map(|field| field.name.as_str()).filter(|name| plan.unconditional_fields().contains(name)).collect();
        assert_eq!(names, expected, "{csv}");
    };
    check("", &[]);
    check("p, role:anyone, *, posts, read, title n", &["title", "n"]);
    check("p, role:anyone, *, posts, read, title n\np, user:u, *, posts, read, *, record.owner == caller.id", &["title", "n"]);
    check("p, role:anyone, *, posts, read, title n, record.locked\np, user:u, *, posts, read, team n, record.owner == caller.id", &["n"]);
    check("p, role:anyone, *, posts, read, title\np, user:u, *, posts, read, team", &["team", "title"]);
    check("p, role:anyone, *, posts, read, title n\np, user:u, *, posts, *, n, record.locked, deny", &["title"]);
    check("p, role:anyone, *, posts, read, title n\np, user:u, *, posts, *, *, record.locked, deny", &["title", "n"]);
    check("p, role:anyone, *, posts, read, title n\np, user:u, *, posts, *, *, , deny", &[]);
}

#[test]
fn no_field_of_a_record_that_does_not_pass_is_open() {
    let snapshot = snapshot("p, role:anyone, *, posts, read, title, record.locked");
    assert_eq!(fields_read(&snapshot, &user("u"), r#"{"locked":true}"#), ["title"]);
    assert!(fields_read(&snapshot, &user("u"), r#"{"locked":false}"#).is_empty());
    let (caller, record) = (user("u"), record("{}"));
    let plan = snapshot.plan(&caller, Action::Create, &posts());
    assert_eq!(plan.fields(&context(&caller, &record)).into_owned(), FieldMask::none());
}

#[test]
fn update_conditions_see_the_stored_record() {
    let snapshot = snapshot("p, role:anyone, *, posts, update, *, before.status == 'draft'");
    let (caller, before, after) = (user("u"), record(r#"{"status":"draft"}"#), record(r#"{"status":"published"}"#));
    let plan = snapshot.plan(&caller, Action::Update, &posts());
    let context = context(&caller, &after);
    assert!(plan.allows(&model::condition::Context { before: Some(&before), ..context }));
    assert!(!plan.allows(&model::condition::Context { before: Some(&after), ..context }));
    assert!(!plan.allows(&context));
}

#[test]
fn a_condition_on_everything_counts_where_it_fits() {
    let csv = "p, role:anyone, *, *, read, *, record.status == 'published'\np, role:anyone, *, *, update\np, role:anyone, *, *, update, *, record.locked, deny";
    let snapshot = snapshot(csv);
    assert!(may(&snapshot, &user("u"), Action::Read, &posts(), r#"{"status":"published"}"#));
    assert!(!may(&snapshot, &user("u"), Action::Read, &notes(), r#"{"status":"published"}"#));
    assert!(may(&snapshot, &user("u"), Action::Update, &posts(), r#"{"locked":false}"#));
    assert!(!may(&snapshot, &user("u"), Action::Update, &notes(), r#"{"locked":false}"#));
    assert_eq!(snapshot.plan(&user("u"), Action::Update, &notes()).rules().len(), 2);
}

#[test]
fn system_objects_take_unconditional_rules_only() {
    let check = |csv: &str, expected: bool| {
        let csv = csv.replace('+', "p, role:anyone, *, *, read");
        assert_eq!(snapshot(&csv).allows_object(&user("u"), Action::Read, "_users"), expected, "{csv}");
    };
    check("", false);
    check("p, role:anyone, *, _users, read", true);
    check("p, role:anyone, *, _users, update", false);
    check("p, role:anyone, *, users, read", false);
    check("+", true);
    check("+, title", false);
    check("+, *, true", false);
    check("+\n+, *, record.locked, deny", false);
    check("+\n+, title, , deny", true);
    check("+\n+, *, , deny", false);
}

#[test]
fn a_changed_collection_gets_a_new_plan() {
    let snapshot = snapshot("p, role:anyone, *, later, read, *, record.flag == true");
    let with = |kind: &str| collection(&format!(r#"{{"name":"later","fields":[{{"name":"flag","type":"{kind}"}}]}}"#));
    let (flags, texts) = (with("bool"), with("text"));
    for _ in 0..2 {
        assert!(may(&snapshot, &user("u"), Action::Read, &flags, r#"{"flag":true}"#));
        assert!(!may(&snapshot, &user("u"), Action::Read, &texts, r#"{"flag":true}"#));
    }
}

#[test]
fn callers_with_the_same_roles_share_a_plan() {
    let snapshot = snapshot(
        "p, role:a, *, posts, read\ng, user:u, role:a, *\ng, user:v, role:a, *\ng, user:w, role:a, *\ng, user:w, role:b, *\np, user:x, *, posts, read",
    );
    let plan = |id: &str| snapshot.plan(&user(id), Action::Read, &posts());
    assert!(Arc::ptr_eq(&plan("u"), &plan("v")) && Arc::ptr_eq(&plan("u"), &plan("w")));
    assert!(!Arc::ptr_eq(&plan("u"), &plan("x")));
}

#[test]
fn plans_name_the_rules_behind_them() {
    let snapshot =
        snapshot("p, role:b, *, posts, read\np, role:anyone, *, posts, read, *, record.locked, deny\np, role:anyone, *, *, read, title");
    let plan = snapshot.plan(&user("u"), Action::Read, &posts());
    let mut places: Vec<_> = plan.rules().iter().map(|policy| policy.source().to_string()).collect();
    places.sort();
    assert_eq!(places, ["test.csv:2", "test.csv:3"]);
}
