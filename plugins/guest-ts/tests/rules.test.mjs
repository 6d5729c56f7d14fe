/** How a rule is asked and how its answers become those of the contract. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { afterCommit, beforeWrite, definePlugin, endpoint, Rejection, scheduled } from "@ironrule/rules";
import { answer, refusal, run } from "./host.mjs";

beforeEach(() => answer());

/** A plugin with one rule. */
const pluginOf = (body, made = beforeWrite) =>
  definePlugin({ name: "test", version: "1.0.0", rules: [made({ name: "rule", collections: ["notes"], operations: ["create"], run: body })] });

test("the manifest is what was declared, without the functions", () => {
  const plugin = definePlugin({
    name: "shop",
    version: "2.1.0",
    grants: { read: ["products"], webhooks: ["api.example.com"] },
    writes_as: "caller",
    settings: [{ name: "key", secret: true }],
    limits: { call_ms: 20 },
    rules: [
      beforeWrite({ name: "check", collections: ["orders"], operations: ["create"], order: 3, run() {} }),
      afterCommit({ name: "tell", run() {} }),
      scheduled({ name: "tidy", schedule: "0 3 * * *", run() {} }),
      endpoint({ name: "paid", method: "POST", path: "/paid/{id}", access: "anyone", run() {} }),
    ],
  });
  assert.deepEqual(JSON.parse(plugin.manifest()), {
    name: "shop",
    version: "2.1.0",
    grants: { read: ["products"], webhooks: ["api.example.com"] },
    writes_as: "caller",
    settings: [{ name: "key", secret: true }],
    limits: { call_ms: 20 },
    rules: [
      { name: "check", hook: "before-write", collections: ["orders"], operations: ["create"], order: 3 },
      { name: "tell", hook: "after-commit" },
      { name: "tidy", hook: "scheduled", schedule: "0 3 * * *" },
      { name: "paid", hook: "endpoint", method: "POST", path: "/paid/{id}", access: "anyone" },
    ],
  });
});

test("what is no rule is refused at once", () => {
  const define = (rules) => () => definePlugin({ name: "test", version: "1.0.0", rules });
  assert.throws(define({ check() {} }), /`rules` of definePlugin is no list/);
  assert.throws(define(undefined), /`rules` of definePlugin is no list/);
  assert.throws(define([beforeWrite({ name: "check", run: 7 })]), /the rule `check` has no function `run`/);
  assert.throws(define([null]), /the rule `0` has no function `run`/);
});

test("a rule sees the event", () => {
  let seen;
  const plugin = pluginOf((context) => void (seen = context));
  const caller = { principal: "user:u1", id: "u1", roles: ["staff"] };
  run(plugin, {
    operation: "update",
    before: { title: "old" },
    after: { title: "new" },
    context: { caller, tenant: "main", now: "2026-01-02T03:04:05Z", request: "r1", attempt: 2, delivery: "d1", scheduled_at: "2026-01-02T03:00:00Z", dry_run: true },
  });
  const { fail, patch, patched, reject, ...values } = seen;
  assert.deepEqual(values, {
    rule: "rule", hook: "before-write", operation: "update", collection: "notes", id: "n1",
    before: { title: "old" }, after: { title: "new" },
    caller, tenant: "main", now: "2026-01-02T03:04:05Z", request: "r1", attempt: 2, delivery: "d1", scheduledAt: "2026-01-02T03:00:00Z", dryRun: true,
  });
});

test("what is absent is null, and nobody is the caller", () => {
  let seen;
  run(pluginOf((context) => void (seen = context)));
  assert.deepEqual([seen.before, seen.after, seen.caller, seen.dryRun], [null, null, null, false]);
});

test("a rule that says nothing accepts", () => {
  assert.deepEqual(run(pluginOf(() => {})), { patch: undefined, details: {} });
});

test("patches are put together, later ones win", () => {
  const plugin = pluginOf(({ patch }) => {
    patch({ a: 1, b: 1 });
    patch({ b: 2, gone: null });
  });
  assert.deepEqual(run(plugin).patch, { a: 1, b: 2, gone: null });
});

test("what a rule before a write returns is its patch; elsewhere it is nobody's", () => {
  assert.deepEqual(run(pluginOf(() => ({ words: 3 }))).patch, { words: 3 });
  assert.equal(run(pluginOf(() => ({ words: 3 }), afterCommit), { hook: "after-commit" }).patch, undefined);
});

