// The guest SDK: the contract `ironrule:rules` as authors of JavaScript and TypeScript rules use it. Runs in QuickJS inside the server.
import * as contract from "ironrule:rules/records@1.0.0";
import * as effects from "ironrule:rules/effects@1.0.0";
import * as host from "ironrule:rules/host@1.0.0";

// Functions and symbols have no JSON.
const text = (value) => JSON.stringify(value) ?? "null";
const parsed = (json) => (json === undefined || json === null ? null : JSON.parse(json));

// The engine ends the whole call, without a line of the author's, when it is given what the contract does not say: whatever goes out is checked
// here first. That a text has no half of a surrogate pair belongs to it.

const described = (value) => {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return "a list";
  const type = typeof value;
  return type === "string" ? "a text" : type === "object" ? "an object" : `a ${type}`;
};

const wrong = (where, name, value, wanted) => new TypeError(`${where}: \`${name}\` is ${described(value)}, not ${wanted}`);

function asText(where, name, value) {
  if (typeof value !== "string") throw wrong(where, name, value, "a text");
  return value.toWellFormed();
}

function asTexts(where, name, value) {
  if (!Array.isArray(value)) throw wrong(where, name, value, "a list of texts");
  // Array.from visits holes too.
  return Array.from(value, (one, at) => asText(where, `${name}[${at}]`, one));
}

function asObject(where, name, value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(where, name, value, "an object");
  return value;
}

function asTextsByName(where, name, value) {
  const entries = Object.entries(asObject(where, name, value));
  return Object.fromEntries(entries.map(([key, one]) => [key, asText(where, `${name}.${key}`, one)]));
}

function asCount(where, name, value) {
  if (!Number.isSafeInteger(value) || value < 0) throw wrong(where, name, value, "a whole number from 0 on");
  return value;
}

/** The same for what may be absent. */
const perhaps = (check, where, name, value) => (value === undefined || value === null ? undefined : check(where, name, value));

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
  constructor(kind, message, details) {
    super(asText("Rejection", "message", message));
    this.name = "Rejection";
    this.kind = asText("Rejection", "kind", kind);
    this.details = perhaps(asObject, "Rejection", "details", details) ?? {};
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
  get(collection, id) {
    const place = [asText("records.get", "collection", collection), asText("records.get", "id", id)];
    return parsed(asked(() => contract.get(...place)));
  },
  getMany(collection, ids) {
    const places = [asText("records.getMany", "collection", collection), asTexts("records.getMany", "ids", ids)];
    return asked(() => contract.getMany(...places)).map(parsed);
  },
  query(collection, query = {}) {
    const what = [asText("records.query", "collection", collection), text(asObject("records.query", "query", query))];
    return parsed(asked(() => contract.query(...what)));
  },
  create(collection, content) {
    const what = [asText("records.create", "collection", collection), text(asObject("records.create", "content", content))];
    return parsed(asked(() => contract.create(...what)));
  },
  update(collection, id, patch) {
    const place = [asText("records.update", "collection", collection), asText("records.update", "id", id)];
    const change = text(asObject("records.update", "patch", patch));
    return parsed(asked(() => contract.update(...place, change)));
  },
  delete(collection, id) {
    const place = [asText("records.delete", "collection", collection), asText("records.delete", "id", id)];
    asked(() => contract.delete(...place));
  },
};

function options(where, given) {
  const key = perhaps(asText, where, "key", given.key);
  const delayMs = perhaps(asCount, where, "delayMs", given.delayMs);
  const maxAttempts = perhaps(asCount, where, "maxAttempts", given.maxAttempts);
  return text({ key, delay_ms: delayMs, max_attempts: maxAttempts });
}

/** Sends a signed request after the commit, to a host among the grants. Answers the id of the delivery. */
export function webhook(url, body, given = {}) {
  const { method, headers, ...rest } = asObject("webhook", "options", given);
  const payload = text({
    url: asText("webhook", "url", url),
    method: perhaps(asText, "webhook", "method", method),
    headers: perhaps(asTextsByName, "webhook", "headers", headers),
    body,
  });
  const how = options("webhook", rest);
  return asked(() => effects.enqueue("webhook", payload, how));
}

