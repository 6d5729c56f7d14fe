//! A snapshot that has come about by many changes is the same as one that was built at once.

use std::collections::BTreeMap;

use model::{Action, condition::Context};
use policies::{Change, Mode, Policy, PolicySet, RoleLink, SYSTEM_OBJECTS, Snapshot};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    random::{callers, pick, random_link, random_mixed_set, random_policy, random_record},
    world::{NOW, from_file, known, notes, posts, stored},
};

/// What the database is to hold after some changes.
#[derive(Default)]
struct Database {
    policies: BTreeMap<String, Policy>,
    links: BTreeMap<String, RoleLink>,
}

impl Database {
    fn apply(&mut self, change: &Change) {
        change.remove.iter().for_each(|policy| drop(self.policies.remove(&policy.id().to_string())));
        change.unassign.iter().for_each(|link| drop(self.links.remove(&name(link))));
        self.policies.extend(change.add.iter().map(|policy| (policy.id().to_string(), policy.clone())));
        self.links.extend(change.assign.iter().map(|link| (name(link), link.clone())));
    }

    fn set(&self) -> PolicySet {
        let (policies, links) = (self.policies.values().cloned().collect(), self.links.values().cloned().collect());
        PolicySet { policies, links, ..PolicySet::default() }
    }
}

fn name(link: &RoleLink) -> String {
    format!("{} {} {}", link.member(), link.role(), link.tenant())
}

/// Some new things, some that are there already, and some that are not there to be removed.
fn random_change(random: &mut StdRng, database: &Database, files: &PolicySet) -> Change {
    let mut text = String::new();
    for _ in 0..random.random_range(0..4) {
        text += &random_policy(random);
    }
    for _ in 0..random.random_range(0..3) {
        text += &random_link(random);
    }
    let PolicySet { policies: mut add, links: mut assign, .. } = stored(&from_file(&text));
    let of_files = stored(files);
    let mut some = |share: u32| random.random_range(0..share) == 0;
    add.extend(of_files.policies.iter().filter(|_| some(20)).cloned());
    add.extend(database.policies.values().filter(|_| some(20)).cloned());
    assign.extend(database.links.values().filter(|_| some(20)).cloned());
    let mut remove: Vec<_> = database.policies.values().filter(|_| some(8)).cloned().collect();
    remove.extend(of_files.policies.iter().filter(|_| some(20)).cloned());
    let mut unassign: Vec<_> = database.links.values().filter(|_| some(8)).cloned().collect();
    unassign.extend(of_files.links.iter().filter(|_| some(10)).cloned());
    Change { add, remove, assign, unassign }
}

#[test]
fn changes_lead_to_what_a_new_start_would() {
    let mut counts = (0, 0, 0);
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let start = random_mixed_set(&mut random);
        let files = PolicySet {
            policies: start.policies.iter().filter(|policy| !policy.source().is_database()).cloned().collect(),
            links: start.links.iter().filter(|link| !link.source().is_database()).cloned().collect(),
            seals: start.seals.clone(),
        };
        let mut database = Database::default();
        let add = start.policies.iter().filter(|policy| policy.source().is_database()).cloned().collect();
        let assign = start.links.iter().filter(|link| link.source().is_database()).cloned().collect();
        database.apply(&Change { add, assign, ..Change::default() });
        let mut changed = Snapshot::build(start, 1, Mode::Plan, &known).expect("a snapshot");
        let (first, mut changes) = (changed.at(1), Vec::new());
        for step in 2..12 {
            let change = random_change(&mut random, &database, &files);
            changes.push(change.clone());
            changed = changed.with(&change, step, &known).expect("a change");
            database.apply(&change);
            let mut set = database.set();
            set.extend(files.clone());
            let built = Snapshot::build(set, step, Mode::Plan, &known).expect("a snapshot");
            check_listing(&changed, &built);
            check_decisions(&changed, &built, &mut random, &mut counts, seed);
        }
        // The same files again, and others.
        let same = changed.with_files(files.clone(), &known).expect("the same files");
        check_listing(&same, &changed);
        check_listing(&changed.with_stored(database.set(), changed.epoch()), &changed);
        // As another node takes them over, which reads some of the changes twice.
        let log: Vec<&Change> = changes.iter().collect();
        let followed = first.replayed(&log, changed.epoch());
        check_listing(&followed, &changed);
        check_decisions(&followed, &changed, &mut random, &mut counts, seed);
        check_listing(&followed.replayed(&log[log.len() / 2..], changed.epoch()), &changed);
        let others = changed.with_files(PolicySet::default(), &known).expect("no files");
        check_listing(&others, &Snapshot::build(database.set(), changed.epoch(), Mode::Plan, &known).expect("a snapshot"));
    }
    let (decisions, allowed, roles) = counts;
    assert!(allowed * 10 > decisions && allowed * 10 < decisions * 9 && roles > 1_000, "{counts:?}");
}

