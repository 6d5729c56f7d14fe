/** Compiled and run by `types.test.mjs`; `api.d.ts` is generated there. */
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const baseUrl = process.env["IRONRULE_URL"] ?? "";
const nobody = createClient<paths>({ baseUrl });
const all = "/api/records/types_everything";
const one = "/api/records/types_everything/{id}";

async function token(): Promise<string> {
  const login = { identity: process.env["IRONRULE_ADMIN_EMAIL"] ?? "", password: process.env["IRONRULE_ADMIN_PASSWORD"] ?? "" };
  const { data, error } = await nobody.POST("/api/auth/login", { body: login });
  assert.ok(data, error?.message);
  return data.access_token;
}

/** The document says so of each list; openapi-fetch has to be told. */
const querySerializer = { array: { style: "form", explode: false } } as const;
const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${await token()}` }, querySerializer });

async function write(): Promise<string> {
  const body: components["schemas"]["TypesEverythingCreate"] = {
    title: "One",
    code: "ABC",
    count: 3,
    price: "4.50",
    mood: "loud",
    tags: ["red", "blue"],
    at: "2026-01-31T09:30:00Z",
    day: "2026-01-31",
    shape: { type: "round", nullable: null },
    extra: [1, { two: null }],
  };
  const { data, error, response } = await api.POST(all, { body });
  assert.ok(data, error?.message);
  assert.equal(response.status, 201);
  const title: string = data.title;
  const price: string | null = data.price;
  const mood: "calm" | "loud" | null = data.mood;
  const tags: ("red" | "green" | "blue")[] | null = data.tags;
  const done: boolean = data.done;
  const count: number | null = data.count;
  assert.deepEqual([title, price, mood, tags, done, count], ["One", "4.50", "loud", ["red", "blue"], false, 3]);
  return data.id;
}

async function read(id: string): Promise<void> {
  const query = { filter: 'title == "One"', sort: "-created,title", limit: 2, count: "exact" } as const;
  const list = await api.GET(all, { params: { query } });
  assert.deepEqual(list.data?.map((record) => record.id), [id]);
  assert.equal(list.response.headers.get("x-total-count"), "1");
  const groups = await api.GET(`${all}/aggregate`, { params: { query: { select: ["count", "sum:price"], group: ["mood"] } } });
  assert.deepEqual(groups.data, [{ mood: "loud", count: 1, sum_price: "4.50" }]);
  const bad = await api.GET(all, { params: { query: { filter: "nope ==" } } });
  const problem: components["schemas"]["Problem"] | undefined = bad.error;
  assert.deepEqual([bad.response.status, problem?.code, problem?.errors?.[0]?.pointer], [400, "query.invalid", "/filter"]);
}

async function change(id: string): Promise<void> {
  const path = { id };
  const patched = await api.PATCH(one, { params: { path }, body: { mood: null, count: 4 } });
  assert.deepEqual([patched.data?.mood, patched.data?.count, patched.data?.title], [null, 4, "One"]);
  assert.ok(patched.data);
  const put = await api.PUT(one, { params: { path }, body: { ...patched.data, title: "Two" } });
  assert.equal(put.data?.title, "Two", put.error?.message);
  const stale = await api.DELETE(one, { params: { path, header: { "If-Match": '"1"' } } });
  assert.equal(stale.error?.code, "record.version_mismatch");
  const gone = await api.DELETE(one, { params: { path } });
  assert.equal(gone.data?.title, "Two");
  assert.equal((await api.GET(one, { params: { path } })).error?.code, "record.not_found");
}

/** Never called: every line below must be refused by the compiler. */
export async function wrong(): Promise<void> {
  // @ts-expect-error there is no such path
  await api.GET("/api/records/nope");
  // @ts-expect-error a title is text
  await api.POST(all, { body: { title: 5 } });
  // @ts-expect-error a title is required
  await api.POST(all, { body: { count: 5 } });
  // @ts-expect-error there is no such field
  const draft: components["schemas"]["TypesEverythingCreate"] = { title: "One", colour: "red" };
  await api.POST(all, { body: draft });
  // @ts-expect-error a mood is one of two
  await api.PATCH(one, { params: { path: { id: "" } }, body: { mood: "angry" } });
  // @ts-expect-error a title cannot be emptied
  await api.PATCH(one, { params: { path: { id: "" } }, body: { title: null } });
  // @ts-expect-error a decimal is text
  await api.PATCH(one, { params: { path: { id: "" } }, body: { price: 4.5 } });
  // @ts-expect-error a record has an id
  await api.GET(one, {});
  // @ts-expect-error the limit is a number
  await api.GET(all, { params: { query: { limit: "many" } } });
  // @ts-expect-error what is secret is not shown
  (await api.GET(one, { params: { path: { id: "" } } })).data?.secret;
}

const id = await write();
await read(id);
await change(id);
