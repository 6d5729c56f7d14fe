//! The demo shop's rule for new orders: the items are well formed, every product exists, is active and in stock, and the
//! total is right. Takes the stock down in the same transaction, so two orders never sell the last piece twice.
//!
//! The rule runs before the record is validated: nothing in the draft can be taken for granted.

mod decimal;
mod items;

use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use decimal::Decimal;
use items::Item;

#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    items: Value,
    #[serde(default)]
    total: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
struct Product {
    price: String,
    stock: i64,
    active: bool,
}

/// A product with all that an order wants of it.
struct Line<'a> {
    product: &'a str,
    position: usize,
    quantity: i64,
}

fn plugin() -> Plugin {
    Plugin::new("order-guard", env!("CARGO_PKG_VERSION"))
        .reads(["products"])
        .writes(["products"])
        .rule(Rule::before_write("place-order", "orders").on([Create]), place_order)
}

ironrule_rules::export!(plugin);

fn place_order(event: &Event) -> Answer {
    let order: Order = event.after()?;
    let (items, problems) = items::read(&order.items, Rejection::invalid().message("the order cannot be placed"));
    let lines = lines(&items);
    let products = products(&lines)?;

    let problems = check_products(&items, &lines, &products, problems);
    let problems = check_stock(&lines, &products, problems);
    if !problems.is_empty() {
        return Err(check_given_total_is_readable(&order.total, problems));
    }
    let total = total(&lines, &products)?;
    let problems = check_total(&order.total, total, problems);
    if !problems.is_empty() {
        return Err(problems);
    }

    take_stock(&lines, &products)?;
    log!("placed order `{}` of {} products for {total}", event.id(), lines.len());
    patch(missing_values(&order, total))
}

/// The same product twice is one line: its quantities are added up.
fn lines(items: &[Item]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line> = Vec::new();
    for item in items {
        match lines.iter_mut().find(|line| line.product == item.product) {
            Some(line) => line.quantity += item.quantity,
            None => lines.push(Line { product: &item.product, position: item.position, quantity: item.quantity }),
        }
    }
    lines
}

fn products(lines: &[Line]) -> Result<Vec<Option<Product>>, Failure> {
    let ids: Vec<String> = lines.iter().map(|line| line.product.to_owned()).collect();
    if ids.is_empty() { Ok(Vec::new()) } else { records::get_many("products", &ids) }
}

fn check_products(items: &[Item], lines: &[Line], products: &[Option<Product>], mut problems: Rejection) -> Rejection {
    for item in items {
        let found = lines.iter().zip(products).find(|(line, _)| line.product == item.product);
        let pointer = format!("/items/{}/product", item.position);
        match found.and_then(|(_, product)| product.as_ref()) {
            None => problems = problems.violation(pointer, "product.unknown", format!("there is no product `{}`", item.product)),
            Some(product) if !product.active => {
                problems = problems.violation(pointer, "product.inactive", format!("product `{}` is not for sale", item.product));
            }
            Some(_) => {}
        }
    }
    problems
}

fn check_stock(lines: &[Line], products: &[Option<Product>], mut problems: Rejection) -> Rejection {
    for (line, product) in lines.iter().zip(products) {
        let Some(product) = product.as_ref().filter(|product| product.active) else {
            continue;
        };
        if product.stock < line.quantity {
            problems = problems.violation_with(
                format!("/items/{}/quantity", line.position),
                "stock.insufficient",
                format!("only {} of product `{}` left, the order wants {}", product.stock, line.product, line.quantity),
                json!({ "available": product.stock, "wanted": line.quantity }),
            );
        }
    }
    problems
}

fn total(lines: &[Line], products: &[Option<Product>]) -> Result<Decimal, Rejection> {
    let mut total = Decimal::ZERO;
    for (line, product) in lines.iter().zip(products) {
        let price = product.as_ref().and_then(|product| Decimal::parse(&product.price));
        total = price
            .and_then(|price| total.plus_times(price, line.quantity))
            .ok_or_else(|| Rejection::internal(format!("the price of product `{}` is no number", line.product)))?;
    }
    Ok(total)
}

fn check_given_total_is_readable(given: &Value, problems: Rejection) -> Rejection {
    if given.is_null() || decimal(given).is_some() {
        return problems;
    }
    problems.violation("/total", "total.malformed", "the total is not a decimal number")
}

fn check_total(given: &Value, expected: Decimal, problems: Rejection) -> Rejection {
    match decimal(given) {
        None => check_given_total_is_readable(given, problems),
        Some(given) if given.equals(expected) => problems,
        Some(given) => problems.violation_with(
            "/total",
            "total.mismatch",
            format!("the items add up to {expected}, not to {given}"),
            json!({ "expected": expected.to_string() }),
        ),
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => Decimal::parse(text),
        Value::Number(number) => Decimal::parse(&number.to_string()),
        _ => None,
    }
}

fn take_stock(lines: &[Line], products: &[Option<Product>]) -> Result<(), Failure> {
    for (line, product) in lines.iter().zip(products) {
        if let Some(product) = product {
            records::update("products", line.product, &json!({ "stock": product.stock - line.quantity }))?;
        }
    }
    Ok(())
}

fn missing_values(order: &Order, total: Decimal) -> Value {
    let mut patch = json!({});
    if order.total.is_null() {
        patch["total"] = json!(total.to_string());
    }
    if order.status.is_null() {
        patch["status"] = json!("placed");
    }
    patch
}
