/** The host's side of the contract, for tests: what it was asked, and what it answers. */

/** The moment at which every rule runs: 2026-01-02T03:04:05Z. */
export const NOW_MS = 1_767_323_045_000;

/** `[function, ...what was given]`, in order. */
export const calls = [];

let answers = {};

/** Forgets the calls; from now on the host answers as told, `{get: (collection, id) => text}`. */
export function answer(given = {}) {
  calls.length = 0;
  answers = { now: () => BigInt(NOW_MS), random: (count) => Uint8Array.from({ length: count }, (_, at) => at + 1), ...given };
}

/** A failure as the engine throws it. */
export function failure(code, message = code, details = "{}") {
  return Object.assign(new Error("the host call failed"), { payload: { code, message, fatal: false, details } });
}

export function asked(name, given) {
  calls.push([name, ...given]);
  return answers[name]?.(...given);
}

const EVENT = { rule: "rule", hook: "before-write", operation: "create", collection: "notes", id: "n1", context: "{}" };

/** Runs the rule of that name as the server does; JSON is written for it and read from its answer. */
export function run(plugin, { before, after, context, ...event } = {}) {
  const text = (value) => (value === undefined ? undefined : JSON.stringify(value));
  const outcome = plugin.run({ ...EVENT, ...event, before: text(before), after: text(after), context: text(context ?? {}) });
  return { patch: outcome.patch && JSON.parse(outcome.patch), details: JSON.parse(outcome.details) };
}

/** What the rule throws, as the contract has it, with its JSON read. */
export function refusal(plugin, event) {
  try {
    run(plugin, event);
  } catch (error) {
    if (error instanceof Error) throw error;
    const violations = error.violations.map((it) => ({ ...it, params: JSON.parse(it.params) }));
    return { ...error, violations, details: JSON.parse(error.details) };
  }
  throw new Error("the rule refused nothing");
}