test("values are refused together, with their parameters", () => {
  const plugin = pluginOf(({ fail, patch }) => {
    fail("/title", "title.short", "too short", { least: 3 });
    fail("/words", "words.many");
    patch({ title: "of no use" });
  });
  assert.deepEqual(refusal(plugin), {
    kind: "invalid",
    message: "too short",
    violations: [
      { path: "/title", code: "title.short", message: "too short", params: { least: 3 } },
      { path: "/words", code: "words.many", message: "words.many", params: {} },
    ],
    details: {},
  });
});

test("a whole write is refused, and nothing after that runs", () => {
  for (const kind of ["invalid", "conflict", "forbidden", "retry"]) {
    let later = false;
    const plugin = pluginOf(({ fail, reject }) => {
      fail("/title", "title.odd", "odd");
      reject(kind, "no", { why: "so" });
      later = true;
    });
    const { violations, ...rest } = refusal(plugin);
    assert.deepEqual(rest, { kind, message: "no", details: { why: "so" } });
    assert.equal(violations.length, 1);
    assert.equal(later, false);
  }
});

test("a Rejection that is thrown is the same", () => {
  const plugin = pluginOf(() => {
    throw new Rejection("conflict", "taken");
  });
  assert.deepEqual(refusal(plugin), { kind: "conflict", message: "taken", violations: [], details: {} });
});

test("an exception is no answer: the rule could not decide, and the stack tells where", () => {
  const plugin = pluginOf(() => undefined.title);
  const { kind, message, details } = refusal(plugin);
  assert.equal(kind, "internal");
  assert.match(message, /^TypeError: Cannot read properties of undefined/);
  assert.match(details.stack, /rules\.test\.mjs:\d+:\d+/);
});

test("what a rule says in another form is an exception at its line, which it can catch", () => {
  const odd = [
    [({ fail }) => fail("/title"), "fail: `code` is undefined, not a text"],
    [({ fail }) => fail(5, "title.bad"), "fail: `path` is a number, not a text"],
    [({ fail }) => fail("/title", "title.bad", new Error("odd")), "fail: `message` is an object, not a text"],
    [({ fail }) => fail("/title", "title.bad", "odd", 3), "fail: `params` is a number, not an object"],
    [({ patch }) => patch("text"), "patch: `values` is a text, not an object"],
    [({ patch }) => patch([1]), "patch: `values` is a list, not an object"],
    [({ reject }) => reject(), "reject: `kind` is undefined, not a text"],
    [({ reject }) => reject("conflict"), "reject: `message` is undefined, not a text"],
    [({ reject }) => reject("conflict", "taken", "by ann"), "reject: `details` is a text, not an object"],
    [() => { throw new Rejection("conflict"); }, "Rejection: `message` is undefined, not a text"],
    [() => { throw new Rejection(409, "taken"); }, "Rejection: `kind` is a number, not a text"],
  ];
  for (const [body, message] of odd) {
    const { kind, message: told, details, violations } = refusal(pluginOf(body));
    assert.deepEqual([kind, told, violations], ["internal", `TypeError: ${message}`, []]);
    assert.match(details.stack, /rules\.test\.mjs:\d+:\d+/);
    const caught = (context) => {
      try {
        body(context);
      } catch (error) {
        return { caught: error.message };
      }
    };
    assert.deepEqual(run(pluginOf(caught)).patch, { caught: message });
  }
});

test("null stands for what may be absent", () => {
  const plugin = pluginOf(({ fail }) => fail("/title", "title.bad", null, null));
  assert.deepEqual(refusal(plugin).violations, [{ path: "/title", code: "title.bad", message: "title.bad", params: {} }]);
  const rejected = refusal(pluginOf(({ reject }) => reject("conflict", "taken", null)));
  assert.deepEqual([rejected.kind, rejected.details], ["conflict", {}]);
});

test("what cannot be told is an answer nevertheless", () => {
  const bare = pluginOf(() => {
    throw Object.create(null);
  });
  assert.match(refusal(bare).message, /^TypeError: /);
  const details = pluginOf(({ reject }) => reject("conflict", "taken", { count: 1n }));
  assert.deepEqual([refusal(details).kind, refusal(details).violations], ["internal", []]);
  assert.match(refusal(details).message, /^TypeError: .*BigInt/);
  const half = refusal(pluginOf(({ fail }) => fail("/title", "title.bad", `bad: ${"😀"[0]}`)));
  assert.equal(half.violations[0].message, "bad: \ufffd");
});

