/** Many records, changes of what is stored, and writes that happen once. Compiled and run by `sdk.test.mjs`. */
import assert from "node:assert/strict";
import { createClient, etag, Problem } from "@ironrule/client";
import type { paths } from "./api.js";

const url = process.env["IRONRULE_URL"] ?? "";
const ADMIN = { identity: process.env["IRONRULE_ADMIN_EMAIL"] ?? "", password: process.env["IRONRULE_ADMIN_PASSWORD"] ?? "" };

const client = createClient<paths>({ url });
await client.auth.login(ADMIN);
const parts = client.collection("sdk_parts");

async function problem(work: Promise<unknown>): Promise<Problem> {
  const error: unknown = await work.then(() => assert.fail("this must be refused"), (error: unknown) => error);
  assert.ok(error instanceof Problem, String(error));
  return error;
}

async function createMany(): Promise<void> {
  const made = await parts.createMany([
    { sku: "A-1", stock: 5, price: "1.50", tags: ["red"] },
    { sku: "A-2", stock: 7, price: "2.00", kind: "nut" },
  ]);
  assert.deepEqual(made.map(({ sku }) => sku), ["A-1", "A-2"]);
  const refused = await problem(parts.createMany([{ sku: "A-3", stock: 1 }, { sku: "A-1", stock: 1 }]));
  assert.deepEqual([refused.status, refused.errors[0]?.pointer], [409, "/1/sku"]);
  assert.equal((await parts.list({ count: "exact", limit: 1 })).total, 2);
}

async function upsert(): Promise<void> {
  const changed = await parts.upsert({ sku: "A-1", stock: 6 }, { on: "sku" });
  assert.deepEqual([changed.stock, changed.price], [6, "1.50"]);
  const both = await parts.upsertMany([{ sku: "A-2", stock: 8 }, { sku: "A-3", stock: 9, price: "3.00" }], { on: "sku" });
  assert.deepEqual(both.map(({ sku, stock }) => [sku, stock]), [["A-2", 8], ["A-3", 9]]);
}

async function change(): Promise<void> {
  const { items } = await parts.list({ sku: "A-1" });
  const id = items[0]?.id ?? "";
  const changed = await parts.update(id, { "stock-": 2, "price+": "0.50", "tags+": ["green", "blue"] });
  assert.deepEqual([changed.stock, changed.price, changed.tags], [4, "2.00", ["red", "green", "blue"]]);
  assert.deepEqual((await parts.update(id, { "tags-": "red" })).tags, ["green", "blue"]);
  const refused = await problem(parts.update(id, { "stock-": 5 }));
  assert.equal(refused.code, "record.invalid");
}

async function ask(): Promise<void> {
  const some = await parts.list({ stock_gte: 5, kind: "nut", fields: "sku" });
  assert.deepEqual(some.items.map(({ sku }) => sku), ["A-2"]);
  const listed = await parts.list({ sku_in: ["A-1", "A-3"], sort: "sku" });
  assert.deepEqual(listed.items.map(({ sku }) => sku), ["A-1", "A-3"]);
  const groups = await parts.aggregate({ select: ["count", "sum:stock"], group: ["kind"] });
  assert.deepEqual(groups, [{ kind: null, count: 2, sum_stock: 13 }, { kind: "nut", count: 1, sum_stock: 8 }]);
  const exported: string[] = [];
  for await (const part of parts.export({ sort: "-sku" })) exported.push(part.sku);
  assert.deepEqual(exported, ["A-3", "A-2", "A-1"]);
}

async function expand(): Promise<void> {
  const owner = (await client.auth.me()).record?.id ?? null;
  const made = await parts.create({ sku: "B-1", stock: 1, owner });
  const { items } = await parts.list({ sku: "B-1", expand: "owner" });
  assert.equal(items[0]?.expand?.owner?.email, ADMIN.identity);
  await parts.delete(made.id);
}

async function changeByFilter(): Promise<void> {
  const tried = await parts.updateAll({ "stock+": 10 }, { filter: "stock >= 8", max: 10, dryRun: true });
  assert.deepEqual([tried.matched, tried.changed, tried.dryRun], [2, 2, true]);
  const done = await parts.updateAll({ "stock+": 10 }, { filter: "stock >= 8", max: 10 });
  assert.deepEqual([done.ids.length, done.dryRun], [2, false]);
  const tooMany = await problem(parts.deleteAll({ filter: "stock > 0", max: 1 }));
  assert.equal(tooMany.status, 409);
  const gone = await parts.deleteAll({ filter: 'sku == "A-3"', max: 1 });
  assert.deepEqual([gone.changed, (await parts.list({ count: "exact", limit: 1 })).total], [1, 2]);
}

