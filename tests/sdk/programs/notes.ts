/** Uses a collection that was made a moment ago. Compiled and run by `sdk.test.mjs`; `api.d.ts` is generated there. */
import assert from "node:assert/strict";
import { createClient, Problem } from "@ironrule/client";
import type { paths } from "./api.js";

const client = createClient<paths>({ url: process.env["IRONRULE_URL"] ?? "" });
const notes = client.collection("sdk_notes");

/** Never called: every line below must be refused by the compiler. */
export async function wrong(): Promise<void> {
  // @ts-expect-error a note has a title
  await notes.create({ rank: 1 });
  // @ts-expect-error a mood is one of two
  await notes.create({ title: "one", mood: "angry" });
  // @ts-expect-error a rank is a number
  await notes.update("id", { rank: "first" });
  // @ts-expect-error a price is text
  await notes.create({ title: "one", price: 4.5 });
}

await client.auth.login({
  identity: process.env["IRONRULE_ADMIN_EMAIL"] ?? "",
  password: process.env["IRONRULE_ADMIN_PASSWORD"] ?? "",
});

const made = await notes.create({ title: "one", rank: 1, price: "4.50", mood: "calm", done: false, extra: { a: [1, null] } });
const title: string = made.title;
const rank: number | null = made.rank;
const price: string | null = made.price;
const mood: "calm" | "loud" | null = made.mood;
const done: boolean | null = made.done;
assert.deepEqual([title, rank, price, mood, done, made.extra], ["one", 1, "4.50", "calm", false, { a: [1, null] }]);

const changed = await notes.update(made.id, { mood: "loud", rank: null });
assert.deepEqual([changed.mood, changed.rank, changed.title], ["loud", null, "one"]);
assert.equal((await notes.replace(made.id, { title: "two" })).price, null);
assert.equal((await notes.list({ filter: 'title == "two"', count: "exact" })).total, 1);
assert.equal((await notes.delete(made.id)).title, "two");
const gone: unknown = await notes.get(made.id).catch((error: unknown) => error);
assert.ok(gone instanceof Problem && gone.status === 404 && gone.code === "record.not_found", String(gone));
