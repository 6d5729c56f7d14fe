// Writes down every note that is changed or deleted, whoever asked for that, and keeps those that are locked.
import { beforeWrite, definePlugin, records } from "@ironrule/rules";

function seen({ operation, before, after, fail, id }) {
  if (before.text === "locked") fail("/text", "note.locked", "this note is locked");
  records.create("seen", { note: id, operation, left: after ? JSON.stringify(after.things ?? null) : "" });
}

/** Points somewhere, as the text says. */
function point({ after }) {
  if (after.text && after.text.startsWith("to ")) return { things: after.text.slice(3).split(" ") };
}

export const rules = definePlugin({
  name: "seen",
  version: "1.0.0",
  grants: { write: ["seen"] },
  rules: [
    beforeWrite({ name: "seen", collections: ["notes"], operations: ["update", "delete"], run: seen }),
    beforeWrite({ name: "point", collections: ["notes"], operations: ["create"], run: point }),
  ],
});
