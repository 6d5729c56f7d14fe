//! The table of what somebody may do: that its cells say what plans decide, and that differences are found.

use model::{
    Action, Caller, Condition, Principal, Truth,
    condition::{Context, Scope},
};
use policies::{Access, Cell, CellAccess, Change, Decision, Inquiry, Mode, SYSTEM_OBJECTS, Snapshot, Whom, compare};
use rand::{SeedableRng, rngs::StdRng};

use crate::{
    random::{callers, random_mixed_set, random_record},
    world::{NOW, collection, from_database, known, notes, posts, snapshot, user},
};

fn cells(snapshot: &Snapshot, whom: Whom<'_>) -> Vec<Cell> {
    snapshot.matrix(whom, "main", &[posts(), notes()])
}

fn cell(cells: &[Cell], object: &str, action: &str) -> Cell {
    let mut found = cells.iter().filter(|cell| cell.object == object && cell.action == action);
    let cell = found.next().expect("a cell").clone();
    assert!(found.next().is_none());
    cell
}

#[test]
fn cells_say_what_is_decided() {
    let mut conditional = 0;
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let snapshot = Snapshot::build(random_mixed_set(&mut random), 1, Mode::Plan, &known).expect("a snapshot");
        for caller in callers() {
            let caller = snapshot.with_roles(caller);
            let cells = snapshot.matrix(Whom::Principal(&caller.principal), &caller.tenant, &[posts(), notes()]);
            assert_eq!(cells.len(), (2 + SYSTEM_OBJECTS.len()) * 4);
            for (object, action) in SYSTEM_OBJECTS.iter().flat_map(|object| Action::ALL.map(|action| (object, action))) {
                let cell = cell(&cells, object, action.name());
                let expected = if snapshot.allows_object(&caller, action, object) { CellAccess::Always } else { CellAccess::Never };
                assert_eq!((cell.access, cell.fields.len()), (expected, 0));
            }
            for (collection, action) in [posts(), notes()].iter().flat_map(|one| Action::ALL.map(|action| (one, action))) {
                let cell = cell(&cells, collection.name(), action.name());
                let plan = snapshot.plan(&caller, action, collection);
                let expected = match plan.access() {
                    Access::Never => CellAccess::Never,
                    Access::Always => CellAccess::Always,
                    Access::When(_) => CellAccess::When,
                };
                assert_eq!((cell.access, cell.condition.is_some()), (expected, expected == CellAccess::When));
                assert_eq!(cell.policies.len(), plan.rules().len());
                let read = |text: &str| Condition::parse(text, Scope::Policy).expect(text).check(collection).expect(text);
                for _ in 0..3 {
                    let (record, before) = (random_record(&mut random), random_record(&mut random));
                    let before = (action == Action::Update).then_some(&before);
                    let context = Context { record: &record, before, caller: &caller, now: NOW };
                    if let Some(condition) = &cell.condition {
                        assert_eq!(read(condition).evaluate(&context) == Truth::True, plan.allows(&context), "seed {seed}: {condition}");
                    }
                    let asked = Inquiry { caller: &caller, action, collection, record: Some(&record), before, now: NOW };
                    let explanation = snapshot.explain(&asked);
                    let open = cell.conditional_fields.iter().filter(|some| read(&some.condition).evaluate(&context) == Truth::True);
                    let mut open: Vec<_> = cell.fields.iter().chain(open.flat_map(|some| &some.fields)).cloned().collect();
                    open.sort();
                    if explanation.decision == Decision::Allow {
                        let mut allowed = explanation.fields.allowed;
                        allowed.sort();
                        assert_eq!(open, allowed, "seed {seed}: {asked:?}: {cell:?}");
                        conditional += cell.conditional_fields.len();
                    }
                }
            }
        }
    }
    assert!(conditional > 100, "{conditional}");
}

#[test]
fn a_condition_is_one_text() {
    let check = |csv: &str, expected: Option<&str>| {
        let snapshot = snapshot(csv);
        let cell = cell(&cells(&snapshot, Whom::Principal(&user("u").principal)), "posts", "read");
        let mut shown = cell.condition.clone();
        // Two policies of equal standing have no order.
        if let Some(swapped) = expected.filter(|text| text.contains(" || ") && !text.contains('(')).map(swap)
            && cell.condition.as_ref() == Some(&swapped)
        {
            shown = expected.map(str::to_owned);
        }
        assert_eq!(shown.as_deref(), expected, "{csv}");
    };
    let read = "p, role:anyone, *, posts, read";
    check(read, None);
    check(&format!("{read}, *, record.locked"), Some("record.locked"));
    check(&format!("{read}, *, record.locked\n{read}, *, record.n == 1"), Some("record.locked || record.n == 1"));
    check(&format!("{read}\n{read}, *, record.locked, deny"), Some("!(record.locked)"));
    check(&format!("{read}, *, record.n == 1\n{read}, *, record.locked, deny"), Some("record.n == 1 && !(record.locked)"));
    check(
        &format!("{read}, *, record.n == 1 || record.n == 2\n{read}, *, record.locked || record.n == 3, deny"),
        Some("(record.n == 1 || record.n == 2) && !(record.locked || record.n == 3)"),
    );
    check(
        &format!("{read}, title, record.n == 1\n{read}, *, record.locked, deny\n{read}, n, , deny"),
        Some("record.n == 1 && !(record.locked)"),
    );
}

fn swap(text: &str) -> String {
    text.split(" || ").collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" || ")
}

