/** A page of headless Chromium, and everything that it complained about. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Created when missing. */
const SCREENSHOTS = join(tmpdir(), "ironrule-screenshots");

/** Waiting ends as soon as there is something to see, so this is only paid by failures. */
export const DEADLINE_MS = 30_000;

export async function openBrowser() {
  if (!existsSync(EXECUTABLE)) throw new Error(`there is no \`${EXECUTABLE}\`: apt-get install chromium, or name one in CHROMIUM`);
  return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
}

/** A page that may speak with some hosts only: that of `url` and those of `others`. */
export class Watch {
  /** Violations of the content security policy, errors on the console, uncaught errors, requests to other hosts. */
  complaints = [];

  static async open(browser, url, others = []) {
    const watch = new Watch();
    watch.page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
    watch.page.setDefaultTimeout(DEADLINE_MS);
    await watch.#listen([url, ...others].map((one) => new URL(one).host));
    return watch;
  }

  /** Keeps what the page looks like now, for people; the next run overwrites it. */
  async screenshot(name) {
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }

  async #listen(hosts) {
    const complain = (kind, text) => this.complaints.push(`${kind}: ${text}`);
    this.page.on("pageerror", (error) => complain("uncaught", error.stack ?? error.message));
    this.page.on("console", (message) => {
      if (message.type() === "error") complain("console", `${message.text()} (${message.location().url})`);
    });
    await this.page.route(
      (url) => url.protocol.startsWith("http") && !hosts.includes(url.host),
      (route) => {
        complain("foreign host", route.request().url());
        return route.abort();
      },
    );
    await this.page.exposeFunction("reportViolation", (text) => complain("content security policy", text));
    await this.page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, sourceFile, lineNumber }) => {
        window.reportViolation(`${effectiveDirective} blocked ${blockedURI} at ${sourceFile}:${lineNumber}`);
      });
    });
  }
}
