//! E-mails, through the mail server of the configuration.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, SinglePart},
};
use plugins::Email;
use store::outbox::{Delivery, Row};

use super::{App, Failed, row, worker::Done};
use crate::{Error, config::Config, plugins::Installed};

/// How long the server may take for one answer, and for a message altogether.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
const WITHIN: Duration = Duration::from_secs(60);

/// The way out for e-mails.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// None without `smtp_url`.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, Error> {
        let Some(url) = &config.smtp_url else { return Ok(None) };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let transport =
            transport.map_err(|error| Error::Configuration(format!("`smtp_url`: {error}")))?.timeout(Some(ANSWER_WITHIN)).build();
        let from =
            config.smtp_from.as_deref().ok_or_else(|| Error::Configuration("`smtp_from` is missing beside `smtp_url`".to_owned()))?;
        let from = from.parse().map_err(|error| Error::Configuration(format!("`smtp_from`: {error}")))?;
        Ok(Some(Self { transport, from }))
    }
}

pub(super) async fn deliver(app: &App, installed: &Installed, delivery: &Delivery) -> Result<Done, Failed> {
    let Some(mailer) = &app.outbox.mail else {
        return Err(Failed::ForGood("no mail server is configured: set `smtp_url` and `smtp_from`, and replay this".to_owned()));
    };
    if !installed.grants().email {
        return Err(Failed::ForGood("no grant for e-mail any more".to_owned()));
    }
    let email: Email = serde_json::from_str(&delivery.row.payload).map_err(row::internal)?;
    let message = message(&mailer.from, &delivery.row, &email).map_err(Failed::ForGood)?;
    let Some(_room) = app.outbox.crowd.enter("the mail server").await else {
        return Err(Failed::Crowded("the mail server has not answered to others yet".to_owned()));
    };
    match tokio::time::timeout(WITHIN, mailer.transport.send(message)).await {
        Ok(Ok(_)) => Ok(Done::Sent),
        Ok(Err(error)) if error.is_permanent() => Err(Failed::ForGood(error.to_string())),
        Ok(Err(error)) => Err(Failed::Again(error.to_string())),
        Err(_) => Err(Failed::Again(format!("the mail server took longer than {} seconds", WITHIN.as_secs()))),
    }
}

/// The `Message-ID` is that of the delivery, so that a mailbox can tell a repetition.
fn message(from: &Mailbox, row: &Row, email: &Email) -> Result<Message, String> {
    let id = format!("<{}@{}>", row.id, from.email.domain());
    let mut builder = Message::builder().from(from.clone()).subject(&email.subject).message_id(Some(id));
    for to in &email.to {
        builder = builder.to(to.parse().map_err(|error| format!("`{to}`: {error}"))?);
    }
    if let Some(reply_to) = &email.reply_to {
        builder = builder.reply_to(reply_to.parse().map_err(|error| format!("`{reply_to}`: {error}"))?);
    }
    let built = match &email.html {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(email.text.clone(), html.clone())),
        None => builder.singlepart(SinglePart::plain(email.text.clone())),
    };
    built.map_err(|error| error.to_string())
}
