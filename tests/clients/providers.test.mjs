/**
 * The data providers of react-admin and refine, as they are published, do all their operations on live collections: what
 * they send is understood, and what they need in an answer is there.
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { adminToken } from "../web/admin.mjs";
import { createPosts, dropPosts, read, write } from "./posts.mjs";

const require = createRequire(import.meta.url);
const records = `${process.env.IRONRULE_URL}/api/records`;
let token;

before(async () => {
  token = await adminToken();
});

/** The default export, however the package was built. */
function load(name) {
  const module = require(name);
  return module.default?.default ?? module.default ?? module;
}

const reactAdmin = { "ra-data-simple-rest": "simple", "ra-data-json-server": "server" };

for (const [name, prefix] of Object.entries(reactAdmin)) {
  describe(name, () => {
    const [posts, comments] = [`${prefix}_posts`, `${prefix}_comments`];
    const { fetchUtils } = require("ra-core");
    const provider = load(name)(records, (url, options = {}) => {
      return fetchUtils.fetchJson(url, { ...options, user: { authenticated: true, token: `Bearer ${token}` } });
    });
    const list = (more = {}) =>
      provider.getList(posts, { pagination: { page: 1, perPage: 10 }, sort: { field: "title", order: "ASC" }, filter: {}, ...more });
    const titles = ({ data }) => data.map(({ title }) => title);

    before(() => createPosts(prefix));
    after(() => dropPosts(prefix));

    test("create and getOne", async () => {
      const { data } = await provider.create(posts, { data: { title: "b", views: 2, published: true } });
      assert.deepEqual([typeof data.id, data.status], ["string", "draft"]);
      assert.deepEqual((await provider.getOne(posts, { id: data.id })).data, data);
      await provider.create(posts, { data: { title: "a", views: 1 } });
      await provider.create(posts, { data: { title: "c", views: 3, status: "live" } });
    });

    test("getList sorts, pages, filters and counts", async () => {
      assert.deepEqual(titles(await list()), ["a", "b", "c"]);
      const second = await list({ pagination: { page: 2, perPage: 2 }, sort: { field: "title", order: "DESC" } });
      assert.deepEqual([titles(second), second.total], [["a"], 3]);
      const live = await list({ filter: { status: "live" } });
      assert.deepEqual([titles(live), live.total], [["c"], 1]);
      const both = await list({ filter: { published: true, views: 2 } });
      assert.deepEqual([titles(both), both.total], [["b"], 1]);
      const none = await list({ filter: { title: "nothing of the kind" } });
      assert.deepEqual([titles(none), none.total], [[], 0]);
    });

    test("getMany and getManyReference", async () => {
      const { data } = await list();
      const ids = [data[2].id, data[0].id];
      assert.deepEqual(titles(await provider.getMany(posts, { ids })).sort(), ["a", "c"]);
      for (const text of ["one", "two", "three"]) await write(comments, { text, post: ids[0] });
      await write(comments, { text: "elsewhere", post: ids[1] });
      const reference = { target: "post", id: ids[0], pagination: { page: 1, perPage: 2 }, sort: { field: "text", order: "ASC" }, filter: {} };
      const found = await provider.getManyReference(comments, reference);
      assert.deepEqual([found.data.map(({ text }) => text), found.total], [["one", "three"], 3]);
    });

    test("update and updateMany send whole records back", async () => {
      const [first, second] = (await list()).data;
      const changed = await provider.update(posts, { id: first.id, data: { ...first, title: "aa" }, previousData: first });
      assert.deepEqual([changed.data.title, changed.data.views], ["aa", 1]);
      const many = await provider.updateMany(posts, { ids: [first.id, second.id], data: { title: "same" } });
      assert.deepEqual(many.data, [first.id, second.id]);
      assert.equal((await read(posts, second.id)).title, "same");
    });

    test("delete and deleteMany", async () => {
      const [first, ...others] = (await list()).data;
      assert.equal((await provider.delete(posts, { id: first.id, previousData: first })).data.id, first.id);
      const ids = others.map(({ id }) => id);
      assert.deepEqual((await provider.deleteMany(posts, { ids })).data, ids);
      assert.equal((await list()).total, 0);
    });

    test("a refusal shows its sentence", async () => {
      const refused = await provider.create(posts, { data: { views: -1 } }).then(assert.fail, (error) => error);
      assert.deepEqual([refused.status, refused.message, refused.body.code], [422, "the record is not valid", "record.invalid"]);
      const gone = await provider.getOne(posts, { id: "01ARZ3NDEKTSV4RRFFQ69G5FAV" }).then(assert.fail, (error) => error);
      assert.equal(gone.status, 404);
      const unknown = await list({ filter: { colour: "red" } }).then(assert.fail, (error) => error);
      assert.equal(unknown.status, 400);
    });
  });
}

