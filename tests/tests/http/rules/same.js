// Says everything that chance, the clock and the database could make different, and refuses, so that every run is recorded.
import { beforeWrite, definePlugin, log, records } from "@ironrule/rules";

const on = { collections: ["notes"], operations: ["create"] };

function drawn() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [Math.random(), Math.random(), [...bytes], Date.now(), new Date().toISOString(), [1, 2, 3, 4, 5].sort(() => Math.random() - 0.5)];
}

function draw({ after, fail, now, id }) {
  if (after.text !== "draw") return;
  const things = records.query("things", {}).map((thing) => thing.name);
  const keys = Object.keys(records.query("things", { limit: 1 })[0]);
  fail("/text", "note.drawn", JSON.stringify({ drawn: drawn(), now, id }), { things, keys });
}

function take({ after }) {
  if (after.text !== "take") return;
  log.info(JSON.stringify(drawn()));
  const [counter] = records.query("counters", { limit: 1 });
  records.update("counters", counter.id, { count: counter.count + 1 });
}

export const rules = definePlugin({
  name: "same",
  version: "1.0.0",
  grants: { query: ["things", "counters"], write: ["counters"] },
  rules: [beforeWrite({ name: "draw", ...on, run: draw }), beforeWrite({ name: "take", ...on, run: take })],
});
