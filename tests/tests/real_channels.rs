//! Real receivers of alerts, as users run them: Alertmanager, and aiosmtpd as a mail server. Installed by `tests/run`.
//!
//! Delivered by `channel::deliver`, which the outbox calls too.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nines::alert::channel::client::Client;
use nines::alert::channel::{Refused, deliver};
use nines::definition::Fleet;
use nines::fleet_file;
use nines::store::outbox::Letter;
use nines_shared::time::{Clock, Timestamp};
use nines_tests::http::get;
use nines_tests::process::Process;
use nines_tests::real::{certificate, free_ports};
use nines_tests::wait::until;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A fleet with one channel, called `oncall`, reached as `way` says.
fn fleet(way: &str, folder: &Path) -> Arc<Fleet> {
    let text = format!("[aggregator]\nwebhook_allow = ['127.0.0.0/8']\n[[channel]]\nid = 'oncall'\n{way}\n");
    let (fleet, _) = fleet_file::parse(&text, &folder.join("fleet.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(fleet)
}

/// A letter that tells of `event`, as the outbox has it; `more` is put over the body's fields.
fn letter(event: &str, revision: u32, started_at: Timestamp, more: Value) -> Letter {
    let mut body = json!({
        "schema": "nines.alert/1", "event": event, "severity": "page", "kind": "outage", "incident": "shop-20261122T031207Z",
        "revision": revision, "environment": "test", "customer": "acme", "service": "shop", "checks": ["shop-home"],
        "regions": {"failing": ["eu-west", "us-east"], "unknown": [], "up": ["ap-south"]}, "reason": "connect_refused",
        "summary": "shop is down, seen from eu-west, us-east: connect_refused in connect — größer ✓",
        "detail": "<b>no</b> <!channel>\r\nBcc: evil@example.org", "started_at": started_at,
        "link": "https://status.example/incident/shop-20261122T031207Z",
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    Letter {
        no: i64::from(revision),
        about: "shop-20261122T031207Z".to_owned(),
        revision,
        step: 0,
        event: event.to_owned(),
        channel: "oncall".parse().unwrap(),
        body: body.to_string(),
        written_at: started_at,
        attempts: 0,
        due_at: started_at,
        failure: None,
    }
}

fn send(fleet: &Arc<Fleet>, letter: &Letter) -> Result<(), Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(&fleet.aggregator.webhook_allow);
    runtime.block_on(deliver(&client, fleet, letter, Clock::system().now()))
}

fn alerts(address: SocketAddr) -> Vec<Value> {
    get(address, "/api/v2/alerts").unwrap().json().as_array().unwrap().clone()
}

#[test]
#[ignore = "needs prometheus-alertmanager"]
fn alertmanager_takes_an_incident_for_one_alert_until_it_is_told_of_its_end() {
    let folder = TempDir::new().unwrap();
    let [address] = free_ports();
    let config = folder.path().join("alertmanager.yml");
    fs::write(&config, "route:\n  receiver: none\nreceivers:\n  - name: none\nglobal:\n  resolve_timeout: 1s\n")
        .unwrap();
    let mut command = Command::new("prometheus-alertmanager");
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address={address}"));
    command.arg("--cluster.listen-address=").arg(format!("--storage.path={}", folder.path().join("data").display()));
    let _server = Process::start("alertmanager", &mut command);
    until("alertmanager is ready", || get(address, "/-/ready").filter(|answer| answer.status == 200));

    let fleet = fleet(&format!("alertmanager = {{ url = 'http://{address}/' }}"), folder.path());
    let began_at = Timestamp::from_ms(Clock::system().now().as_ms() - 60_000);
    let opened = letter("opened", 1, began_at, json!({}));
    // The second is the same letter again, after an acceptance that was lost.
    for _ in 0..2 {
        send(&fleet, &opened).unwrap();
    }
    send(&fleet, &letter("updated", 2, began_at, json!({"acknowledged_at": began_at, "acknowledged_by": "ann"})))
        .unwrap();
    let found = until("alertmanager shows it", || Some(alerts(address)).filter(|found| !found.is_empty()));
    let [alert] = found.as_slice() else { panic!("one alert: {found:?}") };
    assert_eq!(alert["status"]["state"], "active");
    let labels = &alert["labels"];
    assert_eq!((&labels["alertname"], &labels["service"]), (&json!("NinesOutage"), &json!("shop")));
    until("it knows who knows", || Some(()).filter(|()| alerts(address)[0]["annotations"]["acknowledged_by"] == "ann"));
    let ends_at: String = alert["endsAt"].as_str().unwrap().chars().take(4).collect();
    let this_year: String = alert["startsAt"].as_str().unwrap().chars().take(4).collect();
    assert!(this_year < ends_at, "its own timeout of 1s does not count: {alert}");

    let over = Clock::system().now();
    send(&fleet, &letter("resolved", 3, began_at, json!({"ended_at": over, "resolved_at": over}))).unwrap();
    until("it is resolved", || alerts(address).is_empty().then_some(()));
    let all = get(address, "/api/v2/alerts?active=true").unwrap().json();
    assert_eq!(all, json!([]));

    let odd = Letter { body: opened.body.replace("\"shop\"", "\"\""), ..opened };
    assert_eq!(send(&fleet, &odd), Ok(()), "a label without a value is left out");
}

/// A mail server that keeps what it takes in a folder; `options` say how it speaks TLS.
fn mail_server(folder: &Path, address: SocketAddr, options: &[String]) -> Process {
    let mut command = Command::new("aiosmtpd");
    command.arg("--nosetuid").args(["--listen", &address.to_string()]).args(options);
    command.args(["--class", "aiosmtpd.handlers.Mailbox"]).arg(folder.join("mails"));
    let server = Process::start("aiosmtpd", &mut command);
    until("aiosmtpd listens", || TcpStream::connect(address).ok());
    server
}

fn mails(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.join("mails/new")) else { return Vec::new() };
    let mut mails: Vec<String> = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    mails.sort_by_key(|mail| mail.contains("In-Reply-To:"));
    mails
}

#[test]
#[ignore = "needs aiosmtpd"]
fn a_mail_server_takes_mails_over_starttls_and_over_tls_from_the_first_byte() {
    for (scheme, names) in [("smtp", ["--tlscert", "--tlskey"]), ("smtps", ["--smtpscert", "--smtpskey"])] {
        let folder = TempDir::new().unwrap();
        let (cert, key) = certificate(folder.path(), "mail", (2020, 2070));
        let [address] = free_ports();
        let options = [names[0].to_owned(), cert.display().to_string(), names[1].to_owned(), key.display().to_string()];
        let _server = mail_server(folder.path(), address, &options);
        let way = |ca: &str| {
            let to = "to = ['Ann <ann@shop.example>', 'bob@shop.example']";
            format!("email = {{ smtp = '{scheme}://{address}', from = 'Nines <nines@status.example>', {to}{ca} }}")
        };
        let began_at = Timestamp::from_ms(1_795_317_127_000);
        let opened = letter("opened", 1, began_at, json!({}));
        let stranger = send(&fleet(&way(""), folder.path()), &opened).unwrap_err();
        assert!(stranger.why.contains("no TLS with 127.0.0.1"), "{stranger:?}");

        let fleet = fleet(&way(", ca = { file = 'mail.pem' }"), folder.path());
        send(&fleet, &opened).unwrap();
        let over = began_at.plus_ms(240_000);
        send(&fleet, &letter("resolved", 2, began_at, json!({"ended_at": over, "resolved_at": over}))).unwrap();
        let found = mails(folder.path());
        assert_eq!(found.len(), 2, "{found:?}");
        for mail in &found {
            let head = mail.split("\n\n").next().unwrap();
            assert!(head.contains("References: <shop-20261122T031207Z.oncall@status.example>"), "{head}");
            assert!(head.contains("From: Nines <nines@status.example>") && head.contains("bob@shop.example"), "{head}");
            assert!(head.contains("Subject: ") && !head.contains("\nBcc:"), "{head}");
            assert!(mail.contains("text/plain") && mail.contains("text/html"), "{mail}");
        }
        assert!(found[1].contains("In-Reply-To: <shop-20261122T031207Z.oncall@status.example>"), "{}", found[1]);
    }
}
