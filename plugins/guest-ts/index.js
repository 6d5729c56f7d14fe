// The guest SDK: the contract `ironrule:rules` as authors of JavaScript and TypeScript rules use it. Runs in QuickJS inside the server.
import * as contract from "ironrule:rules/records@1.0.0";
import * as effects from "ironrule:rules/effects@1.0.0";
import * as host from "ironrule:rules/host@1.0.0";

const text = (value) => JSON.stringify(value === undefined ? null : value);
const parsed = (json) => (json === undefined || json === null ? null : JSON.parse(json));

/** A host call that did not succeed. */
export class HostError extends Error {
  constructor(failure) {
    super(failure.message);
    this.name = "HostError";
    this.code = failure.code;
    this.details = parsed(failure.details) ?? {};
  }
}

/** A rule's no. */
export class Rejection extends Error {
  constructor(kind, message, details = {}) {
    super(message);
    this.name = "Rejection";
    this.kind = kind;
    this.details = details;
  }
}

// The engine throws an Error with the failure as `payload`.
function asked(call) {
  try {
    return call();
  } catch (error) {
    const failure = error?.payload ?? error;
    throw failure && typeof failure.code === "string" ? new HostError(failure) : error;
  }
}

/** Records, read and written in the transaction of the write that is being checked. */
export const records = {
  get: (collection, id) => parsed(asked(() => contract.get(collection, id))),
  getMany: (collection, ids) => asked(() => contract.getMany(collection, ids)).map(parsed),
  query: (collection, query = {}) => parsed(asked(() => contract.query(collection, text(query)))),
  create: (collection, content) => parsed(asked(() => contract.create(collection, text(content)))),
  update: (collection, id, patch) => parsed(asked(() => contract.update(collection, id, text(patch)))),
  delete: (collection, id) => void asked(() => contract.delete(collection, id)),
};
const options = ({ key, delayMs, maxAttempts } = {}) => text({ key, delay_ms: delayMs, max_attempts: maxAttempts });

/** Sends a signed request after the commit, to a host among the grants. Answers the id of the delivery. */
export const webhook = (url, body, { method, headers, ...rest } = {}) =>
  asked(() => effects.enqueue("webhook", text({ url, method, headers, body }), options(rest)));

/** Sends an e-mail after the commit. Answers the id of the delivery. */
export const email = ({ to, replyTo, ...message }, rest) =>
  asked(() => effects.enqueue("email", text({ ...message, to: [to].flat(), reply_to: replyTo }), options(rest)));

/** Runs an after-commit rule of this plugin later. Answers the id of the delivery. */
export const job = (rule, data, rest) => asked(() => effects.enqueue("job", text({ rule, data }), options(rest)));

/** The value of a declared setting or secret, as text; null without one. */
export const setting = (name) => host.setting(name) ?? null;

const say = (level) => (...parts) => {
  const last = parts.at(-1);
  const fields = parts.length > 1 && last !== null && typeof last === "object" && !Array.isArray(last) && !(last instanceof Error) ? parts.pop() : {};
  const shown = parts.map((part) => (typeof part === "string" ? part : part instanceof Error ? `${part}` : text(part)));
  host.log(level, shown.join(" "), text(fields));
};

/** The plugin's own log; a last object becomes its fields. */
export const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };

globalThis.console = { ...log, log: log.info, trace: log.debug };

// What the engine offers itself is frozen when the plugin is compiled: every instance would draw the same numbers at the same moment.
Math.random = () => {
  // 53 bits, as many as a number holds exactly.
  const [first, ...bytes] = host.random(7);
  return bytes.reduce((value, byte) => value * 256 + byte, first % 32) / 2 ** 53;
};
const EngineDate = Date;
EngineDate.now = () => Number(host.now());
globalThis.Date = new Proxy(EngineDate, {
  construct: (date, parts, made) => Reflect.construct(date, parts.length === 0 ? [date.now()] : parts, made),
  apply: (date) => new date(date.now()).toString(),
});
EngineDate.prototype.constructor = globalThis.Date;
globalThis.crypto = {
  getRandomValues(array) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < bytes.length; at += 1024) bytes.set(host.random(Math.min(1024, bytes.length - at)), at);
    return array;
  },
};

const written = (hook) => (rule) => ({ ...rule, hook });
/** Runs in the transaction of a write, before the record is validated. */
export const beforeWrite = written("before-write");
/** Runs after the commit of a write, at least once; without collections and operations only as a job. */
export const afterCommit = written("after-commit");
/** Runs at the times of a cron line, in UTC. */
export const scheduled = written("scheduled");
/** Answers requests to `/api/ext/{plugin}{path}`. */
export const endpoint = written("endpoint");

/** The plugin: `export const rules = definePlugin({...})`. */
export function definePlugin({ rules, ...plugin }) {
  if (!Array.isArray(rules)) throw new TypeError("`rules` of definePlugin is no list: `rules: [beforeWrite({ ... })]`");
  const broken = rules.findIndex((rule) => typeof rule?.run !== "function");
  if (broken >= 0) throw new TypeError(`the rule \`${rules[broken]?.name ?? broken}\` has no function \`run\``);
  const runs = new Map(rules.map((rule) => [rule.name, rule.run]));
  const declared = rules.map(({ run, ...rule }) => rule);
  return {
    manifest: () => text({ ...plugin, rules: declared }),
    run: (event) => answered(runs.get(event.rule), event),
  };
}

function answered(run, event) {
  const violations = [];
  try {
    if (!run) throw new Error(`the plugin has no rule ${event.rule}`);
    const seen = context(event, violations);
    const answer = event.hook === "endpoint" ? run(seen.after, seen) : run(seen);
    if (answer instanceof Promise) throw new Error("a rule must not be async: host calls answer at once");
    if (violations.length === 0) return outcome(event, seen, answer);
  } catch (error) {
    throw refused(error, violations);
  }
  throw { kind: "invalid", message: violations[0].message, violations, details: "{}" };
}

function context(event, violations) {
  const given = parsed(event.context) ?? {};
  let patched;
  return {
    rule: event.rule,
    hook: event.hook,
    operation: event.operation,
    collection: event.collection,
    id: event.id,
    before: parsed(event.before),
    after: parsed(event.after),
    caller: given.caller ?? null,
    tenant: given.tenant,
    now: given.now,
    request: given.request,
    attempt: given.attempt,
    delivery: given.delivery,
    scheduledAt: given.scheduled_at,
    dryRun: given.dry_run ?? false,
    fail(path, code, message, params = {}) {
      violations.push({ path, code, message: message ?? code, params: text(params) });
    },
    patch(values) {
      patched = { ...patched, ...values };
    },
    reject(kind, message, details) {
      throw new Rejection(kind, message, details);
    },
    patched: () => patched,
  };
}

function outcome(event, seen, answer) {
  if (event.hook !== "endpoint") {
    const patch = seen.patched() ?? (event.hook === "before-write" ? answer : undefined);
    return { patch: patch === undefined || patch === null ? undefined : text(patch), details: "{}" };
  }
  if (answer === undefined || answer === null) return { patch: undefined, details: "{}" };
  const response = typeof answer === "object" && ("status" in answer || "body" in answer || "text" in answer) ? answer : { body: answer };
  return { patch: undefined, details: text({ response: { status: 200, ...response } }) };
}

function refused(error, violations) {
  if (error instanceof Rejection) {
    return { kind: error.kind, message: error.message, violations, details: text(error.details) };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { kind: "internal", message, violations: [], details: text({ stack: `${message}\n${error?.stack ?? ""}` }) };
}
