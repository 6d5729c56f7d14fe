use std::{collections::BTreeSet, time::Duration};

use plugins::{Failure, HostCall, LogLevel, LogLine, Outcome, PluginFailure, Refusal, Replayed};

use super::{
    recorded::{Detail, detail},
    rule::{Ended, ONE_IN},
    *,
};
use crate::plugins::Secrets;

fn ran(result: Result<Outcome, Refusal>) -> Run {
    Run {
        records: Box::new(Replayed::new(Vec::new())),
        result,
        logs: Vec::new(),
        logs_dropped: 0,
        elapsed: Duration::from_micros(100),
        host: Duration::from_micros(60),
        instantiate: Some(Duration::from_micros(10)),
        host_calls: 2,
        memory_bytes: 1_000,
        fuel: None,
        transcript: Vec::new(),
        transcript_cut: false,
    }
}

fn failure(code: &'static str) -> Result<Outcome, Refusal> {
    Err(Refusal::Failed(PluginFailure { code, message: "it broke".to_owned(), stack: Some("at order.ts:12:9".to_owned()) }))
}

fn asked(after: &str) -> Event {
    Event {
        rule: "r".to_owned(),
        hook: plugins::Hook::BeforeWrite,
        operation: "create".to_owned(),
        collection: "orders".to_owned(),
        id: "1".to_owned(),
        before: None,
        after: Some(after.to_owned()),
        context: "{}".to_owned(),
        now_ms: 1,
        seed: u64::MAX,
        depth: 0,
    }
}

fn watched() -> RuleWatch {
    RuleWatch::new(source("p@1#0", "r", false))
}

#[test]
fn a_run_is_counted_by_how_it_ended() {
    let mut rule = watched();
    let patch = Outcome { patch: Some("{}".to_owned()), ..Outcome::default() };
    let aborted = Refusal::Host(Failure::fatal("unavailable", "a conflict"));
    for result in
        [Ok(Outcome::default()), Ok(patch), failure("plugin.timeout"), failure("plugin.trap"), failure("plugin.trap"), Err(aborted)]
    {
        let run = ran(result);
        rule.count(&run, Ended::of(&run), &"2026-01-01T00:00:00Z".into(), (true, false));
    }
    let counters = &rule.counters;
    assert_eq!(["accepted", "changed", "failed", "aborted"].map(|outcome| counters.count(outcome)), [1, 1, 3, 1]);
    assert_eq!(counters.codes("failed"), BTreeMap::from([("plugin.timeout", 1), ("plugin.trap", 2)]));
    assert_eq!((counters.limits_hit, counters.host_calls, counters.memory_max_bytes), (1, 12, 1_000));
    let means = [&counters.total, &counters.guest, &counters.host, &counters.instantiate].map(|part| part.mean_us());
    assert_eq!(means, [100, 30, 60, 10]);
}

#[test]
fn every_refusal_is_kept_and_one_in_many_of_the_others() {
    let mut rule = watched();
    let mut kept = |result: Result<Outcome, Refusal>, recorded: bool| {
        let run = ran(result);
        rule.count(&run, Ended::of(&run), &"".into(), (recorded, false))
    };
    assert!(!kept(Ok(Outcome::default()), false), "there is no transcript");
    let others: Vec<bool> = (0..2 * ONE_IN).map(|_| kept(Ok(Outcome::default()), true)).collect();
    let found: Vec<usize> = others.iter().enumerate().filter(|(_, kept)| **kept).map(|(index, _)| index).collect();
    assert_eq!(found, [0, ONE_IN as usize]);
    assert!((0..5).all(|_| kept(failure("plugin.trap"), true)));
    assert!(!kept(failure("plugin.trap"), false));
}

fn secret() -> Secrets {
    Secrets::new(BTreeSet::from(["key".to_owned()]), ["hunter2-\"quoted\"".to_owned(), "abc".to_owned()])
}

fn kept(event: &Event, run: &Run) -> (serde_json::Value, Detail) {
    let detail = detail(event, run, &secret());
    (serde_json::from_str(detail.json.get()).expect("JSON"), detail)
}

