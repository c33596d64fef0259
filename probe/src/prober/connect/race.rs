//! Happy eyeballs (RFC 8305): addresses in turn, each with a head start, until one takes the connection.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nines_shared::check::Family;
use nines_shared::sample::{Phase, Reason};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::Vantage;
use super::super::failure::Failure;
use super::super::record::Record;
use super::super::resolve::{self, Answer, Found, Late, MAX_ADDRESSES};

/// How long an address is tried before the next one is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses that may be dialled, IPv6 and IPv4 in turns (RFC 8305 §4), at most [`MAX_ADDRESSES`].
pub(crate) struct Turns<'v> {
    vantage: &'v Vantage,
    family: Family,
    v6: VecDeque<IpAddr>,
    v4: VecDeque<IpAddr>,
    v4_is_next: bool,
    given: usize,
    /// Why the last address that was refused can't be contacted.
    refusal: Option<Failure>,
}

impl<'v> Turns<'v> {
    /// No addresses yet; those that come must be of `family` and allowed by `vantage`.
    pub(super) fn new(vantage: &'v Vantage, family: Family) -> Self {
        let (v6, v4) = (VecDeque::new(), VecDeque::new());
        Self { vantage, family, v6, v4, v4_is_next: false, given: 0, refusal: None }
    }

    /// Adds those of `addresses` that may be contacted (INV-10).
    pub(super) fn add(&mut self, addresses: &[IpAddr]) {
        for address in addresses.iter().filter(|address| self.family.has(**address)) {
            match resolve::refusal_of(self.vantage, *address) {
                Some(why) => self.refusal = Some(why),
                None => {
                    let turns = if address.is_ipv6() { &mut self.v6 } else { &mut self.v4 };
                    if turns.len() < MAX_ADDRESSES {
                        turns.push_back(*address);
                    }
                }
            }
        }
    }

    /// Adds what was found, and waits for what is late where nothing of it may be contacted. What is late still
    /// is handed back.
    pub(super) async fn begin<'a>(&mut self, found: Found<'a>) -> Option<Late<'a>> {
        self.add(&found.v6);
        self.add(&found.v4);
        if !self.is_empty() {
            return found.late;
        }
        if let Some(late) = found.late {
            self.add(&late.await.unwrap_or_default());
        }
        None
    }

    /// Whether there is another.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        (self.v6.len() + self.v4.len()).min(MAX_ADDRESSES - self.given)
    }

    /// The only address, if there is just one.
    fn only(&self) -> Option<IpAddr> {
        if self.len() == 1 { self.v6.front().or(self.v4.front()).copied() } else { None }
    }

    /// The next, if there is one.
    pub(crate) fn next(&mut self) -> Option<IpAddr> {
        if self.is_empty() {
            return None;
        }
        let next = if self.v4_is_next {
            self.v4.pop_front().or_else(|| self.v6.pop_front())
        } else {
            self.v6.pop_front().or_else(|| self.v4.pop_front())
        };
        self.v4_is_next = next.is_some_and(|address| address.is_ipv6());
        self.given += 1;
        next
    }

    /// Why there is no address to dial.
    pub(super) fn nothing(self, host: impl std::fmt::Display) -> Failure {
        self.refusal.unwrap_or_else(|| {
            let detail = format!("{host} has no {} address", self.family.name());
            Failure::theirs(Reason::DnsNoData, Phase::Resolve, detail)
        })
    }
}

/// A connection to the first of `turns` that takes one; there is at least one. What `late` brings joins in.
pub(super) async fn run(
    mut turns: Turns<'_>,
    port: u16,
    mut late: Option<Late<'_>>,
    record: &mut Record,
) -> Result<TcpStream, Failure> {
    let source = turns.vantage.source;
    if late.is_none()
        && let Some(only) = turns.only()
    {
        let to = SocketAddr::new(only, port);
        record.contact(to);
        return super::dial(to, source).await;
    }
    let mut dials = JoinSet::new();
    let mut failure = None;
    loop {
        let next_at = Instant::now() + HEAD_START;
        if let Some(next) = turns.next() {
            let to = SocketAddr::new(next, port);
            record.try_address(to);
            dials.spawn(async move {
                let started = Instant::now();
                (to, super::dial(to, source).await, started.elapsed())
            });
        }
        // Until a dial ends, or it is the next one's turn.
        let ended = loop {
            tokio::select! {
                ended = dials.join_next(), if !dials.is_empty() => break ended,
                answer = answered(&mut late), if late.is_some() => {
                    late = None;
                    turns.add(&answer.unwrap_or_default());
                    if dials.is_empty() {
                        break None;
                    }
                }
                () = tokio::time::sleep_until(next_at), if !turns.is_empty() => break None,
                else => return Err(failure.unwrap_or_else(nobody)),
            }
        };
        match ended {
            Some(Ok((to, Ok(stream), _took))) => {
                record.connected(to);
                return Ok(stream);
            }
            Some(Ok((to, Err(next), took))) => {
                record.gave_up(to, &next.reason, took);
                failure = Some(Failure::or_worse(next, failure));
            }
            Some(Err(panic)) => return Err(Failure::ours(Reason::Internal, Phase::Connect, panic.to_string())),
            None => {}
        }
    }
}

async fn answered(late: &mut Option<Late<'_>>) -> Answer {
    match late {
        Some(late) => late.as_mut().await,
        None => std::future::pending().await,
    }
}

fn nobody() -> Failure {
    Failure::ours(Reason::Internal, Phase::Connect, "no address to dial")
}
