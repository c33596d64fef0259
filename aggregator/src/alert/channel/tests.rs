//! Every kind of channel against scripted receivers on loopback: each accepts in its own way, and fails in every way.

mod hostile;
mod mail;
mod payloads;
mod programs;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nines_shared::check::HttpAuth;
use nines_shared::secret::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::definition::channel::{Address, Server, Texts};
use crate::definition::{AggregatorSettings, ReportSettings};

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

/// What a receiver does with a connection.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Answers with this, as it stands.
    With(&'static str),
    /// Closes the connection without a word.
    HangUp,
    /// Never answers.
    Hang,
}

/// A scripted receiver: answers in the script's order, then hangs up. It keeps what it was sent.
pub(super) struct Sink {
    pub(super) port: u16,
    received: Arc<Mutex<Vec<(String, Value)>>>,
    _task: JoinHandle<()>,
}

impl Sink {
    async fn start(script: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&received);
        let mut script: VecDeque<Answer> = script.iter().copied().collect();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = take(&mut stream).await else { continue };
                seen.lock().unwrap().push(request);
                match script.pop_front().unwrap_or(Answer::HangUp) {
                    Answer::With(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                    Answer::HangUp => {}
                    Answer::Hang => std::future::pending().await,
                }
            }
        });
        Self { port, received, _task: task }
    }

    /// Heads and bodies so far.
    fn received(&self) -> Vec<(String, Value)> {
        self.received.lock().unwrap().clone()
    }
}