#[test]
fn secrets_are_taken_out_of_what_is_kept() {
    let mut run = ran(failure("plugin.trap"));
    let call =
        |call: &str, input: &str, output: &str| HostCall { call: call.to_owned(), input: input.to_owned(), output: output.to_owned() };
    run.transcript = vec![
        call("host.setting", r#"{"name":"key"}"#, r#"{"ok":"abc"}"#),
        call("host.setting", r#"{"name":"url"}"#, r#"{"ok":"https://x"}"#),
        call("host.setting", r#"{"name":"key"}"#, r#"{"ok":null}"#),
        call("effects.enqueue", r#"{"payload":{"key":"hunter2-\"quoted\""}}"#, r#"{"ok":"1"}"#),
    ];
    run.logs = vec![LogLine { level: LogLevel::Info, message: "with hunter2-\"quoted\"!".to_owned(), fields: "{}".to_owned() }];
    let (json, detail) = kept(&asked("{}"), &run);
    assert!(detail.redacted && !detail.truncated);
    let outputs: Vec<&str> = json["transcript"].as_array().expect("calls").iter().filter_map(|call| call["output"].as_str()).collect();
    assert_eq!(outputs, [r#""***""#, r#"{"ok":"https://x"}"#, r#"{"ok":null}"#, r#"{"ok":"1"}"#]);
    assert_eq!(json["logs"][0]["message"], "with ***!");
    assert!(!detail.json.get().contains("hunter2"), "{json}");
    assert_eq!(secret().without("hunter2-\"quoted\"".to_owned()), ("***".to_owned(), true));
}

#[test]
fn a_setting_whose_name_cannot_be_read_is_a_secret() {
    let mut run = ran(Ok(Outcome::default()));
    run.transcript = vec![HostCall { call: "host.setting".to_owned(), input: "7".to_owned(), output: r#"{"ok":"x"}"#.to_owned() }];
    assert!(kept(&asked("{}"), &run).1.redacted);
}

#[test]
fn a_run_is_kept_digit_for_digit() {
    let (json, detail) =
        kept(&asked(r#"{"n": 1.50}"#), &ran(Ok(Outcome { patch: Some(r#"{"total": "4.50"}"#.to_owned()), ..Outcome::default() })));
    assert!(detail.json.get().contains(r#""after":{"n": 1.50}"#), "{json}");
    assert_eq!(json["event"]["seed"], u64::MAX.to_string());
    assert_eq!(json["result"], serde_json::json!({"outcome": {"patch": {"total": "4.50"}, "details": {}}}));
    assert!(!detail.redacted && !detail.truncated);
}

#[test]
fn a_run_that_is_too_long_loses_its_end_first() {
    let mut run = ran(Ok(Outcome::default()));
    let call = HostCall { call: "records.get".to_owned(), input: "{}".to_owned(), output: format!("\"{}\"", "a".repeat(10_000)) };
    run.transcript = vec![call; 40];
    let (json, detail) = kept(&asked("{}"), &run);
    assert!(detail.truncated && json["event"]["rule"] == "r", "{json}");
    assert!((5..15).contains(&json["transcript"].as_array().expect("calls").len()), "{json}");
    let (json, detail) = kept(&asked(&format!("\"{}\"", "a".repeat(1 << 20))), &run);
    assert!(detail.truncated && json["event"].is_null() && detail.json.get().len() < 1_000, "{json}");
}

#[test]
fn a_secret_of_digits_leaves_nothing_half_behind() {
    let secrets = Secrets::new(BTreeSet::new(), ["123456".to_owned()]);
    let detail = detail(&asked(r#"{"n": 12345678}"#), &ran(Ok(Outcome::default())), &secrets);
    assert_eq!((detail.json.get(), detail.redacted, detail.truncated), ("null", true, true));
}

#[test]
fn labels_are_taken_apart() {
    let found = source("order-guard@1.0.0#0123456789ab", "place", false);
    let expected = Source { version: "1.0.0".into(), digest: "0123456789ab".into(), rule: "place".into(), mode: "active" };
    assert_eq!(found, expected);
    let odd = source("p@a@b#c#0123456789ab", "place", true);
    assert_eq!((odd.version.as_str(), odd.digest.as_str(), odd.mode), ("a@b#c", "0123456789ab", "shadow"));
    assert_eq!(name_of("p@a@b#c#0123456789ab"), "p");
}

#[test]
fn the_version_that_ran_least_lately_is_forgotten() {
    let mut state = State::default();
    for (now, version) in (0..).zip(["1", "2", "3", "4", "1", "5"]) {
        state.rule(&format!("p@{version}#0"), "r", false, now);
    }
    let versions: Vec<&str> = state.rules().map(|rule| rule.source.version.as_str()).collect();
    assert_eq!(versions, ["1", "3", "4", "5"]);
}

#[test]
fn the_plugin_that_ran_least_lately_is_forgotten() {
    let watch = Watch::default();
    for number in 0..PLUGINS_MAX {
        watch.plugin(&format!("p{number}")).used.store(number as u64, Ordering::Relaxed);
    }
    watch.plugin("p0").used.store(1_000, Ordering::Relaxed);
    watch.plugin("one-more");
    assert_eq!(watch.all().len(), PLUGINS_MAX);
    assert!(watch.known("p0").is_some() && watch.known("one-more").is_some() && watch.known("p1").is_none());
}

#[test]
fn transcripts_are_made_up_to_a_rate() {
    let watch = Watch::default();
    let wanted = |rule: &str| (0..1_000).filter(|_| watch.wants_transcript("p@1#0", rule, false)).count();
    let many = wanted("busy");
    assert!((50..200).contains(&many), "{many}");
    assert!(wanted("other") >= 50, "rules do not share it");
}

#[test]
fn numbers_go_on_after_a_restart() {
    let first = Watch::default().next.load(Ordering::Relaxed);
    let second = Watch::default().next.load(Ordering::Relaxed);
    assert!(first <= second && first > 1_700_000_000_000_000 && second < 1 << 53, "{first} {second}");
}
