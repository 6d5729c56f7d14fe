/** A folder for one test, with the variants of the document as files, and the programs that read them. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { adminToken } from "../web/admin.mjs";

const url = process.env.IRONRULE_URL;
export const here = fileURLToPath(new URL("./", import.meta.url));

/** Telemetry and looks for newer versions would need the internet. */
const QUIET = { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", NO_UPDATE_NOTIFIER: "1", FORCE_COLOR: "0", CI: "true" };

/** Installing for the first time fills caches on slow disks. */
const DEADLINE_MS = 180_000;

export class Files {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "ironrule-document-"));
  }

  path(name) {
    return join(this.folder, name);
  }

  /** Writes the document that the query asks for, as the admin sees it, and returns its path. */
  async document(name, query = "") {
    const headers = { Authorization: `Bearer ${await adminToken()}` };
    const response = await fetch(`${url}/openapi.json${query}`, { headers });
    if (!response.ok) throw new Error(`/openapi.json${query} answered ${response.status}: ${await response.text()}`);
    const path = this.path(name);
    writeFileSync(path, await response.text());
    return path;
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs a program of an npm package of this folder. */
export function runNode(script, args, cwd = here) {
  return run(process.execPath, [join(here, "node_modules", script), ...args], cwd);
}

/** Runs a program of the Python packages. */
export function runPython(program, args, cwd = here, environment = {}) {
  const programs = process.env.IRONRULE_TEST_PYTHON;
  return run(join(programs, program), args, cwd, { PATH: `${programs}:${process.env.PATH}`, ...environment });
}

/** Resolves also when the program fails: `failed` is then true. */
export function run(file, args, cwd, environment = {}) {
  return new Promise((resolve) => {
    const options = { cwd, timeout: DEADLINE_MS, maxBuffer: 50e6, env: { ...process.env, ...QUIET, ...environment } };
    execFile(file, args, options, (error, stdout, stderr) => {
      resolve({ failed: error !== null, output: `${stdout}${stderr}` });
    });
  });
}
