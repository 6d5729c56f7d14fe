// The plugin `post` of the tests of deliveries: does what the order asks for.
import { afterCommit, beforeWrite, definePlugin, email, job, records, scheduled, webhook } from "@ironrule/rules";

const note = (content) => records.create("notes", content);

function send({ after: order, reject }) {
  const options = {
    key: order.key ?? undefined,
    maxAttempts: order.attempts ?? undefined,
    delayMs: order.delay ?? undefined,
    headers: { Authorization: "Bearer of-the-plugin", "X-Test": "yes" },
  };
  const { headers, ...rest } = options;
  const body = { number: order.number, text: "grüße" };
  if (order.url) webhook(order.url, body, options);
  if (order.to) email({ to: order.to, subject: "Bestellung №7", text: "Danke.", html: "<p>Danke.</p>" }, rest);
  if (order.job) job("work", body, rest);
  if (order.what === "refused") reject("conflict", "as asked");
  if (order.what === "thrown") throw new Error("as asked");
}

function remember({ id, operation, before, after, caller, delivery, attempt, request }) {
  const order = after ?? before;
  const who = caller?.principal ?? "nobody";
  note({ order: id, operation, number: order.number, wrote: who, delivery, attempt, request });
  if (order.what === "fails") throw new Error("as asked");
  if (order.what === "fails-twice" && attempt < 3) throw new Error("not yet");
}

const work = ({ after, delivery, attempt }) => note({ operation: "job", number: after.number, delivery, attempt });
const tick = ({ operation, scheduledAt, delivery }) => note({ operation, order: scheduledAt, delivery });

export const rules = definePlugin({
  name: "post",
  version: "1.0.0",
  grants: { write: ["notes"], webhooks: ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"], email: true },
  rules: [
    beforeWrite({ name: "send", collections: ["orders"], operations: ["create"], run: send }),
    afterCommit({ name: "remember", collections: ["orders"], operations: ["create", "update", "delete"], run: remember }),
    afterCommit({ name: "work", run: work }),
    scheduled({ name: "tick", schedule: "* * * * *", run: tick }),
  ],
});