#[test]
fn fields_with_the_same_condition_stand_together() {
    let snapshot = snapshot(
        "p, role:anyone, *, posts, read, title\np, role:anyone, *, posts, read, team n, record.owner == caller.id\n\
         p, role:anyone, *, posts, read, title, record.locked, deny\np, role:anyone, *, posts, update, status title\n\
         p, role:anyone, *, posts, update, title, , deny",
    );
    let cells = cells(&snapshot, Whom::Role("anyone"));
    let read = cell(&cells, "posts", "read");
    assert_eq!((read.access, &read.fields[..]), (CellAccess::Always, &["id".to_owned()][..]));
    let shown: Vec<_> = read.conditional_fields.iter().map(|some| format!("{}: {}", some.fields.join(" "), some.condition)).collect();
    assert_eq!(shown, ["team n: record.owner == caller.id", "title: !(record.locked)"]);
    let update = cell(&cells, "posts", "update");
    assert_eq!((update.fields, update.conditional_fields), (vec!["status".to_owned()], Vec::new()));
}

#[test]
fn roles_have_what_their_holders_have() {
    let snapshot = snapshot(
        "p, role:author, *, posts, create\np, role:author, acme, posts, update\np, role:authenticated, *, posts, read\n\
         p, role:anyone, *, notes, read\np, role:admin, *, *, *\ng, role:editor, role:author, *\np, user:u, *, notes, create",
    );
    let allowed = |role: &str, tenant: &str| {
        let cells = snapshot.matrix(Whom::Role(role), tenant, &[posts(), notes()]);
        let open = cells.into_iter().filter(|cell| cell.access == CellAccess::Always);
        open.map(|cell| format!("{} {}", cell.action, cell.object)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(allowed("role:editor", "main"), "create posts, read posts, read notes");
    assert_eq!(allowed("editor", "acme"), "create posts, read posts, update posts, read notes");
    assert_eq!(allowed("anyone", "main"), "read notes");
    assert_eq!(allowed("authenticated", "main"), "read posts, read notes");
    assert_eq!(allowed("nobody", "main"), "read posts, read notes");
    assert_eq!(allowed("admin", "main").split(", ").count(), (2 + SYSTEM_OBJECTS.len()) * 4);
}

#[test]
fn the_system_may_everything() {
    let cells = cells(&snapshot("p, role:anyone, *, *, *, *, , deny"), Whom::Principal(&Principal::System));
    assert!(cells.iter().all(|cell| cell.access == CellAccess::Always && cell.policies.is_empty()));
    assert_eq!(cell(&cells, "posts", "read").fields.len(), posts().fields().len() + 3);
}

#[test]
fn differences_are_those_in_effect() {
    let before = snapshot(
        "p, role:a, *, posts, read\np, role:a, *, posts, create, title\np, role:a, *, _users, read\np, role:a, *, notes, update, title",
    );
    let change = |add: &str, remove: &str| {
        let change = Change { add: from_database(add).policies, remove: from_database(remove).policies, ..Change::default() };
        let after = before.with(&change, 2, &known).expect("a change");
        let flips = compare(&cells(&before, Whom::Role("a")), &cells(&after, Whom::Role("a")));
        let word = |cell: &Option<Cell>| cell.as_ref().map_or("gone".to_owned(), |cell| format!("{:?}", cell.access).to_lowercase());
        let shown = flips.iter().map(|flip| format!("{} {}: {} > {}", flip.action, flip.object, word(&flip.before), word(&flip.after)));
        shown.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(change("", ""), "");
    // Another policy with the same effect.
    assert_eq!(change("p, role:authenticated, *, posts, read", ""), "");
    assert_eq!(change("p, role:a, *, posts, create", ""), "create posts: always > always");
    assert_eq!(change("p, role:a, *, notes, update, owner, record.title == 'a'", ""), "update notes: always > always");
    assert_eq!(change("p, role:a, *, posts, *, *, record.locked, deny", ""), "create posts: always > when, read posts: always > when");
    assert_eq!(
        change("p, role:a, *, *, read, *, , deny\np, role:a, *, notes, delete", ""),
        "read posts: always > never, delete notes: never > always, read _users: always > never"
    );

    let all = cells(&before, Whom::Role("a"));
    let fewer = before.matrix(Whom::Role("a"), "main", &[posts()]);
    let gone = compare(&all, &fewer);
    assert!(gone.len() == 4 && gone.iter().all(|flip| flip.object == "notes" && flip.after.is_none() && flip.before.is_some()));
    let new = compare(&fewer, &all);
    assert!(new.len() == 4 && new.iter().all(|flip| flip.object == "notes" && flip.before.is_none() && flip.after.is_some()));
}

#[test]
fn cells_are_json() {
    let snapshot = snapshot("p, role:anyone, *, small, update, title, record.title == 'a'");
    let small = collection(r#"{"name":"small","fields":[{"name":"title","type":"text"},{"name":"n","type":"integer"}]}"#);
    let cells = snapshot.matrix(Whom::Principal(&Caller::anonymous().principal), "main", &[small]);
    let expected = serde_json::json!({
        "object": "small", "action": "update", "access": "when", "condition": "record.title == 'a'", "fields": ["title"],
        "conditional_fields": [], "policies": [snapshot.policies().next().expect("a policy").id().to_string()]
    });
    assert_eq!(serde_json::to_value(&cells[2]).expect("json"), expected);
    assert_eq!(serde_json::to_value(compare(&cells, &[])).expect("json")[2]["before"], expected);
}
