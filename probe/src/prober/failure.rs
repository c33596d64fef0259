//! Why an attempt did not succeed, and whose fault it was.
//!
//! Owns the table from what the operating system says of a socket to (outcome, reason, phase). Every
//! error of a target ends in a named reason; what is our own fault is `inconclusive`, never `down` (INV-5).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use nines_shared::check::Question;
use nines_shared::sample::{Outcome, Phase, Reason};

use super::route;

/// `ENFILE`: the machine is out of descriptors. The same number on every Unix.
const ENFILE: i32 = 23;
/// `EMFILE`: the process is out of descriptors. The same number on every Unix.
const EMFILE: i32 = 24;
/// `ENOBUFS`: the kernel is out of buffers.
const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };

/// What routers and hosts answer besides (Linux): `ENONET` (isolated), `ENOPROTOOPT` (no such protocol there) and
/// `EHOSTDOWN` (unknown).
const OF_THE_WAY: &[i32] = if cfg!(target_os = "linux") { &[64, 92, 112] } else { &[] };

/// One attempt's end where it was not a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// `down` or `inconclusive`: whose fault it was.
    pub(crate) outcome: Outcome,
    pub(crate) reason: Reason,
    pub(crate) phase: Phase,
    /// For people; may quote the target, so it is cleaned before it leaves the prober.
    pub(crate) detail: String,
}

impl Failure {
    /// The target's fault.
    pub(crate) fn theirs(reason: Reason, phase: Phase, detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Down, reason, phase, detail: detail.into() }
    }

    /// Our fault: it says nothing about the target.
    pub(crate) fn ours(reason: Reason, phase: Phase, detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Inconclusive, reason, phase, detail: detail.into() }
    }

    /// The more telling of two failed ways to the same target: what a target did outweighs what we
    /// could not do, as where IPv6 has no route here and the IPv4 address refuses.
    pub(crate) fn or_worse(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.outcome == Outcome::Down && self.outcome == Outcome::Inconclusive => other,
            Some(_) | None => self,
        }
    }
}

/// What the deadline means for the target of `question`, by the phase that it fell in. `resolve` is a name's
/// resolution or the exchange of a DNS check.
pub(crate) const fn timeout_in(phase: Phase, question: &Question) -> Reason {
    match (phase, question) {
        (Phase::Resolve, _) => Reason::DnsTimeout,
        (Phase::Connect, _) => Reason::ConnectTimeout,
        (Phase::Tls, _) => Reason::TlsTimeout,
        (Phase::FirstByte | Phase::Transfer, Question::Tcp(_)) => Reason::TcpTimeout,
        (Phase::FirstByte | Phase::Transfer, Question::Icmp(_)) => Reason::IcmpTimeout,
        (Phase::FirstByte | Phase::Transfer, Question::Grpc(_)) => Reason::GrpcTimeout,
        (Phase::FirstByte, Question::Http(_) | Question::Dns(_) | Question::Tls(_)) => Reason::HttpTimeout,
        (Phase::Transfer, Question::Http(_) | Question::Dns(_) | Question::Tls(_)) => Reason::BodyTimeout,
    }
}

/// An error that is ours whichever socket call gave it: exhaustion, no route, our own firewall.
pub(crate) fn our_own(error: &io::Error, phase: Phase) -> Option<Failure> {
    let exhausted = matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS));
    let reason = match error.kind() {
        _ if exhausted => Reason::Resources,
        ErrorKind::OutOfMemory | ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Reason::Resources,
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Reason::NoRoute,
        // Only our own packet filter answers a connect with EPERM or EACCES.
        ErrorKind::PermissionDenied => Reason::NoRoute,
        _ => return None,
    };
    Some(Failure::ours(reason, phase, error.to_string()))
}

/// Why the probe's own source address can't be used.
pub(crate) fn of_bind(error: &io::Error, phase: Phase, source: IpAddr) -> Failure {
    let reason = match error.kind() {
        ErrorKind::AddrInUse => Reason::Resources,
        _ => Reason::SourceAddress,
    };
    Failure::ours(reason, phase, format!("source_address {source} can't be used: {error}"))
}

/// Why no connection was made from `source`, or from wherever the kernel likes.
pub(crate) fn of_connect(error: &io::Error, to: SocketAddr, source: Option<IpAddr>) -> Failure {
    of_connect_where(error, to, source.is_some(), || route::is_there(to, source))
}

