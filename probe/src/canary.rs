//! Is it us? A few addresses that the operator trusts to answer: where none of them does, a failure says
//! nothing about its target and the sample is `inconclusive: canary` (INV-5).
//!
//! The operator's own file names them, so the address rule, which guards against what others name, does
//! not apply. No canaries: nobody to ask, and never an excuse.

mod ask;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// The port of a DNS canary that names none.
const DNS_PORT: u16 = 53;
/// How long one canary may take to answer.
pub const CANARY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer stands for failures that come after it; a storm of failures asks once a second.
const FRESH: Duration = Duration::from_secs(1);
/// How often canaries are asked while nothing fails, for the probe's health.
pub const CANARY_EVERY: Duration = Duration::from_secs(30);

/// Somebody who should always answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// `dns://IP[:port]`: any reply to a question over UDP is an answer.
    Dns(SocketAddr),
    /// `tcp://IP:port`: an accepted connection is an answer.
    Tcp(SocketAddr),
}

/// Why a text is not a canary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a canary; write dns://IP, dns://IP:PORT or tcp://IP:PORT, with an address and no name")]
pub struct CanaryError(String);

impl FromStr for Canary {
    type Err = CanaryError;

    fn from_str(text: &str) -> Result<Self, CanaryError> {
        let dns = |rest: &str| rest.parse().ok().or_else(|| Some(SocketAddr::new(bare_address(rest)?, DNS_PORT)));
        let parsed = match text.split_once("://") {
            Some(("dns", rest)) => dns(rest).map(Self::Dns),
            Some(("tcp", rest)) => rest.parse().ok().map(Self::Tcp),
            Some(_) | None => None,
        };
        parsed.ok_or_else(|| CanaryError(text.to_owned()))
    }
}

/// An address without port; an IPv6 one may stand in brackets.
fn bare_address(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok()
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(address) => write!(f, "dns://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// The canaries of this probe and what they said last.
#[derive(Debug)]
pub struct Canaries {
    list: Vec<Canary>,
    source: Option<IpAddr>,
    last: Mutex<Option<(bool, Instant)>>,
}

impl Canaries {
    /// Asks `list` from the address `source`.
    pub fn new(list: Vec<Canary>, source: Option<IpAddr>) -> Self {
        Self { list, source, last: Mutex::new(None) }
    }

    /// Whether any canary answers now; `None` where there are none. Takes at most [`CANARY_TIMEOUT`]; many
    /// who ask at once wait for one answer.
    pub async fn answer(&self) -> Option<bool> {
        if self.list.is_empty() {
            return None;
        }
        let mut last = self.last.lock().await;
        if let Some((answered, at)) = *last
            && at.elapsed() < FRESH
        {
            return Some(answered);
        }
        let answered = ask::any(&self.list, self.source).await;
        let before = last.replace((answered, Instant::now())).map(|(answered, _)| answered);
        drop(last);
        tell(before, answered);
        Some(answered)
    }

    /// What they said last, without asking.
    pub async fn last(&self) -> Option<bool> {
        self.last.lock().await.map(|(answered, _)| answered)
    }
}

fn tell(before: Option<bool>, answered: bool) {
    if answered && before == Some(false) {
        tracing::info!("canary.answers_again");
    }
    if !answered && before != Some(false) {
        tracing::warn!("canary.silent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, UdpSocket};

    #[test]
    fn canaries_are_addresses_and_read_back_as_written() {
        for (text, shown) in [
            ("dns://192.0.2.53", "dns://192.0.2.53:53"),
            ("dns://192.0.2.53:5353", "dns://192.0.2.53:5353"),
            ("dns://[2001:db8::1]", "dns://[2001:db8::1]:53"),
            ("dns://2001:db8::1", "dns://[2001:db8::1]:53"),
            ("tcp://192.0.2.1:443", "tcp://192.0.2.1:443"),
        ] {
            assert_eq!(text.parse::<Canary>().unwrap().to_string(), shown);
        }
        for text in ["", "192.0.2.53", "tcp://192.0.2.1", "dns://resolver.example", "http://192.0.2.1:80"] {
            assert!(text.parse::<Canary>().unwrap_err().to_string().contains("tcp://IP:PORT"), "{text}");
        }
    }

    #[tokio::test]
    async fn without_canaries_there_is_never_an_excuse() {
        assert_eq!(Canaries::new(Vec::new(), None).answer().await, None);
    }

    #[tokio::test]
    async fn one_that_answers_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let list = vec![Canary::Dns(silent.local_addr().unwrap()), Canary::Tcp(listener.local_addr().unwrap())];
        let canaries = Canaries::new(list, Some("127.0.0.1".parse().unwrap()));
        assert_eq!(canaries.answer().await, Some(true));
        assert_eq!(canaries.last().await, Some(true));
    }

    #[tokio::test]
    async fn a_resolver_that_replies_is_an_answer_and_one_that_echoes_is_none() {
        let answers = |reply: fn(&mut [u8])| async move {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let canaries = Canaries::new(vec![Canary::Dns(server.local_addr().unwrap())], None);
            let serve = async {
                let mut packet = [0; 512];
                let (length, from) = server.recv_from(&mut packet).await.unwrap();
                reply(&mut packet[..length]);
                server.send_to(&packet[..length], from).await.unwrap();
            };
            tokio::join!(canaries.answer(), serve).0
        };
        assert_eq!(answers(|packet| packet[2] |= 0x80).await, Some(true));
        tokio::time::pause();
        assert_eq!(answers(|_| ()).await, Some(false), "our own question back is no reply");
    }

    #[tokio::test]
    async fn where_none_answers_it_is_us() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let canaries = Canaries::new(vec![Canary::Tcp(closed)], None);
        assert_eq!(canaries.answer().await, Some(false));
    }
}
