//! What the rules of plugins cost: `bench-plugins [CALLS]`. First in this process, on one thread, with records in memory instead of a database;
//! each figure is of so many calls (2,000 unless given). Then, if `IRONRULE_BIN` names a server, what hostile rules do to others who use it.
//! Printed as tables.

#[path = "plugins/shop.rs"]
mod shop;

#[path = "plugins/calls.rs"]
mod calls;

#[path = "plugins/limits.rs"]
mod limits;

#[path = "plugins/beside.rs"]
mod beside;

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use plugins::{Compiler, Limits, Plugin, Runtime, javascript};
use tests::repository;

/// A rule that does nothing.
const EMPTY: &str = r#"
    import { beforeWrite, definePlugin } from "@ironrule/rules";
    const rule = beforeWrite({ name: "empty", collections: ["notes"], operations: ["create"], run() {} });
    export const rules = definePlugin({ name: "empty", version: "1.0.0", rules: [rule] });
"#;

/// Does not end.
const ENDLESS: &str = r#"
    import { beforeWrite, definePlugin } from "@ironrule/rules";
    const rule = beforeWrite({ name: "loop", collections: ["notes"], operations: ["create"], run() { for (;;); } });
    export const rules = definePlugin({ name: "endless", version: "1.0.0", rules: [rule] });
"#;

/// The same about another collection.
const HONEST: &str = r#"
    import { beforeWrite, definePlugin } from "@ironrule/rules";
    const rule = beforeWrite({ name: "name", collections: ["things"], operations: ["create"], run: ({ after }) => ({ name: after.name.trim() }) });
    export const rules = definePlugin({ name: "honest", version: "1.0.0", rules: [rule] });
"#;

/// A hundred rules about one collection that do nothing.
const HUNDRED: &str = r#"
    import { beforeWrite, definePlugin } from "@ironrule/rules";
    const rule = (_, number) => beforeWrite({ name: `rule-${number}`, collections: ["notes"], operations: ["create"], run() {} });
    export const rules = definePlugin({ name: "hundred", version: "1.0.0", rules: Array.from({ length: 100 }, rule) });
"#;

/// What is measured: the same in two languages.
pub struct Plugins {
    /// Misbehaves only when it is asked to.
    pub hostile: Plugin,
    /// Accepts everything, in TypeScript.
    pub empty: Plugin,
    /// The demo shop's rule in Rust.
    pub guard: Plugin,
    /// Its twin in TypeScript.
    pub guard_script: Plugin,
    /// A hundred rules on one collection.
    pub hundred: Plugin,
    /// Never ends, in TypeScript.
    pub endless: Plugin,
}

fn main() {
    let calls = env::args().nth(1).map_or(2_000, |text| text.parse().expect("a number of calls"));
    println!("| what | p50 | p99 | asked for |\n|---|--:|--:|---|");
    let begin = Instant::now();
    // Not inside of the runtime, for it has one of its own.
    let [empty, endless, hundred, honest] = [EMPTY, ENDLESS, HUNDRED, HONEST].map(compiled);
    let guard = compiled(&String::from_utf8(example("order-guard-ts/dist/order-guard.js")).expect("JavaScript is text"));
    let from_text = begin.elapsed() / 5;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let host = Runtime::new(Limits::default(), Compiler::here()).expect("the pool is reserved");
        let load = async |component: Vec<u8>| {
            let begin = Instant::now();
            (host.load(component).await.expect("a plugin"), begin.elapsed())
        };
        let (rust, rust_took) = load(example("order-guard/order_guard.wasm")).await;
        let (script, script_took) = load(guard.clone()).await;
        let plugins = Plugins {
            guard: rust,
            guard_script: script,
            hostile: load(example("hostile/hostile.wasm")).await.0,
            empty: load(empty.clone()).await.0,
            hundred: load(hundred).await.0,
            endless: load(endless).await.0,
        };
        calls::measure(&plugins, calls).await;
        limits::measure(&plugins, [example("order-guard/order_guard.wasm"), guard], empty).await;
        row("JavaScript text becomes a component (mean of five)", shown(from_text), "", "");
        row("a component becomes machine code: Rust", shown(rust_took), "", "");
        row("a component becomes machine code: TypeScript", shown(script_took), "", "");
    });
    match env::var_os("IRONRULE_BIN") {
        Some(_) => tokio::runtime::Runtime::new().expect("a runtime").block_on(beside::measure(honest)),
        None => eprintln!("bench-plugins: `IRONRULE_BIN` is not set, so nothing is measured through HTTP"),
    }
}

fn compiled(text: &str) -> Vec<u8> {
    javascript::compile(text, None).unwrap_or_else(|error| panic!("{error}"))
}

/// An artefact of `plugins/examples`.
pub fn example(path: &str) -> Vec<u8> {
    let path: PathBuf = repository().join("plugins/examples").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A line of the table.
pub fn row(what: &str, p50: impl std::fmt::Display, p99: impl std::fmt::Display, wanted: &str) {
    println!("| {what} | {p50} | {p99} | {wanted} |");
}

/// A line with what was measured.
pub fn times(what: &str, took: Vec<Duration>, wanted: &str) {
    let [p50, p99] = quantiles(took);
    row(what, shown(p50), shown(p99), wanted);
}

/// The median, and what 99 of 100 stay below.
pub fn quantiles(mut took: Vec<Duration>) -> [Duration; 2] {
    took.sort_unstable();
    [0.5, 0.99].map(|share| took[((took.len() - 1) as f64 * share).ceil() as usize])
}

/// A duration as people read it.
pub fn shown(duration: Duration) -> String {
    match duration.as_nanos() {
        nanos @ 0..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        nanos => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}
