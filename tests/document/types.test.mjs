/**
 * Types made from the document by `openapi-typescript`, in both versions: a program of `openapi-fetch` compiles under
 * `tsc --strict` and does to the live server what its types say, and does not compile when it says something wrong.
 */
import assert from "node:assert/strict";
import { copyFileSync, symlinkSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { createCollection, dropCollection } from "../web/admin.mjs";
import { everything } from "./collection.mjs";
import { Files, here, run, runNode } from "./files.mjs";

const files = new Files();
const PROGRAM = "everything.ts";

const TSCONFIG = {
  compilerOptions: {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    target: "ES2022",
    lib: ["ES2022", "DOM", "DOM.Iterable"],
    module: "NodeNext",
    types: ["node"],
    outDir: "out",
  },
  files: [PROGRAM],
};

before(async () => {
  await createCollection(everything("types_everything"));
  writeFileSync(files.path("package.json"), JSON.stringify({ type: "module", private: true }));
  writeFileSync(files.path("tsconfig.json"), JSON.stringify(TSCONFIG));
  copyFileSync(`${here}programs/${PROGRAM}`, files.path(PROGRAM));
  symlinkSync(`${here}node_modules`, files.path("node_modules"));
});

after(async () => {
  await dropCollection("types_everything");
  files.remove();
});

async function succeeds(step) {
  const { failed, output } = await step;
  assert.ok(!failed, output);
}

for (const version of ["3.0", "3.1"]) {
  test(`a program compiles against OpenAPI ${version} and does what it says`, async () => {
    const document = await files.document("document.json", `?version=${version}`);
    const options = ["--default-non-nullable", "false", "--output", files.path("api.d.ts")];
    await succeeds(runNode("openapi-typescript/bin/cli.js", [document, ...options]));
    await succeeds(runNode("typescript/bin/tsc", ["-p", files.folder], files.folder));
    await succeeds(run(process.execPath, [files.path(`out/${PROGRAM.replace(".ts", ".js")}`)], files.folder));
  });
}
