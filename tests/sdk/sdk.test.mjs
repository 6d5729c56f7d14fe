/** The npm package, end to end: types from the running server, checked programs, and what they do to the server. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Project } from "./project.mjs";
import { createCollection, dropCollection } from "../web/admin.mjs";

const url = process.env.IRONRULE_URL;
const project = new Project();

before(() => project.install());
after(() => project.remove());

async function succeeds(step) {
  const { failed, output } = await step;
  assert.ok(!failed, output);
}

test("the types of the demo shop are generated from the running server", async () => {
  await succeeds(project.generate(url));
  const types = readFileSync(join(project.folder, "api.d.ts"), "utf8");
  for (const name of ["OrdersRecord", "OrdersCreate", "OrdersUpdate", "ProductsRecord", "Problem"]) {
    assert.match(types, new RegExp(`^ {8}${name}: \\{`, "m"));
  }
  for (const verb of ["list", "create", "get", "update", "replace", "delete"]) {
    assert.match(types, new RegExp(`^ {4}orders_${verb}: \\{`, "m"));
  }
});

test("a program that orders in the shop compiles under strict and does what it says", async () => {
  await succeeds(project.compile("shop.ts"));
  await succeeds(project.execute("shop.ts"));
});

test("a collection is typed as soon as it is there, and no longer when it is gone", async () => {
  const before = await project.compile("notes.ts");
  assert.ok(before.failed);
  assert.match(before.output, /Argument of type '"sdk_notes"' is not assignable/);

  await createCollection({
    name: "sdk_notes",
    fields: [
      { name: "title", type: "text", required: true },
      { name: "rank", type: "integer" },
      { name: "price", type: "decimal" },
      { name: "mood", type: "select", values: ["calm", "loud"] },
      { name: "done", type: "bool" },
      { name: "extra", type: "json" },
    ],
  });
  await succeeds(project.generate(url));
  await succeeds(project.compile("notes.ts"));
  await succeeds(project.execute("notes.ts"));

  await dropCollection("sdk_notes");
  await succeeds(project.generate(url));
  assert.ok((await project.compile("notes.ts")).failed);
});

test("many records, changes of what is stored, and writes that happen once", async () => {
  await createCollection({
    name: "sdk_parts",
    fields: [
      { name: "sku", type: "text", required: true, unique: true },
      { name: "stock", type: "integer", required: true, min: 0 },
      { name: "price", type: "decimal", scale: 2 },
      { name: "kind", type: "select", values: ["nut", "bolt"] },
      { name: "tags", type: "select", values: ["red", "green", "blue"], many: true },
      { name: "owner", type: "relation", collection: "users", on_delete: "unset" },
    ],
  });
  const part = { name: "part", type: "relation", collection: "sdk_parts", on_delete: "cascade" };
  await createCollection({ name: "sdk_uses", fields: [{ name: "note", type: "text" }, part] });
  await succeeds(project.generate(url));
  await succeeds(project.compile("writes.ts"));
  await succeeds(project.execute("writes.ts"));
  await dropCollection("sdk_uses");
  await dropCollection("sdk_parts");
});

test("ironrule-types says what is wrong", async () => {
  const nobody = await project.generate("http://127.0.0.1:2");
  assert.ok(nobody.failed);
  assert.match(nobody.output, /^cannot reach `http:\/\/127\.0\.0\.1:2\/openapi\.json`: .*ECONNREFUSED/);
  const elsewhere = await project.generate(`${url}/api`);
  assert.ok(elsewhere.failed);
  assert.match(elsewhere.output, /answered 404/);
});
