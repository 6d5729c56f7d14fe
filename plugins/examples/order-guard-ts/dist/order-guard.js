import { beforeWrite, definePlugin, log, records } from "@ironrule/rules";
// src/decimal.ts
const DIGITS_MAX = 20;
const SCALE_MAX = 12;
/** The decimal number that a text is; undefined for anything else. */
function decimal(value) {
	const text = typeof value === "number" ? String(value) : value;
	const match = typeof text === "string" ? /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) : null;
	if (match === null) return void 0;
	const [, sign, whole, fraction = ""] = match;
	if ((whole + fraction).length > DIGITS_MAX || fraction.length > SCALE_MAX) return void 0;
	return {
		digits: BigInt(`${sign}${whole}${fraction}`),
		scale: fraction.length
	};
}
const scaled = ({ digits, scale }, to) => digits * 10n ** BigInt(to - scale);
function plusTimes(sum, price, quantity) {
	const scale = Math.max(sum.scale, price.scale);
	return {
		digits: scaled(sum, scale) + scaled(price, scale) * BigInt(quantity),
		scale
	};
}
function equal(one, other) {
	const scale = Math.max(one.scale, other.scale);
	return scaled(one, scale) === scaled(other, scale);
}
function shown({ digits, scale }) {
	const sign = digits < 0n ? "-" : "";
	const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, "0");
	return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}
// src/order-guard.ts
const ITEMS_MAX = 100;
const QUANTITY_MAX = 1e3;
const rules = definePlugin({
	name: "order-guard",
	version: "1.0.0",
	grants: {
		read: ["products"],
		write: ["products"]
	},
	rules: [beforeWrite({
		name: "place-order",
		collections: ["orders"],
		operations: ["create"],
		run: placeOrder
	})]
});
function placeOrder(context) {
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
	for (const { product, quantity, found } of lines) if (found) records.update("products", product, { stock: found.stock - quantity });
	log.info(`placed order \`${context.id}\` of ${lines.length} products for ${shown(total)}`);
	context.patch({
		...order.total == null && { total: shown(total) },
		...order.status == null && { status: "placed" }
	});
}
var Problems = class {
	context;
	found = false;
	constructor(context) {
		this.context = context;
	}
	add(path, code, message, params) {
		this.found = true;
		this.context.fail(path, code, message, params);
	}
};
function readItems(items, problems) {
	if (!Array.isArray(items) || items.length === 0) {
		problems.add("/items", "items.missing", "an order has a list of at least one item");
		return [];
	}
	if (items.length > ITEMS_MAX) {
		problems.add("/items", "items.too-many", `an order has at most ${ITEMS_MAX} items`);
		return [];
	}
	return items.flatMap((item, position) => {
		const product = typeof item?.product === "string" && item.product !== "" ? item.product : void 0;
		const quantity = Number.isInteger(item?.quantity) && item.quantity >= 1 && item.quantity <= QUANTITY_MAX ? item.quantity : void 0;
		if (product === void 0) problems.add(`/items/${position}/product`, "item.malformed", "an item names its product");
		if (quantity === void 0) problems.add(`/items/${position}/quantity`, "item.malformed", `a quantity is a whole number from 1 to ${QUANTITY_MAX}`);
		return product === void 0 || quantity === void 0 ? [] : [{
			position,
			product,
			quantity
		}];
	});
}
/** The same product twice is one line: its quantities are added up. */
function linesOf(items) {
	const lines = /* @__PURE__ */ new Map();
	for (const item of items) {
		const line = lines.get(item.product);
		if (line) line.quantity += item.quantity;
		else lines.set(item.product, {
			...item,
			found: null
		});
	}
	const all = [...lines.values()];
	const products = all.length === 0 ? [] : records.getMany("products", all.map((line) => line.product));
	all.forEach((line, at) => line.found = products[at] ?? null);
	return all;
}
function checkProducts(items, lines, problems) {
	for (const { product, position } of items) {
		const found = lines.find((line) => line.product === product)?.found;
		const path = `/items/${position}/product`;
		if (!found) problems.add(path, "product.unknown", `there is no product \`${product}\``);
		else if (!found.active) problems.add(path, "product.inactive", `product \`${product}\` is not for sale`);
	}
}
function checkStock(lines, problems) {
	for (const { product, position, quantity, found } of lines) {
		if (!found?.active || found.stock >= quantity) continue;
		const message = `only ${found.stock} of product \`${product}\` left, the order wants ${quantity}`;
		problems.add(`/items/${position}/quantity`, "stock.insufficient", message, {
			available: found.stock,
			wanted: quantity
		});
	}
}
function totalOf(lines) {
	return lines.reduce((sum, { product, quantity, found }) => {
		const price = decimal(found?.price);
		if (price === void 0) throw new Error(`the price of product \`${product}\` is no number`);
		return plusTimes(sum, price, quantity);
	}, {
		digits: 0n,
		scale: 0
	});
}
function checkGivenTotalIsReadable(given, problems) {
	if (given != null && decimal(given) === void 0) problems.add("/total", "total.malformed", "the total is not a decimal number");
}
function checkTotal(given, expected, problems) {
	const total = decimal(given);
	if (total === void 0) return checkGivenTotalIsReadable(given, problems);
	if (equal(total, expected)) return;
	const message = `the items add up to ${shown(expected)}, not to ${shown(total)}`;
	problems.add("/total", "total.mismatch", message, { expected: shown(expected) });
}
export { rules };

//# sourceMappingURL=order-guard.js.map