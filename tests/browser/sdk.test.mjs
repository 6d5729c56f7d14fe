/** The npm package in a browser: two tabs that share one session. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DEADLINE_MS, openBrowser } from "./watch.mjs";

const url = process.env.IRONRULE_URL;
const sdk = fileURLToPath(new URL("../../sdk/", import.meta.url));
const PAGE = `<!doctype html><script type="module">
  import { createClient, browserTokens } from "./index.js";
  window.tokens = browserTokens();
  window.client = createClient({ url: location.origin, tokens: window.tokens });
</script>`;
let browser;
let context;

before(async () => {
  browser = await openBrowser();
  context = await browser.newContext();
  context.setDefaultTimeout(DEADLINE_MS);
  await context.route(`${url}/sdk/*`, (route) => route.fulfill(file(new URL(route.request().url()).pathname.slice("/sdk/".length))));
});

after(() => browser?.close());

/** The built package at the origin of the server, without a bundler. */
function file(name) {
  if (name === "") return { contentType: "text/html", body: PAGE };
  const path = name === "openapi-fetch.js" ? "node_modules/openapi-fetch/dist/index.mjs" : `dist/${name}`;
  const body = readFileSync(`${sdk}${path}`, "utf8").replace('from "openapi-fetch"', 'from "./openapi-fetch.js"');
  return { contentType: "text/javascript", body };
}

async function openTab() {
  const tab = await context.newPage();
  await tab.goto(`${url}/sdk/`);
  await tab.waitForFunction(() => window.client);
  return tab;
}

/** Resolves when the server has told `tab` that its token is invalid. */
function refused(tab) {
  return tab.waitForResponse((response) => response.status() === 401);
}

function listOrders() {
  return Promise.all([1, 2, 3].map(() => window.client.collection("orders").list())).then((pages) => pages.length);
}

test("two tabs refresh their session once, and log out together", async () => {
  const [one, two] = [await openTab(), await openTab()];
  await one.evaluate(() => window.client.auth.login({ identity: "ben@shop.example", password: "demo-password-1" }));
  assert.equal(await two.evaluate(listOrders), 3);

  await one.evaluate(async () => window.tokens.save({ ...(await window.tokens.load()), accessToken: "expired" }));
  let refreshes = 0;
  const bothRefused = Promise.all([refused(one), refused(two)]);
  await context.route(`${url}/api/auth/refresh`, async (route) => {
    refreshes += 1;
    await bothRefused;
    await route.continue();
  });
  assert.deepEqual(await Promise.all([one.evaluate(listOrders), two.evaluate(listOrders)]), [3, 3]);
  assert.equal(refreshes, 1);

  await one.evaluate(() => window.client.auth.logout());
  const code = await two.evaluate(() => window.client.auth.me().then(() => "signed in", ({ code }) => code));
  assert.equal(code, "auth.required");
});
