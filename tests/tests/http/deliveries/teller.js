import { afterCommit, beforeWrite, definePlugin, email, job, records, setting, webhook } from "@ironrule/rules";

const tell = ({ id, after }, options) => {
  try {
    webhook(setting("receiver"), { note: id, number: after.number ?? null, key: after.key ?? undefined }, { key: after.key ?? undefined, ...options });
  } catch (error) {
    if (error.code === "not-allowed") return error.message;
    throw error;
  }
};

function tellAbout(context) {
  const { after, fail } = context;
  switch (after.behaviour) {
    case "webhook":
    case "webhook-once": {
      const refused = tell(context, after.behaviour === "webhook-once" ? { maxAttempts: 1 } : {});
      if (refused) fail("", "webhook.refused", refused);
      return;
    }
    case "webhook-then-refuse":
      tell(context);
      return fail("/behaviour", "note.refused", "refused after the webhook");
    case "webhook-then-crash":
      tell(context);
      throw new Error("crashed after the webhook");
    case "job":
      return void job("work", { note: context.id, number: after.number });
    case "email":
      return void email({ to: "ann@notes.example", subject: `Note ${after.number}`, text: `There is a note with the number ${after.number}.` });
  }
}

function afterwards({ id, operation, after, caller, attempt }) {
  if (!["after", "after-fails-once"].includes(after.behaviour)) return;
  records.update("notes", id, { seen: `${operation} by ${caller.email.split("@")[0]}, attempt ${attempt}`, behaviour: "seen" });
  if (after.behaviour === "after-fails-once" && attempt === 1) throw new Error("the first attempt fails");
}

export const rules = definePlugin({
  name: "teller",
  version: "1.0.0",
  grants: { write: ["notes"], webhooks: ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"], email: true },
  settings: [{ name: "receiver" }],
  rules: [
    beforeWrite({ name: "tell", collections: ["notes"], operations: ["create", "update"], run: tellAbout }),
    afterCommit({ name: "afterwards", collections: ["notes"], operations: ["create", "update"], run: afterwards }),
    afterCommit({ name: "work", run: ({ after }) => void records.update("notes", after.note, { seen: `job ${after.number}`, behaviour: "seen" }) }),
  ],
});
