/**
 * `node tests/web/run.mjs`: the tests that see Ironrule from outside, as npm users and in a browser, against the real
 * binary. Installs what they need, starts a server on a folder of its own, runs `tests/sdk` and `tests/browser` with
 * node's test runner, stops the server, and ends with their exit code. Arguments are names of test files to run alone.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Server } from "./server.mjs";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const ADMIN = { email: "admin@test.example", password: "admin-password-1" };

const tests = ["sdk", "browser"].flatMap(testsIn).filter((path) => wanted(path, process.argv.slice(2)));
if (tests.length === 0) fail(`no test has one of these names: ${process.argv.slice(2).join(", ")}`);
install("sdk");
run("npm", ["run", "--silent", "build"], `${repository}sdk`);
install("tests");

const server = await Server.start(ADMIN).catch((error) => fail(error.message));
const passed = await runTests(server.url);
const stopped = await server.stop();
if (!passed || !stopped) console.error(`\nwhat the server printed:\n${server.log()}`);
if (!stopped) console.error("the server did not stop cleanly");
process.exitCode = passed && stopped ? 0 : 1;

async function runTests(url) {
  const settings = { IRONRULE_URL: url, IRONRULE_ADMIN_EMAIL: ADMIN.email, IRONRULE_ADMIN_PASSWORD: ADMIN.password };
  const runner = spawn(process.execPath, ["--test", "--test-concurrency=1", "--test-reporter=spec", ...tests], {
    stdio: "inherit",
    env: { ...process.env, ...settings },
  });
  process.once("exit", () => runner.kill());
  const [status] = await once(runner, "exit");
  return status === 0;
}

/** As `npm ci`, unless it is done already for this lock file. */
function install(folder) {
  const done = `${repository}${folder}/node_modules/.package-lock.json`;
  const lock = `${repository}${folder}/package-lock.json`;
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(lock).mtimeMs) return;
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], `${repository}${folder}`);
}

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (status === 0) return;
  fail(`\`${command} ${args.join(" ")}\` failed in ${cwd}${error ? `: ${error.message}` : ""}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

function testsIn(folder) {
  const names = readdirSync(`${repository}tests/${folder}`).filter((name) => name.endsWith(".test.mjs"));
  return names.sort().map((name) => `${repository}tests/${folder}/${name}`);
}

function wanted(path, names) {
  return names.length === 0 || names.some((name) => path.includes(name));
}
