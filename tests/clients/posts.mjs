/** The collections that the data providers work on. */
import { createCollection, dropCollection, request } from "../web/admin.mjs";

/** Posts `prefix_posts` and comments `prefix_comments` that belong to them. */
export async function createPosts(prefix) {
  await createCollection({
    name: `${prefix}_posts`,
    fields: [
      { name: "title", type: "text", required: true, max: 100 },
      { name: "views", type: "integer", min: 0 },
      { name: "published", type: "bool", required: true, default: false },
      { name: "status", type: "select", values: ["draft", "live"], default: "draft" },
    ],
  });
  const post = { name: "post", type: "relation", collection: `${prefix}_posts`, required: true, on_delete: "cascade" };
  await createCollection({ name: `${prefix}_comments`, fields: [{ name: "text", type: "text" }, post] });
}

export async function dropPosts(prefix) {
  await dropCollection(`${prefix}_comments`);
  await dropCollection(`${prefix}_posts`);
}

/** Writes past the provider, so that there is something that it has not made itself. */
export function write(collection, record) {
  return request("POST", `/api/records/${collection}`, record);
}

export function read(collection, id) {
  return request("GET", `/api/records/${collection}/${id}`);
}
