// Prices as whole numbers and a scale: what a shop adds up must not be rounded on the way.

export interface Decimal {
  digits: bigint;
  scale: number;
}

const DIGITS_MAX = 20;
const SCALE_MAX = 12;

/** The decimal number that a text is; undefined for anything else. */
export function decimal(value: unknown): Decimal | undefined {
  const text = typeof value === "number" ? String(value) : value;
  const match = typeof text === "string" ? /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) : null;
  if (match === null) return undefined;
  const [, sign, whole, fraction = ""] = match;
  if ((whole + fraction).length > DIGITS_MAX || fraction.length > SCALE_MAX) return undefined;
  return { digits: BigInt(`${sign}${whole}${fraction}`), scale: fraction.length };
}

const scaled = ({ digits, scale }: Decimal, to: number) => digits * 10n ** BigInt(to - scale);

export function plusTimes(sum: Decimal, price: Decimal, quantity: number): Decimal {
  const scale = Math.max(sum.scale, price.scale);
  return { digits: scaled(sum, scale) + scaled(price, scale) * BigInt(quantity), scale };
}

export function equal(one: Decimal, other: Decimal): boolean {
  const scale = Math.max(one.scale, other.scale);
  return scaled(one, scale) === scaled(other, scale);
}

export function shown({ digits, scale }: Decimal): string {
  const sign = digits < 0n ? "-" : "";
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, "0");
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}
