//! Every class of misbehaviour, through HTTP: stopped with its own code, nothing of it written, and the server goes on as the same process.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Answer, Client, Options, TestApp, repository};

use super::{NOTES, all, example, guests::Guest, notes, paste, process};

/// The rules of the plugin `hostile-js`.
pub const RULES: &str = include_str!("hostile.js");

/// What rules are asked to do, and the code that ends them. Those that begin with `js-` are in `hostile.js`, the others in the example
/// `hostile`.
#[rustfmt::skip]
pub const STOPPED: [(&str, &str); 67] = [
    ("loop", "plugin.timeout"), ("js-loop", "plugin.timeout"), ("js-regex", "plugin.timeout"), ("js-sort", "plugin.timeout"),
    ("js-throw-trap", "plugin.timeout"), ("js-to-json", "plugin.timeout"), ("js-write-and-loop", "plugin.timeout"),
    ("allocate", "plugin.memory"), ("js-arrays", "plugin.memory"), ("js-giant-array", "plugin.internal"), ("js-string", "plugin.internal"),
    ("recurse", "plugin.stack"), ("js-recursion", "plugin.stack"), ("js-recursive-json", "plugin.stack"), ("js-deep", "plugin.stack"),
    ("panic", "plugin.trap"), ("trap-after-write", "plugin.trap"), ("reenter-panic", "plugin.trap"), ("js-contract", "plugin.trap"),
    ("js-level", "plugin.trap"), ("js-contract-surrogate", "plugin.trap"),
    ("trap-after:1", "plugin.trap"), ("trap-after:2", "plugin.trap"), ("trap-after:3", "plugin.trap"), ("trap-after:4", "plugin.trap"),
    ("trap-after:5", "plugin.trap"), ("trap-after:6", "plugin.trap"), ("trap-after:7", "plugin.trap"), ("trap-after:8", "plugin.trap"),
    ("trap-after:9", "plugin.trap"), ("trap-after:10", "plugin.trap"), ("trap-after:11", "plugin.trap"),
    ("host-flood", "plugin.budget"), ("read-forever", "plugin.budget"), ("effect-flood", "plugin.budget"), ("effect-forever", "plugin.budget"),
    ("setting-flood", "plugin.budget"), ("setting-forever", "plugin.budget"), ("random-flood", "plugin.budget"),
    ("js-host-flood", "plugin.budget"), ("js-swallow", "plugin.budget"),
    ("giant-output", "plugin.output"), ("gigantic-output", "plugin.output"), ("setting-giant", "plugin.output"), ("js-output", "plugin.output"),
    ("js-many-violations", "plugin.output"),
    ("garbage", "plugin.garbage"), ("garbage-pointer", "plugin.garbage"), ("garbage-details", "plugin.garbage"),
    ("js-surrogate", "plugin.garbage"), ("js-list", "plugin.garbage"), ("js-text", "plugin.garbage"), ("js-kind", "plugin.garbage"),
    ("js-pointer", "plugin.garbage"), ("js-code", "plugin.garbage"),
    ("internal", "plugin.internal"), ("write-elsewhere", "plugin.internal"), ("effect-giant", "plugin.internal"),
    ("effect-not-granted", "plugin.internal"), ("reenter-forever", "plugin.internal"), ("js-elsewhere", "plugin.internal"),
    ("js-throw-null", "plugin.internal"), ("js-async", "plugin.internal"), ("js-circle", "plugin.internal"), ("js-bigint", "plugin.internal"),
    ("js-write-and-throw", "plugin.internal"), ("js-contract-json", "plugin.internal"),
];

/// What is too much or nonsense, and harms nobody.
const HARMLESS: [&str; 6] = ["log-flood", "giant-log", "effect-garbage", "setting", "js-log-flood", "no such behaviour"];

/// Milliseconds that a rule may compute here: more than usual, so that on a busy machine it is never the time that ends what something else
/// should end.
const CALL_MS: u64 = 250;

/// How long a write may take on a busy machine.
const BOUND: Duration = Duration::from_secs(10);

async fn server() -> (TestApp, Client) {
    let environment = vec![("IRONRULE_PLUGIN_CALL_MS".to_owned(), CALL_MS.to_string())];
    let app = TestApp::start_with(Options { environment, ..Options::default() }).await;
    let admin = app.admin().await;
    notes(&admin).await;
    // For those that change or delete what they find.
    admin.create("audit", json!({"note": "there before"})).await;
    admin.create("notes", json!({"text": "there before"})).await;
    (app, admin)
}

/// All that a rule could have left behind.
async fn everything(admin: &Client) -> Value {
    let lists = ["/api/deliveries?limit=500", "/api/plugins", "/api/collections", "/api/records/users"];
    let mut found = vec![json!(all(admin, "notes").await), json!(all(admin, "audit").await)];
    for path in lists {
        found.push(json!(admin.get(path).await.list()));
    }
    json!(found)
}

