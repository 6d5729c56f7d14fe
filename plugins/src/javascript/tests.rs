use std::sync::Arc;

use super::*;
use crate::records::NoRecords;
use crate::{Compiler, Event, Ground, Hook, Instances, Limits, Plugin, Refusal, Run, Runtime};

const COUNTER: &str = r#"
    import { beforeWrite, definePlugin, log } from "@ironrule/rules";
    let count = 0;
    export const rules = definePlugin({
      name: "counter", version: "1.0.0",
      rules: [
        beforeWrite({ name: "count", collections: ["posts"], operations: ["create"], run({ patch, after }) {
          count += 1;
          log.info("counted", { count });
          patch({ count, title: after.title.toUpperCase(), at: new Date().toISOString(), random: Math.random() });
        } }),
        beforeWrite({ name: "refuse", collections: ["posts"], operations: ["create"], run({ fail }) {
          fail("/title", "title.bad", "no such title", { max: 3 });
        } }),
        beforeWrite({ name: "crash", collections: ["posts"], operations: ["create"], run({ after }) {
          after.nothing.at.all();
        } }),
        beforeWrite({ name: "loop", collections: ["posts"], operations: ["create"], run() { for (;;) {} } }),
        beforeWrite({ name: "regex", collections: ["posts"], operations: ["create"], run() { /^(a+)+$/.test("a".repeat(40) + "b"); } }),
        beforeWrite({ name: "bomb", collections: ["posts"], operations: ["create"], run() { const all = []; for (;;) all.push(new Uint8Array(1 << 20)); } }),
        beforeWrite({ name: "recursion", collections: ["posts"], operations: ["create"], run() { const f = () => f() + 1; f(); } }),
        beforeWrite({ name: "later", collections: ["posts"], operations: ["create"], async run() {} }),
      ],
    });
"#;