/// [`of_connect`], where `routed` says whether this machine has a way to `to` at all. It is asked only where the error
/// may be a router's as well as our own.
fn of_connect_where(error: &io::Error, to: SocketAddr, bound: bool, routed: impl FnOnce() -> bool) -> Failure {
    let detail = format!("{to}: {error}");
    let theirs = |reason| Failure::theirs(reason, Phase::Connect, detail.clone());
    let of_way = matches!(error.kind(), ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable)
        || matches!(error.raw_os_error(), Some(raw) if OF_THE_WAY.contains(&raw));
    if of_way {
        if routed() {
            return theirs(Reason::ConnectUnreachable);
        }
        return Failure::ours(Reason::NoRoute, Phase::Connect, detail);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => theirs(Reason::ConnectRefused),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            theirs(Reason::ConnectReset)
        }
        ErrorKind::TimedOut => theirs(Reason::ConnectTimeout),
        // A source such as 127.0.0.11 has no way to a public target: EINVAL.
        ErrorKind::InvalidInput if bound => Failure::ours(Reason::SourceAddress, Phase::Connect, detail),
        _ => match our_own(error, Phase::Connect) {
            Some(ours) => Failure { detail, ..ours },
            // A route that swallows what goes there (EINVAL), and whatever else a kernel says of one.
            None if !routed() => Failure::ours(Reason::NoRoute, Phase::Connect, detail),
            None => Failure::ours(Reason::Internal, Phase::Connect, detail),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPERM: i32 = 1;
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;

    #[test]
    fn inv_5_every_socket_error_names_whose_fault_it_is() {
        let to = "192.0.2.1:443".parse().unwrap();
        let kind = io::Error::from;
        let raw = io::Error::from_raw_os_error;
        let (down, ours) = (Outcome::Down, Outcome::Inconclusive);
        // The error, whether this machine has a way there, and what that means.
        let table = [
            (kind(ErrorKind::ConnectionRefused), true, down, Reason::ConnectRefused),
            (kind(ErrorKind::ConnectionReset), true, down, Reason::ConnectReset),
            (kind(ErrorKind::TimedOut), true, down, Reason::ConnectTimeout),
            (kind(ErrorKind::HostUnreachable), true, down, Reason::ConnectUnreachable),
            (kind(ErrorKind::HostUnreachable), false, ours, Reason::NoRoute),
            (kind(ErrorKind::NetworkUnreachable), true, down, Reason::ConnectUnreachable),
            (kind(ErrorKind::NetworkUnreachable), false, ours, Reason::NoRoute),
            (kind(ErrorKind::NetworkDown), true, ours, Reason::NoRoute),
            (raw(EPERM), true, ours, Reason::NoRoute),
            (raw(EACCES), true, ours, Reason::NoRoute),
            (kind(ErrorKind::AddrNotAvailable), true, ours, Reason::Resources),
            (kind(ErrorKind::AddrInUse), true, ours, Reason::Resources),
            (raw(EMFILE), true, ours, Reason::Resources),
            (raw(ENFILE), true, ours, Reason::Resources),
            (raw(ENOBUFS), true, ours, Reason::Resources),
            (raw(ENOMEM), true, ours, Reason::Resources),
            (kind(ErrorKind::InvalidInput), true, ours, Reason::SourceAddress),
            (kind(ErrorKind::Other), true, ours, Reason::Internal),
            (kind(ErrorKind::Other), false, ours, Reason::NoRoute),
        ];
        for (error, routed, outcome, reason) in table {
            let failure = of_connect_where(&error, to, true, || routed);
            assert_eq!((failure.outcome, failure.reason), (outcome, reason), "{error}, a way there: {routed}");
            assert_eq!(failure.phase, Phase::Connect);
            assert!(failure.detail.starts_with("192.0.2.1:443: "), "{}", failure.detail);
        }
        for raw in OF_THE_WAY {
            let error = io::Error::from_raw_os_error(*raw);
            let reason = |routed| of_connect_where(&error, to, false, || routed).reason;
            assert_eq!([reason(true), reason(false)], [Reason::ConnectUnreachable, Reason::NoRoute], "{error}");
        }
    }

    #[test]
    fn the_way_is_looked_up_only_where_it_decides() {
        let to = "192.0.2.1:443".parse().unwrap();
        for kind in [ErrorKind::ConnectionRefused, ErrorKind::TimedOut, ErrorKind::AddrNotAvailable] {
            of_connect_where(&io::Error::from(kind), to, false, || panic!("{kind} says enough"));
        }
    }

    #[test]
    fn what_the_target_did_outweighs_what_we_could_not_do() {
        let ours = Failure::ours(Reason::NoRoute, Phase::Connect, "");
        let theirs = Failure::theirs(Reason::ConnectRefused, Phase::Connect, "");
        assert_eq!(ours.clone().or_worse(Some(theirs.clone())), theirs);
        assert_eq!(theirs.clone().or_worse(Some(ours)), theirs);
    }
}
