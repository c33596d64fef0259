//! Mail: one message a letter, as text and as HTML, over TLS.
//!
//! All mails of one incident and channel name one root (`References`), so that they make one thread; the key of the
//! letter is in `Message-ID`, so that one that is sent again is known to be the same. Headers are written by `lettre`,
//! which encodes whatever is no plain ASCII; what a target said is one clean line before it comes there.

pub(super) mod page;
mod smtp;

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use nines_shared::secret::Secret;

use super::client::Client;
use super::hidden::Hidden;
use super::{Refused, Told};
use crate::alert::text::{Text, fitted, plain};
use crate::definition::channel::Email;
use crate::incident::Event;

/// The longest subject, in UTF-16 units: what mail programs show.
const MAX_SUBJECT: usize = 200;

/// Hands `told` to the server of `email`. An acceptance is its 2xx to the whole message, for at least one of those that
/// it is for; the others are logged.
///
/// # Errors
/// [`Refused`] for anything else.
pub(super) async fn deliver(client: &Client, email: &Email, told: &Told<'_>) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let read = |password: &Secret, hidden: &mut Hidden| hidden.read(password);
    let password = email.login.as_ref().map(|login| read(&login.password, &mut hidden)).transpose()?;
    let login = email.login.as_ref().zip(password).map(|(login, password)| (login.user.clone(), password));
    if let Some((user, password)) = &login {
        hidden.add(&format!("\0{user}\0{password}"));
    }
    let mail = mail(email, told).map_err(|why| Refused::for_good(format!("no mail can be made of it: {why}")))?;
    let refused = smtp::send(client, email, login, &mail).await.map_err(|refused| hidden.mask(refused))?;
    for (to, why) in refused {
        let failure = hidden.masked(&why);
        tracing::error!(channel = %told.letter.channel, about = told.letter.about, %to, failure, "alert.one_refused");
    }
    Ok(())
}

/// The mail as it is sent, lines ended by CR LF.
pub(super) fn mail(email: &Email, told: &Told<'_>) -> Result<Vec<u8>, lettre::error::Error> {
    let domain = email.from.email.domain();
    let thread = format!("<{}.{}@{domain}>", told.letter.about, told.letter.channel);
    let id = format!("<{}.{}@{domain}>", told.letter.idempotency_key(), told.letter.channel);
    let written_at = Duration::from_millis(told.letter.written_at.as_ms().unsigned_abs());
    let mut builder = lettre::Message::builder()
        .from(email.from.clone())
        .date(UNIX_EPOCH + written_at)
        .subject(fitted(&told.text.title, MAX_SUBJECT, plain))
        .message_id(Some(id))
        .references(thread.clone())
        .raw_header(marker("Auto-Submitted", "auto-generated"))
        .raw_header(marker("X-Auto-Response-Suppress", "All"))
        .raw_header(marker("X-Nines-Event", &told.letter.event));
    if told.letter.event != Event::Opened.code() {
        builder = builder.in_reply_to(thread);
    }
    for to in &email.to {
        builder = builder.to(to.clone());
    }
    let html = page::html(&told.message, &told.text);
    Ok(builder.multipart(MultiPart::alternative_plain_html(said(&told.text), html))?.formatted())
}

/// The addresses of `mailboxes`, as the envelope has them.
fn addresses(mailboxes: &[Mailbox]) -> impl Iterator<Item = &str> {
    mailboxes.iter().map(|mailbox| mailbox.email.as_ref())
}

fn marker(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The text part: the first line, the facts in a column, the link.
fn said(text: &Text) -> String {
    let width = text.facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let gap = |name: &str| " ".repeat(width + 2 - name.len());
    let facts = text.facts.iter().map(|(name, value)| format!("{name}:{}{value}\n", gap(name)));
    let facts: String = facts.collect();
    let link = text.link.as_ref().map(|(label, url)| format!("\n{label}: {url}\n")).unwrap_or_default();
    let body = if text.body.is_empty() { facts } else { format!("{}\n", text.body) };
    format!("{}\n\n{body}{link}", text.title)
}