/** Sends an e-mail after the commit. Answers the id of the delivery. */
export function email(message, given = {}) {
  const { to, replyTo, ...rest } = asObject("email", "message", message);
  const payload = text({
    ...rest,
    subject: asText("email", "subject", rest.subject),
    text: asText("email", "text", rest.text),
    html: perhaps(asText, "email", "html", rest.html),
    to: asTexts("email", "to", typeof to === "string" ? [to] : to),
    reply_to: perhaps(asText, "email", "replyTo", replyTo),
  });
  const how = options("email", asObject("email", "options", given));
  return asked(() => effects.enqueue("email", payload, how));
}

/** Runs an after-commit rule of this plugin later. Answers the id of the delivery. */
export function job(rule, data, given = {}) {
  const payload = text({ rule: asText("job", "rule", rule), data });
  const how = options("job", asObject("job", "options", given));
  return asked(() => effects.enqueue("job", payload, how));
}

/** The value of a declared setting or secret, as text; null without one. */
export const setting = (name) => host.setting(asText("setting", "name", name)) ?? null;

const say = (level) => (...parts) => {
  const last = parts.at(-1);
  const fields = parts.length > 1 && last !== null && typeof last === "object" && !Array.isArray(last) && !(last instanceof Error) ? parts.pop() : {};
  const plain = (part) => typeof part === "string" || typeof part === "bigint" || part instanceof Error;
  const shown = parts.map((part) => (plain(part) ? `${part}` : text(part)));
  host.log(level, shown.join(" ").toWellFormed(), text(fields));
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
    if (!ArrayBuffer.isView(array)) throw wrong("crypto.getRandomValues", "array", array, "a typed array");
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
    fail(path, code, message, params) {
      violations.push({
        path: asText("fail", "path", path),
        code: asText("fail", "code", code),
        message: asText("fail", "message", message ?? code),
        params: text(perhaps(asObject, "fail", "params", params) ?? {}),
      });
    },
    patch(values) {
      patched = { ...patched, ...perhaps(asObject, "patch", "values", values) };
    },
    reject(kind, message, details) {
      asText("reject", "kind", kind);
      asText("reject", "message", message);
      perhaps(asObject, "reject", "details", details);
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
  return { patch: undefined, details: text({ response: response(event.rule, answer) }) };
}

const MEMBERS = ["status", "headers", "body", "text"];

/**
 * Whether an answer says how it is sent. Records have fields of these names too: one other member, or a status that is none of HTTP, makes
 * all of it the body.
 */
function saysHow(answer) {
  if (typeof answer !== "object" || Array.isArray(answer)) return false;
  const names = Object.keys(answer);
  const { status } = answer;
  const isStatus = status === undefined || (Number.isInteger(status) && status >= 100 && status <= 599);
  return isStatus && names.every((name) => MEMBERS.includes(name)) && names.some((name) => name !== "headers");
}

function response(rule, answer) {
  if (!saysHow(answer)) return { status: 200, body: answer };
  const where = `the answer of \`${rule}\``;
  return {
    status: 200,
    ...answer,
    headers: perhaps(asTextsByName, where, "headers", answer.headers),
    text: perhaps(asText, where, "text", answer.text),
  };
}

const said = (value) => String(value).toWellFormed();

function refused(error, violations) {
  try {
    return rejection(error, violations);
  } catch (odd) {
    // What was thrown has no text, or its details no JSON.
    return rejection(odd, []);
  }
}

function rejection(error, violations) {
  if (error instanceof Rejection) {
    return { kind: said(error.kind), message: said(error.message), violations, details: text(error.details) };
  }
  const message = said(error instanceof Error ? `${error.name}: ${error.message}` : error);
  return { kind: "internal", message, violations: [], details: text({ stack: said(`${message}\n${error?.stack ?? ""}`) }) };
}
