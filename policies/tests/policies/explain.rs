//! Explanations: that they say what was decided, name the policy that decided, and find what was missing.

use model::{Action, Caller, Collection, Principal, Record, condition::Context, record::SYSTEM_FIELDS, value::Object};
use policies::{
    Access, Decision, Effect, Explanation, FieldLists, FieldMask, Inquiry, Mode, Outcome, Plan, Policy, PolicySet, Reason, SYSTEM_OBJECTS,
    Snapshot,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    random::{callers, random_mixed_set, random_record},
    world::{self, NOW, collection, known, merged, notes, posts, record, snapshot, user},
};

fn explain(snapshot: &Snapshot, caller: &Caller, action: Action, collection: &Collection, json: &str) -> Explanation {
    let record = record(json);
    snapshot.explain(&Inquiry { caller, action, collection, record: Some(&record), before: None, now: NOW })
}

fn explain_all(snapshot: &Snapshot, caller: &Caller, action: Action, collection: &Collection) -> Explanation {
    snapshot.explain(&Inquiry { caller, action, collection, record: None, before: None, now: NOW })
}

fn words(snapshot: &Snapshot, caller: &Caller, json: &str) -> String {
    explain(snapshot, caller, Action::Read, &posts(), json).to_string()
}

#[test]
fn explanations_say_what_was_decided() {
    let mut reasons = [0; 6];
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let set = random_mixed_set(&mut random);
        let snapshot =
            Snapshot::build(set.clone(), seed, if seed % 8 == 0 { Mode::Verify } else { Mode::Plan }, &known).expect("a snapshot");
        for caller in callers() {
            let caller = snapshot.with_roles(caller);
            for (collection, action) in [posts(), notes()].iter().flat_map(|one| Action::ALL.map(|action| (one, action))) {
                let plan = snapshot.plan(&caller, action, collection);
                let whole = explain_all(&snapshot, &caller, action, collection);
                check_whole(&whole, &plan, collection, action);
                let (record, before) = (random_record(&mut random), random_record(&mut random));
                let before = (action == Action::Update).then_some(&before);
                let asked = Inquiry { caller: &caller, action, collection, record: Some(&record), before, now: NOW };
                let explanation = snapshot.explain(&asked);
                let context = Context { record: &record, before, caller: &caller, now: NOW };
                let about = format!("seed {seed}: {asked:?}: {explanation:?}");
                assert_eq!(explanation.decision == Decision::Allow, plan.allows(&context), "{about}");
                assert_eq!(explanation.fields, lists(collection, action, &plan.fields(&context), explanation.decision), "{about}");
                check_reason(&set, &asked, &explanation, &about);
                reasons[explanation.reason as usize] += 1;
            }
            let object = SYSTEM_OBJECTS[random.random_range(0..3)];
            for action in Action::ALL {
                let explanation = snapshot.explain_object(&caller, action, object);
                let allowed = snapshot.allows_object(&caller, action, object);
                assert_eq!(explanation.decision == Decision::Allow, allowed, "seed {seed}: {explanation:?}");
                assert_eq!((explanation.reason == Reason::AllowedBy, explanation.reason == Reason::EngineFailed), (allowed, false));
            }
        }
    }
    // Each of the first four must have been seen often, or little was shown.
    assert!(reasons[..4].iter().all(|count| *count > 100), "{reasons:?}");
    assert_eq!(reasons[4..], [0, 0]);
}

fn check_whole(whole: &Explanation, plan: &Plan, collection: &Collection, action: Action) {
    let decision = match plan.access() {
        Access::Never => Decision::Deny,
        Access::Always => Decision::Allow,
        Access::When(_) => Decision::Depends,
    };
    assert_eq!(whole.decision, decision, "{whole:?}");
    assert_eq!(whole.fields, lists(collection, action, plan.unconditional_fields(), decision), "{whole:?}");
    assert_eq!(whole.reason == Reason::DependsOnRecord, decision == Decision::Depends, "{whole:?}");
    assert_ne!(whole.reason, Reason::EngineFailed, "{whole:?}");
    assert_eq!(whole.policy.is_some(), matches!(whole.reason, Reason::AllowedBy | Reason::DeniedBy), "{whole:?}");
}

