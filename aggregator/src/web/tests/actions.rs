//! Who may act, and what comes of it.

use super::*;
use crate::alert::plan::tests::incident;
use crate::incident::Event;
use crate::store::incidents::Note;
use crate::store::outbox::{self, Attempt};
use crate::store::{incidents, silences};
use crate::web::sign_in::MAX_FAILURES;

const TOKEN: &str = "a-token-of-thirty-two-characters";
const SAME: &str = "sec-fetch-site: same-origin\r\n";

/// A web side with an open incident, on which ann may act where `people`.
async fn desk(people: bool) -> Served {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let person = format!("[[person]]\nid = \"ann\"\nname = \"Ann <b>\"\ntoken = {{ file = {file:?} }}\n");
    let served = serve_with(&if people { format!("{FLEET}{person}") } else { FLEET.to_owned() }, folder).await;
    served.running.store.write(|tx| incidents::record(tx, &incident())).await.unwrap();
    served
}

impl Served {
    async fn post(&self, path: &str, head: &str, kind: &str, body: &str) -> Answer {
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n{head}\r\n{body}"
        ))
        .await
    }

    async fn form(&self, path: &str, head: &str, body: &str) -> Answer {
        self.post(path, head, "application/x-www-form-urlencoded", body).await
    }

    async fn api(&self, path: &str, token: &str, body: &str) -> Answer {
        self.post(path, &format!("authorization: Bearer {token}\r\n"), "application/json", body).await
    }

    /// Signs in; the head that a browser would send from then on.
    async fn signed_in(&self) -> String {
        let answer = self.form("/sign-in", SAME, &format!("token={TOKEN}")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let line = answer.head.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
        assert!(line.contains("httponly") && line.contains("samesite=strict") && !line.contains("; secure"), "{line}");
        let cookie = line.trim_start_matches("set-cookie: ").split(';').next().unwrap();
        format!("{SAME}cookie: {cookie}\r\n")
    }

    async fn incident(&self) -> crate::incident::Incident {
        self.running.store.read(|conn| incidents::get(conn, &incident().id)).await.unwrap().unwrap()
    }
}

fn act() -> String {
    format!("/incident/{}/act", incident().id)
}

#[tokio::test]
async fn without_people_the_page_offers_nothing_and_says_how_to_allow_it() {
    let served = desk(false).await;
    let page = served.get(&format!("/incident/{}", incident().id)).await.body;
    assert!(page.contains("[[person]]") && !page.contains("<form"), "{page}");
    assert_eq!(served.form("/sign-in", SAME, &format!("token={TOKEN}")).await.status, 401);
}

#[tokio::test]
async fn who_signs_in_can_acknowledge_assign_note_and_silence_and_it_is_recorded_in_their_name() {
    let served = desk(true).await;
    let id = incident().id;
    let page = served.get(&format!("/incident/{id}")).await.body;
    assert!(page.contains(&format!("/sign-in?incident={id}")) && !page.contains("<form"), "{page}");
    let head = served.signed_in().await;
    for wish in ["do=ack", "do=assign&to=ann", "do=note&text=rolled+back+%3Cb%3E", "do=silence&length=2h&reason=moving"]
    {
        let answer = served.form(&act(), &head, wish).await;
        assert_eq!(answer.status, 303, "{wish}: {}", answer.body);
    }
    let now = served.incident().await;
    assert_eq!((now.acknowledged_by.as_deref(), now.assigned_to.as_deref()), (Some("ann"), Some("ann")));
    let notes = served.running.store.read(|conn| incidents::notes(conn, &incident().id)).await.unwrap();
    assert!(notes.iter().any(|note| note.author.as_deref() == Some("ann") && note.text == "rolled back <b>"));
    let held = served.running.store.read(|conn| silences::holding(conn, NOW)).await.unwrap();
    assert_eq!((held[0].by.as_str(), held[0].to), ("ann", NOW.plus_ms(2 * HOUR)));
    let page =
        served.ask(&format!("GET /incident/{id} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{head}\r\n")).await.body;
    assert!(page.contains("Ann &#60;b&#62;") && page.contains("assigned to") && page.contains("End it"), "{page}");
    assert!(!page.contains("<b>rolled") && !page.contains("rolled back <b>"), "what people write is escaped");
    assert_eq!(served.form("/silence/1/end", &head, "").await.status, 303);
    let held = served.running.store.read(|conn| silences::holding(conn, NOW)).await.unwrap();
    assert_eq!(held, []);
}

