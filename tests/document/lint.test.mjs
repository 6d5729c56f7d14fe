/** What others think of the document: linters and a validator find no error in any variant. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { createCollection, dropCollection } from "../web/admin.mjs";
import { everything } from "./collection.mjs";
import { Files, here, runNode, runPython } from "./files.mjs";

const files = new Files();
const documents = {};

before(async () => {
  await createCollection(everything("lint_everything"));
  documents.whole = await files.document("whole.json");
  documents.newer = await files.document("newer.json", "?version=3.1");
  documents.slice = await files.document("slice.json", "?collections=orders");
  documents.caller = await files.document("caller.json", "?for=caller");
});

after(async () => {
  await dropCollection("lint_everything");
  files.remove();
});

async function succeeds(step) {
  const { failed, output } = await step;
  assert.ok(!failed, output);
}

const redocly = (path) => runNode("@redocly/cli/bin/cli.js", ["lint", "--config", `${here}redocly.yaml`, "--format", "stylish", path]);
const spectral = (path) =>
  runNode("@stoplight/spectral-cli/dist/index.js", ["lint", "--ruleset", `${here}spectral.yaml`, "--fail-severity", "warn", path]);
const validator = (path) => runPython("openapi-spec-validator", [path]);

for (const variant of ["whole", "newer", "slice", "caller"]) {
  test(`redocly finds no error in the document: ${variant}`, () => succeeds(redocly(documents[variant])));
  test(`spectral finds nothing in the document: ${variant}`, () => succeeds(spectral(documents[variant])));
  test(`openapi-spec-validator accepts the document: ${variant}`, () => succeeds(validator(documents[variant])));
}

test("all of them would notice a fault", async () => {
  const broken = JSON.parse(readFileSync(documents.whole, "utf8"));
  const operation = broken.paths["/api/records/orders"].get;
  operation.responses["200"].content["application/json"].schema = { type: "array", items: { $ref: "#/components/schemas/Nope" } };
  operation.parameters.push({ name: "wrong", in: "nowhere" });
  const path = files.path("broken.json");
  writeFileSync(path, JSON.stringify(broken));
  for (const check of [redocly, spectral, validator]) assert.ok((await check(path)).failed);
});
