//! ntfy: a notification to a topic, published as JSON, so that no text becomes a header. Plain text: Markdown is not
//! asked for.

use nines_shared::time::Timestamp;
use serde_json::{Value, json};

use super::client::Client;
use super::hidden::Hidden;
use super::post::{Post, Whose, address, authorization, not_accepted};
use super::{Refused, Told};
use crate::alert::message::{Message, Standing};
use crate::alert::text::{Text, fitted, plain};
use crate::definition::Severity;
use crate::definition::channel::{Server, ntfy_topic};

/// The longest title, in UTF-16 units: phones show no more.
const MAX_TITLE: usize = 250;
/// The longest message, in bytes; ntfy makes a file of what is longer.
const MAX_MESSAGE_BYTES: usize = 4_096;

/// Publishes `told` to the topic of `server`. An acceptance is a 2xx with the message's id.
///
/// # Errors
/// [`Refused`] for anything else.
pub(super) async fn deliver(client: &Client, server: &Server, told: &Told<'_>, now: Timestamp) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let url = address(&server.url, &mut hidden)?;
    let no_topic =
        || Refused::because("the address of the topic has not exactly one part of a path: https://host/topic");
    let (url, topic) = ntfy_topic(&url).ok_or_else(no_topic)?;
    let post = Post {
        url: &url,
        ca_pem: server.ca_pem.as_deref(),
        headers: authorization(server, &mut hidden)?.into_iter().collect(),
        body: payload(&topic, &told.message, &told.text).to_string(),
        whose: Whose::Operator,
        hidden: &hidden,
    };
    let answer = post.send(client, now).await?;
    let stored = serde_json::from_slice::<Value>(&answer.body).is_ok_and(|message| message["id"].is_string());
    if stored { Ok(()) } else { Err(not_accepted(&answer, "with the message", &hidden)) }
}

/// What is published.
pub(super) fn payload(topic: &str, message: &Message, text: &Text) -> Value {
    // The title is short on a phone; what was cut of it is the message's first line.
    let mut lines = vec![text.title.clone()];
    lines.extend((!text.body.is_empty()).then(|| text.body.clone()));
    lines.extend(text.facts.iter().map(|(name, value)| format!("{name}: {value}")));
    let mut said = String::new();
    for line in lines {
        // A line that has no room is left out whole, and those after it.
        if MAX_MESSAGE_BYTES < said.len() + line.len() + 1 {
            break;
        }
        said.push_str(&line);
        said.push('\n');
    }
    let mut notification = json!({
        "topic": topic,
        "title": fitted(&text.title, MAX_TITLE, plain),
        "message": said.trim_end(),
        "priority": priority(message),
        "tags": tags(message),
    });
    if let Some((_, url)) = &text.link {
        notification["click"] = json!(url);
    }
    notification
}

/// 5 wakes people up, 3 is the default, 2 makes no sound.
fn priority(message: &Message) -> u8 {
    match (message.standing(), message.severity) {
        (Standing::Open, Some(Severity::Page)) => 5,
        (Standing::Open, Some(Severity::Ticket) | None) | (Standing::Over, _) => 3,
        (Standing::Open, Some(Severity::Info))
        | (Standing::Acknowledged | Standing::Withdrawn | Standing::Notice, _) => 2,
    }
}

/// The first is an emoji's name, which ntfy shows before the title; the others are shown as they are.
fn tags(message: &Message) -> Vec<String> {
    let sign = match message.standing() {
        Standing::Open => "rotating_light",
        Standing::Acknowledged => "eyes",
        Standing::Over => "white_check_mark",
        Standing::Withdrawn => "leftwards_arrow_with_hook",
        Standing::Notice => "page_facing_up",
    };
    [Some(sign.to_owned()), message.incident.clone()].into_iter().flatten().collect()
}