/// What a mask means: the id of what may be read is always shown, secrets never, and nobody writes system fields.
fn lists(collection: &Collection, action: Action, mask: &FieldMask, decision: Decision) -> FieldLists {
    let writes = matches!(action, Action::Create | Action::Update);
    let open = |name: &String| match name.as_str() {
        _ if decision == Decision::Deny => false,
        "id" => !writes,
        "created" | "updated" => !writes && mask.contains(name),
        _ => mask.contains(name) && (writes || !collection.field(name).expect("a field").is_secret()),
    };
    let names = collection.fields().map(|field| field.name.clone()).chain(SYSTEM_FIELDS.map(str::to_owned));
    let (allowed, denied) = names.partition(open);
    FieldLists { allowed, denied }
}

/// The policy that is named must be one that decides so: what happens without it, and with it alone, is known.
fn check_reason(set: &PolicySet, asked: &Inquiry<'_>, explanation: &Explanation, about: &str) {
    let decides = |keep: &dyn Fn(&Policy) -> bool, more: &str| {
        let mut set = set.clone();
        set.policies.retain(|policy| keep(policy));
        set.extend(world::from_file(more));
        let snapshot = Snapshot::build(set, 1, Mode::Plan, &known).expect("a snapshot");
        snapshot.explain(asked).decision == Decision::Allow
    };
    let ids = |effect: Effect, count: &dyn Fn(Outcome) -> bool| {
        let in_force = explanation.policies.iter().filter(|policy| policy.ignored.is_none() && policy.effect == effect);
        let whole = in_force.filter(|policy| effect == Effect::Allow || policy.fields == "*");
        whole.filter(|policy| count(policy.result.expect("a result"))).map(|policy| policy.id).collect::<Vec<_>>()
    };
    let grants = ids(Effect::Allow, &|result| result == Outcome::True);
    let refusals = ids(Effect::Deny, &|result| result != Outcome::False);
    let deciding = explanation.policy.as_ref().map(|policy| policy.id);
    match (explanation.reason, deciding) {
        (Reason::AllowedBy, Some(id)) => {
            assert!(grants.contains(&id) && refusals.is_empty(), "{about}");
            assert!(decides(&|policy| policy.effect() == Effect::Deny || policy.id() == id, ""), "{about}");
            assert!(!decides(&|policy| !grants.contains(&policy.id()), ""), "{about}");
        }
        (Reason::DeniedBy, Some(id)) => {
            assert!(refusals.contains(&id), "{about}");
            assert!(!decides(&|policy| policy.effect() == Effect::Allow || policy.id() == id, "p, role:anyone, *, *, *"), "{about}");
            assert_eq!(decides(&|policy| !refusals.contains(&policy.id()), ""), !grants.is_empty(), "{about}");
        }
        (Reason::NoConditionHolds, None) => {
            assert!(grants.is_empty() && refusals.is_empty() && !ids(Effect::Allow, &|_| true).is_empty(), "{about}");
            assert!(!explanation.nearest.is_empty(), "{about}");
            assert!(decides(&|_| true, "p, role:anyone, *, *, *"), "{about}");
        }
        (Reason::NoPolicy, None) => {
            assert!(refusals.is_empty() && ids(Effect::Allow, &|_| true).is_empty(), "{about}");
            assert!(decides(&|_| true, "p, role:anyone, *, *, *"), "{about}");
        }
        _ => panic!("{about}"),
    }
    assert!(explanation.nearest.len() <= 5 && explanation.nearest.iter().all(|near| !near.misses.is_empty()), "{about}");
}

