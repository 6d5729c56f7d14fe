//! Who holds which role, and as whom somebody acts.

use model::{Action, Caller, Principal, Value, value::Object};
use policies::{RoleLink, Snapshot, Source};

use crate::world::{build, from_database, from_file, reads, snapshot, together, user};

fn roles(snapshot: &Snapshot, principal: Principal, tenant: &str) -> String {
    snapshot.roles(&principal, tenant).join(" ")
}

#[test]
fn roles_are_held_through_roles() {
    let snapshot = snapshot(
        "g, user:u, role:admin, *\ng, role:admin, role:editor, *\ng, role:editor, role:author, acme\ng, role:authenticated, role:member, *",
    );
    assert_eq!(roles(&snapshot, Principal::User("u".into()), "acme"), "admin anyone authenticated author editor member");
    assert_eq!(roles(&snapshot, Principal::User("u".into()), "main"), "admin anyone authenticated editor member");
    assert_eq!(roles(&snapshot, Principal::User("v".into()), "acme"), "anyone authenticated member");
    assert_eq!(roles(&snapshot, Principal::Plugin("p".into()), "acme"), "anyone authenticated member");
    assert_eq!(roles(&snapshot, Principal::Anonymous, "acme"), "anyone");
    assert_eq!(roles(&snapshot, Principal::System, "acme"), "");
}

#[test]
fn a_role_of_one_tenant_is_none_in_another() {
    let snapshot = snapshot("p, role:editor, *, posts, read\ng, user:u, role:editor, acme");
    let in_tenant = |tenant: &str| Caller::new(Principal::User("u".into()), tenant, Object::new());
    assert!(reads(&snapshot, &in_tenant("acme"), "{}"));
    for other in ["main", "acme2", "acm", "ACME", "*", ""] {
        assert!(!reads(&snapshot, &in_tenant(other), "{}"), "{other}");
    }
}

#[test]
fn a_policy_of_one_tenant_is_none_in_another() {
    let snapshot = snapshot("p, role:anyone, acme, posts, read");
    assert!(reads(&snapshot, &Caller::new(Principal::Anonymous, "acme", Object::new()), "{}"));
    assert!(!reads(&snapshot, &Caller::anonymous(), "{}"));
}

/// Casbin's own role manager cuts the hierarchy silently after nine steps.
#[test]
fn deep_hierarchies_are_not_cut() {
    let links: String = (0..40).map(|level| format!("g, role:r{level}, role:r{}, *\n", level + 1)).collect();
    let snapshot = snapshot(&format!("p, role:r40, *, posts, read\ng, user:u, role:r0, *\n{links}"));
    assert!(reads(&snapshot, &user("u"), "{}"));
    assert!(!reads(&snapshot, &user("v"), "{}"));
}

#[test]
fn circles_are_refused() {
    let check = |csv: &str, expected: &[&str]| match build(csv) {
        Ok(_) => assert!(expected.is_empty(), "{csv}"),
        // Any link of a circle may be the one that is named.
        Err(error) => assert!(expected.contains(&error.to_string().as_str()), "{csv}: {error}"),
    };
    let circle = |line: u32, member: &str, role: &str| {
        format!("test.csv:{line}: `role:{member}` cannot hold `role:{role}`, which already holds it: roles may not form a circle")
    };
    check("g, role:a, role:a, *", &[&circle(1, "a", "a")]);
    check("g, role:a, role:b, *\ng, role:b, role:a, *", &[&circle(1, "a", "b"), &circle(2, "b", "a")]);
    check("g, role:a, role:b, *\ng, role:b, role:c, *\ng, role:c, role:a, acme", &[&circle(3, "c", "a")]);
    check("g, role:a, role:b, acme\ng, role:b, role:a, main", &[]);
    check("g, role:a, role:b, *\ng, role:a, role:c, *\ng, role:b, role:d, *\ng, role:c, role:d, *", &[]);
}

#[test]
fn circles_over_file_and_database_are_refused() {
    let mut set = from_file("g, role:a, role:b, *");
    set.extend(from_database("g, role:b, role:a, *"));
    assert!(together(set).is_err());
}

#[test]
fn roles_are_put_into_the_caller_and_not_taken_from_it() {
    let snapshot = snapshot("p, role:admin, *, *, *\np, role:anyone, *, posts, read, *, 'staff' in caller.roles\ng, user:u, role:staff, *");
    let boasting = |id: &str| {
        let roles = Value::List(vec!["admin".into(), "staff".into()]);
        Caller::new(Principal::User(id.into()), "main", Object::from_iter([("roles".to_owned(), roles)]))
    };
    assert!(reads(&snapshot, &boasting("u"), "{}"));
    assert!(!reads(&snapshot, &boasting("v"), "{}"));
    assert!(!snapshot.allows_object(&boasting("v"), Action::Read, "_users"));
    let caller = snapshot.with_roles(boasting("v"));
    assert_eq!(caller.attributes["roles"], Value::List(vec!["anyone".into(), "authenticated".into()]));
}

#[test]
fn names_are_not_confused_with_each_other() {
    let snapshot = snapshot(
        "p, role:admin, *, *, *\np, user:admin, *, posts, read\np, role:u, *, posts, read\np, service:s, *, posts, read\n\
         p, plugin:q, *, posts, read\ng, user:boss, role:admin, *",
    );
    let reads = |principal: Principal| reads(&snapshot, &Caller::new(principal, "main", Object::new()), "{}");
    assert!(reads(Principal::User("boss".into())) && reads(Principal::User("admin".into())));
    assert!(reads(Principal::Service("s".into())) && reads(Principal::Plugin("q".into())));
    let strangers =
        ["role:admin", "role:u", "u", "user:boss", "user:admin", "s", "q", "anyone", "*", "", "boss ", "BOSS", "boss\u{1f}", "admin, *"];
    for id in strangers {
        assert!(!reads(Principal::User(id.into())), "user `{id}`");
    }
    for id in ["boss", "admin", "role:admin", "user:boss", "u", ""] {
        assert!(!reads(Principal::Service(id.into())) && !reads(Principal::Plugin(id.into())), "`{id}`");
    }
    assert!(!reads(Principal::Anonymous));
}

#[test]
fn links_from_the_database_are_checked_too() {
    let link = |member: &str, role: &str, tenant: &str| {
        RoleLink::new(member, role, tenant, Source::Database).map(drop).map_err(|error| error.to_string())
    };
    assert!(link("user:u", "role:a", "*").is_ok());
    assert_eq!(link("user:u", "admin", "*").expect_err("no role"), "database: column 3 (role): `admin` is not `role:NAME`");
    assert!(link("user:u\u{1}", "role:a", "*").is_err());
    assert!(link("user:u", "role:a", "a b").is_err());
}