fn event(rule: &str) -> Event {
    Event {
        rule: rule.to_owned(),
        hook: Hook::BeforeWrite,
        operation: "create".to_owned(),
        collection: "posts".to_owned(),
        id: "1".to_owned(),
        before: None,
        after: Some(r#"{"title":"hello"}"#.to_owned()),
        context: "{}".to_owned(),
        now_ms: 1_800_000_000_000,
        seed: 7,
        depth: 0,
    }
}

async fn plugin(source: &str) -> Plugin {
    let limits = Limits { call_ms: 200, ..Limits::default() };
    let runtime = Runtime::new(limits, Compiler::here()).expect("an engine");
    let component = Compiler::here().javascript(source).await.expect("it compiles");
    runtime.load(component).await.expect("it loads")
}

async fn run(plugin: &Plugin, instances: &Instances, rule: &str) -> Run {
    let ground = Ground { grants: Arc::default(), settings: Arc::default(), record: false };
    plugin.run(instances, ground, Box::new(NoRecords), event(rule)).await
}

#[tokio::test]
async fn a_rule_in_javascript_runs_and_starts_anew_in_every_transaction() {
    let plugin = plugin(COUNTER).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let run = run(&plugin, &Instances::default(), "count").await;
        let patch = run.result.expect("an outcome").patch.expect("a patch");
        assert_eq!(run.logs[0].message, "counted");
        assert_eq!(run.logs[0].fields, r#"{"count":1}"#);
        seen.push(patch);
    }
    assert_eq!(seen[0], seen[1], "the same event gives the same outcome");
    assert!(seen[0].contains(r#""count":1,"title":"HELLO","at":"2027-01-15T08:00:00.000Z","random":0."#), "{}", seen[0]);
}

#[tokio::test]
async fn refusals_and_failures_are_told_apart() {
    let plugin = plugin(COUNTER).await;
    let instances = Instances::default();
    match run(&plugin, &instances, "refuse").await.result {
        Err(Refusal::Rejected(rejection)) => {
            let violation = &rejection.violations[0];
            assert_eq!((violation.path.as_str(), violation.code.as_str(), violation.params.get()), ("/title", "title.bad", r#"{"max":3}"#));
        }
        other => panic!("{other:?}"),
    }
    for (rule, code) in [
        ("crash", "plugin.internal"),
        ("later", "plugin.internal"),
        ("loop", "plugin.timeout"),
        ("regex", "plugin.timeout"),
        ("bomb", "plugin.memory"),
    ] {
        match run(&plugin, &instances, rule).await.result {
            Err(Refusal::Failed(failure)) => {
                assert_eq!(failure.code, code, "{rule}: {failure:?}");
                if rule == "crash" {
                    let stack = failure.stack.expect("a stack");
                    assert!(stack.contains("plugin.js:16:11"), "the line of the crash: {stack}");
                }
            }
            other => panic!("{rule}: {other:?}"),
        }
    }
    assert!(matches!(run(&plugin, &instances, "recursion").await.result, Err(Refusal::Failed(_))));
}

const ODD: &str = r#"
    import { beforeWrite, definePlugin, log, records } from "@ironrule/rules";
    const on = { collections: ["posts"], operations: ["create"] };
    export const rules = definePlugin({
      name: "odd", version: "1.0.0", grants: { read: ["items"] },
      rules: [
        beforeWrite({ name: "code", ...on, run({ fail }) {
          fail("/title");
        } }),
        beforeWrite({ name: "path", ...on, run({ fail }) {
          fail(5, "title.bad");
        } }),
        beforeWrite({ name: "ids", ...on, run() {
          records.getMany("items", "abc");
        } }),
        beforeWrite({ name: "caught", ...on, run() {
          try {
            records.get("items");
          } catch (error) {
            return { caught: error.message };
          }
        } }),
        beforeWrite({ name: "half", ...on, run() {
          log.info("\ud83d\ude00"[0]);
        } }),
      ],
    });
"#;

#[tokio::test]
async fn what_the_contract_does_not_say_is_an_exception_at_its_line() {
    let plugin = plugin(ODD).await;
    let instances = Instances::default();
    for (rule, line, told) in [
        ("code", "plugin.js:8:", "fail: `code` is undefined, not a text"),
        ("path", "plugin.js:11:", "fail: `path` is a number, not a text"),
        ("ids", "plugin.js:14:", "records.getMany: `ids` is a text, not a list of texts"),
    ] {
        match run(&plugin, &instances, rule).await.result {
            Err(Refusal::Failed(failure)) => {
                assert_eq!(failure.code, "plugin.internal", "{rule}: {failure:?}");
                assert!(failure.message.contains(told), "{rule}: {failure:?}");
                assert!(failure.stack.as_deref().is_some_and(|stack| stack.contains(line)), "{rule}: {failure:?}");
            }
            other => panic!("{rule}: {other:?}"),
        }
    }
    let caught = run(&plugin, &instances, "caught").await.result.expect("an outcome").patch.expect("a patch");
    assert!(caught.contains("records.get: `id` is undefined, not a text"), "{caught}");
    let half = run(&plugin, &instances, "half").await;
    assert!(half.result.is_ok(), "{:?}", half.result);
    assert_eq!(half.logs[0].message, "\u{fffd}");
}

fn refused(source: &str, parts: &[&str]) {
    let error = compile(source, None).expect_err("it must not compile").to_string();
    for part in parts {
        assert!(error.contains(part), "{error} lacks {part}");
    }
}

#[test]
fn what_cannot_be_compiled_is_said_with_its_place() {
    refused("export const rules = {;\n", &["plugin.js:1"]);
    refused("const a = 1;\n\n  const b = (;\n", &["could not be compiled: Error: unexpected token", "plugin.js:3:14"]);
    refused("\n\nthrow new Error(\"at once\");\n", &["at once", "plugin.js:3"]);
    refused("import x from \"lodash\";\n", &["there is no module `lodash`"]);
    refused("import { log } from \"@ironrule/rules\";\nlog.info(\"hello\");\n", &["while the module is evaluated"]);
    refused("for (;;) {}\n", &["computes too long"]);
    refused(&" ".repeat(SOURCE_MAX_BYTES + 1), &["at most 1048576"]);
}

#[test]
fn what_is_no_rule_is_said_with_its_place() {
    let define = |rules: &str| {
        let import = "import { beforeWrite, definePlugin } from \"@ironrule/rules\";";
        format!("{import}\nexport const rules = definePlugin({{ rules: {rules} }});\n")
    };
    refused(&define("{ check() {} }"), &["`rules` of definePlugin is no list", "plugin.js:2"]);
    refused(&define("undefined"), &["`rules` of definePlugin is no list", "plugin.js:2"]);
    refused(&define(r#"[beforeWrite({ name: "check", run: 7 })]"#), &["the rule `check` has no function `run`", "plugin.js:2"]);
    refused(&define("[null]"), &["the rule `0` has no function `run`", "plugin.js:2"]);
}

#[tokio::test]
async fn a_module_without_the_rules_is_no_plugin() {
    let runtime = Runtime::new(Limits::default(), Compiler::here()).expect("an engine");
    for (source, expected) in [
        ("", "the module exports no `rules`: `export const rules = definePlugin({ ... })`"),
        ("export const other = 1;\n", "the module exports no `rules`"),
        ("export default {};\n", "the module exports no `rules`"),
        ("export const rules = 7;\n", "`rules` is no object"),
        ("export const rules = null;\n", "`rules` is no object"),
        ("export const rules = {};\n", "`rules` has no function `manifest`"),
    ] {
        let component = Compiler::here().javascript(source).await.expect("it compiles");
        let error = runtime.load(component).await.expect_err("this is no plugin");
        assert!(matches!(error, Error::JavaScript(_)) && error.to_string().contains(expected), "{source}: {error}");
    }
}
