/** A customer's afternoon in the demo shop. Compiled and run by `sdk.test.mjs`; `api.d.ts` is generated there. */
import assert from "node:assert/strict";
import { createClient, etag, memoryTokens, Problem, type Draft, type RecordOf } from "@ironrule/client";
import type { paths } from "./api.js";

const url = process.env["IRONRULE_URL"] ?? "";
const PASSWORD = "demo-password-1";

type Product = RecordOf<paths, "products">;

/** Counts the requests, because some must not be made twice. */
let refreshes = 0;
function countingFetch(request: Request): Promise<Response> {
  if (request.url.endsWith("/api/auth/refresh")) refreshes += 1;
  return fetch(request);
}

const tokens = memoryTokens();
const shop = createClient<paths>({ url, tokens, fetch: countingFetch });
const products = shop.collection("products");
const orders = shop.collection("orders");

async function problem(work: Promise<unknown>): Promise<Problem> {
  const error: unknown = await work.then(() => assert.fail("this must be refused"), (error: unknown) => error);
  assert.ok(error instanceof Problem, String(error));
  return error;
}

async function held() {
  const now = await tokens.load();
  assert.ok(now?.refreshToken);
  return now;
}

async function productWithSku(sku: string): Promise<Product> {
  const page = await products.list({ filter: `sku == "${sku}"`, count: "exact" });
  assert.equal(page.total, 1);
  const [product] = page.items;
  assert.ok(product);
  return product;
}

async function signIn(): Promise<void> {
  const anonymous = await problem(orders.list());
  assert.deepEqual([anonymous.status, anonymous.code], [401, "auth.required"]);
  const wrong = await problem(shop.auth.login({ identity: "ann@shop.example", password: "not-the-password" }));
  assert.deepEqual([wrong.status, wrong.code], [401, "auth.invalid_credentials"]);

  const ann = await shop.auth.login({ identity: "ann@shop.example", password: PASSWORD });
  assert.equal(ann.email, "ann@shop.example");
  const me = await shop.auth.me();
  assert.equal(me.principal, `user:${ann.id}`);
  assert.equal(me.record?.id, ann.id);
}

async function order(tea: Product): Promise<void> {
  const draft: Draft<paths, "orders"> = { items: [{ product: tea.id, quantity: 2 }], total: "9.00" };
  const made = await orders.create(draft);
  assert.equal(made.total, "9.00");
  assert.equal(made.customer, (await shop.auth.me()).record?.id);
  assert.deepEqual(await orders.get(made.id), made);
  assert.equal((await products.get(tea.id)).stock, tea.stock - 2);
}

async function orderTooMany(tea: Product): Promise<void> {
  const refusal = await problem(orders.create({ items: [{ product: tea.id, quantity: 1000 }], total: "4500.00" }));
  assert.deepEqual([refusal.status, refusal.code], [422, "rule.refused"]);
  assert.equal(refusal.errors[0]?.pointer, "/items/0/quantity");
  assert.equal(refusal.errors[0]?.code, "stock.insufficient");
  assert.ok(refusal.requestId);
  assert.notEqual(refusal.message, "");
}

async function readAllPages(tea: Product): Promise<void> {
  for (let more = 0; more < 3; more += 1) {
    await orders.create({ items: [{ product: tea.id, quantity: 1 }], total: "4.50" });
  }
  const { total } = await orders.list({ limit: 1, count: "exact" });
  const seen = new Set<string>();
  for await (const { id } of orders.all({ limit: 1, sort: "created" })) seen.add(id);
  assert.equal(seen.size, total);
  const first = await orders.list({ limit: 1, sort: "created" });
  assert.ok(first.nextCursor);
  const last = await orders.list({ limit: 1000 });
  assert.equal(last.nextCursor, null);
  assert.equal(last.total, null);

  const some = await products.list({ fields: "sku" });
  const sku: string | undefined = some.items[0]?.sku;
  assert.ok(sku);
}

async function stayOnTheVersionThatWasRead(tea: Product): Promise<void> {
  const staff = createClient<paths>({ url });
  await staff.auth.login({ identity: "sam@shop.example", password: PASSWORD });
  const products = staff.collection("products");
  const read = await products.get(tea.id);
  const ifMatch = etag(read);
  assert.ok(ifMatch);
  await products.update(tea.id, { name: "Tea of the day" }, { ifMatch });
  const late = await problem(products.update(tea.id, { name: "Too late" }, { ifMatch }));
  assert.deepEqual([late.status, late.code], [412, "record.version_mismatch"]);
  const back = await products.replace(tea.id, { ...(await products.get(tea.id)), name: tea.name });
  assert.equal(back.name, tea.name);
  await staff.auth.logout();
}

async function refreshOnce(): Promise<void> {
  const before = await held();
  await shop.auth.refresh();
  const after = await held();
  assert.notEqual(after.accessToken, before.accessToken);
  assert.notEqual(after.refreshToken, before.refreshToken);

  await tokens.save({ ...after, accessToken: "expired" });
  refreshes = 0;
  const lists = await Promise.all(Array.from({ length: 8 }, () => orders.list()));
  assert.equal(refreshes, 1);
  assert.ok(lists.every(({ items }) => items.length > 0));
  assert.notEqual((await held()).accessToken, "expired");
}

async function signOut(): Promise<void> {
  const session = await held();
  await shop.auth.logout();
  assert.equal(await tokens.load(), null);
  const anonymous = await problem(orders.list());
  assert.deepEqual([anonymous.status, anonymous.code], [401, "auth.required"]);

  await tokens.save(session);
  const revoked = await problem(orders.list());
  assert.deepEqual([revoked.status, revoked.code], [401, "auth.invalid_token"]);
  assert.equal(await tokens.load(), null, "a session that cannot be refreshed is forgotten");

  await tokens.save(session);
  await shop.auth.logout();
  assert.equal(await tokens.load(), null, "to end an ended session is no mistake");
}

async function callOtherPaths(): Promise<void> {
  const { data, error, response } = await shop.api.GET("/api/records/products/{id}", { params: { path: { id: "nope" } } });
  assert.equal(data, undefined);
  assert.equal(response.status, 404);
  assert.equal(error?.code, "record.not_found");
}

/** Never called: every line below must be refused by the compiler. */
export async function wrong(tea: Product): Promise<void> {
  // @ts-expect-error there is no such collection
  shop.collection("nope");
  // @ts-expect-error an order has items
  await orders.create({ total: "4.50" });
  // @ts-expect-error a decimal is text
  await orders.create({ items: [], total: 4.5 });
  // @ts-expect-error an order has no such field
  await orders.create({ items: [], total: "4.50", colour: "red" });
  // @ts-expect-error the stock is a number
  await products.update(tea.id, { stock: "many" });
  // @ts-expect-error a product has no such field
  tea.colour;
  // @ts-expect-error the price is text, because it is exact
  tea.price.toFixed(2);
  // @ts-expect-error lists have no such parameter
  await orders.list({ page: 2 });
  // @ts-expect-error the limit is a number
  orders.all({ limit: "all" });
  // @ts-expect-error only some fields were asked for
  (await products.list({ fields: "sku" })).items[0]?.sku.length;
  // @ts-expect-error a login has a password
  await shop.auth.login({ identity: "ann@shop.example" });
  // @ts-expect-error there is no such path
  await shop.api.GET("/api/nope");
}

await signIn();
const tea = await productWithSku("TEA-1");
assert.equal(tea.price, "4.50");
await order(tea);
await orderTooMany(tea);
await readAllPages(tea);
await stayOnTheVersionThatWasRead(tea);
await refreshOnce();
await signOut();
await callOtherPaths();
