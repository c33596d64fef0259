//! Microsoft Teams: an Adaptive Card to a workflow that posts what its webhook receives.
//!
//! Every text is a `TextRun`, which takes no Markdown; a `TextBlock` or a fact would. A mention needs an entity beside
//! the text, and there is none. A workflow answers 202 before it has posted: what it does with the card is seen in its
//! runs only. A card is at most 28 KB, and ours is far below.

use nines_shared::secret::Secret;
use nines_shared::time::Timestamp;
use serde_json::{Value, json};

use super::client::Client;
use super::hidden::Hidden;
use super::post::Post;
use super::{Refused, Told};
use crate::alert::message::{Message, Standing};
use crate::alert::text::Text;

/// Posts `told` to the workflow that `url` names. An acceptance is any 2xx.
///
/// # Errors
/// [`Refused`] for anything else.
pub(super) async fn deliver(client: &Client, url: &Secret, told: &Told<'_>, now: Timestamp) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let url = hidden.read_url(url)?;
    let body = payload(&told.message, &told.text).to_string();
    Post::to_service(&url, body, &hidden).send(client, now).await.map(|_accepted| ())
}

/// What is posted.
pub(super) fn payload(message: &Message, text: &Text) -> Value {
    let block = |runs: Vec<Value>| json!({"type": "RichTextBlock", "inlines": runs});
    let run = |text: &str| json!({"type": "TextRun", "text": text});
    let bold = |text: &str| json!({"type": "TextRun", "text": text, "weight": "Bolder"});
    let title =
        json!({"type": "TextRun", "text": text.title, "weight": "Bolder", "size": "Medium", "color": colour(message)});
    let mut body = vec![block(vec![title])];
    body.extend(text.body.lines().filter(|line| !line.is_empty()).map(|line| block(vec![run(line)])));
    let facts = text.facts.iter().map(|(name, value)| {
        let mut fact = block(vec![bold(name), run(&format!("  {value}"))]);
        fact["spacing"] = json!("Small");
        fact
    });
    body.extend(facts);
    let actions = text.link.iter().map(|(label, url)| json!({"type": "Action.OpenUrl", "title": label, "url": url}));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": body,
                "actions": actions.collect::<Vec<_>>(),
            },
        }],
    })
}

fn colour(message: &Message) -> &'static str {
    match message.standing() {
        Standing::Open => "Attention",
        Standing::Acknowledged => "Accent",
        Standing::Over => "Good",
        Standing::Withdrawn | Standing::Notice => "Default",
    }
}
