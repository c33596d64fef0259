//! Alertmanager: API v2. An incident is one alert there, told apart by its labels, which never change.
//!
//! Alertmanager takes an alert for resolved once its `endsAt` is past. Ours lies far ahead while an incident goes on,
//! so it never resolves on its own; the letter that tells of the end sets it to the end. What people read is in the
//! annotations. They go on to channels that we do not know, so that signs which some of them take for markup are
//! replaced.

use nines_shared::time::Timestamp;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::hidden::Hidden;
use super::post::{Post, Whose, address, authorization};
use super::{Refused, Told};
use crate::alert::message::{Message, Standing};
use crate::alert::text::Text;
use crate::definition::channel::Server;
use crate::incident::Kind;
use crate::uptime::calendar;

/// How far ahead the end of what goes on is set, in ms: a year after its start, longer than any letter waits.
const AHEAD_MS: i64 = 365 * 86_400_000;
/// How long a notice that is no incident stands, in ms: longer than Alertmanager waits before it groups.
const NOTICE_MS: i64 = 3_600_000;

/// Posts `told` to the API of `server`. An acceptance is any 2xx.
///
/// # Errors
/// [`Refused`] for anything else.
pub(super) async fn deliver(client: &Client, server: &Server, told: &Told<'_>, now: Timestamp) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let mut url = address(&server.url, &mut hidden)?;
    let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let post = Post {
        url: &url,
        ca_pem: server.ca_pem.as_deref(),
        headers: authorization(server, &mut hidden)?.into_iter().collect(),
        body: json!([payload(&told.message, &told.text, told.letter.written_at)]).to_string(),
        whose: Whose::Operator,
        hidden: &hidden,
    };
    post.send(client, now).await.map(|_accepted| ())
}

/// The one alert that is posted; `written_at` is when it was to be told.
pub(super) fn payload(message: &Message, text: &Text, written_at: Timestamp) -> Value {
    let starts_at = message.started_at.unwrap_or(written_at);
    let ends_at = match message.standing() {
        Standing::Open | Standing::Acknowledged => starts_at.plus_ms(AHEAD_MS).max(written_at.plus_ms(AHEAD_MS)),
        Standing::Over | Standing::Withdrawn => {
            // An end at the very start would be an alert of no length, which is refused.
            message.ended_at.or(message.resolved_at).unwrap_or(written_at).max(starts_at.plus_ms(1))
        }
        Standing::Notice => written_at.plus_ms(NOTICE_MS),
    };
    let mut alert = json!({
        "labels": labels(message),
        "annotations": annotations(message, text),
        "startsAt": calendar::utc_exact(starts_at),
        "endsAt": calendar::utc_exact(ends_at),
    });
    if let Some((_, url)) = &text.link {
        alert["generatorURL"] = json!(url);
    }
    alert
}

/// What Alertmanager tells alerts apart by, groups and routes by: ids and codes of ours, the same for an incident's
/// whole life. So the severity is the kind's, and not that of one letter.
fn labels(message: &Message) -> Map<String, Value> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.code() == message.kind);
    let severity = match (kind, message.incident.is_some()) {
        (Some(kind), _) => kind.severity().code(),
        (None, true) => "ticket",
        (None, false) => "info",
    };
    let name: String = message.kind.split('_').flat_map(capitalised).collect();
    let labels = [
        ("alertname", Some(format!("Nines{name}"))),
        ("severity", Some(severity.to_owned())),
        ("kind", Some(message.kind.clone())),
        ("environment", Some(message.environment.clone())),
        ("incident", message.incident.clone()),
        ("customer", message.customer.clone()),
        ("service", message.service.clone()),
        ("probe", message.probe.clone()),
        ("month", message.month.clone()),
        ("test", message.test.then(|| "true".to_owned())),
    ];
    let known = labels.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    known.map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn capitalised(word: &str) -> impl Iterator<Item = char> {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
}

fn annotations(message: &Message, text: &Text) -> Map<String, Value> {
    let description = if text.body.is_empty() {
        text.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
    } else {
        text.body.clone()
    };
    let by = message.acknowledged_by.clone().unwrap_or_default();
    let now = message.severity.map(|severity| severity.code().to_owned()).unwrap_or_default();
    let texts =
        [("summary", &text.title), ("description", &description), ("acknowledged_by", &by), ("severity_of_this", &now)];
    let known = texts.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| (name.to_owned(), json!(inert(value)))).collect()
}

/// `text` with signs that look alike in the place of those that chats and mails take for markup and mentions.
fn inert(text: &str) -> String {
    let alike = |c| match c {
        '<' => '‹',
        '>' => '›',
        '@' => '＠',
        '*' => '∗',
        '`' => 'ˋ',
        '~' => '∼',
        '|' => '❘',
        '[' => '⟦',
        ']' => '⟧',
        other => other,
    };
    text.chars().map(alike).collect()
}
