// A hundred rules about one collection, which count together.
import { beforeWrite, definePlugin } from "@ironrule/rules";

let calls = 0;

const rule = (number) =>
  beforeWrite({
    name: `rule-${number}`,
    collections: ["notes"],
    operations: ["create"],
    order: number,
    run: ({ after }) => ({ calls: ++calls, first: after.first ?? calls, order: `${after.order ?? ""}${number} ` }),
  });

export const rules = definePlugin({
  name: "hundred",
  version: "1.0.0",
  rules: Array.from({ length: 100 }, (_, number) => rule(number)),
});
