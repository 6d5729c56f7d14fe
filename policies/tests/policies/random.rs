//! Random policies, role links, records and callers, for tests that hold over all of them.

use model::{Caller, Condition, Principal, Record, condition::Scope, value::Object};
use policies::{Policy, PolicySet, RoleLink, Seal, Source, parse_csv};
use rand::{RngExt, rngs::StdRng};

use crate::world::{known, object, record};

pub const TENANTS: [&str; 2] = ["acme", "main"];
pub const CONDITIONS: [&str; 19] = [
    "",
    "",
    "record.owner == caller.id",
    "record.owner == null",
    "!(record.owner == caller.id)",
    "record.team == caller.team && record.status == 'published'",
    "record.locked",
    "record.locked == true",
    "has(record.locked) && record.locked",
    "!(record.status == 'draft')",
    "record.n >= 3 || caller.id in record.tags",
    "record.n < 2 || record.price > 1.5",
    "'r1' in caller.roles",
    "caller.tenant == 'acme'",
    "before.status == 'draft'",
    "has(before.owner)",
    "record.title.startsWith('p.')",
    "record.created < now",
    "false",
];
pub const FIELD_LISTS: [&str; 6] = ["*", "*", "title", "owner title", "title owner created", "owner"];
pub const FIELDS: [&str; 5] = ["title", "owner", "created", "status", "absent"];

pub fn callers() -> Vec<Caller> {
    let users = (0..3).map(|number| Principal::User(format!("u{number}")));
    let others = [Principal::Anonymous, Principal::Service("u0".into()), Principal::Plugin("r1".into()), Principal::User("unknown".into())];
    let principals: Vec<_> = users.chain(others).collect();
    let attributes = |principal: &Principal| if principal.id() == Some("u1") { Object::new() } else { object(r#"{"team":"t1"}"#) };
    let both = principals.iter().flat_map(|principal| TENANTS.map(|tenant| Caller::new(principal.clone(), tenant, attributes(principal))));
    both.collect()
}

/// About thirty policies and ten links, written as a file.
pub fn random_set(random: &mut StdRng) -> PolicySet {
    let mut text = String::new();
    for _ in 0..random.random_range(0..14) {
        text += &random_link(random);
    }
    for _ in 0..random.random_range(0..40) {
        text += &random_policy(random);
    }
    parse_csv("random.csv", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Roles only ever hold roles of a higher number, so that no circle comes up.
pub fn random_link(random: &mut StdRng) -> String {
    let role = random.random_range(0..6);
    let member = match random.random_range(0..8) {
        0 => "role:anyone".to_owned(),
        1 => "role:authenticated".to_owned(),
        2 => "service:u0".to_owned(),
        3 if role > 0 => format!("role:r{}", random.random_range(0..role)),
        4 if role > 0 => format!("role:r{}", random.random_range(0..role)),
        _ => format!("user:u{}", random.random_range(0..3)),
    };
    let tenant = pick(random, &["*", "acme", "main"]);
    format!("g, {member}, role:r{role}, {tenant}\n")
}

pub fn random_policy(random: &mut StdRng) -> String {
    let subject = match random.random_range(0..10) {
        0 => "role:anyone".to_owned(),
        1 => "role:authenticated".to_owned(),
        2 => "plugin:r1".to_owned(),
        3 => format!("user:u{}", random.random_range(0..3)),
        _ => format!("role:r{}", random.random_range(0..6)),
    };
    let tenant = pick(random, &["*", "*", "acme", "main"]);
    let object = pick(random, &["posts", "posts", "notes", "notes", "*", "*", "*", "_collections", "_policies"]);
    let action = pick(random, &["*", "create", "read", "update", "delete"]);
    let effect = pick(random, &["allow", "allow", "allow", "allow", "allow", "allow", "deny"]);
    let (fields, condition) = loop {
        let (fields, condition) = (pick(random, &FIELD_LISTS), pick(random, &CONDITIONS));
        if fits(object, fields, condition) {
            break (fields, condition);
        }
    };
    format!("p, {subject}, {tenant}, {object}, {action}, {fields}, \"{condition}\", {effect}\n")
}

/// The same from files and from the database, now and then with a seal.
pub fn random_mixed_set(random: &mut StdRng) -> PolicySet {
    let mut set = random_set(random);
    for policy in &mut set.policies {
        if random.random_range(0..2) == 0 {
            *policy = Policy::new(&policy.draft(), Source::Database).expect("what a file may say, the database may too");
        }
    }
    for link in &mut set.links {
        if random.random_range(0..2) == 0 {
            let stored = RoleLink::new(link.member(), link.role(), link.tenant(), Source::Database);
            *link = stored.expect("what a file may say, the database may too");
        }
    }
    for object in ["posts", "notes", "_policies"] {
        if random.random_range(0..6) == 0 {
            set.seals.push(Seal { object: object.into(), source: Source::File { name: "random.csv".into(), line: 999 } });
        }
    }
    set
}

/// What a snapshot accepts: policies about a known collection must fit it, those about system objects have neither fields nor conditions.
fn fits(object: &str, fields: &str, condition: &str) -> bool {
    if object.starts_with('_') {
        return fields == "*" && condition.is_empty();
    }
    let Some(collection) = known(object).filter(|_| !condition.is_empty()) else { return true };
    Condition::parse(condition, Scope::Policy).expect("a condition").check(&collection).is_ok()
}

pub fn pick<'a>(random: &mut StdRng, choices: &[&'a str]) -> &'a str {
    choices[random.random_range(0..choices.len())]
}

pub fn random_record(random: &mut StdRng) -> Record {
    let mut members = Vec::new();
    let choices: [(&str, &[&str]); 8] = [
        ("owner", &["\"u0\"", "\"u1\"", "\"u2\"", "null", "\"\""]),
        ("team", &["\"t1\"", "\"t2\"", "null"]),
        ("title", &["\"p.txt\"", "\"a\"", "null", "\"r.sub\""]),
        ("status", &["\"draft\"", "\"published\"", "null"]),
        ("n", &["0", "3", "-4294967295", "9223372036854775807", "null"]),
        ("price", &["1.5", "9.99", "-0.0", "null"]),
        ("locked", &["true", "false", "null"]),
        ("tags", &["[]", "[\"u0\",null]", "[\"u1\",[\"u2\"]]", "\"u0\"", "{\"u0\":1}", "null"]),
    ];
    for (name, values) in choices {
        if random.random_range(0..5) > 0 {
            members.push(format!("\"{name}\":{}", pick(random, values)));
        }
    }
    record(&format!("{{{}}}", members.join(",")))
}