async fn take(stream: &mut TcpStream) -> Option<(String, Value)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        if let Some((head, body)) = std::str::from_utf8(&bytes).ok()?.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length: usize = head.split_once("content-length: ")?.1.lines().next()?.parse().ok()?;
            if length <= body.len() {
                return Some((head, serde_json::from_str(body).unwrap()));
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A file with a secret in it.
pub(super) fn secret(folder: &Path, name: &str, value: &str) -> Secret {
    let file: PathBuf = folder.join(name);
    std::fs::write(&file, value).unwrap();
    Secret::File(file)
}

/// A fleet with this one channel, which may contact loopback.
pub(super) fn fleet(kind: ChannelKind) -> Arc<Fleet> {
    let channel = Channel { id: "oncall".parse().unwrap(), kind, template: Texts::default() };
    Arc::new(Fleet {
        environment: "test".into(),
        aggregator: AggregatorSettings {
            probes: "127.0.0.1:0".parse().unwrap(),
            web: "127.0.0.1:0".parse().unwrap(),
            database: "nines.db".into(),
            public_url: Some("https://status.example/".parse().unwrap()),
            probes_url: None,
            webhook_allow: vec!["127.0.0.0/8".parse().unwrap()],
            heartbeat: None,
            probe_certificates_ms: 30 * 86_400_000,
        },
        report: ReportSettings::default(),
        regions: Vec::new(),
        customers: Vec::new(),
        services: Vec::new(),
        checks: Vec::new(),
        maintenance: Vec::new(),
        channels: vec![channel],
        routes: Vec::new(),
        people: Vec::new(),
        watch: crate::definition::Watch::default(),
        secrets: nines_shared::secret::Secrets::default(),
    })
}

pub(super) fn outage() -> Message {
    Message {
        event: "opened".to_owned(),
        severity: Some(crate::definition::Severity::Page),
        kind: "outage".to_owned(),
        incident: Some("shop-20260921T141320Z".to_owned()),
        environment: "prod".to_owned(),
        customer: Some("acme".to_owned()),
        service: Some("shop".to_owned()),
        checks: vec!["shop-home".to_owned()],
        reason: Some("connect_refused".to_owned()),
        summary: "shop is down since 2026-09-21T14:13:20Z, seen from eu-west: connect_refused in connect".to_owned(),
        detail: Some("connection refused".to_owned()),
        started_at: Some(NOW),
        link: "https://status.example/incident/shop-20260921T141320Z".to_owned(),
        ..Message::default()
    }
}

pub(super) fn resolved() -> Message {
    let over = Some(NOW.plus_ms(240_000));
    let summary = "shop was down for 4 min from 2026-09-21T14:13:20Z".to_owned();
    Message { event: "resolved".to_owned(), ended_at: over, resolved_at: over, summary, ..outage() }
}

pub(super) fn letter(message: &Message, revision: u32) -> Letter {
    Letter {
        no: 1,
        about: message.incident.clone().unwrap_or_else(|| "report-acme-2026-09".to_owned()),
        revision,
        step: 0,
        event: message.event.clone(),
        channel: "oncall".parse().unwrap(),
        body: serde_json::to_string(message).unwrap(),
        written_at: NOW,
        attempts: 0,
        due_at: NOW,
        failure: None,
    }
}

/// Every kind that posts, at a port of loopback, with the answer that it takes for an acceptance.
fn posting(folder: &Path, port: u16) -> Vec<(ChannelKind, &'static str)> {
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let url = |name: &str, path: &str| secret(folder, name, &format!("{}\n", at(path)));
    let server = |path: &str| Server {
        url: at(path).parse().unwrap(),
        auth: Some(HttpAuth::Bearer(secret(folder, "token", "hunter2hunter2\n"))),
        ca_pem: None,
    };
    let hook = Address::Secret(url("hook", "/hook/hunter2hunter2"));
    let key = secret(folder, "key", "hunter2hunter2\n");
    vec![
        (ChannelKind::Webhook { url: hook, secret: None }, "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            ChannelKind::Slack { url: url("slack", "/services/T0/B0/hunter2hunter2") },
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ),
        (
            ChannelKind::Pagerduty { routing_key: key, url: at("/v2/enqueue").parse().unwrap() },
            "HTTP/1.1 202 Accepted\r\ncontent-length: 59\r\n\r\n{\"status\":\"success\",\"message\":\"ok\",\"dedup_key\":\"shop-2026\"}",
        ),
        (ChannelKind::Alertmanager(server("/am")), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (
            ChannelKind::Teams { url: url("teams", "/workflows/hunter2hunter2?sig=hunter2hunter2") },
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            ChannelKind::Discord { url: url("discord", "/api/webhooks/1/hunter2hunter2") },
            "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"id\":\"1234\"}",
        ),
        (ChannelKind::Ntfy(server("/topic")), "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"id\":\"\"}"),
    ]
}

async fn delivered(kind: &ChannelKind, message: &Message) -> Result<(), Refused> {
    let fleet = fleet(kind.clone());
    deliver(&Client::new(&fleet.aggregator.webhook_allow), &fleet, &letter(message, 1), NOW).await
}

#[tokio::test]
async fn every_kind_takes_its_own_services_acceptance() {
    let folder = TempDir::new().unwrap();
    for n in 0..posting(folder.path(), 1).len() {
        let accepting: &'static str = posting(folder.path(), 1)[n].1;
        let sink = Sink::start(&[Answer::With(accepting)]).await;
        let (kind, _) = &posting(folder.path(), sink.port)[n];
        assert_eq!(delivered(kind, &outage()).await, Ok(()), "{}", kind.code());
        let (head, _) = &sink.received()[0];
        assert!(head.starts_with("post /") && head.contains("content-type: application/json"), "{head}");
    }
}

#[tokio::test]
async fn every_kind_says_what_went_wrong_whether_it_may_be_tried_again_and_when() {
    const FAULTS: [(Answer, bool, Option<i64>, &str); 8] = [
        (
            Answer::With("HTTP/1.1 400 Bad Request\r\ncontent-length: 15\r\n\r\ninvalid_payload"),
            true,
            None,
            "invalid_payload",
        ),
        (
            Answer::With("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"),
            false,
            Some(7_000),
            "429",
        ),
        (Answer::With("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"), false, None, "answered 500"),
        (
            Answer::With("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
            false,
            None,
            "redirects",
        ),
        (Answer::With("SSH-2.0-OpenSSH_9.2\r\n"), false, None, "invalid HTTP version"),
        (Answer::HangUp, false, None, "connection closed"),
        (
            Answer::With("HTTP/1.1 403 Forbidden\r\ncontent-length: 13\r\n\r\nno, tk_hunter"),
            false,
            None,
            "answered 403",
        ),
        (
            Answer::With("HTTP/1.1 400 Bad Request\r\ncontent-length: 30\r\n\r\nbad /hook key hunter2hunter2 !"),
            true,
            None,
            "[hidden]",
        ),
    ];
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(&[]).await;
    let kinds = posting(folder.path(), sink.port).len();
    for n in 0..kinds {
        for (answer, permanent, retry_after_ms, told) in FAULTS {
            let sink = Sink::start(&[answer]).await;
            let (kind, _) = &posting(folder.path(), sink.port)[n];
            let refused = delivered(kind, &outage()).await.unwrap_err();
            let who = format!("{} {answer:?}: {refused:?}", kind.code());
            assert_eq!(refused.retry_after_ms, retry_after_ms, "{who}");
            let known =
                !matches!(kind, ChannelKind::Webhook { .. } | ChannelKind::Alertmanager(_) | ChannelKind::Ntfy(_));
            let forbidden = refused.why.contains("403") && known;
            assert_eq!(refused.permanent, permanent || forbidden, "{who}");
            assert!(refused.why.contains(told) && !refused.why.contains("hunter2hunter2"), "{who}");
        }
    }
}

#[tokio::test]
async fn a_2xx_of_somebody_else_is_no_acceptance_where_the_service_says_more() {
    const LOGIN: Answer = Answer::With("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n<html>Log in here!\r\n");
    let folder = TempDir::new().unwrap();
    for n in 0..posting(folder.path(), 1).len() {
        let sink = Sink::start(&[LOGIN]).await;
        let (kind, _) = &posting(folder.path(), sink.port)[n];
        let says_more =
            !matches!(kind, ChannelKind::Webhook { .. } | ChannelKind::Alertmanager(_) | ChannelKind::Teams { .. });
        match delivered(kind, &outage()).await {
            Ok(()) => assert!(!says_more, "{}", kind.code()),
            Err(refused) => {
                assert!(
                    says_more && !refused.permanent && refused.why.contains("Log in here"),
                    "{} {refused:?}",
                    kind.code()
                );
            }
        }
    }
}

#[tokio::test]
async fn every_kind_that_hangs_is_given_up_by_the_deadline() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(&[Answer::Hang]).await;
    let mut waiting = tokio::task::JoinSet::new();
    // The sink never answers the first, and so never comes to the others either.
    for (kind, _) in posting(folder.path(), sink.port) {
        waiting.spawn(async move { (kind.code(), delivered(&kind, &outage()).await) });
    }
    for (kind, answer) in waiting.join_all().await {
        assert_eq!(answer, Err(Refused::because("no answer within 10s")), "{kind}");
    }
}

#[tokio::test]
async fn no_kind_contacts_what_the_file_does_not_allow() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(&[]).await;
    let mut kinds: Vec<ChannelKind> = posting(folder.path(), sink.port).into_iter().map(|(kind, _)| kind).collect();
    kinds.push(mail::at(sink.port, crate::definition::channel::MailSecurity::None));
    for kind in kinds {
        let fleet = fleet(kind.clone());
        let refused = deliver(&Client::new(&[]), &fleet, &letter(&outage(), 1), NOW).await.unwrap_err();
        assert!(refused.why.contains("webhook_allow = [\"127.0.0.1\"]"), "{}: {refused:?}", kind.code());
    }
    assert_eq!(sink.received(), []);
}

#[tokio::test]
async fn a_secret_that_can_not_be_had_is_named_and_nothing_is_sent() {
    let folder = TempDir::new().unwrap();
    let missing = Secret::File(folder.path().join("none"));
    let refused = delivered(&ChannelKind::Slack { url: missing }, &outage()).await.unwrap_err();
    assert!(refused.why.contains("none can't be read") && !refused.permanent, "{refused:?}");
    let odd = secret(folder.path(), "odd", "hunter2hunter2");
    let refused = delivered(&ChannelKind::Slack { url: odd }, &outage()).await.unwrap_err();
    assert!(refused.why.contains("odd holds is not a web address") && !refused.why.contains("hunter2"), "{refused:?}");
}

#[tokio::test]
async fn a_body_that_can_not_be_read_is_refused_for_good() {
    let folder = TempDir::new().unwrap();
    let fleet = fleet(ChannelKind::Slack { url: secret(folder.path(), "url", "http://127.0.0.1:1/") });
    let letter = Letter { body: "[1]".to_owned(), ..letter(&outage(), 1) };
    let refused = deliver(&Client::new(&[]), &fleet, &letter, NOW).await.unwrap_err();
    assert!(refused.permanent && refused.why.contains("can't be read"), "{refused:?}");
}

#[tokio::test]
async fn a_trial_opens_and_resolves_the_same_thing_and_says_that_it_is_a_test() {
    let folder = TempDir::new().unwrap();
    let accepting = posting(folder.path(), 1)[2].1;
    let sink = Sink::start(&[Answer::With(accepting); 2]).await;
    let fleet = fleet(posting(folder.path(), sink.port)[2].0.clone());
    for (event, at) in [(crate::incident::Event::Opened, NOW), (crate::incident::Event::Resolved, NOW.plus_ms(5_000))] {
        let told = (event, crate::definition::Severity::Page);
        let letter = trial::letter(&fleet, &"oncall".parse().unwrap(), told, (NOW, at));
        assert_eq!(serde_json::from_str::<Value>(&letter.body).unwrap()["schema"], "nines.alert/1");
        trial::send(&fleet, &letter, at).await.unwrap();
    }
    let [(_, opened), (_, over)] = &sink.received()[..] else { panic!("two events") };
    assert_eq!((&opened["event_action"], &over["event_action"]), (&json!("trigger"), &json!("resolve")));
    assert_eq!(opened["dedup_key"], over["dedup_key"]);
    assert!(opened["payload"]["summary"].as_str().unwrap().starts_with("TEST, nothing is wrong: nines-test is down"));
}
