//! PagerDuty: Events API v2. An incident is one alert there, named by its id (`dedup_key`): triggered, acknowledged,
//! resolved.
//!
//! Triggering what is triggered already adds to its log and pages nobody again; resolving what is not known there does
//! nothing. Reports are change events, which page nobody.

use nines_shared::secret::Secret;
use nines_shared::time::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

use super::client::Client;
use super::hidden::Hidden;
use super::post::{Post, not_accepted};
use super::{Refused, Told};
use crate::alert::message::{Message, Standing};
use crate::alert::text::{Text, fitted, plain};
use crate::definition::Severity;
use crate::uptime::calendar;

/// The longest summary, in UTF-16 units.
const MAX_SUMMARY: usize = 1_024;
/// The longest key of an alert, in UTF-16 units; an incident's id has half of it.
const MAX_KEY: usize = 255;

/// Sends `told` to the service that `key` belongs to. An acceptance is a 2xx that says `success`.
///
/// # Errors
/// [`Refused`] for anything else.
pub(super) async fn deliver(
    client: &Client,
    (url, key): (&Url, &Secret),
    told: &Told<'_>,
    now: Timestamp,
) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let key = hidden.read(key)?;
    let url = match told.message.standing() {
        Standing::Notice => url.join("change/enqueue").map_err(|why| Refused::because(why.to_string()))?,
        Standing::Open | Standing::Acknowledged | Standing::Over | Standing::Withdrawn => url.clone(),
    };
    let at = told.message.started_at.unwrap_or(told.letter.written_at);
    let body = payload(key.trim(), &told.message, &told.text, at).to_string();
    let answer = Post::to_service(&url, body, &hidden).send(client, now).await?;
    let taken = serde_json::from_slice::<Value>(&answer.body).is_ok_and(|said| said["status"] == "success");
    if taken { Ok(()) } else { Err(not_accepted(&answer, "success", &hidden)) }
}

/// What is sent.
pub(super) fn payload(key: &str, message: &Message, text: &Text, at: Timestamp) -> Value {
    let links: Vec<Value> = text.link.iter().map(|(label, url)| json!({"href": url, "text": label})).collect();
    let summary = fitted(&text.title, MAX_SUMMARY, plain);
    let mut details: Map<String, Value> =
        text.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    if !text.body.is_empty() {
        details.insert("Message".to_owned(), json!(text.body));
    }
    let Some(incident) = &message.incident else {
        let change =
            json!({"summary": summary, "timestamp": calendar::utc(at), "source": "nines", "custom_details": details});
        return json!({"routing_key": key, "payload": change, "links": links});
    };
    let action = match message.standing() {
        Standing::Open | Standing::Notice => "trigger",
        Standing::Acknowledged => "acknowledge",
        Standing::Over | Standing::Withdrawn => "resolve",
    };
    json!({
        "routing_key": key,
        "event_action": action,
        "dedup_key": fitted(incident, MAX_KEY, plain),
        "client": "nines",
        "client_url": text.link.as_ref().map(|(_, url)| url),
        "links": links,
        "payload": {
            "summary": summary,
            "source": message.subject(),
            "severity": severity(message),
            "timestamp": calendar::utc(at),
            "component": message.checks.first(),
            "group": message.customer,
            "class": message.kind,
            "custom_details": details,
        },
    })
}

fn severity(message: &Message) -> &'static str {
    match message.severity {
        Some(Severity::Page) => "critical",
        Some(Severity::Ticket) | None => "warning",
        Some(Severity::Info) => "info",
    }
}
