//! The collections, records, callers and snapshots that the tests speak about.

use model::{Action, Caller, Collection, Principal, Record, Value, condition::Context, value::Object};
use policies::{Error, Mode, Policy, PolicySet, RoleLink, Snapshot, Source, differences, parse_csv};

pub const NOW: &str = "2026-11-22T12:00:00.000000Z";

/// A collection with a field of every kind that conditions treat differently.
pub fn posts() -> Collection {
    collection(
        r#"{"name":"posts","fields":[
            {"name":"owner","type":"relation","collection":"users"},
            {"name":"team","type":"text"},
            {"name":"title","type":"text"},
            {"name":"status","type":"select","values":["draft","published"]},
            {"name":"n","type":"integer"},
            {"name":"price","type":"number"},
            {"name":"locked","type":"bool"},
            {"name":"tags","type":"json"}]}"#,
    )
}

/// A collection that lacks most of what `posts` has.
pub fn notes() -> Collection {
    collection(r#"{"name":"notes","fields":[{"name":"owner","type":"relation","collection":"users"},{"name":"title","type":"text"}]}"#)
}

pub fn collection(definition: &str) -> Collection {
    Collection::new(serde_json::from_str(definition).expect("a definition")).expect("a sound definition")
}

pub fn known(name: &str) -> Option<Collection> {
    match name {
        "posts" => Some(posts()),
        "notes" => Some(notes()),
        _ => None,
    }
}

pub fn object(json: &str) -> Object {
    match Value::from_json(json.as_bytes()).expect("json") {
        Value::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

pub fn record(json: &str) -> Record {
    let (id, tenant) = ("01JDA0000000000000000000P1".to_owned(), "main".to_owned());
    let (created, updated) = ("2026-01-01T00:00:00.000000Z".to_owned(), NOW.to_owned());
    Record { id, tenant, version: 1, created, updated, values: object(json) }
}

pub fn user(id: &str) -> Caller {
    Caller::new(Principal::User(id.to_owned()), "main", Object::new())
}

pub fn build(csv: &str) -> Result<Snapshot, Error> {
    together(parse_csv("test.csv", csv)?)
}

/// Every decision of these tests is taken by Casbin too, for the concrete record.
pub fn together(set: PolicySet) -> Result<Snapshot, Error> {
    Snapshot::build(set, 1, Mode::Verify, &known)
}

pub fn snapshot(csv: &str) -> Snapshot {
    build(csv).unwrap_or_else(|error| panic!("{error}"))
}

pub fn from_file(csv: &str) -> PolicySet {
    parse_csv("a.csv", csv).expect("sound policies")
}

pub fn from_database(csv: &str) -> PolicySet {
    stored(&from_file(csv))
}

/// The same policies and links as records of the database.
pub fn stored(set: &PolicySet) -> PolicySet {
    let policies = set.policies.iter().map(|policy| Policy::new(&policy.draft(), Source::Database));
    let links = set.links.iter().map(|link| RoleLink::new(link.member(), link.role(), link.tenant(), Source::Database));
    let sound = "what a file may say, the database may too";
    PolicySet {
        policies: policies.map(|policy| policy.expect(sound)).collect(),
        links: links.map(|link| link.expect(sound)).collect(),
        ..PolicySet::default()
    }
}

/// Both together.
pub fn merged(file: &str, database: &str) -> Snapshot {
    let mut set = from_file(file);
    set.extend(from_database(database));
    together(set).unwrap_or_else(|error| panic!("{error}"))
}

pub fn context<'a>(caller: &'a Caller, record: &'a Record) -> Context<'a> {
    Context { record, before: None, caller, now: NOW }
}

/// Whether the caller may read the post.
pub fn reads(snapshot: &Snapshot, caller: &Caller, json: &str) -> bool {
    may(snapshot, caller, Action::Read, &posts(), json)
}

pub fn may(snapshot: &Snapshot, caller: &Caller, action: Action, collection: &Collection, json: &str) -> bool {
    let caller = snapshot.with_roles(caller.clone());
    let allowed = snapshot.plan(&caller, action, collection).allows(&context(&caller, &record(json)));
    assert_eq!(differences(), 0);
    allowed
}

/// Those of the posts' fields that the caller may read in this post.
pub fn fields_read(snapshot: &Snapshot, caller: &Caller, json: &str) -> Vec<String> {
    let caller = snapshot.with_roles(caller.clone());
    let (posts, record) = (posts(), record(json));
    let plan = snapshot.plan(&caller, Action::Read, &posts);
    let mask = plan.fields(&context(&caller, &record));
    assert_eq!(differences(), 0);
    posts.fields().map(|field| field.name.clone()).filter(|name| mask.contains(name)).collect()
}
