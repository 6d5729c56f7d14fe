#!/usr/bin/env node
/** `ironrule-types URL OUT.d.ts`: writes the types of a running server's API, for `createClient<paths>`. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

const USAGE = "usage: ironrule-types URL OUT.d.ts\n\nas: ironrule-types http://127.0.0.1:8090 src/api.d.ts";

async function main(args: string[]): Promise<void> {
  const [url, out, ...more] = args;
  if (!url || !out || more.length > 0) throw new Error(USAGE);
  const document = await fetchDocument(`${url.replace(/\/+$/, "")}/openapi.json`);
  const types = `// Written by ironrule-types from a running server. Do not edit: run it again.\n\n${await typesOf(document)}`;
  if ((await readFile(out, "utf8").catch(() => null)) === types) return;
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, types);
}

async function fetchDocument(url: string): Promise<string> {
  const response = await fetch(url).catch((error: Error) => {
    throw new Error(`cannot reach \`${url}\`: ${error.cause instanceof Error ? error.cause.message : error.message}`);
  });
  if (!response.ok) throw new Error(`\`${url}\` answered ${response.status}`);
  return response.text();
}

async function typesOf(document: string): Promise<string> {
  const generator = await import("openapi-typescript").catch(() => {
    throw new Error("openapi-typescript is missing: npm install --save-dev openapi-typescript typescript");
  });
  const syntax = await generator.default(document, {
    // A field with a default may be left out of a draft.
    defaultNonNullable: false,
    // `type: object` alone is any object, not one without members.
    emptyObjectsUnknown: true,
  });
  return generator.astToString(syntax);
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