async function batch(): Promise<void> {
  const batch = client.batch();
  const first = batch.create("sdk_parts", { sku: "E-1", stock: 1 });
  batch.create("sdk_uses", { part: first.ref("id"), note: "refers to what is made before it" });
  const changed = batch.update("sdk_parts", first.ref("id"), { "stock+": 4 });
  const either = batch.upsert("sdk_parts", { sku: "A-2", stock: 1 }, { on: "sku" });
  assert.throws(() => first.record, /not sent/);
  await batch.send();
  assert.deepEqual([first.isNew, changed.record.stock, either.isNew, either.record.stock], [true, 5, false, 1]);
  const [use] = (await client.collection("sdk_uses").list({ part: first.record.id })).items;
  assert.equal(use?.part, first.record.id);
  await parts.update(first.record.id, { stock: 0 }, { ifMatch: etag(changed.record) });

  const wrong = client.batch();
  wrong.create("sdk_parts", { sku: "E-2", stock: 1 });
  wrong.delete("sdk_parts", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  const refused = await problem(wrong.send());
  assert.equal(refused.status, 404);
  assert.equal((await parts.list({ sku: "E-2" })).items.length, 0, "all or none");
}

async function writeOnce(): Promise<void> {
  const draft = { sku: "C-1", stock: 1 };
  const first = await parts.create(draft, { idempotencyKey: "once" });
  const again = await parts.create(draft, { idempotencyKey: "once" });
  assert.deepEqual(again, first);
  const other = await problem(parts.create({ ...draft, stock: 2 }, { idempotencyKey: "once" }));
  assert.equal(other.status, 422);
}

/** Every first answer is lost on its way back, after the server has done what it was asked. */
async function survive(): Promise<void> {
  const sent: (string | null)[] = [];
  let lost = 0;
  async function lossyFetch(request: Request): Promise<Response> {
    if (request.url.includes("/api/auth/")) return fetch(request);
    sent.push(request.headers.get("Idempotency-Key"));
    const response = await fetch(request);
    if (sent.length % 2 === 0) return response;
    lost += 1;
    throw new TypeError("the connection broke");
  }
  const careful = createClient<paths>({ url, fetch: lossyFetch, retries: 1 });
  await careful.auth.login(ADMIN);
  const made = await careful.collection("sdk_parts").create({ sku: "D-1", stock: 1 });
  const changed = await careful.collection("sdk_parts").update(made.id, { "stock+": 1 });
  assert.deepEqual([lost, changed.stock], [2, 2], "nothing was done twice");
  assert.ok(sent[0] && sent[0] === sent[1] && sent[2] === sent[3] && sent[0] !== sent[2], String(sent));
  assert.equal((await careful.collection("sdk_parts").list({ sku: "D-1" })).items.length, 1);

  const careless = createClient<paths>({ url, fetch: () => Promise.reject(new TypeError("there is no network")) });
  await assert.rejects(careless.collection("sdk_parts").list(), /no network/);
}

/** Never called: every line below must be refused by the compiler. */
export async function wrong(): Promise<void> {
  // @ts-expect-error a step of a number is a number
  await parts.update("id", { "stock+": "many" });
  // @ts-expect-error a choice has no steps
  await parts.update("id", { "kind+": "nut" });
  // @ts-expect-error there is no such field
  await parts.update("id", { "colour+": 1 });
  // @ts-expect-error a tag is one of three
  await parts.update("id", { "tags+": "purple" });
  // @ts-expect-error an upsert says by which field
  await parts.upsert({ sku: "A-1", stock: 1 });
  // @ts-expect-error each draft has a stock
  await parts.createMany([{ sku: "A-1" }]);
  // @ts-expect-error a stock is compared with a number
  await parts.list({ stock_gte: "many" });
  // @ts-expect-error a write by filter has a bound
  await parts.deleteAll({ filter: "stock > 0" });
  // @ts-expect-error a part has no such field
  client.batch().create("sdk_parts", { sku: "A-1", stock: 1 }).ref("colour");
  // @ts-expect-error nothing can be summed that is no number
  await parts.aggregate({ select: ["sum:sku"] });
}

await createMany();
await upsert();
await change();
await ask();
await expand();
await changeByFilter();
await batch();
await writeOnce();
await survive();
