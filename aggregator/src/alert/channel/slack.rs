//! Slack: a message by an incoming webhook.
//!
//! The text goes in a `rich_text` block, whose texts Slack parses for nothing: no markup, no links, no mentions. The
//! line that phones show (`text`) is markup and escaped. Slack takes one message a second and channel and answers 429
//! with `Retry-After` above that. It has no key against repetition: a letter that is sent again is seen again.

use nines_shared::secret::Secret;
use nines_shared::time::Timestamp;
use serde_json::{Value, json};

use super::client::Client;
use super::hidden::Hidden;
use super::post::{Post, not_accepted};
use super::{Refused, Told};
use crate::alert::text::{Text, fitted};

/// The longest line for phones, in UTF-16 units; a tenth of what Slack takes.
const MAX_LINE: usize = 4_000;

/// Posts `told` to the webhook that `url` names. An acceptance is a 2xx that says `ok`.
///
/// # Errors
/// [`Refused`] for anything else.
pub(super) async fn deliver(client: &Client, url: &Secret, told: &Told<'_>, now: Timestamp) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let url = hidden.read_url(url)?;
    let answer = Post::to_service(&url, payload(&told.text).to_string(), &hidden).send(client, now).await?;
    let accepted = answer.body.trim_ascii() == b"ok";
    if accepted { Ok(()) } else { Err(not_accepted(&answer, "ok", &hidden)) }
}

/// What is posted.
pub(super) fn payload(text: &Text) -> Value {
    let bold = |text: &str| json!({"type": "text", "text": text, "style": {"bold": true}});
    let plain = |text: &str| json!({"type": "text", "text": text});
    let section = |elements: Vec<Value>| json!({"type": "rich_text_section", "elements": elements});
    let mut sections = vec![section(vec![bold(&text.title)])];
    if !text.body.is_empty() {
        sections.push(section(vec![plain("\n"), plain(&text.body)]));
    }
    // A section after another begins a line of its own.
    sections.extend(text.facts.iter().map(|(name, value)| section(vec![bold(name), plain(&format!(" {value}"))])));
    if let Some((label, url)) = &text.link {
        sections.push(section(vec![json!({"type": "link", "url": url, "text": label})]));
    }
    json!({
        "text": fitted(&text.title, MAX_LINE, escaped),
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [{"type": "rich_text", "elements": sections}],
    })
}

/// As Slack wants its control characters; with them go links and mentions (`<!channel>`, `<@U1>`). A space without
/// width after what begins emphasis lets it begin none.
fn escaped(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '*' | '~' | '`' => out.extend([c, '\u{200b}']),
        other => out.push(other),
    }
}
