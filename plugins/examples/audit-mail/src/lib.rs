//! Tells customers by e-mail when the status of their order changes, and keeps a record of each message.
//!
//! The rule runs after the commit, at least once. The record of the message and the message itself are written in one
//! transaction under the id of the delivery, so that a delivery which comes again finds its work done.

use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Order {
    id: String,
    customer: String,
    status: String,
}

#[derive(Deserialize)]
struct Customer {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: Option<String>,
}

fn plugin() -> Plugin {
    Plugin::new("audit-mail", env!("CARGO_PKG_VERSION"))
        .reads(["users"])
        .searches(["sent_mails"])
        .writes(["sent_mails"])
        .sends_email()
        .setting(Setting::new("shop").default("The shop").description("The name at the end of each message."))
        .setting(Setting::new("reply_to").description("Where answers go; without a value to the sender of the server."))
        .rule(Rule::after_commit("status-changed", "orders").on([Update]), status_changed)
}

ironrule_rules::export!(plugin);

fn status_changed(event: &Event) -> Answer {
    let order: Order = event.after()?;
    let old: Option<Order> = event.before()?;
    if old.is_some_and(|old| old.status == order.status) {
        return accept();
    }
    let context: Context = event.context()?;
    let delivery = context.delivery.ok_or_else(|| Rejection::internal("the call has no delivery"))?;
    if is_done(&delivery)? {
        log!("delivery `{delivery}` was done before");
        return accept();
    }
    match records::get::<Customer>("users", &order.customer)? {
        Some(customer) if !customer.email.is_empty() => send(&order, &customer, &delivery)?,
        _ => log!("nobody to tell about order `{}`", order.id),
    }
    accept()
}

fn is_done(delivery: &str) -> Result<bool, Failure> {
    let filter = format!("delivery == {}", records::quoted(delivery));
    let query = records::Query { filter: Some(&filter), limit: Some(1), ..Default::default() };
    Ok(!records::query::<Value>("sent_mails", &query)?.is_empty())
}

fn send(order: &Order, customer: &Customer, delivery: &str) -> Result<(), Failure> {
    let greeting = customer.name.as_deref().map_or("Hello".to_owned(), |name| format!("Hello {name}"));
    let shop = host::setting("shop").unwrap_or_default();
    // No value that a customer chose gets into the subject, which others may see on a locked screen.
    let subject = format!("Your order is {}", order.status);
    let text = format!("{greeting},\n\nyour order {} is {} now.\n\n{shop}\n", order.id, order.status);

    // The messages about one order keep their order: the key says that they belong together.
    let mut email = effects::email([&customer.email], subject, text).key(format!("order {}", order.id));
    if let Some(address) = host::setting("reply_to") {
        email = email.reply_to(address);
    }
    email.enqueue()?;
    records::create("sent_mails", &json!({ "delivery": delivery, "order": order.id, "status": order.status })).map(drop)
}
