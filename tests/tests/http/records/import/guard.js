// Refuses one title and marks what it has seen.
import { beforeWrite, definePlugin } from "@ironrule/rules";

function guard({ after, fail }) {
  if (after.title === "bad") fail("/title", "title.bad", "not this one");
  return { origin: "seen" };
}

export const rules = definePlugin({
  name: "guard",
  version: "1.0.0",
  rules: [beforeWrite({ name: "guard", collections: ["things"], operations: ["create"], run: guard })],
});