describe("@refinedev/simple-rest", () => {
  const posts = "refine_posts";
  let provider;
  const list = (more = {}) => provider.getList({ resource: posts, ...more });
  const titles = ({ data }) => data.map(({ title }) => title);

  before(async () => {
    await createPosts("refine");
    const client = load("axios").create({ headers: { Authorization: `Bearer ${token}` } });
    client.interceptors.response.use(undefined, (error) => Promise.reject({ ...error.response.data, statusCode: error.response.status }));
    provider = load("@refinedev/simple-rest")(records, client);
  });

  after(() => dropPosts("refine"));

  test("create and getOne", async () => {
    const { data } = await provider.create({ resource: posts, variables: { title: "b", views: 2, status: "live" } });
    assert.deepEqual((await provider.getOne({ resource: posts, id: data.id })).data, data);
    await provider.create({ resource: posts, variables: { title: "a", views: 1 } });
    await provider.create({ resource: posts, variables: { title: "c", views: 3, status: "live" } });
  });

  test("getList sorts, pages, counts and filters with operators", async () => {
    const sorters = [{ field: "title", order: "desc" }];
    const page = await list({ pagination: { currentPage: 2, pageSize: 2 }, sorters });
    assert.deepEqual([titles(page), page.total], [["a"], 3]);
    const filtered = async (...filters) => titles(await list({ sorters, filters }));
    assert.deepEqual(await filtered({ field: "status", operator: "eq", value: "live" }), ["c", "b"]);
    assert.deepEqual(await filtered({ field: "status", operator: "ne", value: "live" }), ["a"]);
    assert.deepEqual(await filtered({ field: "views", operator: "gte", value: 2 }, { field: "views", operator: "lte", value: 2 }), ["b"]);
    assert.deepEqual(await filtered({ field: "title", operator: "contains", value: "c" }), ["c"]);
  });

  test("getMany, update and deleteOne", async () => {
    const [first, second] = (await list({ sorters: [{ field: "title", order: "asc" }] })).data;
    const many = await provider.getMany({ resource: posts, ids: [first.id, second.id] });
    assert.deepEqual(titles(many).sort(), ["a", "b"]);
    const changed = await provider.update({ resource: posts, id: first.id, variables: { title: "aa" } });
    assert.deepEqual([changed.data.title, changed.data.views], ["aa", 1]);
    assert.equal((await provider.deleteOne({ resource: posts, id: first.id })).data.id, first.id);
    assert.equal((await list()).total, 2);
  });

  test("custom asks what the provider has no method for", async () => {
    const payload = await provider.custom({ url: `${records}/${posts}/aggregate`, method: "get", query: { select: "count" } });
    assert.deepEqual(payload.data, [{ count: 2 }]);
  });

  test("a refusal shows its sentence", async () => {
    const refused = await provider.create({ resource: posts, variables: {} }).then(assert.fail, (error) => error);
    assert.deepEqual([refused.statusCode, refused.message], [422, "the record is not valid"]);
  });
});
