// Counts its calls and keeps what it was asked in every place that an instance has.
import { beforeWrite, definePlugin, endpoint, records } from "@ironrule/rules";

let calls = 0;
const kept = [];

function count({ after }) {
  calls += 1;
  const found = [...kept, globalThis.kept, {}.kept, Math.kept, count.kept].filter((text) => text !== undefined);
  kept.push(after.text);
  for (const place of [globalThis, Object.prototype, Math, count]) place.kept = after.text;
  return { calls, kept: JSON.stringify(found) };
}

function many({ body }) {
  calls += 1;
  const notes = body.texts.map((text) => records.create("notes", { text, behaviour: "count-global" }));
  return { body: { calls, notes } };
}

export const rules = definePlugin({
  name: "state",
  version: "1.0.0",
  grants: { write: ["notes"] },
  rules: [
    beforeWrite({ name: "count", collections: ["notes"], operations: ["create"], run: count }),
    endpoint({ name: "many", method: "POST", path: "/many", run: many }),
  ],
});
