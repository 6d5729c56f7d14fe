/**
 * A react-admin application on another origin, in a real browser: somebody signs in, and lists, sorts, pages, filters,
 * creates, edits and deletes records through the published data provider.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createCollection, dropCollection, request } from "../web/admin.mjs";
import { serveApp } from "./react-admin/site.mjs";
import { openBrowser, Watch } from "./watch.mjs";

const url = process.env.IRONRULE_URL;
const origin = process.env.IRONRULE_TEST_ORIGIN;
const POSTS = "/api/records/ra_posts";
let stopApp;
let browser;
let watch;
let page;

before(async () => {
  await createCollection({
    name: "ra_posts",
    fields: [
      { name: "title", type: "text", required: true, max: 40 },
      { name: "views", type: "integer", min: 0 },
      { name: "status", type: "select", values: ["draft", "live"], required: true, default: "draft" },
      { name: "published", type: "bool", required: true, default: false },
    ],
  });
  for (let number = 1; number <= 12; number += 1) {
    const title = `Post ${String(number).padStart(2, "0")}`;
    await request("POST", POSTS, { title, views: (number * 5) % 12, status: number > 9 ? "live" : "draft" });
  }
  stopApp = await serveApp(origin, url);
  browser = await openBrowser();
  watch = await Watch.open(browser, origin, [url]);
  page = watch.page;
});

after(async () => {
  await browser?.close();
  await stopApp?.();
  await dropCollection("ra_posts");
});

/** The titles of the rows, as soon as they are these. */
async function rowsAre(expected) {
  const titles = page.locator("table .column-title");
  const shown = async () => (await titles.allInnerTexts()).slice(1);
  await page
    .waitForFunction((wanted) => {
      const cells = [...document.querySelectorAll("tbody .column-title")].map((cell) => cell.textContent.trim());
      return JSON.stringify(cells) === JSON.stringify(wanted);
    }, expected)
    .catch(async () => assert.deepEqual(await shown(), expected));
}

const posts = (...numbers) => numbers.map((number) => `Post ${String(number).padStart(2, "0")}`);

async function storedPost(title) {
  const found = await request("GET", `${POSTS}?filter=${encodeURIComponent(`title == "${title}"`)}`);
  assert.equal(found.length, 1, `one post is called ${title}`);
  return found[0];
}

test("the admin signs in and sees the first page, sorted by title", async () => {
  await page.goto(origin);
  await page.locator("input[name=username]").fill(process.env.IRONRULE_ADMIN_EMAIL);
  await page.locator("input[name=password]").fill(process.env.IRONRULE_ADMIN_PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await rowsAre(posts(1, 2, 3, 4, 5));
  await page.getByText("1-5 of 12").waitFor();
  await watch.screenshot("react-admin-1-list");
});

test("the list is paged", async () => {
  await page.getByRole("button", { name: "Go to next page" }).click();
  await rowsAre(posts(6, 7, 8, 9, 10));
  await page.getByRole("button", { name: "Go to next page" }).click();
  await rowsAre(posts(11, 12));
  await page.getByText("11-12 of 12").waitFor();
  await page.getByRole("button", { name: "Go to page 1", exact: true }).click();
  await rowsAre(posts(1, 2, 3, 4, 5));
});

test("the list is sorted by another column, both ways", async () => {
  const header = page.locator("thead .column-views [role=button], thead .column-views .MuiTableSortLabel-root").first();
  await header.click();
  await rowsAre(posts(12, 5, 10, 3, 8));
  await header.click();
  await rowsAre(posts(7, 2, 9, 4, 11));
  await watch.screenshot("react-admin-2-sorted");
});

test("the list is filtered", async () => {
  await page.locator("thead .column-title .MuiTableSortLabel-root").first().click();
  await page.getByLabel("Title is").fill("Post 07");
  await rowsAre(posts(7));
  await page.getByLabel("Title is").fill("");
  await page.getByLabel("Status is").click();
  await page.getByRole("option", { name: "Live" }).click();
  await rowsAre(posts(10, 11, 12));
  await page.getByText("1-3 of 3").waitFor();
  await watch.screenshot("react-admin-3-filtered");
});

test("a post is created", async () => {
  await page.getByRole("link", { name: "Create" }).click();
  await page.locator("input[name=title]").fill("Written in the browser");
  await page.locator("input[name=views]").fill("77");
  await page.getByRole("combobox", { name: "Status" }).click();
  await page.getByRole("option", { name: "Live" }).click();
  await page.getByLabel("Published").check();
  await watch.screenshot("react-admin-4-create");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Written in the browser").waitFor();
  const { views, status, published } = await storedPost("Written in the browser");
  assert.deepEqual([views, status, published], [77, "live", true]);
});

test("a refusal of the server is shown beside its field, and nothing is written", async () => {
  await page.getByRole("cell", { name: "Written in the browser" }).click();
  await page.locator("input[name=views]").fill("-1");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("the record is not valid").waitFor();
  await page.locator(".ra-input-views").getByText("must be at least 0").waitFor();
  await watch.screenshot("react-admin-5-refused");
  assert.equal((await storedPost("Written in the browser")).views, 77);
});

test("a post is edited", async () => {
  await page.locator("input[name=views]").fill("78");
  await page.locator("input[name=title]").fill("Edited in the browser");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("cell", { name: "Edited in the browser" }).waitFor();
  const { views, status, published } = await storedPost("Edited in the browser");
  assert.deepEqual([views, status, published], [78, "live", true]);
});

test("a post is deleted", async () => {
  const { id } = await storedPost("Edited in the browser");
  await page.getByRole("cell", { name: "Edited in the browser" }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Confirm" }).click();
  await rowsAre(posts(10, 11, 12));
  await assert.rejects(request("GET", `${POSTS}/${id}`), /404/);
  await watch.screenshot("react-admin-6-deleted");
});

test("nothing went wrong behind the page but what was refused", () => {
  const expected = /responded with a status of 4(22|00)/;
  assert.deepEqual(watch.complaints.filter((complaint) => !expected.test(complaint)), []);
});
