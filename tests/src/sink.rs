//! A channel's other end: takes alerts, checks their signatures, and remembers them in order.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use nines_shared::time::{Clock, Timestamp};

/// The key of the alerts' signatures.
pub const SECRET: &str = "test-hook-secret";

/// A webhook's receiver.
#[derive(Debug)]
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    alerts: Arc<Mutex<Vec<Alert>>>,
}

/// An alert as it came, its signature checked.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The `Idempotency-Key`.
    pub key: String,
    /// The body.
    pub body: serde_json::Value,
    /// When it was accepted.
    pub at: Timestamp,
}

impl Alert {
    /// A text of the body by key, empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or("")
    }

    /// An instant of the body by key, in ms.
    pub fn ms(&self, key: &str) -> i64 {
        self.body[key].as_i64().unwrap_or_else(|| panic!("no instant {key} in {}", self.body))
    }
}

impl Sink {
    /// Listens on a free port of loopback.
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"))
    }

    /// Takes alerts on `listener`, wherever it listens.
    pub fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&alerts);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if let Some(alert) = take(stream) {
                    kept.lock().expect("no holder panics").push(alert);
                }
            }
        });
        Self { address, alerts }
    }

    /// All alerts so far, in order of arrival.
    pub fn alerts(&self) -> Vec<Alert> {
        self.alerts.lock().expect("no holder panics").clone()
    }

    /// The alerts so far of one kind and event, such as `outage` and `opened`.
    pub fn of(&self, kind: &str, event: &str) -> Vec<Alert> {
        self.alerts().into_iter().filter(|alert| alert.text("kind") == kind && alert.text("event") == event).collect()
    }
}

fn take(stream: TcpStream) -> Option<Alert> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut length, mut key, mut signature) = (0, String::new(), String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "idempotency-key" => value.trim().clone_into(&mut key),
            "nines-signature" => value.trim().clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    assert!(signed(&signature, &body), "an alert came with a bad signature: {signature}");
    let at = Clock::system().now();
    reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    Some(Alert { key, at, body: serde_json::from_slice(&body).expect("an alert is JSON") })
}

/// Whether `t=SECONDS,v1=HEX` is the HMAC-SHA-256 of "t.body" under [`SECRET`].
fn signed(signature: &str, body: &[u8]) -> bool {
    let Some((time, digest)) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")) else {
        return false;
    };
    let Ok(digest) = HEXLOWER.decode(digest.as_bytes()) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::verify(&key, &[time.as_bytes(), b".", body].concat(), &digest).is_ok()
}
