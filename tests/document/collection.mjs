/** A collection with a field of every type and every constraint. */
export function everything(name) {
  return {
    name,
    description: "A field of every type: `code`, <b>tags</b> and \"quotes\" in its description.",
    fields: [
      { name: "title", type: "text", required: true, min: 1, max: 80, description: "What it is called." },
      { name: "code", type: "text", pattern: "^[A-Z]{2,5}$" },
      { name: "mail", type: "email" },
      { name: "site", type: "url" },
      { name: "count", type: "integer", min: -5, max: 1000 },
      { name: "ratio", type: "number", min: 0.5 },
      { name: "price", type: "decimal", scale: 2, min: 0 },
      { name: "done", type: "bool", required: true, default: false },
      { name: "at", type: "datetime" },
      { name: "day", type: "date" },
      { name: "mood", type: "select", values: ["calm", "loud"], default: "calm" },
      { name: "tags", type: "select", values: ["red", "green", "blue"], many: true },
      {
        name: "shape",
        type: "json",
        schema: { type: "object", properties: { type: { type: "string" }, nullable: { type: ["boolean", "null"] } } },
      },
      { name: "extra", type: "json" },
      { name: "owner", type: "relation", collection: "users", on_delete: "unset" },
      { name: "peers", type: "relation", collection: "users", many: true, on_delete: "unset" },
      { name: "secret", type: "text", hidden: true },
    ],
  };
}
