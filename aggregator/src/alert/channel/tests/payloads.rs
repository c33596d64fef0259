//! What each service is sent, pinned against what its documentation asks for.

use serde_json::{Value, json};

use super::super::{alertmanager, discord, ntfy, pagerduty, slack, teams};
use super::{NOW, outage, resolved};
use crate::alert::message::Message;
use crate::alert::text::{self, Text};
use crate::definition::channel::Texts;

fn text(message: &Message) -> Text {
    text::of(message, &Texts::default())
}

fn known() -> Message {
    Message {
        event: "updated".to_owned(),
        acknowledged_at: Some(NOW.plus_ms(60_000)),
        acknowledged_by: Some("ann".to_owned()),
        ..outage()
    }
}

fn report() -> Message {
    Message {
        event: "final".to_owned(),
        kind: "report".to_owned(),
        customer: Some("acme".to_owned()),
        month: Some("2026-09".to_owned()),
        summary: "the report of acme for 2026-09 is final; shop 99.951 %".to_owned(),
        link: "https://status.example/report/acme/2026-09".to_owned(),
        ..Message::default()
    }
}

#[test]
fn pagerduty_is_told_to_trigger_acknowledge_and_resolve_one_alert() {
    let event = |message: &Message| pagerduty::payload("key", message, &text(message), NOW);
    let opened = event(&outage());
    assert_eq!(
        opened,
        json!({
            "routing_key": "key",
            "event_action": "trigger",
            "dedup_key": "shop-20260921T141320Z",
            "client": "nines",
            "client_url": "https://status.example/incident/shop-20260921T141320Z",
            "links": [{"href": "https://status.example/incident/shop-20260921T141320Z", "text": "Open the incident"}],
            "payload": {
                "summary": "shop is down since 2026-09-21T14:13:20Z, seen from eu-west: connect_refused in connect",
                "source": "shop",
                "severity": "critical",
                "timestamp": "2026-09-21T14:13:20Z",
                "component": "shop-home",
                "group": "acme",
                "class": "outage",
                "custom_details": {
                    "Service": "shop", "Customer": "acme", "Environment": "prod", "Severity": "page",
                    "Started": "2026-09-21T14:13:20Z", "Checks": "shop-home", "Reason": "connect_refused",
                    "Detail": "connection refused", "Incident": "shop-20260921T141320Z",
                },
            },
        })
    );
    for (message, action) in [(known(), "acknowledge"), (resolved(), "resolve")] {
        let later = event(&message);
        assert_eq!((&later["event_action"], &later["dedup_key"]), (&json!(action), &opened["dedup_key"]));
    }
    let history = Message { event: "updated".to_owned(), ..resolved() };
    assert_eq!(event(&history)["event_action"], "resolve", "what is over is never opened");
    let change = event(&report());
    assert!(change.get("event_action").is_none() && change["payload"]["source"] == "nines", "{change}");
}

#[test]
fn alertmanager_knows_an_incident_by_labels_that_no_letter_changes() {
    let alert = |message: &Message| alertmanager::payload(message, &text(message), NOW);
    let opened = alert(&outage());
    let labels = json!({
        "alertname": "NinesOutage", "severity": "page", "kind": "outage", "environment": "prod",
        "incident": "shop-20260921T141320Z", "customer": "acme", "service": "shop",
    });
    assert_eq!(opened["labels"], labels);
    assert_eq!(
        (&opened["startsAt"], &opened["endsAt"]),
        (&json!("2026-09-21T14:13:20Z"), &json!("2027-09-21T14:13:20Z"))
    );
    let quiet = Message { severity: Some(crate::definition::Severity::Info), ..resolved() };
    for message in [known(), resolved(), quiet] {
        assert_eq!(alert(&message)["labels"], labels);
    }
    assert_eq!(alert(&resolved())["endsAt"], "2026-09-21T14:17:20Z");
    let nothing = Message { ended_at: Some(NOW), withdrawn: true, ..resolved() };
    assert_eq!(alert(&nothing)["endsAt"], "2026-09-21T14:13:20.001Z", "an alert has a length");
    assert_eq!(alert(&known())["annotations"]["acknowledged_by"], "ann");
    let notice = alert(&report());
    assert_eq!(
        (&notice["labels"]["alertname"], &notice["endsAt"]),
        (&json!("NinesReport"), &json!("2026-09-21T15:13:20Z"))
    );
}

#[test]
fn slack_is_sent_blocks_that_it_parses_nothing_in() {
    let message = slack::payload(&text(&outage()));
    assert_eq!(message["blocks"][0]["type"], "rich_text");
    let sections = message["blocks"][0]["elements"].as_array().unwrap();
    let title = outage().summary;
    assert_eq!(
        sections[0],
        json!({"type": "rich_text_section", "elements": [{"type": "text", "text": title, "style": {"bold": true}}]})
    );
    let link = json!({"type": "link", "url": outage().link, "text": "Open the incident"});
    assert_eq!(sections.last().unwrap()["elements"], json!([link]));
    assert_eq!(message["text"], json!(outage().summary), "what phones show");
}

#[test]
fn discord_may_call_nobody_and_its_limits_hold() {
    let message = Message { detail: Some("x".repeat(5_000)), checks: vec!["a-check".to_owned(); 500], ..outage() };
    let payload = discord::payload(&message, &text(&message));
    assert_eq!(payload["allowed_mentions"], json!({"parse": []}));
    let fields = payload["embeds"][0]["fields"].as_array().unwrap();
    assert!(fields.len() <= 25 && fields.iter().all(|field| field["value"].as_str().unwrap().len() <= 1_024));
    let embed = payload["embeds"][0].to_string();
    assert!(embed.len() < 6_000, "{}", embed.len());
    assert_eq!(payload["embeds"][0]["url"], json!(outage().link));
}

#[test]
fn teams_is_sent_one_adaptive_card_for_a_workflow() {
    let payload = teams::payload(&outage(), &text(&outage()));
    assert_eq!(payload["type"], "message");
    let attachment = &payload["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    let card = &attachment["content"];
    assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    assert_eq!(card["body"][0]["inlines"][0]["text"], json!(outage().summary));
    assert_eq!(card["actions"][0]["type"], "Action.OpenUrl");
}

#[test]
fn ntfy_is_sent_json_with_a_priority_and_a_place_to_go() {
    let payload = ntfy::payload("topic", &outage(), &text(&outage()));
    let title = outage().summary;
    assert_eq!(
        (&payload["topic"], &payload["title"], &payload["priority"], &payload["click"]),
        (&json!("topic"), &json!(title), &json!(5), &json!(outage().link))
    );
    assert_eq!(payload["tags"], json!(["rotating_light", "shop-20260921T141320Z"]));
    assert_eq!(ntfy::payload("topic", &resolved(), &text(&resolved()))["priority"], 3);
    let long = Message { detail: Some("é".repeat(3_000)), note: Some("é".repeat(3_000)), ..outage() };
    let payload = ntfy::payload("topic", &long, &text(&long));
    assert!(payload["message"].as_str().unwrap().len() <= 4_096);
    assert!(payload.get("markdown").is_none() || payload["markdown"] == Value::Bool(false));
}