fn check_listing(one: &Snapshot, other: &Snapshot) {
    let policies = |snapshot: &Snapshot| {
        let mut shown: Vec<_> =
            snapshot.policies().map(|policy| (policy.source().to_string(), policy.id(), policy.columns().join("|"))).collect();
        shown.sort();
        shown
    };
    let links = |snapshot: &Snapshot| {
        let mut shown: Vec<_> = snapshot.links().map(|link| (link.source().to_string(), name(link))).collect();
        shown.sort();
        shown
    };
    assert_eq!(policies(one), policies(other));
    assert_eq!(links(one), links(other));
    assert_eq!((one.len(), one.epoch(), one.mode(), one.seals()), (other.len(), other.epoch(), other.mode(), other.seals()));
    assert!(one.policies().all(|policy| one.has(policy) == other.has(policy) && one.is_ignored(policy) == other.is_ignored(policy)));
    assert!(one.links().all(|link| one.has_link(link) == other.has_link(link)));
}

fn check_decisions(one: &Snapshot, other: &Snapshot, random: &mut StdRng, counts: &mut (usize, usize, usize), seed: u64) {
    for caller in callers() {
        let roles = one.roles(&caller.principal, &caller.tenant);
        assert_eq!(roles, other.roles(&caller.principal, &caller.tenant), "seed {seed}: {}", caller.principal);
        counts.2 += roles.len();
        let principal = caller.principal.to_string();
        assert_eq!(one.links_of(&principal).count(), other.links_of(&principal).count());
        let caller = one.with_roles(caller);
        let record = random_record(random);
        let context = Context { record: &record, before: Some(&record), caller: &caller, now: NOW };
        for (collection, action) in [posts(), notes()].iter().flat_map(|one| Action::ALL.map(|action| (one, action))) {
            let [one, other] = [one, other].map(|snapshot| snapshot.plan(&caller, action, collection));
            let allowed = one.allows(&context);
            assert_eq!(allowed, other.allows(&context), "seed {seed}: {}: {action:?} {}", caller.principal, collection.name());
            assert_eq!(one.fields(&context), other.fields(&context), "seed {seed}: {}", caller.principal);
            assert_eq!((one.unconditional_fields(), one.rules().len()), (other.unconditional_fields(), other.rules().len()));
            counts.0 += 1;
            counts.1 += usize::from(allowed);
        }
        let object = pick(random, &SYSTEM_OBJECTS);
        for action in Action::ALL {
            assert_eq!(one.allows_object(&caller, action, object), other.allows_object(&caller, action, object), "seed {seed}");
        }
    }
}

/// What a change lets through, the next start must let through too, or there would be none.
#[test]
fn a_change_refuses_the_circles_that_a_new_start_refuses() {
    let mut refused = 0;
    for seed in 0..2_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let link = |random: &mut StdRng| {
            let (member, role) = (random.random_range(0..4), random.random_range(0..4));
            format!("g, role:r{member}, role:r{role}, {}\n", pick(random, &["*", "acme", "main"]))
        };
        let files: String = (0..random.random_range(0..3)).map(|_| link(&mut random)).collect();
        let Ok(mut changed) = Snapshot::build(from_file(&files), 1, Mode::Plan, &known) else { continue };
        let mut text = String::new();
        for step in 2..6 {
            let new = link(&mut random);
            let change = Change { assign: stored(&from_file(&new)).links, ..Change::default() };
            let mut set = from_file(&files);
            set.extend(stored(&from_file(&format!("{text}{new}"))));
            let (after, built) = (changed.with(&change, step, &known), Snapshot::build(set, step, Mode::Plan, &known));
            assert_eq!(after.is_ok(), built.is_ok(), "seed {seed}: {files}then {text}and {new}");
            match after {
                Ok(after) => {
                    changed = after;
                    text += &new;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