#[tokio::test]
async fn nothing_is_done_for_other_sites_strangers_and_sessions_that_are_over() {
    let served = desk(true).await;
    let head = served.signed_in().await;
    let cookie = head.replace(SAME, "");
    for (who, head) in [
        ("another site", format!("sec-fetch-site: cross-site\r\n{cookie}")),
        ("another origin", format!("origin: https://evil.example\r\n{cookie}")),
        ("a browser that says nothing", cookie.clone()),
    ] {
        assert_eq!(served.form(&act(), &head, "do=ack").await.status, 403, "{who}");
    }
    for (who, head) in
        [("nobody", SAME.to_owned()), ("a forger", format!("{SAME}cookie: nines={}\r\n", "0".repeat(64)))]
    {
        let answer = served.form(&act(), &head, "do=ack").await;
        assert!(answer.status == 303 && answer.head.contains("location: /sign-in"), "{who}: {}", answer.head);
    }
    assert_eq!(served.form("/sign-out", &head, "").await.status, 303);
    assert!(served.form(&act(), &head, "do=ack").await.head.contains("location: /sign-in"), "signed out");
    assert_eq!(served.incident().await.acknowledged_by, None);
}

#[tokio::test]
async fn the_api_does_what_a_token_allows_and_says_why_not() {
    let served = desk(true).await;
    let id = incident().id;
    let path = |what: &str| format!("/api/v1/incidents/{id}/{what}");
    assert_eq!(served.post(&path("ack"), "", "application/json", "").await.status, 401);
    let done = served.api(&path("ack"), TOKEN, "").await;
    assert!(done.status == 200 && done.body.contains("\"by\":\"ann\""), "{}", done.body);
    assert_eq!(served.api(&path("note"), TOKEN, r#"{"text":"looking"}"#).await.status, 200);
    assert_eq!(served.api(&path("assign"), TOKEN, r#"{"to":"ann"}"#).await.status, 200);
    let nobody = served.api(&path("assign"), TOKEN, r#"{"to":"eve"}"#).await;
    assert!(nobody.status == 422 && nobody.body.contains("there is no person eve"), "{}", nobody.body);
    let silence = r#"{"scope":{"service":"shop"},"for_ms":60000,"reason":"moving"}"#;
    let made = served.api("/api/v1/silences", TOKEN, silence).await;
    assert!(made.body.contains("\"silence\":1"), "{}", made.body);
    assert_eq!(served.json("/api/v1/silences").await["silences"][0]["reason"], "moving");
    assert_eq!(served.api("/api/v1/silences/1/end", TOKEN, "").await.status, 200);
    assert_eq!(served.api("/api/v1/silences/1/end", TOKEN, "").await.status, 422);
    assert_eq!(served.incident().await.acknowledged_by.as_deref(), Some("ann"));
}

#[tokio::test]
async fn whoever_guesses_tokens_is_shut_out_for_a_while_even_with_the_right_one() {
    let served = desk(true).await;
    for _ in 0..MAX_FAILURES {
        assert_eq!(served.api("/api/v1/silences/1/end", "a-wrong-token-of-some-length", "").await.status, 401);
    }
    let shut_out = served.api("/api/v1/silences/1/end", TOKEN, "").await;
    assert!(shut_out.status == 429 && shut_out.head.contains("retry-after: 300"), "{}", shut_out.head);
    assert_eq!(served.form("/sign-in", SAME, &format!("token={TOKEN}")).await.status, 429);
}

#[tokio::test]
async fn metrics_say_what_nobody_was_told_of_and_which_channel_was_given_up() {
    let served = desk(false).await;
    let metrics = async || served.get("/metrics").await.body;
    let untold = async |count: u32| metrics().await.contains(&format!("\nnotify_incidents_untold {count}\n"));
    assert!(untold(0).await, "what was silenced, or is explained by another, is none of them");
    let nowhere = Note { at: NOW, author: None, text: outbox::NO_ROUTE.to_owned() };
    served.running.store.write(move |tx| incidents::log(tx, &incident().id, &nowhere)).await.unwrap();
    assert!(untold(1).await);
    let text = metrics().await;
    assert!(text.contains("\nnotify_channels_given_up 0\n"), "{text}");
    let give_up = |tx: &rusqlite::Transaction<'_>| {
        let letters = [("oncall".parse().unwrap(), "{}".to_owned())];
        outbox::write(tx, &incident(), Event::Opened, &letters, NOW)?;
        outbox::keep_attempt(tx, 1, &Attempt::GaveUp { failure: "gone".into() }, NOW)
    };
    served.running.store.write(give_up).await.unwrap();
    let text = metrics().await;
    assert!(text.contains("\nnotify_incidents_untold 0\n"), "{text}");
    assert!(text.contains("\nnotify_channels_given_up 1\n"), "{text}");
    assert!(text.contains("\nnotify_outbox_waiting 0\n"), "{text}");
}

#[tokio::test]
async fn the_page_says_when_the_aggregator_was_away() {
    let served = desk(false).await;
    assert!(!served.get("/").await.body.contains("We were away"));
    for (starting, at) in [(true, NOW.plus_ms(-2 * HOUR)), (true, NOW.plus_ms(-HOUR))] {
        served.running.store.write(move |tx| crate::store::gaps::beat(tx, starting, at)).await.unwrap();
    }
    let page = served.get("/").await.body;
    assert!(page.contains("We were away") && page.contains("the aggregator did not run"), "{page}");
}
