//! What authorization costs: `bench-policies [RULES]` loads that many policies (a million unless given), changes one, and decides. Single
//! thread, nothing but this process; the figures of one run are printed as a table. How requests fare through HTTP is for `bench`.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use model::{Action, Caller, Collection, Condition, Principal, Record, Value, condition::Context, value::Object};
use policies::{Access, Change, Effect, Mode, Policy, PolicyDraft, Snapshot, Source, parse_csv};
use store::records::Ground;

const NOW: &str = "2026-11-22T12:00:00.000000Z";

/// How many rules speak about one collection.
const RULES_PER_COLLECTION: usize = 1_000;

/// How many plans are kept while looking one up.
const PLANS: usize = 100_000;

/// Every figure is the median of this many rounds.
const ROUNDS: usize = 5;

fn main() {
    let rules = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of rules"));
    println!("| what | figure | asked for |\n|---|---|---|");
    let snapshot = load(rules);
    let snapshot = change(snapshot);
    stall(&snapshot);
    let collections: Vec<Collection> = (0..rules / RULES_PER_COLLECTION).map(|number| collection(&format!("c{number}"))).collect();
    uncached(&snapshot, &collections, rules);
    cached(&snapshot, &collections);
    decide(&snapshot, &collections[0]);
}

fn row(what: &str, figure: impl std::fmt::Display, wanted: &str) {
    println!("| {what} | {figure} | {wanted} |");
}

/// A quarter each: rules of a role with a condition, of a role in one tenant for some fields, of one user, and denials.
fn text(rules: usize) -> String {
    let mut text = String::new();
    for number in 0..rules {
        let collection = number / RULES_PER_COLLECTION;
        text += &match number % 4 {
            0 => format!("p, role:r{}, *, c{collection}, read, *, \"record.owner == caller.id\"\n", number % 1_000),
            1 => format!("p, role:r{}, t{}, c{collection}, update, title body\n", number % 1_000, number % 97),
            2 => format!("p, user:u{number}, *, c{collection}, *, *, \"record.status == 'open'\"\n"),
            _ => format!("p, role:r{}, *, c{collection}, delete, *, record.locked, deny\n", number % 1_000),
        };
    }
    text
}

fn collection(name: &str) -> Collection {
    let fields = r#"[{"name":"owner","type":"text"},{"name":"title","type":"text"},{"name":"body","type":"text"},
        {"name":"status","type":"text"},{"name":"locked","type":"bool"}]"#;
    let definition = serde_json::from_str(&format!(r#"{{"name":"{name}","fields":{fields}}}"#)).expect("a definition");
    Collection::new(definition).expect("a sound definition")
}

fn resident_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4_096.0 / 1e6
}

fn load(rules: usize) -> Snapshot {
    let text = text(rules);
    let before = resident_mb();
    let start = Instant::now();
    let set = parse_csv("rules.csv", &text).expect("sound policies");
    let known = collection("c0");
    let snapshot = Snapshot::build(set, 1, Mode::Plan, &|name| (name == "c0").then(|| known.clone())).expect("a snapshot");
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(snapshot.len(), rules, "every one is another");
    row(&format!("{} policies from text to in force", snapshot.len()), format!("{seconds:.2} s"), "2 s");
    row("memory that they take", format!("{:.0} MB", resident_mb() - before), "250 MB");
    snapshot
}

fn policy(subject: &str) -> Policy {
    let draft = PolicyDraft {
        subject: subject.into(),
        domain: "*".into(),
        object: "c5".into(),
        action: "read".into(),
        fields: "*".into(),
        condition: "record.owner == caller.id".into(),
        effect: Effect::Allow,
    };
    Policy::new(&draft, Source::Database).expect("a policy")
}

/// One policy comes and goes, and each time a decision that depends on it is taken.
fn change(mut snapshot: Snapshot) -> Snapshot {
    let (policy, target) = (policy("user:new"), collection("c5"));
    let caller = Caller::new(Principal::User("new".into()), "main", Object::new());
    let figure = median(|| {
        let start = Instant::now();
        for add in [true, false] {
            let list = vec![policy.clone()];
            let change = if add { Change { add: list, ..Change::default() } } else { Change { remove: list, ..Change::default() } };
            snapshot = snapshot.with(&change, 2, &|_| None).expect("a change");
            let access = matches!(snapshot.plan(&caller, Action::Read, &target).access(), Access::When(_));
            assert_eq!(access, add, "the change is in force");
        }
        start.elapsed() / 2
    });
    row("one policy changed, and decided by", shown(figure), "50 ms");
    snapshot
}

