/**
 * Schemathesis sends what the document allows, and what it does not, to every operation, on a server of its own: no answer
 * may be a fault of the server, and every answer must be one that the document tells, in status, type, headers and form.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server } from "../web/server.mjs";
import { everything } from "./collection.mjs";
import { Files, runPython } from "./files.mjs";

const ADMIN = { email: process.env.IRONRULE_ADMIN_EMAIL, password: process.env.IRONRULE_ADMIN_PASSWORD };

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "unsupported_method",
  "allow_header_conformance",
];

/** What would end the run rather than be tested by it: the session and the rights of whoever asks. */
const EXCLUDED = ["^/api/auth/logout$", "^/api/roles/.*/members/"];

const files = new Files();
let server;
let token;

before(async () => {
  server = await Server.start(ADMIN);
  process.env.IRONRULE_URL = server.url;
  const admin = await import("../web/admin.mjs");
  await admin.createCollection(everything("everything"));
  token = await admin.adminToken();
});

after(async () => {
  files.remove();
  assert.ok(await server.stop(), `the server did not stop cleanly:\n${server.log()}`);
});

test("no random request makes the server fail or answer what the document does not tell", async (t) => {
  const excluded = EXCLUDED.flatMap((path) => ["--exclude-path-regex", path]);
  const generation = ["--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--seed", "1", "--workers", "2"];
  const checks = ["--checks", CHECKS.join(","), "--continue-on-failure", "--request-timeout", "60", "--warnings", "off"];
  const args = ["run", `${server.url}/openapi.json`, "--header", `Authorization: Bearer ${token}`, ...excluded, ...generation, ...checks];
  const { failed, output } = await runPython("schemathesis", args, files.folder);
  assert.ok(!failed, output);
  t.diagnostic(output.trim().split("\n").slice(-8).join("\n"));
});