#[test]
fn an_answer_is_one_sentence() {
    let snapshot = snapshot(
        "p, role:anyone, *, posts, read, *, record.status == 'published'\np, role:anyone, *, posts, read, *, record.locked == true, deny\n\
         p, user:u, *, posts, read",
    );
    let unlocked = r#"{"status":"published","locked":false}"#;
    assert_eq!(
        words(&snapshot, &user("v"), unlocked),
        "allowed by test.csv:1 (p, role:anyone, *, posts, read, *, record.status == 'published')"
    );
    assert_eq!(words(&snapshot, &user("u"), unlocked), "allowed by test.csv:3 (p, user:u, *, posts, read)");
    assert_eq!(
        words(&snapshot, &user("u"), r#"{"locked":true}"#),
        "denied by test.csv:2 (p, role:anyone, *, posts, read, *, record.locked == true, deny)"
    );
    assert_eq!(
        words(&snapshot, &user("u"), "{}"),
        "denied by test.csv:2 (p, role:anyone, *, posts, read, *, record.locked == true, deny), because `record.locked` is missing"
    );
    assert_eq!(
        words(&snapshot, &user("v"), r#"{"status":"draft","locked":false}"#),
        "denied: no condition holds (nearest: test.csv:1: its condition is false; test.csv:3: it is for `user:u`, not `user:v`)"
    );
    assert_eq!(explain_all(&snapshot, &user("v"), Action::Read, &posts()).to_string(), "dependent on the record");
    assert_eq!(
        explain_all(&snapshot, &Caller::system(), Action::Read, &posts()).to_string(),
        "allowed: the server itself may do everything"
    );
    assert_eq!(explain_all(&world::snapshot(""), &user("v"), Action::Read, &posts()).to_string(), "denied: no policy allows it");
}

#[test]
fn near_misses_say_what_it_would_take() {
    let snapshot = merged(
        "p, role:editor, *, posts, delete\np, role:anyone, *, posts, update\np, role:anyone, acme, posts, delete\n\
         p, role:anyone, *, posts, delete, *, record.owner == caller.id\np, role:editor, acme, posts, update\np, role:anyone, *, notes, delete\n\
         p, role:anyone, *, posts, delete, *, , deny\np, user:w, acme, *, *\ns, notes",
        "p, role:anyone, *, notes, update, title\np, role:anyone, *, *, delete, *, record.price > 1.5",
    );
    let nearest = |caller: &Caller, action: Action, collection: &Collection, json: &str| {
        let told = explain(&snapshot, caller, action, collection, json).nearest;
        told.iter().map(|near| format!("{}: {}", near.policy.source, near.misses.join(" and "))).collect::<Vec<_>>()
    };
    // What is denied is denied: it would take no other policy.
    assert!(nearest(&user("u"), Action::Delete, &posts(), "{}").is_empty());
    let expected = ["a.csv:6: it is for `delete`, not `update`", "database: `notes` is sealed by a.csv:9"];
    let told = nearest(&user("u"), Action::Update, &notes(), "{}");
    assert!(expected.iter().all(|line| told.contains(&(*line).to_owned())), "{told:?}");

    let other = world::snapshot(
        "p, role:editor, *, posts, delete\np, role:anyone, *, posts, update\np, role:anyone, acme, posts, delete\n\
         p, role:anyone, *, posts, delete, *, record.owner == caller.id\np, role:editor, acme, posts, update\np, role:anyone, *, notes, delete\n\
         p, user:w, *, *, *\np, role:anyone, *, *, delete, *, record.absent > 1.5\ng, user:v, role:editor, *",
    );
    let nearest = |caller: &Caller, json: &str| {
        let told = explain(&other, caller, Action::Delete, &posts(), json);
        assert_eq!(told.reason, Reason::NoConditionHolds);
        told.nearest.iter().map(|near| format!("{}: {}", near.policy.source, near.misses.join(" and "))).collect::<Vec<_>>()
    };
    let absent =
        "test.csv:8: its condition does not fit the collection `posts`: unknown field `absent` in collection `posts` at character 0";
    let further = [
        "test.csv:2: it is for `delete`, not `update`".replace("`delete`, not `update`", "`update`, not `delete`"),
        "test.csv:1: `user:u` does not hold `role:editor`".to_owned(),
        "test.csv:3: it is for the tenant `acme`, not `main`".to_owned(),
    ];
    let expected = |first: &str| [vec![first.to_owned(), absent.to_owned()], further.to_vec()].concat();
    assert_eq!(nearest(&user("u"), r#"{"owner":"v"}"#), expected("test.csv:4: its condition is false"));
    assert_eq!(nearest(&user("u"), "{}"), expected("test.csv:4: its condition is unknown: `record.owner` is missing"));
    assert_eq!(explain(&other, &user("v"), Action::Delete, &posts(), "{}").policy.expect("a policy").source, "test.csv:1");
    // What has more than two things against it is not near.
    let far = world::snapshot("p, role:editor, *, posts, update\np, role:editor, acme, posts, update\np, role:editor, *, notes, delete");
    let told = explain(&far, &user("u"), Action::Delete, &posts(), "{}").nearest;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].misses, ["it is for `update`, not `delete`", "`user:u` does not hold `role:editor`"]);
}

#[test]
fn the_way_to_a_role_is_told() {
    let snapshot = merged(
        "g, role:editor, role:author, *\np, role:author, *, posts, read\np, role:member, *, posts, read, title\ng, role:authenticated, role:member, *",
        "g, user:u, role:editor, main",
    );
    let told = explain(&snapshot, &user("u"), Action::Read, &posts(), "{}");
    assert_eq!(told.subjects, ["role:anyone", "role:authenticated", "role:author", "role:editor", "role:member", "user:u"]);
    let ways = told.roles.iter().map(|held| {
        let steps = held.via.iter().map(|step| match &step.source {
            Some(source) => format!("{} ({source})", step.subject),
            None => step.subject.clone(),
        });
        steps.collect::<Vec<_>>().join(" > ")
    });
    let ways: Vec<_> = ways.collect();
    assert_eq!(
        ways,
        [
            "user:u > role:anyone",
            "user:u > role:authenticated",
            "user:u > role:editor (database) > role:author (a.csv:1)",
            "user:u > role:editor (database)",
            "user:u > role:authenticated > role:member (a.csv:4)"
        ]
    );
    let vias: Vec<_> = told.policies.iter().map(|policy| policy.via.join(" > ")).collect();
    assert_eq!(vias, ["user:u > role:editor > role:author", "user:u > role:authenticated > role:member"]);
    let anonymous = explain(&snapshot, &Caller::anonymous(), Action::Read, &posts(), "{}");
    assert_eq!(anonymous.roles.len(), 1);
    assert_eq!(anonymous.roles[0].via.iter().map(|step| step.subject.as_str()).collect::<Vec<_>>(), ["anonymous", "role:anyone"]);
}

#[test]
fn sealed_policies_are_shown_as_ignored() {
    let snapshot = merged(
        "s, posts\np, role:anyone, *, posts, read, title\np, role:anyone, *, posts, read, n, , deny",
        "p, role:anyone, *, posts, read\np, role:anyone, *, *, read, team\np, role:anyone, *, posts, read, title\np, role:anyone, *, posts, read, team, , deny",
    );
    let told = explain(&snapshot, &user("u"), Action::Read, &posts(), "{}");
    let shown: Vec<_> =
        told.policies.iter().map(|policy| (policy.source.as_str(), policy.fields.as_str(), policy.ignored.as_deref())).collect();
    assert_eq!(shown[..2], [("a.csv:2", "title", None), ("a.csv:3", "n", None)]);
    // What file and database both say is said by the file.
    let mut stored = shown[2..].to_vec();
    stored.sort();
    let sealed = Some("sealed by a.csv:1");
    assert_eq!(stored, [("database", "*", sealed), ("database", "team", None), ("database", "team", sealed)]);
    assert_eq!(told.fields.allowed, ["title", "id"]);
    let object = merged("s, _policies\np, role:anyone, *, _roles, read", "p, role:anyone, *, _policies, read\np, role:anyone, *, *, read");
    let told = object.explain_object(&user("u"), Action::Read, "_policies");
    assert_eq!((told.decision, told.reason, told.policies.len()), (Decision::Deny, Reason::NoPolicy, 2));
    assert!(told.nearest.iter().all(|near| near.misses == ["`_policies` is sealed by a.csv:1"]) && told.nearest.len() == 2);
    assert_eq!(
        object.explain_object(&user("u"), Action::Read, "_roles").to_string(),
        "allowed by a.csv:2 (p, role:anyone, *, _roles, read)"
    );
}

#[test]
fn doubts_are_told() {
    let snapshot = snapshot(
        "p, role:anyone, *, posts, read, *, record.team == caller.team && record.n > 3\np, role:anyone, *, *, read, *, record.absent == 1, deny",
    );
    let told = explain(&snapshot, &user("u"), Action::Read, &posts(), r#"{"n":4}"#);
    let [first, second] = &told.policies[..] else { panic!("{told:?}") };
    assert_eq!(first.result, Some(Outcome::Unknown));
    let doubts: Vec<_> = first.doubts.iter().map(|doubt| (doubt.path.as_str(), doubt.found.as_str(), doubt.position)).collect();
    assert_eq!(doubts, [("record.team", "missing", 0), ("caller.team", "missing", 15)]);
    assert_eq!(second.result, Some(Outcome::Unknown));
    let note = "its condition does not fit the collection `posts`: unknown field `absent` in collection `posts` at character 0";
    assert_eq!(second.note.as_deref(), Some(note));
    assert!(words(&snapshot, &user("u"), "{}").ends_with(&format!("because {note}")));
    let whole = explain_all(&snapshot, &user("u"), Action::Read, &posts());
    assert_eq!((whole.policies[0].result, whole.policies[1].result), (None, Some(Outcome::Unknown)));
    assert_eq!(whole.reason, Reason::DeniedBy);
}

#[test]
fn secrets_are_closed_to_readers_and_system_fields_to_writers() {
    let members = collection(
        r#"{"name":"members","kind":"auth","fields":[{"name":"name","type":"text"},{"name":"token","type":"text","hidden":true}]}"#,
    );
    let snapshot = snapshot("p, role:anyone, *, members, read\np, role:anyone, *, members, create, name password");
    let read = explain(&snapshot, &user("u"), Action::Read, &members, "{}");
    assert_eq!(read.fields.allowed, ["email", "verified", "name", "id", "created", "updated"]);
    assert_eq!(read.fields.denied, ["password", "token"]);
    let create = explain_all(&snapshot, &user("u"), Action::Create, &members);
    assert_eq!(create.fields.allowed, ["password", "name"]);
    assert_eq!(create.fields.denied, ["email", "verified", "token", "id", "created", "updated"]);
}

#[test]
fn system_objects_are_explained() {
    let snapshot = snapshot(
        "p, role:anyone, *, *, read, title\np, role:admin, *, *, *\np, role:anyone, *, *, delete, *, record.locked, deny\n\
         p, role:anyone, *, *, update, *, record.locked\ng, user:boss, role:admin, *",
    );
    let told = |caller: &Caller, action: Action| snapshot.explain_object(caller, action, "_users").to_string();
    assert_eq!(told(&user("boss"), Action::Read), "allowed by test.csv:2 (p, role:admin, *, *, *)");
    assert_eq!(
        told(&user("boss"), Action::Delete),
        "denied by test.csv:3 (p, role:anyone, *, *, delete, *, record.locked, deny), because it has a condition, and a system object has no record"
    );
    let fields = "test.csv:1: it is about some fields, and `_users` has none";
    let admin = "test.csv:2: `user:u` does not hold `role:admin`";
    assert_eq!(told(&user("u"), Action::Read), format!("denied: no policy allows it (nearest: {fields}; {admin})"));
    let condition = "test.csv:4: it has a condition, and a system object has no record";
    assert_eq!(told(&user("u"), Action::Update), format!("denied: no condition holds (nearest: {condition}; {admin})"));
    assert_eq!(snapshot.explain_object(&Caller::system(), Action::Update, "_users").reason, Reason::System);
    for object in ["", "*", "nothing"] {
        let told = snapshot.explain_object(&user("u"), Action::Read, object);
        assert_eq!((told.decision, told.reason == Reason::EngineFailed), (Decision::Deny, false), "{object}");
    }
}

/// Conditions may ask for `caller.roles`, which are not the caller's to say.
#[test]
fn the_caller_is_seen_with_its_roles() {
    let snapshot = snapshot("p, role:anyone, *, posts, read, *, 'staff' in caller.roles\ng, user:u, role:staff, *");
    let boasting = Object::from_iter([("roles".to_owned(), model::Value::List(vec!["staff".into()]))]);
    let decision = |id: &str, attributes: &Object| {
        let caller = Caller::new(Principal::User(id.into()), "main", attributes.clone());
        explain(&snapshot, &caller, Action::Read, &posts(), "{}").decision
    };
    assert_eq!(decision("u", &Object::new()), Decision::Allow);
    assert_eq!(decision("v", &boasting), Decision::Deny);
}

#[test]
fn explanations_are_json() {
    let snapshot = snapshot("p, role:anyone, *, posts, read, title, \"record.title == 'a, b'\"\ng, user:u, role:x, main");
    let told = explain(&snapshot, &user("u"), Action::Read, &posts(), r#"{"title":"a, b"}"#);
    let id = told.policies[0].id.to_string();
    let record: Record = record("{}");
    assert_eq!(record.tenant, "main");
    let expected = serde_json::json!({
        "decision": "allow", "reason": "allowed_by", "epoch": 1, "principal": "user:u", "tenant": "main", "action": "read", "object": "posts",
        "policy": {"id": id, "source": "test.csv:1", "text": "p, role:anyone, *, posts, read, title, \"record.title == 'a, b'\""},
        "subjects": ["role:anyone", "role:authenticated", "role:x", "user:u"],
        "roles": [
            {"role": "role:anyone", "via": [{"subject": "user:u", "source": null}, {"subject": "role:anyone", "source": null}]},
            {"role": "role:authenticated", "via": [{"subject": "user:u", "source": null}, {"subject": "role:authenticated", "source": null}]},
            {"role": "role:x", "via": [{"subject": "user:u", "source": null}, {"subject": "role:x", "source": "test.csv:2"}]}
        ],
        "policies": [{
            "id": id, "source": "test.csv:1", "effect": "allow", "subject": "role:anyone", "via": ["user:u", "role:anyone"], "domain": "*",
            "object": "posts", "action": "read", "fields": "title", "condition": "record.title == 'a, b'", "result": "true", "doubts": [],
            "note": null, "ignored": null
        }],
        "fields": {"allowed": ["title", "id"], "denied": ["owner", "team", "status", "n", "price", "locked", "tags", "created", "updated"]},
        "nearest": []
    });
    assert_eq!(serde_json::to_value(&told).expect("json"), expected);
}

/// A million policies of others are not looked through.
#[test]
fn other_peoples_policies_are_looked_at_in_bounds() {
    let others: String = (0..60_000).map(|at| format!("p, user:x{at}, *, posts, read\n")).collect();
    let snapshot = snapshot(&format!("{others}p, role:anyone, *, posts, update\np, role:authenticated, acme, posts, read"));
    let told = explain(&snapshot, &user("u"), Action::Read, &posts(), "{}");
    assert_eq!((told.reason, told.nearest.len()), (Reason::NoPolicy, 5));
    assert_eq!(told.nearest[0].misses, ["it is for `update`, not `read`"]);
    assert_eq!(told.nearest[1].misses, ["it is for the tenant `acme`, not `main`"]);
    assert!(told.nearest[2].misses[0].starts_with("it is for `user:x"));
}
