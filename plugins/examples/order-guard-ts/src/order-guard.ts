// The twin of ../order-guard in TypeScript: the same rule, the same codes and messages, the same fixtures.
import { beforeWrite, definePlugin, log, records, type Context } from "@ironrule/rules";
import type { Orders, Products } from "./collections.ts";
import { type Decimal, decimal, equal, plusTimes, shown } from "./decimal.ts";

interface Item {
  position: number;
  product: string;
  quantity: number;
}

/** A product with all that an order wants of it. */
interface Line extends Item {
  found: Products | null;
}

const ITEMS_MAX = 100;
const QUANTITY_MAX = 1000;

export const rules = definePlugin({
  name: "order-guard",
  version: "1.0.0",
  grants: { read: ["products"], write: ["products"] },
  rules: [beforeWrite({ name: "place-order", collections: ["orders"], operations: ["create"], run: placeOrder })],
});

function placeOrder(context: Context<Orders>) {
  const order = context.after ?? {};
  const problems = new Problems(context);
  const items = readItems(order.items, problems);
  const lines = linesOf(items);
  checkProducts(items, lines, problems);
  checkStock(lines, problems);
  if (problems.found) return checkGivenTotalIsReadable(order.total, problems);
  const total = totalOf(lines);
  checkTotal(order.total, total, problems);
  if (problems.found) return;

  for (const { product, quantity, found } of lines) {
    if (found) records.update<Products>("products", product, { stock: found.stock - quantity });
  }
  log.info(`placed order \`${context.id}\` of ${lines.length} products for ${shown(total)}`);
  context.patch({ ...(order.total == null && { total: shown(total) }), ...(order.status == null && { status: "placed" }) });
}

class Problems {
  found = false;
  constructor(private readonly context: Context<Orders>) {}
  add(path: string, code: string, message: string, params?: object) {
    this.found = true;
    this.context.fail(path, code, message, params);
  }
}

function readItems(items: unknown, problems: Problems): Item[] {
  if (!Array.isArray(items) || items.length === 0) {
    problems.add("/items", "items.missing", "an order has a list of at least one item");
    return [];
  }
  if (items.length > ITEMS_MAX) {
    problems.add("/items", "items.too-many", `an order has at most ${ITEMS_MAX} items`);
    return [];
  }
  return items.flatMap((item, position) => {
    const product = typeof item?.product === "string" && item.product !== "" ? item.product : undefined;
    const quantity = Number.isInteger(item?.quantity) && item.quantity >= 1 && item.quantity <= QUANTITY_MAX ? item.quantity : undefined;
    if (product === undefined) problems.add(`/items/${position}/product`, "item.malformed", "an item names its product");
    if (quantity === undefined) {
      problems.add(`/items/${position}/quantity`, "item.malformed", `a quantity is a whole number from 1 to ${QUANTITY_MAX}`);
    }
    return product === undefined || quantity === undefined ? [] : [{ position, product, quantity }];
  });
}

/** The same product twice is one line: its quantities are added up. */
function linesOf(items: Item[]): Line[] {
  const lines = new Map<string, Line>();
  for (const item of items) {
    const line = lines.get(item.product);
    if (line) line.quantity += item.quantity;
    else lines.set(item.product, { ...item, found: null });
  }
  const all = [...lines.values()];
  const products = all.length === 0 ? [] : records.getMany<Products>("products", all.map((line) => line.product));
  all.forEach((line, at) => (line.found = products[at] ?? null));
  return all;
}

function checkProducts(items: Item[], lines: Line[], problems: Problems) {
  for (const { product, position } of items) {
    const found = lines.find((line) => line.product === product)?.found;
    const path = `/items/${position}/product`;
    if (!found) problems.add(path, "product.unknown", `there is no product \`${product}\``);
    else if (!found.active) problems.add(path, "product.inactive", `product \`${product}\` is not for sale`);
  }
}

function checkStock(lines: Line[], problems: Problems) {
  for (const { product, position, quantity, found } of lines) {
    if (!found?.active || found.stock >= quantity) continue;
    const message = `only ${found.stock} of product \`${product}\` left, the order wants ${quantity}`;
    problems.add(`/items/${position}/quantity`, "stock.insufficient", message, { available: found.stock, wanted: quantity });
  }
}

function totalOf(lines: Line[]): Decimal {
  return lines.reduce<Decimal>((sum, { product, quantity, found }) => {
    const price = decimal(found?.price);
    if (price === undefined) throw new Error(`the price of product \`${product}\` is no number`);
    return plusTimes(sum, price, quantity);
  }, { digits: 0n, scale: 0 });
}

function checkGivenTotalIsReadable(given: unknown, problems: Problems) {
  if (given != null && decimal(given) === undefined) problems.add("/total", "total.malformed", "the total is not a decimal number");
}

function checkTotal(given: unknown, expected: Decimal, problems: Problems) {
  const total = decimal(given);
  if (total === undefined) return checkGivenTotalIsReadable(given, problems);
  if (equal(total, expected)) return;
  const message = `the items add up to ${shown(expected)}, not to ${shown(total)}`;
  problems.add("/total", "total.mismatch", message, { expected: shown(expected) });
}
