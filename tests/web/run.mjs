/**
 * `node tests/web/run.mjs`: the tests that see Ironrule from outside, as users of npm and Python packages and in a browser,
 * against the real binary. Gets what they need, starts a server on a folder of its own, runs `tests/document`,
 * `tests/clients`, `tests/sdk` and `tests/browser` with node's test runner, stops the server, and ends with their exit
 * code. Arguments are parts of the paths of test files to run alone, such as `sdk/` or `react-admin`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { provide } from "./needs.mjs";
import { Server } from "./server.mjs";

const folder = fileURLToPath(new URL("../", import.meta.url));
const ADMIN = { email: "admin@test.example", password: "admin-password-1" };

const names = process.argv.slice(2);
const tests = ["document", "clients", "sdk", "browser"].flatMap(testsIn).filter(wanted);
if (tests.length === 0) fail(`no test has one of these names: ${names.join(", ")}`);
const python = attempt(() => provide(tests));

const origin = `http://127.0.0.1:${await freePort()}`;
const server = await Server.start(ADMIN, { origin }).catch((error) => fail(error.message));
const passed = await runTests(server.url);
const stopped = await server.stop();
if (!passed || !stopped) console.error(`\nwhat the server printed:\n${server.log()}`);
if (!stopped) console.error("the server did not stop cleanly");
process.exitCode = passed && stopped ? 0 : 1;

async function runTests(url) {
  const settings = {
    IRONRULE_URL: url,
    IRONRULE_ADMIN_EMAIL: ADMIN.email,
    IRONRULE_ADMIN_PASSWORD: ADMIN.password,
    // Where pages of another origin may come from.
    IRONRULE_TEST_ORIGIN: origin,
    IRONRULE_TEST_PYTHON: python,
  };
  const runner = spawn(process.execPath, ["--test", "--test-concurrency=1", "--test-reporter=spec", ...tests], {
    stdio: "inherit",
    env: { ...process.env, ...settings },
  });
  process.once("exit", () => runner.kill());
  const [status] = await once(runner, "exit");
  return status === 0;
}

/** A port that nobody listens on now. */
async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

function attempt(work) {
  try {
    return work();
  } catch (error) {
    return fail(error.message);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

function testsIn(name) {
  const files = readdirSync(`${folder}${name}`).filter((file) => file.endsWith(".test.mjs"));
  return files.sort().map((file) => `${folder}${name}/${file}`);
}

function wanted(path) {
  return names.length === 0 || names.some((name) => path.slice(folder.length).includes(name));
}
