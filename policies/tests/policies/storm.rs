//! Policies change while they are asked: whoever asks sees those before or those after, never some of each.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use model::{Action, Caller, Collection, Record, condition::Context};
use policies::{Change, Mode, PolicySet, SYSTEM_OBJECTS, Snapshot};
use rand::{SeedableRng, rngs::StdRng};

use crate::{
    random::{callers, random_record, random_set},
    world::{NOW, known, notes, posts, stored},
};

/// How often the policies change.
const CHANGES: usize = 10_000;

const READERS: usize = 3;

/// Everything that a reader asks of one snapshot.
struct Questions {
    callers: Vec<Caller>,
    collections: [Collection; 2],
    records: Vec<Record>,
}

impl Questions {
    fn new() -> Self {
        let mut random = StdRng::seed_from_u64(7);
        let records = (0..3).map(|_| random_record(&mut random)).collect();
        Self { callers: callers().into_iter().step_by(3).collect(), collections: [posts(), notes()], records }
    }

    /// All decisions, one bit each.
    fn decisions(&self, snapshot: &Snapshot) -> Vec<bool> {
        let mut decisions = Vec::new();
        for caller in &self.callers {
            let caller = snapshot.with_roles(caller.clone());
            for (collection, action) in self.collections.iter().flat_map(|one| Action::ALL.map(|action| (one, action))) {
                let plan = snapshot.plan(&caller, action, collection);
                for record in &self.records {
                    let context = Context { record, before: Some(record), caller: &caller, now: NOW };
                    decisions.push(plan.allows(&context));
                    decisions.push(plan.fields(&context).contains("title"));
                }
            }
            decisions.extend(SYSTEM_OBJECTS[..2].iter().map(|object| snapshot.allows_object(&caller, Action::Read, object)));
        }
        decisions
    }
}

/// What files say, and two things that the database may say.
fn sets() -> [PolicySet; 3] {
    let set = |seed| random_set(&mut StdRng::seed_from_u64(seed));
    [set(11), stored(&set(12)), stored(&set(13))]
}

fn build(parts: &[&PolicySet]) -> Snapshot {
    let mut set = PolicySet::default();
    parts.iter().for_each(|part| set.extend((*part).clone()));
    Snapshot::build(set, 1, Mode::Plan, &known).expect("a snapshot")
}

/// Lets readers ask while `next` changes the snapshot (it is told which change it is), and holds every set of answers against `expected`.
fn storm(first: Snapshot, expected: [&[bool]; 2], next: impl Fn(&Snapshot, usize) -> Snapshot) {
    let questions = Questions::new();
    let (current, over) = (ArcSwap::from_pointee(first), AtomicBool::new(false));
    let seen: [AtomicUsize; 2] = Default::default();
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let decisions = questions.decisions(&current.load());
                    let which = expected.iter().position(|expected| **expected == *decisions);
                    // A panic here would leave the others running for ever.
                    let Some(which) = which else {
                        over.store(true, Ordering::Relaxed);
                        panic!("some decisions of one and some of the other: {decisions:?}");
                    };
                    seen[which].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut change = 0;
        let both = || seen.iter().all(|count| count.load(Ordering::Relaxed) > READERS);
        while (change < CHANGES || !both()) && !over.load(Ordering::Relaxed) {
            let after = next(&current.load(), change);
            current.store(Arc::new(after));
            change += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("{CHANGES} changes, asked {seen:?} times");
}

fn check_difference(one: &[bool], other: &[bool]) {
    let differing = one.iter().zip(other).filter(|(one, other)| one != other).count();
    assert!(differing > 30 && one.iter().any(|decision| *decision), "{differing} of {}", one.len());
}

#[test]
fn changes_of_the_database_are_seen_whole() {
    let [files, one, other] = sets();
    let (first, second) = (build(&[&files, &one]), build(&[&files, &other]));
    let questions = Questions::new();
    let [before, after] = [&first, &second].map(|snapshot| questions.decisions(snapshot));
    check_difference(&before, &after);
    let change = |gone: &PolicySet, new: &PolicySet| Change {
        add: new.policies.clone(),
        remove: gone.policies.clone(),
        assign: new.links.clone(),
        unassign: gone.links.clone(),
    };
    let (forth, back) = (change(&one, &other), change(&other, &one));
    storm(first, [&before, &after], |current, number| {
        let change = if number % 2 == 0 { &forth } else { &back };
        current.with(change, number as u64, &known).expect("a change")
    });
}

#[test]
fn new_sets_are_seen_whole() {
    let [files, one, other] = sets();
    // This time the files change too: those of the second set are what the database said in the first.
    let sets = [[&files, &one], [&other, &files]];
    let questions = Questions::new();
    let [before, after] = sets.map(|parts| questions.decisions(&build(&parts)));
    check_difference(&before, &after);
    storm(build(&sets[0]), [&before, &after], |_, number| build(&sets[(number + 1) % 2]));
}
