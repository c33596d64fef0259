//! Whatever a target says, no channel shows it as markup, as a mention or as something that draws.

use proptest::prelude::*;
use serde_json::Value;

use super::super::{alertmanager, discord, ntfy, pagerduty, slack, teams};
use super::{NOW, letter, mail, outage};
use crate::alert::channel::Told;
use crate::alert::message::Message;
use crate::alert::text::{self, Text};
use crate::definition::channel::Texts;

/// Texts that mean something to some service, between ones that mean nothing.
fn words() -> impl Strategy<Value = String> {
    let loaded = prop::sample::select(vec![
        "<!channel>",
        "<!here|x>",
        "<@U123>",
        "<@!1>",
        "<@&1>",
        "<#C1>",
        "<https://evil.example|click>",
        "@everyone",
        "@here",
        "**b**",
        "__u__",
        "~~s~~",
        "`c`",
        "```",
        "||spoiler||",
        "[click](https://evil.example)",
        "https://evil.example",
        "# h",
        "> q",
        "- l",
        "<script>alert(1)</script>",
        "<img src=x onerror=1>",
        "&lt;",
        "\"><b>",
        "\r\nBcc: x@evil.example",
        "\r\n.\r\n",
        "\n\n",
        "\u{202e}",
        "\u{1b}[31m",
        "\0",
        "<at>all</at>",
        "{{ .Labels }}",
        "{summary}",
        "=?utf-8?q?x?=",
        "é",
        "👩‍👩‍👧",
        "\\",
        "\\\\*",
    ]);
    prop::collection::vec(prop_oneof![loaded.prop_map(str::to_owned), ".{0,12}", Just(" ".to_owned())], 0..14)
        .prop_map(|parts| parts.concat())
}

fn hostile(words: String) -> Message {
    let summary = format!("shop is down: {words}");
    Message { detail: Some(words.clone()), note: Some(words.clone()), reason: Some(words), summary, ..outage() }
}

fn texts(template: bool) -> Texts {
    if !template {
        return Texts::default();
    }
    Texts { title: Some("{detail}".parse().unwrap()), body: Some("{detail}\n{note}".parse().unwrap()) }
}

/// Every text of a document, with the key that it stands at.
fn walk<'v>(value: &'v Value, key: &'v str, found: &mut Vec<(&'v str, &'v str)>) {
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Array(items) => items.iter().for_each(|item| walk(item, key, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn draws(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{2028}')
}

/// Whether `text` has one of `signs` that no backslash stands before.
fn unescaped(text: &str, signs: &[char]) -> bool {
    let mut escaped = false;
    text.chars().any(|c| {
        let bare = !escaped && signs.contains(&c);
        escaped = !escaped && c == '\\';
        bare
    })
}

fn payloads(message: &Message, text: &Text) -> [Value; 6] {
    [
        slack::payload(text),
        discord::payload(message, text),
        teams::payload(message, text),
        pagerduty::payload("key", message, text, NOW),
        alertmanager::payload(message, text, NOW),
        ntfy::payload("topic", message, text),
    ]
}

proptest! {
    #[test]
    fn no_text_of_a_target_becomes_markup_or_a_mention(words in words(), template: bool) {
        let message = hostile(words);
        let text = text::of(&message, &texts(template));
        let payloads = payloads(&message, &text);
        for payload in &payloads {
            let mut found = Vec::new();
            walk(payload, "", &mut found);
            prop_assert!(found.iter().all(|(_, text)| !draws(text)), "{payload}");
        }
        let [slack, discord, teams, _, alertmanager, ntfy] = &payloads;

        // Slack: the one text that is markup has no sign of it; the others are in elements that take none.
        let line = slack["text"].as_str().unwrap();
        prop_assert!(!line.contains(['<', '>']) && line.split('&').skip(1).all(|rest| {
            ["amp;", "lt;", "gt;"].iter().any(|name| rest.starts_with(name)) || rest.ends_with('…')
        }), "{line}");
        let sections = slack["blocks"][0]["elements"].as_array().unwrap();
        let elements = sections.iter().flat_map(|section| section["elements"].as_array().unwrap());
        for element in elements {
            let own = element["type"] == "link" && element["url"] == message.link.as_str();
            prop_assert!(element["type"] == "text" || own, "{element}");
        }

        // Discord: every sign has its backslash, and nobody is called whatever else is true.
        let mut found = Vec::new();
        walk(&discord["embeds"][0]["fields"], "", &mut found);
        found.push(("content", discord["content"].as_str().unwrap()));
        found.push(("description", discord["embeds"][0]["description"].as_str().unwrap()));
        let signs = ['*', '_', '~', '`', '|', '<', '>', '#', '@', '[', ']', '(', ')', '/'];
        for (key, text) in found.iter().filter(|(key, _)| *key != "name") {
            prop_assert!(!unescaped(text, &signs), "{key}: {text}");
        }
        prop_assert_eq!(&discord["allowed_mentions"], &serde_json::json!({"parse": []}));

        // Teams: texts are runs, and there is no entity that a mention would need.
        let card = &teams["attachments"][0]["content"];
        prop_assert!(card["msteams"].get("entities").is_none());
        for block in card["body"].as_array().unwrap() {
            prop_assert_eq!(&block["type"], "RichTextBlock");
            prop_assert!(block["inlines"].as_array().unwrap().iter().all(|run| run["type"] == "TextRun"), "{block}");
        }

        // Alertmanager: labels are ours, and annotations have no sign that what comes after it takes for markup.
        prop_assert!(!alertmanager["labels"].to_string().contains("evil"));
        for (name, annotation) in alertmanager["annotations"].as_object().unwrap() {
            prop_assert!(!annotation.as_str().unwrap().contains(['<', '>', '@', '*', '`', '~', '|', '[', ']']), "{name}");
        }
        prop_assert!(ntfy.get("markdown").is_none() && ntfy.get("actions").is_none());
    }

    #[test]
    fn no_text_of_a_target_becomes_a_header_of_a_mail_or_a_tag_of_its_page(words in words(), template: bool) {
        let message = hostile(words);
        let letter = letter(&message, 1);
        let text = text::of(&message, &texts(template));
        let mail = mail::made(&Told { letter: &letter, message, text });
        let (head, _parts) = mail.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
            let name = line.split(':').next().unwrap();
            let ours = ["From", "To", "Date", "Subject", "Message-ID", "References", "MIME-Version", "Content-Type", "Auto-Submitted"];
            prop_assert!(ours.contains(&name) || name.starts_with("X-"), "{line}");
        }
        prop_assert!(head.lines().all(|line| line.len() <= 998) && head.is_ascii());
    }

    #[test]
    fn a_mails_page_has_the_tags_of_its_template_and_no_others(words in words()) {
        let tags = |message: &Message| {
            let page = mail::page(message, &text::of(message, &Texts::default()));
            page.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let harmless = Message { detail: Some("x".into()), note: Some("x".into()), reason: Some("x".into()), ..outage() };
        let hostile = hostile(format!("x{words}"));
        prop_assert_eq!(tags(&hostile), tags(&harmless));
    }
}