test("whatever is thrown is an answer", () => {
  for (const [thrown, message] of [["text", "text"], [7, "7"], [null, "null"], [undefined, "undefined"], [{ a: 1 }, "[object Object]"]]) {
    const plugin = pluginOf(() => {
      throw thrown;
    });
    assert.deepEqual([refusal(plugin).kind, refusal(plugin).message], ["internal", message]);
  }
});

test("a rule that waits is told that it must not", () => {
  const { kind, message } = refusal(pluginOf(async () => {}));
  assert.deepEqual([kind, message], ["internal", "Error: a rule must not be async: host calls answer at once"]);
});

test("a rule that is not there is told", () => {
  assert.match(refusal(pluginOf(() => {}), { rule: "other" }).message, /the plugin has no rule other/);
});

test("two calls share nothing that a rule was told", () => {
  const plugin = pluginOf(({ after, fail }) => {
    if (after.bad) fail("/bad", "bad");
    return { seen: true };
  });
  refusal(plugin, { after: { bad: true } });
  assert.deepEqual(run(plugin, { after: {} }).patch, { seen: true });
});

test("an endpoint answers what it returns", () => {
  const request = { method: "POST", path: "/pay/7", params: { id: "7" }, query: {}, headers: {}, body: { n: 1 }, text: '{"n":1}' };
  for (const [returned, response] of [
    [{ status: 201, body: { id: "7" } }, { status: 201, body: { id: "7" } }],
    [{ text: "hello", headers: { "x-a": "b" } }, { status: 200, text: "hello", headers: { "x-a": "b" } }],
    [{ paid: true }, { status: 200, body: { paid: true } }],
    [[1, 2], { status: 200, body: [1, 2] }],
    ["words", { status: 200, body: "words" }],
    [{ status: 404 }, { status: 404 }],
    [{ text: "half a \ud83d" }, { status: 200, text: "half a \ufffd" }],
    // Records have fields of these names too.
    [{ id: "1", status: "paid" }, { status: 200, body: { id: "1", status: "paid" } }],
    [{ id: "1", status: 201 }, { status: 200, body: { id: "1", status: 201 } }],
    [{ id: "1", body: "a", text: "b" }, { status: 200, body: { id: "1", body: "a", text: "b" } }],
    [{ status: "paid" }, { status: 200, body: { status: "paid" } }],
    [{ status: 7, text: "seven" }, { status: 200, body: { status: 7, text: "seven" } }],
    [{ status: null, body: "a" }, { status: 200, body: { status: null, body: "a" } }],
    ...[99, 600, 204.5].map((status) => [{ status }, { status: 200, body: { status } }]),
    // The host says that it cannot be sent.
    [{ status: 500 }, { status: 500 }],
    [{ headers: {} }, { status: 200, body: { headers: {} } }],
    [{}, { status: 200, body: {} }],
    [{ body: { status: 404, text: "a" } }, { status: 200, body: { status: 404, text: "a" } }],
    [undefined, undefined],
    [null, undefined],
  ]) {
    let asked;
    const plugin = pluginOf((given, context) => {
      asked = [given, context.operation];
      return returned;
    }, endpoint);
    const { patch, details } = run(plugin, { hook: "endpoint", operation: "post", collection: "", id: "", after: request });
    assert.deepEqual([patch, details.response], [undefined, response]);
    assert.deepEqual(asked, [request, "post"]);
  }
});

test("an answer that says how it is sent says it in texts", () => {
  for (const [returned, message] of [
    [{ text: 7 }, "the answer of `rule`: `text` is a number, not a text"],
    [{ status: 200, headers: [] }, "the answer of `rule`: `headers` is a list, not an object"],
    [{ status: 200, headers: { "x-count": 7 } }, "the answer of `rule`: `headers.x-count` is a number, not a text"],
  ]) {
    const { kind, message: told } = refusal(pluginOf(() => returned, endpoint), { hook: "endpoint", after: {} });
    assert.deepEqual([kind, told], ["internal", `TypeError: ${message}`]);
  }
});
