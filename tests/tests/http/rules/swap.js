// Two versions of this take turns: each writes which one it is, in the record itself and in other records of the same transaction.
import { afterCommit, beforeWrite, definePlugin, records } from "@ironrule/rules";

const version = "VERSION";
const factor = Number.parseInt(version, 10);
const on = { collections: ["notes"], operations: ["create"] };

export const rules = definePlugin({
  name: "swap",
  version,
  grants: { write: ["marks", "told"] },
  rules: [
    beforeWrite({ name: "stamp", ...on, order: 1, run: ({ after }) => ({ version, product: after.number * factor }) }),
    beforeWrite({ name: "mark", ...on, order: 2, run: ({ id, after }) => void records.create("marks", { note: id, version, seen: after.version }) }),
    afterCommit({ name: "tell", ...on, run: ({ id, after }) => void records.create("told", { note: id, version: after.version }) }),
  ],
});
