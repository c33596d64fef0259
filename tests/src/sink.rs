//! A channel's other end: takes alerts, checks their signatures, and remembers them in order. It answers by a script: a
//! receiver may refuse, or say nothing at all.

use std::collections::BTreeMap;
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
    /// By the number of their connection, so that they are in the order in which they were sent.
    arrived: Arc<Mutex<BTreeMap<u64, Alert>>>,
}

/// What it does with an alert that has come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// 204 at once.
    Accept,
    /// 500 at once.
    Refuse,
    /// Says nothing until the sender gives up or is gone.
    Hang,
}

/// An alert as it came, its signature checked.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The `Idempotency-Key`.
    pub key: String,
    /// The body, byte for byte.
    pub bytes: Vec<u8>,
    /// The body.
    pub body: serde_json::Value,
    /// When it came.
    pub at: Timestamp,
    /// Whether it was accepted.
    pub accepted: bool,
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
        Self::answering(listener, || Manner::Accept)
    }

    /// Like [`Sink::start`]; what becomes of an alert that has come whole is up to `script`.
    pub fn scripted(script: impl FnMut() -> Manner + Send + 'static) -> Self {
        Self::answering(TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"), script)
    }

    fn answering(listener: TcpListener, script: impl FnMut() -> Manner + Send + 'static) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let arrived = Arc::new(Mutex::new(BTreeMap::new()));
        let (kept, script) = (Arc::clone(&arrived), Arc::new(Mutex::new(script)));
        std::thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    let Some(alert) = take(&mut reader) else { return };
                    let manner = script.lock().expect("no script panics")();
                    let accepted = manner == Manner::Accept;
                    kept.lock().expect("no holder panics").insert(number, Alert { accepted, ..alert });
                    // Who is gone meanwhile does not hear the answer; that is the sender's business.
                    let _gone = answer(reader.get_mut(), manner);
                });
            }
        });
        Self { address, arrived }
    }

    /// All alerts that were accepted so far, in the order in which they were sent.
    pub fn alerts(&self) -> Vec<Alert> {
        self.arrived().into_iter().filter(|alert| alert.accepted).collect()
    }

    /// All alerts that came whole so far, accepted or not, in the order in which they were sent.
    pub fn arrived(&self) -> Vec<Alert> {
        self.arrived.lock().expect("no holder panics").values().cloned().collect()
    }

    /// The alerts so far of one kind and event, such as `outage` and `opened`.
    pub fn of(&self, kind: &str, event: &str) -> Vec<Alert> {
        self.alerts().into_iter().filter(|alert| alert.text("kind") == kind && alert.text("event") == event).collect()
    }
}

fn take(reader: &mut BufReader<TcpStream>) -> Option<Alert> {
    reader.get_ref().set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut length, mut key, mut signature) = (0, String::new(), String::new());
    loop {
        let mut line = String::new();
        // Who is killed in the middle of the head has sent no alert.
        reader.read_line(&mut line).ok().filter(|bytes| *bytes != 0)?;
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
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    assert!(signed(&signature, &bytes), "an alert came with a bad signature: {signature}");
    let body = serde_json::from_slice(&bytes).expect("an alert is JSON");
    Some(Alert { key, bytes, body, at: Clock::system().now(), accepted: false })
}

fn answer(stream: &mut TcpStream, manner: Manner) -> std::io::Result<()> {
    let status = match manner {
        Manner::Accept => "204 No Content",
        Manner::Refuse => "500 Scripted",
        Manner::Hang => {
            // Longer than any sender waits.
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            return stream.read(&mut [0]).map(drop);
        }
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
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
