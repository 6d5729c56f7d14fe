/**
 * What tests need beside this repository: npm packages by lock file, the SDK built, and Python packages in a virtual
 * environment of their own. Each is made once and kept until its lock file changes.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const REQUIREMENTS = `${repository}tests/document/requirements.txt`;

/** Which tests need what; the first words of their path in `tests`. */
const NEEDS = [
  ["sdk/", ["sdk"]],
  ["browser/", ["sdk", "tests"]],
  ["browser/react-admin", ["tests/clients"]],
  ["clients/", ["tests/clients"]],
  ["document/", ["tests/document", "python"]],
];

/** Gets everything that these tests need; returns where the programs of the Python packages are. */
export function provide(tests) {
  const needed = NEEDS.filter(([start]) => tests.some((path) => path.includes(`/tests/${start}`))).flatMap(([, names]) => names);
  for (const name of new Set(needed)) {
    if (name !== "python") install(name);
    if (name === "sdk") run("npm", ["run", "--silent", "build"], `${repository}sdk`);
  }
  return needed.includes("python") ? join(python(), "bin") : "";
}

/** As `npm ci`, unless it is done already for this lock file. */
function install(folder) {
  const done = `${repository}${folder}/node_modules/.package-lock.json`;
  const lock = `${repository}${folder}/package-lock.json`;
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(lock).mtimeMs) return;
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], `${repository}${folder}`);
}

/** A virtual environment with exactly the listed packages. The folder `complete` in it says that nothing is missing. */
function python() {
  const version = spawnSync("python3", ["--version"], { encoding: "utf8" }).stdout;
  const key = createHash("sha256").update(version).update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 16);
  const kept = join(homedir(), ".cache/ironrule");
  const folder = join(kept, `python-${key}`);
  if (existsSync(join(folder, "complete"))) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(kept, { recursive: true });
  run("python3", ["-m", "venv", folder], kept);
  run(join(folder, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", REQUIREMENTS], kept);
  mkdirSync(join(folder, "complete"));
  return folder;
}

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (status !== 0) throw new Error(`\`${command} ${args.join(" ")}\` failed in ${cwd}${error ? `: ${error.message}` : ""}`);
}
