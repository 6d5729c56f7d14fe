// Misbehaves on demand, as `plugins/examples/hostile` does, in the ways that only a language with an engine of its own has.
import { beforeWrite, definePlugin, log, records } from "@ironrule/rules";
import * as contract from "ironrule:rules/records@1.0.0";
import * as host from "ironrule:rules/host@1.0.0";

const swallow = (call) => {
  try {
    call();
  } catch {
    // On purpose: the server has to end this.
  }
};

const behaviours = {
  "js-loop": () => {
    for (;;);
  },
  "js-regex": () => /^(a+)+$/.test(`${"a".repeat(40)}b`),
  "js-sort": () => [3, 1, 2].sort(() => behaviours["js-loop"]()),
  "js-arrays": () => {
    const hoard = [];
    for (;;) hoard.push(new Uint8Array(1 << 20));
  },
  "js-giant-array": () => new Uint8Array(2 ** 31 - 1),
  "js-string": () => {
    let text = "x";
    for (;;) text = text + text;
  },
  "js-recursion": () => {
    const deeper = () => deeper() + 1;
    return { count: deeper() };
  },
  "js-recursive-json": () => JSON.parse("[".repeat(1e5)),
  "js-throw-null": () => {
    throw null;
  },
  "js-throw-number": () => {
    throw 7;
  },
  "js-throw-trap": () => {
    throw new Proxy({}, { get: () => behaviours["js-loop"]() });
  },
  "js-async": async () => ({ count: 1 }),
  "js-circle": () => {
    const circle = {};
    circle.circle = circle;
    return circle;
  },
  "js-bigint": () => ({ count: 1n }),
  "js-to-json": () => ({ toJSON: () => behaviours["js-loop"]() }),
  "js-surrogate": () => ({ text: "\ud800" }),
  "js-nul": () => ({ text: "\0" }),
  "js-deep": () => {
    let deep = {};
    for (let depth = 0; depth < 3_000; depth++) deep = { deep };
    return deep;
  },
  "js-list": () => [1, 2, 3],
  "js-text": () => "no object",
  "js-output": () => ({ text: "x".repeat(600_000) }),
  "js-log-flood": () => {
    for (let line = 0; line < 200; line++) log.info(`line ${line}`, { text: "x".repeat(500) });
  },
  "js-host-flood": () => {
    for (;;) records.get("notes", "missing");
  },
  "js-swallow": () => {
    for (;;) swallow(() => records.create("audit", { note: "again" }));
  },
  "js-elsewhere": () => records.update("users", "anybody", { name: "not granted" }),
  "js-write-and-throw": () => {
    records.create("audit", { note: "half written" });
    throw new Error("after the first write");
  },
  "js-write-and-loop": () => {
    records.create("audit", { note: "half written" });
    for (;;);
  },
  "js-kind": (context) => context.reject("nonsense", "there is no such kind"),
  "js-pointer": (context) => context.fail("no pointer", "x", "x"),
  "js-code": (context) => context.fail("/text", "", "x"),
  "js-many-violations": (context) => {
    for (let number = 0; number < 3_000; number++) context.fail(`/${number}`, "x", "x".repeat(100));
  },
  "js-contract": () => contract.create("audit", 7),
  "js-contract-json": () => contract.create("audit", "no JSON"),
  "js-level": () => host.log("no level", "x", "{}"),
  "js-contract-surrogate": () => contract.get("notes", "\udc00"),
};

const misbehave = (context) => behaviours[context.after.behaviour]?.(context);

export const rules = definePlugin({
  name: "hostile-js",
  version: "1.0.0",
  grants: { read: ["notes"], write: ["audit"] },
  rules: [beforeWrite({ name: "misbehave", collections: ["notes"], operations: ["create"], run: misbehave })],
});
