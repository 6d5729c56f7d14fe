/** The npm package for authors of rules: what is in it, and its types beside those of the running server. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { findBinary } from "../web/server.mjs";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ironrule-rules-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What a command prints; an error with all of it when it fails. */
function run(file, args, cwd = folder) {
  try {
    return execFileSync(file, args, { cwd, encoding: "utf8", timeout: 120_000 });
  } catch (error) {
    throw new Error(`${file} ${args.join(" ")}: ${error.message}\n${error.stdout}${error.stderr}`);
  }
}


/** The collections of the server, as `ironrule plugin types` writes them. */
function types() {
  run(findBinary(), ["plugin", "types", "--out", "collections.ts", "--url", process.env.IRONRULE_URL, "--email", process.env.IRONRULE_ADMIN_EMAIL]);
  return readFileSync(join(folder, "collections.ts"), "utf8");
}

test("the package has what it says and nothing else", () => {
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder], join(repository, "plugins/guest-ts")));
  assert.deepEqual(packed.files.map(({ path }) => path).sort(), ["README.md", "index.d.ts", "index.js", "package.json"]);
  const into = join(folder, "node_modules/@ironrule/rules");
  mkdirSync(into, { recursive: true });
  run("tar", ["-xzf", join(folder, packed.filename), "-C", into, "--strip-components=1"]);
});

test("the types of the example order-guard are those of the demo shop", () => {
  const committed = readFileSync(join(repository, "plugins/examples/order-guard-ts/src/collections.ts"), "utf8");
  // Other tests may have made collections beside those of the shop.
  const now = types();
  assert.match(committed, /interface Orders /);
  for (const part of committed.split("\n\n")) {
    assert.ok(now.includes(part.trim()), `write them anew: ironrule plugin types --out plugins/examples/order-guard-ts/src/collections.ts\n${part}`);
  }
});

test("rules are checked by the compiler, strictly", () => {
  copyFileSync(new URL("./programs/rules.ts", import.meta.url), join(folder, "rules.ts"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  for (const [module, moduleResolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]]) {
    const compilerOptions = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, target: "es2023", lib: ["es2023"], types: [], noEmit: true, module, moduleResolution };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["rules.ts"] }));
    run(process.execPath, [join(repository, "sdk/node_modules/typescript/bin/tsc"), "-p", "tsconfig.json"]);
  }
});
