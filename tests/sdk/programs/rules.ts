// What the compiler allows and refuses in rules that are written with `@ironrule/rules` and generated types.
import { afterCommit, beforeWrite, definePlugin, email, endpoint, HostError, job, log, records, Rejection, scheduled, setting, webhook } from "@ironrule/rules";
import type { Context, Json, Request, Stored } from "@ironrule/rules";
import type { Orders, Products } from "./collections.js";

const same = <T>(value: T): T => value;

const place = beforeWrite({
  name: "place",
  collections: ["orders"],
  operations: ["create", "update"],
  run({ before, after, caller, fail, patch, reject }: Context<Orders>) {
    same<Stored<Orders> | null>(before);
    same<string | null | undefined>(after?.total);
    // @ts-expect-error a draft may lack everything
    same<string>(after.customer);
    // @ts-expect-error there is no such field
    after?.totals;
    patch({ status: "paid", total: null });
    // @ts-expect-error there is no such status
    patch({ status: "lost" });
    fail("/total", "total.wrong", "wrong", { expected: "1" });
    // @ts-expect-error a path and a code
    fail("/total");
    const product = records.get<Products>("products", "p1");
    // @ts-expect-error perhaps there is none
    product.stock;
    same<string | undefined>(product?.id);
    const [first] = records.getMany<Products>("products", ["p1"]);
    same<Stored<Products> | null | undefined>(first);
    for (const found of records.query<Products>("products", { filter: "record.stock > 0", sort: "-created", limit: 3 })) same<number>(found.stock);
    records.update<Products>("products", "p1", { stock: 3 });
    // @ts-expect-error stock is a number
    records.update<Products>("products", "p1", { stock: "3" });
    if (caller === null) return reject("forbidden", "no");
    same<string>(caller.principal);
    // @ts-expect-error no such kind
    throw new Rejection("odd", "no");
  },
});

const tell = afterCommit({
  name: "tell",
  run({ delivery, attempt }) {
    same<string>(webhook("https://api.example.com", { delivery }, { key: "k", delayMs: 5, maxAttempts: 2, method: "PUT", headers: { a: "b" } }));
    email({ to: ["ann@example.com"], subject: "s", text: "t", replyTo: "shop@example.com" }, { key: "k" });
    // @ts-expect-error an e-mail has a text
    email({ to: "ann@example.com", subject: "s" });
    job("later", { attempt });
  },
});

const tidy = scheduled({ name: "tidy", schedule: "0 3 * * *", run: ({ now }) => log.info("tidied", { now, key: setting("key") }) });

const paid = endpoint({
  name: "paid",
  method: "POST",
  path: "/paid/{id}",
  access: "anyone",
  run({ params, body }: Request) {
    try {
      return { status: 201, body: { id: params.id ?? null, body: body as Json } };
    } catch (error) {
      return { status: error instanceof HostError && error.code === "not-found" ? 404 : 500 };
    }
  },
});

export const rules = definePlugin({ name: "typed", version: "1.0.0", grants: { read: ["products"], write: ["products"], email: true }, rules: [place, tell, tidy, paid] });

// @ts-expect-error a plugin has a version
definePlugin({ name: "typed", rules: [] });
// @ts-expect-error such a hook has operations
beforeWrite({ name: "odd", collections: ["orders"], run() {} });
