// Writes records and queues a job, and then does what the text of the order asks for.
import { afterCommit, beforeWrite, definePlugin, job, records } from "@ironrule/rules";

const asked = {
  refuse: ({ fail }) => fail("/text", "order.refused", "as asked"),
  forbid: ({ reject }) => reject("forbidden", "as asked"),
  clash: ({ reject }) => reject("conflict", "as asked"),
  throw: () => {
    throw new Error("as asked");
  },
  loop: () => {
    for (;;);
  },
  locked: ({ operation, fail }) => {
    if (operation === "delete") fail("/text", "order.locked", "this order is locked");
  },
};

function clerk(context) {
  const order = context.after ?? context.before;
  records.create("ledger", { note: `${context.operation} of ${context.id}` });
  if (order.page) records.update("ledger", order.page, { note: "written over" });
  if (order.gone) records.delete("ledger", order.gone);
  job("later", { order: context.id });
  asked[order.text]?.(context);
}

export const rules = definePlugin({
  name: "clerk",
  version: "1.0.0",
  grants: { read: ["ledger"], write: ["ledger"] },
  rules: [
    beforeWrite({ name: "clerk", collections: ["orders"], operations: ["create", "update", "delete"], run: clerk }),
    afterCommit({ name: "later", run() {} }),
  ],
});
