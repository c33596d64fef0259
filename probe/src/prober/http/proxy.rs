//! The way through an HTTP proxy (RFC 9110 §9.3.6), and whose fault it is where that leads nowhere.
//!
//! What the proxy does wrong is ours, since it stands on our side; what it says of the target is the target's. The
//! proxy's own address is held against the vantage's rule like any other, and so is a target that is an address. A
//! target's name is resolved by the proxy, where no rule of ours can hold. A deadline that strikes while the proxy is
//! waited for says nothing of the target: it may be either. Limit: [`MAX_PROXY_HEAD_BYTES`].

use std::net::IpAddr;

use hyper::header::HeaderValue;
use nines_shared::check::{HttpProxy, Reach};
use nines_shared::sample::{Outcome, Phase, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Host;

use super::super::failure::Failure;
use super::super::record::Record;
use super::super::{Look, connect};
use super::credentials;

/// The most bytes of a proxy's answer to CONNECT.
const MAX_PROXY_HEAD_BYTES: usize = 16 << 10;
/// The longest quotation of its first line, in bytes.
const MAX_QUOTE: usize = 120;

/// A proxy, ready to be used by every hop of an attempt.
#[derive(Debug)]
pub(super) struct Via<'q> {
    proxy: &'q HttpProxy,
    host: Host<&'q str>,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl<'q> Via<'q> {
    /// # Errors
    /// `secret_missing` where the proxy's password can't be had or sent; `unsupported` where the URL names no host.
    pub(super) fn new(look: &Look<'_>, proxy: &'q HttpProxy) -> Result<Self, Failure> {
        let (host, port) = super::host_port(&proxy.url)?;
        let authorization = proxy.auth.as_ref().map(|auth| credentials::basic_of(look, auth)).transpose()?;
        Ok(Self { proxy, host, port, authorization })
    }

    /// What the proxy is told of who asks.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.clone()
    }

    /// A connection to the proxy, for a request to `target` in absolute form.
    pub(super) async fn open(
        &self,
        look: &Look<'_>,
        target: &Host<&str>,
        record: &mut Record,
    ) -> Result<TcpStream, Failure> {
        if let Some(hop) = record.evidence.hops.last_mut() {
            hop.proxy = Some(self.proxy.shown());
        }
        if let Some(address) = address_of(target)
            && let Err(forbidden) = look.prober.vantage.rule.check(address)
        {
            return Err(Failure::ours(Reason::AddressForbidden, Phase::Resolve, forbidden.to_string()));
        }
        record.overdue = Some(ours("the proxy took too long"));
        let opened = connect::open(look, &self.host, self.port, Reach::default(), record).await;
        record.overdue = None;
        opened.map_err(|failure| self.unreachable(failure))
    }

    /// A tunnel to `target`: what is said over it is between us and the target. All of it counts as `connect`.
    pub(super) async fn tunnel(
        &self,
        look: &Look<'_>,
        target: &Host<&str>,
        port: u16,
        record: &mut Record,
    ) -> Result<TcpStream, Failure> {
        let mut stream = self.open(look, target, record).await?;
        record.enter(Phase::Connect);
        record.overdue = Some(ours("the proxy did not answer CONNECT in time; it or the target is slow"));
        let answer = self.ask_for(&mut stream, (target, port), &look.prober.agent).await;
        record.overdue = None;
        record.leave();
        judge(&answer?)?;
        Ok(stream)
    }

    /// The head of the proxy's answer to CONNECT, and whatever came with it.
    async fn ask_for(
        &self,
        stream: &mut TcpStream,
        (target, port): (&Host<&str>, u16),
        agent: &HeaderValue,
    ) -> Result<Vec<u8>, Failure> {
        let broken = |error: std::io::Error| ours(format!("the proxy: {error}"));
        let mut asked =
            format!("CONNECT {target}:{port} HTTP/1.1\r\nhost: {target}:{port}\r\nuser-agent: ").into_bytes();
        asked.extend([agent.as_bytes(), b"\r\n"].concat());
        if let Some(authorization) = &self.authorization {
            asked.extend([b"proxy-authorization: ", authorization.as_bytes(), b"\r\n"].concat());
        }
        asked.extend(b"\r\n");
        stream.write_all(&asked).await.map_err(broken)?;
        let mut head = Vec::with_capacity(1_024);
        loop {
            if stream.read_buf(&mut head).await.map_err(broken)? == 0 {
                return Err(ours("the proxy hung up before it answered CONNECT"));
            }
            if end_of_head(&head).is_some() {
                return Ok(head);
            }
            if MAX_PROXY_HEAD_BYTES < head.len() {
                return Err(ours(format!("the proxy's answer to CONNECT has more than {MAX_PROXY_HEAD_BYTES} bytes")));
            }
        }
    }

    /// Why there is no connection to the proxy. What it would be a target's fault for is ours here.
    fn unreachable(&self, failure: Failure) -> Failure {
        let detail = format!("proxy {}: {}", self.proxy.shown(), failure.detail);
        match failure.outcome {
            Outcome::Down => Failure { reason: Reason::Proxy, outcome: Outcome::Inconclusive, detail, ..failure },
            Outcome::Up | Outcome::Degraded | Outcome::Inconclusive => Failure { detail, ..failure },
        }
    }
}

