// The plugin `desk` of the tests of endpoints.
import { afterCommit, definePlugin, endpoint, job, records } from "@ironrule/rules";

const access = "anyone";
const title = { type: ["string", "null"] };
const note = (title) => records.create("notes", { title });

function make({ body }, context) {
  const made = note(body.title);
  switch (body.title) {
    case "refused":
      return context.fail("/body/title", "title.refused", "as asked");
    case "forbidden":
    case "conflict":
      return context.reject(body.title, "as asked");
    case "thrown":
      throw new Error("as asked");
    case "teapot":
      return { status: 418 };
    default:
      return { status: 201, headers: { Location: `/api/records/notes/${made.id}`, "X-Desk": "yes" }, body: made };
  }
}

function bad() {
  note("bad");
  return { status: 500 };
}

export const rules = definePlugin({
  name: "desk",
  version: "1.0.0",
  grants: { write: ["notes"] },
  rules: [
    endpoint({ name: "hello", method: "GET", path: "/hello/{name}", access, run: ({ headers, ...request }) => ({ body: request }) }),
    endpoint({ name: "special", method: "GET", path: "/hello/new", access, run: () => ({ text: "literal" }) }),
    endpoint({
      name: "me",
      method: "GET",
      path: "/me",
      response: { type: "object", patternProperties: { "^x": {} } },
      run: (_, { caller }) => ({ body: caller }),
    }),
    endpoint({ name: "sneaky", method: "GET", path: "/sneaky", access, run: () => ({ body: note("sneaky") }) }),
    endpoint({ name: "sneaky-job", method: "GET", path: "/sneaky/job", access, run: () => ({ body: job("later", {}) }) }),
    afterCommit({ name: "later", run: () => void note("later") }),
    endpoint({
      name: "make",
      method: "POST",
      path: "/notes",
      summary: "Makes a note.",
      request: { type: "object", properties: { title }, required: ["title"] },
      response: { type: "object", properties: { title: { type: "string" } } },
      run: make,
    }),
    endpoint({ name: "bad", method: "POST", path: "/bad", access, run: bad }),
    endpoint({ name: "put-one", method: "PUT", path: "/both/{id}", access, run: ({ params }) => ({ body: { rule: "put-one", params } }) }),
    endpoint({ name: "delete-one", method: "DELETE", path: "/both/{number}", access, run: ({ params }) => ({ body: { rule: "delete-one", params } }) }),
  ],
});