/// While the policies change as fast as they can, another thread decides: what is the longest that it had to wait?
fn stall(snapshot: &Snapshot) {
    let in_force = Arc::new(arc_swap::ArcSwap::from_pointee(snapshot.at(1)));
    let done = AtomicBool::new(false);
    let (collection, caller) = (collection("c5"), Caller::new(Principal::User("u5002".into()), "main", Object::new()));
    let mut waits = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let policy = policy("user:new");
            for number in 0..2_000 {
                let list = vec![policy.clone()];
                let change =
                    if number % 2 == 0 { Change { add: list, ..Change::default() } } else { Change { remove: list, ..Change::default() } };
                let next = in_force.load().with(&change, number, &|_| None).expect("a change");
                in_force.store(Arc::new(next));
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let start = Instant::now();
            black_box(in_force.load().plan(&caller, Action::Read, &collection));
            waits.push(start.elapsed());
        }
    });
    waits.sort();
    let at = |share: f64| shown(waits[((waits.len() - 1) as f64 * share) as usize]);
    row(&format!("plan asked during 2,000 changes: p99, of {}", waits.len()), at(0.99), "no stall");
    row("the same: p99.9", at(0.999), "no stall");
}

fn callers(rules: usize) -> Vec<(Caller, usize)> {
    let user = |number: usize| {
        let number = (number * 4 * 9_973 + 2) % rules;
        (Caller::new(Principal::User(format!("u{number}")), "main", Object::new()), number / RULES_PER_COLLECTION)
    };
    (0..20_000).map(user).collect()
}

fn uncached(snapshot: &Snapshot, collections: &[Collection], rules: usize) {
    let callers = callers(rules);
    let figure = median(|| {
        // Another snapshot of the same has no plans yet.
        let fresh = snapshot.at(3);
        let start = Instant::now();
        for (caller, number) in &callers {
            let plan = fresh.plan(caller, Action::Read, &collections[*number]);
            assert!(matches!(plan.access(), Access::When(_)));
        }
        start.elapsed() / u32::try_from(callers.len()).expect("few callers")
    });
    row("a decision through Casbin that nothing is kept for, plan included", shown(figure), "15 µs");
}

fn cached(snapshot: &Snapshot, collections: &[Collection]) {
    let users: Vec<Caller> =
        (0..PLANS / 100).map(|number| Caller::new(Principal::User(format!("u{}", number * 1_000 + 2)), "main", Object::new())).collect();
    let asked: Vec<(usize, usize)> =
        (0..PLANS).map(|number| (number % users.len(), number / users.len() * 7 % collections.len())).collect();
    for (user, number) in &asked {
        let _ = snapshot.plan(&users[*user], Action::Read, &collections[*number]);
    }
    let record = record();
    let figure = median(|| {
        let start = Instant::now();
        for (user, number) in &asked {
            let caller = &users[*user];
            let plan = snapshot.plan(caller, Action::Read, &collections[*number]);
            black_box(plan.allows(&Context { record: &record, before: None, caller, now: NOW }));
        }
        start.elapsed() / u32::try_from(PLANS).expect("few plans")
    });
    row(&format!("plan looked up among {PLANS} and decided"), shown(figure), "500 ns");
}

fn record() -> Record {
    let values = [("owner", "u2"), ("title", "a title"), ("body", "a body"), ("status", "open")];
    let mut values: Object = values.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
    values.insert("locked".to_owned(), Value::Bool(false));
    let (created, updated) = (NOW.to_owned(), NOW.to_owned());
    Record { id: "01JDA0000000000000000000P1".into(), tenant: "main".into(), version: 1, created, updated, values }
}

fn decide(snapshot: &Snapshot, collection: &Collection) {
    let caller = Caller::new(Principal::User("u2".into()), "main", Object::new());
    let (plan, record) = (snapshot.plan(&caller, Action::Read, collection), record());
    let context = Context { record: &record, before: None, caller: &caller, now: NOW };
    assert!(plan.allows(&context));
    row("plan decides a record", shown(median(|| each(|| plan.allows(black_box(&context))))), "200 ns");

    let Access::When(guard) = plan.access() else { panic!("the plan has a condition") };
    let guards = [guard];
    let ground = Ground { caller: &caller, now: NOW, guards: &guards };
    let figure = median(|| each(|| store::records::shown_filter(collection, ground)));
    row("plan becomes WHERE, with its parameters in words", shown(figure), "5 µs");
    let text = "record.owner == caller.id && record.status in ['draft', 'review']";
    let figure = median(|| each(|| Condition::parse(black_box(text), model::condition::Scope::Policy)));
    row("a condition of two terms is parsed", shown(figure), "");
}

fn each<T>(mut work: impl FnMut() -> T) -> Duration {
    const TIMES: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(work());
    }
    start.elapsed() / TIMES
}

fn median(mut round: impl FnMut() -> Duration) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort();
    rounds[ROUNDS / 2]
}

fn shown(duration: Duration) -> String {
    match duration.as_nanos() {
        nanos @ 0..1_000 => format!("{nanos} ns"),
        nanos @ 1_000..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        nanos => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}
