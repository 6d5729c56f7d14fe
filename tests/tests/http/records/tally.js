// Counts what is written to things in the record of `counters` that they name, and refuses large amounts by what it sees.
import { beforeWrite, definePlugin, records } from "@ironrule/rules";

const tally = ({ after, fail }) => {
  if (after.amount > 100) fail("/amount", "amount.large", `an amount of ${after.amount} is too large`);
  if (after.origin) records.update("counters", after.origin, { "count+": after.amount });
};

export const rules = definePlugin({
  name: "tally",
  version: "1.0.0",
  grants: { read: ["counters"], write: ["counters"] },
  rules: [beforeWrite({ name: "tally", collections: ["things"], operations: ["create", "update"], run: tally })],
});
