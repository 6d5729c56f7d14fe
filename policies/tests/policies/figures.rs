//! What decisions cost. Run with `cargo test --release -p policies -- --ignored --nocapture figures`.

use std::{hint::black_box, time::Instant};

use model::{Action, Caller};
use policies::{Snapshot, parse_csv};

use crate::world::{collection, context, known, posts, record, snapshot, user};

const ROLES: &str =
    "g, user:u, role:editor, *\ng, role:editor, role:author, *\ng, role:author, role:reader, *\ng, user:boss, role:admin, *\n";
const POLICIES: &str = "p, role:admin, *, *, *\np, role:reader, *, *, read, title status\np, role:author, *, *, *, *, record.owner == caller.id\n\
                        p, role:editor, *, *, *, *, record.team == caller.team && record.status == 'published'\np, role:anyone, *, *, *, *, record.locked, deny\n\
                        p, role:anyone, *, *, read, price, , deny\n";

#[test]
#[ignore = "prints figures, decides nothing"]
fn figures() {
    let snapshot = snapshot(&format!("{ROLES}{POLICIES}"));
    let caller = snapshot.with_roles(user("u"));
    let (posts, post) = (posts(), record(r#"{"owner":"u","team":"t","status":"draft","locked":false}"#));
    let context = context(&caller, &post);
    let plan = snapshot.plan(&caller, Action::Read, &posts);
    time("roles of a caller", || snapshot.with_roles(user("u")));
    time("plan, kept", || snapshot.plan(&caller, Action::Read, &posts));
    time("decide a record (2 allowing conditions, 1 denying)", || plan.allows(&context));
    time("fields of a record", || plan.fields(&context).contains("title"));
    time("system object", || snapshot.allows_object(&caller, Action::Read, "_users"));
    let many: Vec<_> = (0..5_000).map(renamed).collect();
    let start = Instant::now();
    many.iter().for_each(|collection| drop(black_box(snapshot.plan(&caller, Action::Read, collection))));
    println!("{:>12.0} ns  plan, made", start.elapsed().as_nanos() as f64 / many.len() as f64);
    for size in [10_000, 100_000] {
        large(size);
    }
}

fn renamed(number: usize) -> model::Collection {
    let definition = serde_json::to_string(posts().definition()).expect("json");
    collection(&definition.replace("\"posts\"", &format!("\"posts{number}\"")))
}

fn large(size: usize) {
    let conditions = ["", "record.owner == caller.id", "record.team == caller.team && record.status == 'published'"];
    let line = |number: usize| {
        format!("p, role:r{}, t{}, c{}, read, title{number}, {}\n", number % 10, number / 1_000, number / 10 % 100, conditions[number % 3])
    };
    let links = |number: usize| format!("g, user:u{number}, role:r{}, t{}\n", number % 10, number / 1_000);
    let text: String = (0..size).flat_map(|number| [line(number), links(number)]).collect();
    let start = Instant::now();
    let (policies, links) = parse_csv("large.csv", &text).expect("sound policies");
    let parsed = start.elapsed();
    let snapshot = Snapshot::build(policies, links, 1, &known).expect("a snapshot");
    println!("{size} policies and {size} links: read in {parsed:.1?}, built in {:.1?}", start.elapsed() - parsed);
    let collection = collection(r#"{"name":"c1","fields":[{"name":"owner","type":"text"}]}"#);
    let caller = Caller::new(user("u11").principal, "t0", Default::default());
    time("plan, kept", || snapshot.plan(&caller, Action::Read, &collection));
}

/// The median of nine rounds, in nanoseconds.
fn time<T>(what: &str, mut run: impl FnMut() -> T) {
    let mut rounds: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..5_000).for_each(|_| drop(black_box(run())));
            start.elapsed().as_nanos() as f64 / 5_000.0
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{:>12.0} ns  {what}", rounds[4]);
}
