//! What one call takes: in a fresh instance, in one that the transaction has already, and for many rules of one plugin.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use plugins::{Event, Instances, Plugin, Run};

use crate::{
    Plugins,
    shop::{Shop, granted, note, order},
    times,
};

/// Records of one transaction, where they share an instance.
const BULK: usize = 100;

pub async fn measure(plugins: &Plugins, calls: usize) {
    times("fresh instance, empty rule: Rust", fresh(&plugins.hostile, &note("hostile"), calls, 0).await, "30 µs");
    times("fresh instance, empty rule: TypeScript", fresh(&plugins.empty, &note("empty"), calls, 0).await, "150 µs");
    times("order-guard, two products, fresh instance: Rust", fresh(&plugins.guard, &order(), calls, 2).await, "60 µs");
    times("order-guard, two products, fresh instance: TypeScript", fresh(&plugins.guard_script, &order(), calls, 2).await, "250 µs");
    times("next record, same instance, empty rule: Rust", next(&plugins.hostile, &note("hostile"), calls).await, "");
    times("next record, same instance, empty rule: TypeScript", next(&plugins.empty, &note("empty"), calls).await, "");
    times("next record, same instance, order-guard: Rust", next(&plugins.guard, &order(), calls).await, "");
    times("next record, same instance, order-guard: TypeScript", next(&plugins.guard_script, &order(), calls).await, "");
    hundred(&plugins.hundred, calls).await;
}

/// Each call in a transaction of its own, from its beginning until nothing of the instance is left.
async fn fresh(plugin: &Plugin, event: &Event, calls: usize, writes: usize) -> Vec<Duration> {
    let (shop, ground) = (Shop::open(), granted(plugin));
    let mut took = Vec::with_capacity(calls);
    for number in 0..calls + calls / 10 {
        let (event, ground, records) = (event.clone(), ground.clone(), Box::new(shop.clone()));
        let begin = Instant::now();
        let instances = Instances::default();
        let run = plugin.run(&instances, ground, records, event).await;
        drop(instances);
        let elapsed = begin.elapsed();
        check(&run, true);
        // The first ones warm up.
        if number >= calls / 10 {
            took.push(elapsed);
        }
    }
    assert_eq!(shop.writes(), writes * (calls + calls / 10), "the rule did not do what is measured");
    took
}

/// All calls but the first of each transaction.
async fn next(plugin: &Plugin, event: &Event, calls: usize) -> Vec<Duration> {
    let (shop, ground) = (Shop::open(), granted(plugin));
    let mut took = Vec::with_capacity(calls);
    while took.len() < calls {
        let instances = Instances::default();
        for number in 0..BULK {
            let (event, ground, records) = (event.clone(), ground.clone(), Box::new(shop.clone()));
            let begin = Instant::now();
            let run = plugin.run(&instances, ground, records, event).await;
            let elapsed = begin.elapsed();
            check(&run, number == 0);
            if number > 0 {
                took.push(elapsed);
            }
        }
    }
    took
}

/// Every rule of the plugin for one record.
async fn hundred(plugin: &Plugin, calls: usize) {
    let (shop, ground) = (Shop::open(), granted(plugin));
    let rules: Vec<Event> = plugin.manifest().rules.iter().map(|rule| note(&rule.name)).collect();
    assert_eq!(rules.len(), 100);
    let (mut first, mut others, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..calls.div_ceil(rules.len() - 1).max(100) {
        let instances = Instances::default();
        let all = Instant::now();
        for (number, event) in rules.iter().enumerate() {
            let (event, ground, records) = (event.clone(), ground.clone(), Box::new(shop.clone()));
            let begin = Instant::now();
            let run = plugin.run(&instances, ground, records, event).await;
            let elapsed = begin.elapsed();
            check(&run, number == 0);
            if number == 0 { &mut first } else { &mut others }.push(elapsed);
        }
        drop(instances);
        whole.push(all.elapsed());
    }
    times("100 rules of one plugin in TypeScript: the first rule", first, "links once");
    times("100 rules of one plugin in TypeScript: each further rule", others, "");
    times("100 rules of one plugin in TypeScript: all for one record", whole, "");
}

fn check(run: &Run, is_first: bool) {
    black_box(run.result.as_ref().unwrap_or_else(|refusal| panic!("{refusal:?}")));
    assert_eq!(run.instantiate.is_some(), is_first, "an instance was made, or was not");
}
