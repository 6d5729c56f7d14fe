/** The API explorer at `/docs`, in a real browser: it works without internet, under its policy, on the live document. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createCollection, dropCollection } from "../web/admin.mjs";
import { Explorer } from "./explorer.mjs";
import { openBrowser, Watch } from "./watch.mjs";

const url = process.env.IRONRULE_URL;
let browser;
let watch;
let explorer;

before(async () => {
  browser = await openBrowser();
  watch = await Watch.open(browser, url);
  explorer = new Explorer(watch.page, url);
});

after(() => browser?.close());

test("the explorer shows the operations of the demo shop", async () => {
  const headers = await explorer.open();
  assert.match(headers["content-security-policy"] ?? "", /(default|script)-src 'self'/);
  assert.doesNotMatch(headers["content-security-policy"], /unsafe-|\*/);
  for (const [method, path] of [
    ["get", "/api/records/orders"],
    ["post", "/api/records/orders"],
    ["get", "/api/records/orders/{id}"],
    ["patch", "/api/records/orders/{id}"],
    ["put", "/api/records/orders/{id}"],
    ["delete", "/api/records/orders/{id}"],
    ["post", "/api/auth/login"],
  ]) {
    assert.equal(await explorer.operation(method, path).count(), 1, `${method} ${path}`);
  }
  await watch.screenshot("1-operations");
});

test("a customer signs in and places an order in the explorer", async () => {
  const login = await explorer.execute("post", "/api/auth/login", {
    body: { identity: "ann@shop.example", password: "demo-password-1" },
  });
  assert.equal(login.status, 200, JSON.stringify(login.body));
  assert.equal(login.body.record.email, "ann@shop.example");
  await login.row.scrollIntoViewIfNeeded();
  await watch.screenshot("2-login");
  

  const products = await explorer.execute("get", "/api/records/products");
  assert.equal(products.status, 200, JSON.stringify(products.body));
  assert.deepEqual(products.body.map(({ sku }) => sku).sort(), ["MUG-1", "POT-1", "TEA-1"]);
  await products.row.scrollIntoViewIfNeeded();
  await watch.screenshot("3-products");

  const mug = products.body.find(({ sku }) => sku === "MUG-1");
  const order = await explorer.execute("post", "/api/records/orders", {
    body: { items: [{ product: mug.id, quantity: 1 }], total: mug.price },
  });
  assert.equal(order.status, 201, JSON.stringify(order.body));
  assert.equal(order.body.customer, login.body.record.id);
  assert.equal(order.body.total, mug.price);
  await order.row.scrollIntoViewIfNeeded();
  await watch.screenshot("4-order");
});

test("a new collection is in the explorer after a reload", async (context) => {
  assert.equal(await explorer.operation("get", "/api/records/browser_notes").count(), 0);
  await createCollection({ name: "browser_notes", fields: [{ name: "title", type: "text", required: true }] });
  context.after(() => dropCollection("browser_notes"));
  await explorer.open();
  for (const [method, path] of [
    ["get", "/api/records/browser_notes"],
    ["post", "/api/records/browser_notes"],
    ["patch", "/api/records/browser_notes/{id}"],
  ]) {
    assert.equal(await explorer.operation(method, path).count(), 1, `${method} ${path}`);
  }
  await explorer.operation("post", "/api/records/browser_notes").scrollIntoViewIfNeeded();
  await watch.screenshot("5-new-collection");
});

test("the browser had nothing to complain about", () => {
  assert.deepEqual(watch.complaints, []);
});
