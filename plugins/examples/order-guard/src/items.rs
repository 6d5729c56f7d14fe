//! Reads the items of a draft.

use ironrule_rules::Rejection;
use serde_json::Value;

const ITEMS_MAX: usize = 100;
const QUANTITY_MAX: i64 = 1000;

/// A well-formed item and its place in the order.
pub struct Item {
    pub position: usize,
    pub product: String,
    pub quantity: i64,
}

/// The well-formed items; what is wrong with the others is added to `problems`.
pub fn read(items: &Value, problems: Rejection) -> (Vec<Item>, Rejection) {
    match items.as_array() {
        Some(items) if items.len() > ITEMS_MAX => {
            (Vec::new(), problems.violation("/items", "items.too-many", format!("an order has at most {ITEMS_MAX} items")))
        }
        Some(items) if !items.is_empty() => read_each(items, problems),
        _ => (Vec::new(), problems.violation("/items", "items.missing", "an order has a list of at least one item")),
    }
}

fn read_each(items: &[Value], mut problems: Rejection) -> (Vec<Item>, Rejection) {
    let mut read = Vec::new();
    for (position, item) in items.iter().enumerate() {
        let product = item["product"].as_str().filter(|product| !product.is_empty());
        let quantity = item["quantity"].as_i64().filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
        if product.is_none() {
            problems = problems.violation(format!("/items/{position}/product"), "item.malformed", "an item names its product");
        }
        if quantity.is_none() {
            let message = format!("a quantity is a whole number from 1 to {QUANTITY_MAX}");
            problems = problems.violation(format!("/items/{position}/quantity"), "item.malformed", message);
        }
        if let (Some(product), Some(quantity)) = (product, quantity) {
            read.push(Item { position, product: product.to_owned(), quantity });
        }
    }
    (read, problems)
}
