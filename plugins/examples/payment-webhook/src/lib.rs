//! Takes the notices of a payment provider: `POST /api/ext/payment-webhook/stripe`. Anyone may call it, so the rule itself finds
//! out that the provider is calling (`signature`), and that it has not done the same notice before. Then the order is paid.
//!
//! A provider sends a notice until it gets a 2xx answer, and sometimes twice. A repeated notice is answered like the first
//! one and changes nothing.

mod cents;
mod signature;

use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Notice {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    object: Value,
}

/// The part of a finished checkout that matters here. Amounts are in the smallest unit of the currency.
#[derive(Deserialize)]
struct Checkout {
    amount_total: i64,
    currency: String,
    client_reference_id: String,
}

#[derive(Deserialize)]
struct Order {
    total: Option<String>,
    status: String,
}

fn plugin() -> Plugin {
    Plugin::new("payment-webhook", env!("CARGO_PKG_VERSION"))
        .searches(["payment_events"])
        .writes(["orders", "payment_events"])
        .setting(Setting::secret("signing_secret").description("What the provider signs its notices with: whsec_…"))
        .setting(Setting::new("currency").default("eur").description("The currency of all orders."))
        .rule(
            Rule::endpoint("stripe", "POST", "/stripe")
                .anyone()
                .summary("Takes the notices of the payment provider.")
                .response(json!({ "type": "object", "properties": { "received": { "type": "boolean" } }, "required": ["received"] })),
            stripe,
        )
}

ironrule_rules::export!(plugin);

fn stripe(event: &Event) -> Answer {
    let request = event.request()?;
    let secret = host::required_setting("signing_secret")?;
    signature::check(request.header("stripe-signature"), &request.text, &secret, host::now_ms() / 1000)
        .map_err(|reason| Rejection::forbidden(reason.to_owned()))?;

    let notice: Notice = request.json()?;
    if notice.kind != "checkout.session.completed" {
        log!("notice `{}` of type `{}` is none of ours", notice.id, notice.kind);
        return received();
    }
    if is_done(&notice)? {
        log!("notice `{}` came again", notice.id);
        return received();
    }
    let checkout = Checkout::deserialize(&notice.data.object).map_err(|cause| Rejection::invalid().message(cause.to_string()))?;
    pay(&notice, &checkout)?;
    received()
}

fn received() -> Answer {
    respond(Response::json(200, json!({ "received": true })))
}

/// The search is part of the transaction: of two notices at the same time, one runs again and finds the other.
fn is_done(notice: &Notice) -> Result<bool, Failure> {
    let filter = format!("event_id == {}", records::quoted(&notice.id));
    let query = records::Query { filter: Some(&filter), limit: Some(1), ..Default::default() };
    Ok(!records::query::<Value>("payment_events", &query)?.is_empty())
}

fn pay(notice: &Notice, checkout: &Checkout) -> Result<(), Rejection> {
    let id = &checkout.client_reference_id;
    let refuse =
        |member: &str, code: &str, message: String| Rejection::invalid().violation(format!("/data/object/{member}"), code, message);
    let Some(order) = records::get::<Order>("orders", id)? else {
        return Err(refuse("client_reference_id", "payment.order", format!("there is no order `{id}`")));
    };
    let currency = host::setting("currency").unwrap_or_default();
    if checkout.currency != currency {
        return Err(refuse("currency", "payment.currency", format!("orders are paid in `{currency}`, not in `{}`", checkout.currency)));
    }
    if order.total.as_deref().and_then(cents::parse) != Some(checkout.amount_total) {
        return Err(refuse("amount_total", "payment.amount", format!("{} is not the total of order `{id}`", checkout.amount_total)));
    }

    // Kept also when the order cannot be paid any more: the money has arrived, and somebody will have to look at it.
    records::create("payment_events", &json!({ "event_id": notice.id, "order": id, "amount": checkout.amount_total }))?;
    if order.status != "placed" {
        host::log(host::Level::Warn, &format!("order `{id}` was paid for while it is `{}`", order.status));
        return Ok(());
    }
    records::update("orders", id, &json!({ "status": "paid" }))?;
    log!("order `{id}` is paid");
    Ok(())
}