/// The writes of rules that are stopped change nothing, and those of others are served.
struct Watched {
    app: TestApp,
    admin: Client,
    process: u32,
}

impl Watched {
    async fn new() -> Self {
        let (app, admin) = server().await;
        Self { process: process(&app), app, admin }
    }

    /// One note that is refused.
    async fn stopped(&self, class: &str, behaviour: &str, refused: impl FnOnce(Answer)) {
        let (before, begin) = (everything(&self.admin).await, Instant::now());
        let answer = self.admin.post(NOTES, json!({"behaviour": behaviour})).await;
        assert!(begin.elapsed() < BOUND, "{class} took {:?}", begin.elapsed());
        println!("{class}: {} in {:?}", answer.json["code"], begin.elapsed());
        refused(answer);
        assert_eq!(everything(&self.admin).await, before, "{class} left something behind");
        assert_eq!(process(&self.app), self.process, "{class} ended the server");
    }

    async fn fails(&self, class: &str, behaviour: &str, code: &str) {
        let check = |answer: Answer| {
            assert_eq!((answer.status, &answer.json["code"]), (500, &json!(code)), "{class}: {answer}");
            answer.any_problem();
        };
        self.stopped(class, behaviour, check).await;
    }
}

#[tokio::test]
async fn every_class_is_stopped_with_its_own_code_and_leaves_nothing() {
    let watched = Watched::new().await;
    watched.admin.upload(example("hostile/hostile.wasm"), "all").await.expect(201);
    paste(&watched.admin, RULES).await;
    for (behaviour, code) in STOPPED {
        watched.fails(behaviour, behaviour, code).await;
    }
    watched.stopped("refuse", "refuse", |answer| drop(answer.problem(422, "rule.refused"))).await;
    watched.stopped("retry", "retry", |answer| drop(answer.problem(409, "write.conflict"))).await;
    watched.stopped("js-nul", "js-nul", |answer| drop(answer.problem(422, "record.invalid"))).await;
    for behaviour in HARMLESS {
        let before = all(&watched.admin, "notes").await.len();
        watched.admin.post(NOTES, json!({"behaviour": behaviour})).await.expect(201);
        assert_eq!(all(&watched.admin, "notes").await.len(), before + 1, "{behaviour}");
    }
    assert_eq!(all(&watched.admin, "audit").await.len(), 1, "what is harmless wrote something");
}

