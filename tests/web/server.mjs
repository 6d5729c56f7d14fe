/** The process `ironrule serve` with the demo shop: its start, its output, and its end. */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const START_MS = 60_000;
const STOP_MS = 20_000;

export class Server {
  /**
   * Starts a server on a fresh folder that knows the account `admin`; ready when this returns. Pages from `origin`, if
   * given, may use it from a browser.
   */
  static async start(admin, { origin } = {}) {
    const binary = findBinary();
    const folder = mkdtempSync(join(tmpdir(), "ironrule-web-"));
    const data = join(folder, "data");
    const server = new Server(folder);
    try {
      createAdmin(binary, data, admin);
      server.#spawn(binary, ["serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--demo", "shop"], origin);
      server.url = await server.#until(() => server.log().match(/listening on (http:\/\/[^\s/]+)/)?.[1]);
      await server.#until(async () => (await fetch(`${server.url}/readyz`).catch(() => null))?.ok);
      return server;
    } catch (error) {
      server.#abandon();
      throw error;
    }
  }

  constructor(folder) {
    this.folder = folder;
    this.logFile = join(folder, "log");
    process.once("exit", () => this.#abandon());
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  }

  /** Everything that it has printed so far, or until it was stopped. */
  log() {
    return this.lastWords ?? readFileSync(this.logFile, "utf8");
  }

  /** Asks it to end as Ctrl-C does; true when it ended by itself, in time and with success. */
  async stop() {
    this.process.kill("SIGINT");
    const clean = await this.#ended(STOP_MS);
    this.lastWords = this.log();
    this.#abandon();
    if (this.lastWords.includes("differ, access denied")) throw new Error(`two ways to decide disagree:\n${this.lastWords}`);
    return clean && this.process.exitCode === 0;
  }

  #spawn(binary, args, origin) {
    const log = openSync(this.logFile, "a");
    this.process = spawn(binary, args, { stdio: ["ignore", log, log], env: environment(origin) });
    this.process.once("error", (error) => (this.failure = error));
    closeSync(log);
  }

  /** What `probe` answers as soon as that is something. */
  async #until(probe) {
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline) {
      if (this.failure || this.process.exitCode !== null) break;
      const answer = await probe();
      if (answer) return answer;
      await pause(20);
    }
    const why = this.failure?.message ?? (this.process.exitCode === null ? "is not ready" : `ended with ${this.process.exitCode}`);
    throw new Error(`the server ${why}, it printed:\n${this.log()}`);
  }

  async #ended(ms) {
    const deadline = Date.now() + ms;
    while (this.process.exitCode === null && this.process.signalCode === null) {
      if (Date.now() > deadline) return false;
      await pause(20);
    }
    return true;
  }

  #abandon() {
    this.process?.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The binary under test. */
export function findBinary() {
  const target = process.env.CARGO_TARGET_DIR ?? join(homedir(), ".cache/ironrule/target");
  const binary = process.env.IRONRULE_BIN ?? join(target, "release/ironrule");
  if (!existsSync(binary)) throw new Error(`there is no \`${binary}\`: build it first, or name one in IRONRULE_BIN`);
  return binary;
}

function createAdmin(binary, data, { email, password }) {
  const args = ["admin", "create", "--email", email, "--password", password, "--data-dir", data];
  const { status, stdout, stderr, error } = spawnSync(binary, args, { encoding: "utf8", env: environment(), timeout: START_MS });
  if (status !== 0) throw new Error(`\`ironrule admin create\` failed (${error?.message ?? status}):\n${stdout}${stderr}`);
}

/** The settings of whoever runs the tests must not change what they see. Every decision is taken twice: by the plan and by Casbin. */
function environment(origin) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith("IRONRULE_"));
  const cors = origin ? { IRONRULE_CORS_ORIGINS: JSON.stringify([origin]) } : {};
  return { ...Object.fromEntries(others), ...cors, IRONRULE_POLICY_MODE: "verify" };
}
