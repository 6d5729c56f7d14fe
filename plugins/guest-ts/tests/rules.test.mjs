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