/// Instructions that no compiler would write.
#[rustfmt::skip]
const INSTRUCTIONS: [(&str, &str, &str, &str); 24] = [
    ("filling memory", "(loop (memory.fill (i32.const 65536) (i32.const 7) (i32.const 900000)) (br 0)) (unreachable)", "", "plugin.timeout"),
    ("copying memory", "(loop (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 900000)) (br 0)) (unreachable)", "", "plugin.timeout"),
    ("filling a table", "(loop (table.fill (i32.const 0) (ref.func $a) (i32.const 10000)) (br 0)) (unreachable)",
        "(table 10000 funcref) (func $a) (elem declare func $a)", "plugin.timeout"),
    ("growing a table", "(loop (drop (table.grow (ref.null func) (i32.const 1000))) (br 0)) (unreachable)", "(table 1 funcref)", "plugin.timeout"),
    ("logging without end", "(loop (call $log (i32.const 1) @notes @object) (br 0)) (unreachable)", "", "plugin.timeout"),
    ("growing page by page", "(loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)", "", "plugin.memory"),
    ("growing at once", "(drop (memory.grow (i32.const 60000))) (call $accept)", "", "plugin.memory"),
    ("growing beyond 4 GiB", "(drop (memory.grow (i32.const -1))) (call $accept)", "", "plugin.memory"),
    ("recursion", "(call $deep (i32.const 1))",
        "(func $deep (param i32) (result i32) (local i64 i64 i64) (i32.add (call $deep (local.get 0)) (i32.const 1)))", "plugin.stack"),
    ("unreachable", "(unreachable)", "", "plugin.trap"),
    ("division by zero", "(i32.div_u (local.get $event) (i32.const 0))", "", "plugin.trap"),
    ("memory out of bounds", "(i32.load (i32.const -4))", "", "plugin.trap"),
    ("a null call", "(call_indirect (result i32) (i32.const 0))", "(table 1 funcref)", "plugin.trap"),
    ("a text beyond the memory", "(call $patch (i32.const 1048570) (i32.const 100))", "", "plugin.trap"),
    ("an answer beyond the memory", "(i32.const -4)", "", "plugin.trap"),
    ("an answer of no kind", "(i32.store8 (i32.const 512) (i32.const 9)) (i32.const 512)", "", "plugin.trap"),
    ("a patch that is not UTF-8", "(call $patch (i32.const 4096) (i32.const 3))", r#"(data (i32.const 4096) "\ff\fe\80")"#, "plugin.trap"),
    ("a trap after a write", "(call $create @audit @object @answer) (unreachable)", "", "plugin.trap"),
    ("a giant id", "(call $get @notes (i32.const 131072) (i32.const 5000000) @answer) (call $accept)", "", "plugin.output"),
    ("a million ids", "(call $get-many @notes (i32.const 131072) (i32.const 700000) @answer) (call $accept)", "", "plugin.output"),
    ("a hundred thousand violations", "(call $reject (i32.const 176) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 100000))", "",
        "plugin.output"),
    ("writing without end", "(loop (call $create @audit @object @answer) (br 0)) (unreachable)", "", "plugin.budget"),
    ("a patch that is not JSON", "(call $patch @notes)", "", "plugin.garbage"),
    ("a kind that does not exist", "(call $reject @notes @n1 (i32.const 0))", "", "plugin.garbage"),
];

#[tokio::test]
async fn instructions_that_no_compiler_writes_are_stopped_too() {
    let watched = Watched::new().await;
    for (class, run, members, code) in INSTRUCTIONS {
        let pages = if code == "plugin.output" { 100 } else { 16 };
        watched.admin.upload(Guest { run, members, pages, ..Guest::default() }.text(), "all").await.expect(201);
        watched.fails(class, "", code).await;
    }
    watched.admin.upload(Guest::default().text(), "all").await.expect(201);
    watched.admin.create("notes", json!({"text": "a calm rule"})).await;
}

/// The largest machine code that the server keeps for itself.
fn machine_code(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let found = entries.filter_map(|path| if path.is_dir() { machine_code(&path) } else { Some(path) });
    found
        .filter(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .max_by_key(|path| fs::metadata(path).map_or(0, |data| data.len()))
}

#[tokio::test]
async fn what_must_not_run_at_all_is_not_installed() {
    let watched = Watched::new().await;
    watched.admin.upload(Guest::default().text(), "all").await.expect(201);
    let before = everything(&watched.admin).await;
    let kept = machine_code(Path::new(&watched.app.data_dir())).expect("the server keeps what it has compiled");
    let kept = fs::read(kept).expect("machine code");
    let whole = example("hostile/hostile.wasm");
    let fixture = |name: &str| fs::read(repository().join("plugins/tests/fixtures").join(name)).expect("a fixture");
    let endless = Guest { manifest: "(loop (br 0)) (unreachable)", ..Guest::default() }.text();
    let trap = Guest { manifest: "(unreachable)", ..Guest::default() }.text();
    let writes = Guest { manifest: "(call $create @audit @object @answer) (i32.const 256)", ..Guest::default() }.text();
    let start = Guest { members: "(func $s (loop (br 0))) (start $s)", ..Guest::default() }.text();
    let instances = format!("(core module $empty) {}", "(core instance (instantiate $empty))".repeat(5_000));
    let memories = format!("(core module $m (memory 1)) {}", "(core instance (instantiate $m))".repeat(300));
    // The file is what the server wrote about the code, and then the code: each end of it is tried.
    let elf = kept.windows(4).position(|bytes| bytes == b"\x7fELF").map(|at| kept[at..].to_vec()).expect("machine code is in ELF");
    let bodies = [
        ("machine code", elf),
        ("a file of the cache", kept),
        ("half a component", whole[..whole.len() / 2].to_vec()),
        ("a component with a wrong byte", whole.iter().enumerate().map(|(at, byte)| if at == 10 { byte ^ 0xff } else { *byte }).collect()),
        ("no component", vec![0; 100_000]),
        ("a core module", fixture("core_module.wat")),
        ("an import outside of the contract", fixture("foreign_import.wat")),
        ("an interface that does not exist", fixture("unknown_interface.wat")),
        ("a later version of the contract", fixture("wrong_version.wat")),
        ("another type", fixture("wrong_type.wat")),
        ("no rules", fixture("no_export.wat")),
        ("an endless manifest", endless),
        ("a manifest that traps", trap),
        ("a manifest that writes", writes),
        ("an endless start", start),
        ("4 GiB of memory", Guest { pages: 65_536, ..Guest::default() }.text()),
        ("a giant table", Guest { members: "(table 10000000 funcref)", ..Guest::default() }.text()),
        ("five thousand instances", Guest { component: &instances, ..Guest::default() }.text()),
        ("three hundred memories", Guest { component: &memories, ..Guest::default() }.text()),
    ];
    for (class, body) in bodies {
        let begin = Instant::now();
        let answer = watched.admin.upload(body, "all").await;
        assert!(begin.elapsed() < BOUND, "{class} took {:?}", begin.elapsed());
        println!("{class}: {}", answer.json["errors"][0]["message"]);
        assert_eq!((answer.status, &answer.json["code"]), (422, &json!("plugin.invalid")), "{class}: {answer}");
        answer.any_problem();
        assert_eq!(everything(&watched.admin).await, before, "{class} left something behind");
    }
    assert_eq!(process(&watched.app), watched.process, "the server ended");
    watched.admin.create("notes", json!({"text": "the first version runs"})).await;
}
