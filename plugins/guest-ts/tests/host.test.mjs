/** What a rule asks of its host, and what the SDK puts in the place of what the engine has frozen. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { email, HostError, job, log, records, setting, webhook } from "@ironrule/rules";
import { answer, calls, failure, NOW_MS } from "./host.mjs";

beforeEach(() => answer());

test("records are asked for in the words of the contract", () => {
  answer({
    get: () => '{"id":"p1","price":"4.50"}',
    getMany: () => ['{"id":"p1"}', undefined],
    query: () => '[{"id":"p2"}]',
    create: (_, content) => content,
    update: (_, id, patch) => JSON.stringify({ id, ...JSON.parse(patch) }),
  });
  assert.deepEqual(records.get("products", "p1"), { id: "p1", price: "4.50" });
  assert.deepEqual(records.getMany("products", ["p1", "p9"]), [{ id: "p1" }, null]);
  assert.deepEqual(records.query("products", { filter: "record.stock > 0", limit: 2 }), [{ id: "p2" }]);
  assert.deepEqual(records.query("products"), [{ id: "p2" }]);
  assert.deepEqual(records.create("products", { name: "tea" }), { name: "tea" });
  assert.deepEqual(records.update("products", "p1", { stock: 3, note: null }), { id: "p1", stock: 3, note: null });
  assert.equal(records.delete("products", "p1"), undefined);
  assert.deepEqual(calls, [
    ["get", "products", "p1"],
    ["getMany", "products", ["p1", "p9"]],
    ["query", "products", '{"filter":"record.stock > 0","limit":2}'],
    ["query", "products", "{}"],
    ["create", "products", '{"name":"tea"}'],
    ["update", "products", "p1", '{"stock":3,"note":null}'],
    ["delete", "products", "p1"],
  ]);
});

test("a record that is not there is null", () => {
  assert.equal(records.get("products", "p9"), null);
});

test("a failed host call is an error with its code", () => {
  const refuse = () => {
    throw failure("not-allowed", "not granted", '{"grant":"read:products"}');
  };
  answer({ get: refuse, getMany: refuse, query: refuse, create: refuse, update: refuse, delete: refuse, enqueue: refuse });
  const asked = [
    () => records.get("products", "p1"),
    () => records.getMany("products", []),
    () => records.query("products"),
    () => records.create("products", {}),
    () => records.update("products", "p1", {}),
    () => records.delete("products", "p1"),
    () => webhook("https://api.example.com", {}),
    () => email({ to: "ann@example.com", subject: "s", text: "t" }),
    () => job("rule"),
  ];
  for (const ask of asked) {
    assert.throws(ask, (error) => {
      assert.ok(error instanceof HostError && error instanceof Error);
      assert.deepEqual([error.name, error.code, error.message, error.details], ["HostError", "not-allowed", "not granted", { grant: "read:products" }]);
      return true;
    });
  }
});

test("an error that is no answer of the host stays what it is", () => {
  const broken = new TypeError("no string");
  answer({
    get() {
      throw broken;
    },
  });
  assert.throws(() => records.get("products", "p1"), broken);
});

test("what the contract does not say is refused before it goes out, by its name", () => {
  const mail = { to: "ann@example.com", subject: "s", text: "t" };
  const odd = [
    [() => records.get("products"), "records.get: `id` is undefined, not a text"],
    [() => records.get("products", 7), "records.get: `id` is a number, not a text"],
    [() => records.get(null, "p1"), "records.get: `collection` is null, not a text"],
    [() => records.getMany("products", "abc"), "records.getMany: `ids` is a text, not a list of texts"],
    [() => records.getMany("products"), "records.getMany: `ids` is undefined, not a list of texts"],
    [() => records.getMany("products", ["p1", null]), "records.getMany: `ids[1]` is null, not a text"],
    [() => records.getMany("products", new Array(1)), "records.getMany: `ids[0]` is undefined, not a text"],
    [() => records.getMany(["products"], []), "records.getMany: `collection` is a list, not a text"],
    [() => records.query({}), "records.query: `collection` is an object, not a text"],
    [() => records.query("products", "record.stock > 0"), "records.query: `query` is a text, not an object"],
    [() => records.create(undefined, {}), "records.create: `collection` is undefined, not a text"],
    [() => records.create("products"), "records.create: `content` is undefined, not an object"],
    [() => records.create("products", () => {}), "records.create: `content` is a function, not an object"],
    [() => records.update("products", { stock: 3 }), "records.update: `id` is an object, not a text"],
    [() => records.update("products", "p1", [3]), "records.update: `patch` is a list, not an object"],
    [() => records.delete("products", 7n), "records.delete: `id` is a bigint, not a text"],
    [() => webhook(undefined, {}), "webhook: `url` is undefined, not a text"],
    [() => webhook("https://api.example.com", {}, "PUT"), "webhook: `options` is a text, not an object"],
    [() => webhook("https://api.example.com", {}, { method: 7 }), "webhook: `method` is a number, not a text"],
    [() => webhook("https://api.example.com", {}, { headers: { "x-a": 7 } }), "webhook: `headers.x-a` is a number, not a text"],
    [() => webhook("https://api.example.com", {}, { key: 7 }), "webhook: `key` is a number, not a text"],
    [() => email(), "email: `message` is undefined, not an object"],
    [() => email({ ...mail, to: undefined }), "email: `to` is undefined, not a list of texts"],
    [() => email({ ...mail, to: [7] }), "email: `to[0]` is a number, not a text"],
    [() => email({ ...mail, subject: 7 }), "email: `subject` is a number, not a text"],
    [() => email({ ...mail, text: undefined }), "email: `text` is undefined, not a text"],
    [() => email({ ...mail, html: 7 }), "email: `html` is a number, not a text"],
    [() => email({ ...mail, replyTo: 7 }), "email: `replyTo` is a number, not a text"],
    [() => email(mail, null), "email: `options` is null, not an object"],
    [() => job(), "job: `rule` is undefined, not a text"],
    [() => job("remind", {}, 1000), "job: `options` is a number, not an object"],
    [() => job("remind", {}, { delayMs: Number.NaN }), "job: `delayMs` is a number, not a whole number from 0 on"],
    [() => job("remind", {}, { maxAttempts: "3" }), "job: `maxAttempts` is a text, not a whole number from 0 on"],
    [() => setting(), "setting: `name` is undefined, not a text"],
    [() => crypto.getRandomValues([0, 0]), "crypto.getRandomValues: `array` is a list, not a typed array"],
  ];
  for (const [ask, message] of odd) assert.throws(ask, { name: "TypeError", message });
  assert.deepEqual(calls, [], "nothing of it went out");
});

test("half of a surrogate pair is replaced in what goes out as text", () => {
  answer({ getMany: () => [] });
  const half = "😀"[0];
  records.get("products", half);
  records.getMany("products", [half]);
  setting(half);
  log.info(`title ${half}`);
  assert.deepEqual(calls, [
    ["get", "products", "\ufffd"],
    ["getMany", "products", ["\ufffd"]],
    ["setting", "\ufffd"],
    ["log", "info", "title \ufffd", "{}"],
  ]);
});

test("effects are in the words of the contract", () => {
  answer({ enqueue: () => "d1" });
  const options = { key: "order 7", delayMs: 1000, maxAttempts: 3 };
  assert.equal(webhook("https://api.example.com/a", { n: 1 }, { method: "PUT", headers: { "x-a": "b" }, ...options }), "d1");
  assert.equal(webhook("https://api.example.com/b", null), "d1");
  assert.equal(email({ to: "ann@example.com", subject: "s", text: "t", html: "<p>t</p>", replyTo: "shop@example.com" }, options), "d1");
  email({ to: ["ann@example.com", "ben@example.com"], subject: "s", text: "t" });
  assert.equal(job("remind", { order: "7" }, options), "d1");
  job("remind");
  const all = { key: "order 7", delay_ms: 1000, max_attempts: 3 };
  assert.deepEqual(calls.map(([, kind, payload, given]) => [kind, JSON.parse(payload), JSON.parse(given)]), [
    ["webhook", { url: "https://api.example.com/a", method: "PUT", headers: { "x-a": "b" }, body: { n: 1 } }, all],
    ["webhook", { url: "https://api.example.com/b", body: null }, {}],
    ["email", { to: ["ann@example.com"], subject: "s", text: "t", html: "<p>t</p>", reply_to: "shop@example.com" }, all],
    ["email", { to: ["ann@example.com", "ben@example.com"], subject: "s", text: "t" }, {}],
    ["job", { rule: "remind", data: { order: "7" } }, all],
    ["job", { rule: "remind" }, {}],
  ]);
});

test("a setting without a value is null", () => {
  answer({ setting: (name) => (name === "most" ? "10" : undefined) });
  assert.deepEqual([setting("most"), setting("other")], ["10", null]);
});

test("log lines are text, and a last object their fields", () => {
  log.info("placed", 7, ["a"], { order: "7" });
  log.warn(new Error("odd"));
  log.error({ only: "this" });
  log.debug(7n, () => {}, Symbol("s"));
  console.log("as everywhere", null, undefined);
  console.debug("low");
  console.error("high", { a: 1 });
  assert.deepEqual(calls, [
    ["log", "info", 'placed 7 ["a"]', '{"order":"7"}'],
    ["log", "warn", "Error: odd", "{}"],
    ["log", "error", '{"only":"this"}', "{}"],
    ["log", "debug", "7 null null", "{}"],
    ["log", "info", "as everywhere null null", "{}"],
    ["log", "debug", "low", "{}"],
    ["log", "error", "high", '{"a":1}'],
  ]);
});

test("time is the host's, and stands still", () => {
  assert.equal(Date.now(), NOW_MS);
  assert.equal(new Date().toISOString(), "2026-01-02T03:04:05.000Z");
  assert.equal(new Date(0).toISOString(), "1970-01-01T00:00:00.000Z");
  assert.equal(new Date(2026, 0, 1).getMonth(), 0);
  assert.equal(Date(), new Date(NOW_MS).toString());
  assert.equal(Date.UTC(1970, 0, 2), 86_400_000);
  class Day extends Date {}
  for (const now of [new Date(), new Day()]) assert.ok(now instanceof Date && now.getTime() === NOW_MS);
  assert.equal(new Date().constructor, Date);
});

test("random numbers are the host's, of all sizes from 0 to below 1", () => {
  const drawn = [];
  for (const byte of [0, 127, 255]) {
    answer({ random: (count) => new Uint8Array(count).fill(byte) });
    drawn.push(Math.random());
  }
  assert.equal(drawn[0], 0);
  assert.ok(drawn[0] < drawn[1] && drawn[1] < drawn[2] && drawn[2] < 1, `${drawn}`);
  answer();
  assert.notEqual(Math.random(), 0);
});

test("random bytes fill any array, a kibibyte at a time", () => {
  assert.deepEqual([...crypto.getRandomValues(new Uint8Array(3))], [1, 2, 3]);
  const long = new Uint32Array(300);
  assert.equal(crypto.getRandomValues(long), long);
  assert.deepEqual(calls.slice(1), [["random", 1024], ["random", 176]]);
  assert.ok(long.every((word) => word !== 0));
});