/// What came of a request in absolute form, unless the proxy did not let it through.
pub(super) fn unless_refused<T>(ended: Result<T, Failure>, record: &Record) -> Result<T, Failure> {
    match record.evidence.hops.last().and_then(|hop| hop.status) {
        Some(407) => Err(Failure { phase: Phase::FirstByte, ..ours("the proxy wants another user and password") }),
        Some(_) | None => ended,
    }
}

fn address_of(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(v4) => Some(IpAddr::V4(*v4)),
        Host::Ipv6(v6) => Some(IpAddr::V6(*v6).to_canonical()),
        Host::Domain(_) => None,
    }
}

fn ours(detail: impl Into<String>) -> Failure {
    Failure::ours(Reason::Proxy, Phase::Connect, detail)
}

/// What `answer`, whose head is whole, says of the tunnel.
fn judge(answer: &[u8]) -> Result<(), Failure> {
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let quoted = String::from_utf8_lossy(&line[..line.len().min(MAX_QUOTE)]);
    match status_of(line) {
        Some(200..=299) if end_of_head(answer) == Some(answer.len()) => Ok(()),
        Some(200..=299) => Err(ours("the proxy speaks within the tunnel, before the target was asked")),
        Some(502..=504) => {
            let detail = format!("the proxy can't reach the target: {quoted}");
            Err(Failure::theirs(Reason::ProxyConnect, Phase::Connect, detail))
        }
        Some(407) => Err(ours(format!("the proxy wants another user and password: {quoted}"))),
        Some(_) => Err(ours(format!("the proxy does not let us through: {quoted}"))),
        None => Err(ours(format!("the proxy's answer to CONNECT is not HTTP/1: {quoted:?}"))),
    }
}

/// The length of a head, once it is whole.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The status in an HTTP/1 status line.
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.0 ").or_else(|| line.strip_prefix(b"HTTP/1.1 "))?;
    let (digits, rest) = rest.split_at_checked(3)?;
    let whole = matches!(rest, [] | [b' ', ..]) && digits.iter().all(u8::is_ascii_digit);
    whole.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_connect_says_whose_fault_it_is() {
        let down = (Outcome::Down, Reason::ProxyConnect);
        let ours = (Outcome::Inconclusive, Reason::Proxy);
        for (answer, wanted) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", None),
            ("HTTP/1.0 200\r\nvia: x\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n\r\nhello", Some(&ours)),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", Some(&down)),
            ("HTTP/1.1 503 No\r\n\r\n", Some(&down)),
            ("HTTP/1.1 504 Late\r\n\r\n", Some(&down)),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", Some(&ours)),
            ("HTTP/1.1 407 Who\r\n\r\n", Some(&ours)),
            ("HTTP/1.1 500 Oops\r\n\r\n", Some(&ours)),
            ("HTTP/1.1 301 Moved\r\n\r\n", Some(&ours)),
            ("HTTP/2 200\r\n\r\n", Some(&ours)),
            ("HTTP/1.1 2000\r\n\r\n", Some(&ours)),
            ("HTTP/1.1 +20 x\r\n\r\n", Some(&ours)),
            ("SSH-2.0\r\n\r\n", Some(&ours)),
        ] {
            let seen = judge(answer.as_bytes()).err();
            let verdict = seen.as_ref().map(|failure| (failure.outcome, failure.reason.clone()));
            assert_eq!(verdict.as_ref(), wanted, "{answer:?}: {seen:?}");
        }
    }

    #[test]
    fn no_answer_of_a_proxy_makes_its_reader_panic() {
        bolero::check!().for_each(|answer: &[u8]| {
            let opened = judge(answer).is_ok();
            assert!(!opened || answer.starts_with(b"HTTP/1.") && answer.ends_with(b"\r\n\r\n"));
        });
    }
}
