//! Discord: a message by a webhook, its first line as content, the facts as an embed.
//!
//! `allowed_mentions` is empty, so nobody is ever called, whatever a text says; and what could be markup is escaped.
//! With `wait=true` Discord answers with the message once it is stored, which is the acceptance. Above its limits it
//! answers 429 with `retry_after` in JSON.

use nines_shared::secret::Secret;
use nines_shared::time::Timestamp;
use serde_json::{Value, json};

use super::client::Client;
use super::hidden::Hidden;
use super::post::{Post, not_accepted};
use super::{Refused, Told};
use crate::alert::message::{Message, Standing};
use crate::alert::text::{Text, fitted};
use crate::definition::Severity;
use crate::uptime::calendar;

/// The longest content, in UTF-16 units.
const MAX_CONTENT: usize = 2_000;
/// The longest description of an embed that is ours, in UTF-16 units; Discord takes 4096, and 6000 in all.
const MAX_DESCRIPTION: usize = 4_000;
/// The longest value of a field, in UTF-16 units.
const MAX_VALUE: usize = 1_024;
/// The most UTF-16 units of all fields together, so that an embed stays below Discord's 6000.
const MAX_FIELDS: usize = 5_000;

/// Posts `told` to the webhook that `url` names. An acceptance is a 2xx with the message's id.
///
/// # Errors
/// [`Refused`] for anything else.
pub(super) async fn deliver(client: &Client, url: &Secret, told: &Told<'_>, now: Timestamp) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let mut url = hidden.read_url(url)?;
    url.query_pairs_mut().append_pair("wait", "true");
    let body = payload(&told.message, &told.text).to_string();
    let answer = Post::to_service(&url, body, &hidden).send(client, now).await?;
    let message = serde_json::from_slice::<Value>(&answer.body).ok();
    let stored = message.is_some_and(|message| message["id"].is_string());
    if stored { Ok(()) } else { Err(not_accepted(&answer, "with the message", &hidden)) }
}

/// What is posted.
pub(super) fn payload(message: &Message, text: &Text) -> Value {
    let mut room = MAX_FIELDS;
    let field = |(name, value): &(&'static str, String)| {
        let value = fitted(value, MAX_VALUE, escaped);
        room = room.checked_sub(name.len() + value.encode_utf16().count())?;
        Some(json!({"name": name, "value": value, "inline": value.chars().count() < 40}))
    };
    let fields: Vec<Value> = text.facts.iter().map_while(field).collect();
    let mut embed = json!({
        "description": fitted(&text.body, MAX_DESCRIPTION, escaped),
        "color": colour(message),
        "fields": fields,
    });
    if let Some((label, url)) = &text.link {
        embed["title"] = json!(label);
        embed["url"] = json!(url);
    }
    if let Some(at) = message.started_at {
        embed["timestamp"] = json!(calendar::utc(at));
    }
    json!({
        "content": fitted(&text.title, MAX_CONTENT, escaped),
        "allowed_mentions": {"parse": []},
        "embeds": [embed],
    })
}

fn colour(message: &Message) -> u32 {
    match (message.standing(), message.severity) {
        (Standing::Open, Some(Severity::Page)) => 0x00c0_392b,
        (Standing::Open, Some(Severity::Ticket | Severity::Info) | None) => 0x00d6_8910,
        (Standing::Acknowledged, _) => 0x0024_71a3,
        (Standing::Over, _) => 0x001e_8449,
        (Standing::Withdrawn | Standing::Notice, _) => 0x0070_7b7c,
    }
}

/// A backslash before what Discord's Markdown knows; before a slash it keeps an address from becoming a link.
fn escaped(c: char, out: &mut String) {
    let begins_line = out.is_empty() || out.ends_with('\n');
    let markup = matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '#' | '@' | '[' | ']' | '(' | ')' | '/');
    if markup || (begins_line && matches!(c, '-' | '+')) {
        out.push('\\');
    }
    out.push(c);
}
