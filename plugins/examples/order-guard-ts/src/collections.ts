// Made by `ironrule plugin types` from a running server; made anew when its collections change.

/** What customers have ordered. The rule order-guard checks the total and takes the stock down. */
export interface Orders {
  /** The id of one of `users`. */
  customer: string;
  items: { product: string; quantity: number }[];
  /** Checked, or filled in, by the server. A decimal as text. */
  total?: string | null;
  status: "placed" | "paid" | "shipped" | "cancelled";
}

/** What the shop sells. */
export interface Products {
  name: string;
  sku: string;
  /** A decimal as text. */
  price: string;
  stock: number;
  active: boolean;
}

/** Everybody who can log in. */
export interface Users {
  email: string;
  verified?: boolean | null;
  /** How the person is called. */
  name?: string | null;
  /** Where orders are sent; private. */
  address?: string | null;
}
