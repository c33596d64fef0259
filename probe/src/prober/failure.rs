//! Why an attempt did not succeed, and whose fault it was.
//!
//! Owns the table from what the operating system says of a socket to (outcome, reason, phase). Every
//! error of a target ends in a named reason; what is our own fault is `inconclusive`, never `down` (INV-5).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::io::{self, ErrorKind};

use nines_shared::check::Question;
use nines_shared::sample::{Outcome, Phase, Reason};

/// `ENFILE`: the machine is out of descriptors. The same number on every Unix.
const ENFILE: i32 = 23;
/// `EMFILE`: the process is out of descriptors. The same number on every Unix.
const EMFILE: i32 = 24;
/// `ENOBUFS`: the kernel is out of buffers.
const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };

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
pub(crate) fn of_bind(error: &io::Error, phase: Phase, source: std::net::IpAddr) -> Failure {
    let reason = match error.kind() {
        ErrorKind::AddrInUse => Reason::Resources,
        _ => Reason::SourceAddress,
    };
    Failure::ours(reason, phase, format!("source_address {source} can't be used: {error}"))
}

/// Why no connection was made.
pub(crate) fn of_connect(error: &io::Error, to: std::net::SocketAddr, bound: bool) -> Failure {
    let detail = format!("{to}: {error}");
    let theirs = |reason| Failure::theirs(reason, Phase::Connect, detail.clone());
    match error.kind() {
        ErrorKind::ConnectionRefused => theirs(Reason::ConnectRefused),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            theirs(Reason::ConnectReset)
        }
        ErrorKind::TimedOut => theirs(Reason::ConnectTimeout),
        ErrorKind::HostUnreachable => theirs(Reason::ConnectUnreachable),
        // A source such as 127.0.0.11 has no way to a public target: EINVAL.
        ErrorKind::InvalidInput if bound => Failure::ours(Reason::SourceAddress, Phase::Connect, detail),
        _ => match our_own(error, Phase::Connect) {
            Some(ours) => Failure { detail, ..ours },
            None => Failure::ours(Reason::Internal, Phase::Connect, detail),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_5_every_socket_error_names_whose_fault_it_is() {
        let to = "192.0.2.1:443".parse().unwrap();
        let table = [
            (io::Error::from(ErrorKind::ConnectionRefused), Outcome::Down, Reason::ConnectRefused),
            (io::Error::from(ErrorKind::ConnectionReset), Outcome::Down, Reason::ConnectReset),
            (io::Error::from(ErrorKind::TimedOut), Outcome::Down, Reason::ConnectTimeout),
            (io::Error::from(ErrorKind::HostUnreachable), Outcome::Down, Reason::ConnectUnreachable),
            (io::Error::from(ErrorKind::NetworkUnreachable), Outcome::Inconclusive, Reason::NoRoute),
            (io::Error::from(ErrorKind::PermissionDenied), Outcome::Inconclusive, Reason::NoRoute),
            (io::Error::from(ErrorKind::AddrNotAvailable), Outcome::Inconclusive, Reason::Resources),
            (io::Error::from_raw_os_error(EMFILE), Outcome::Inconclusive, Reason::Resources),
            (io::Error::from_raw_os_error(ENFILE), Outcome::Inconclusive, Reason::Resources),
            (io::Error::from_raw_os_error(ENOBUFS), Outcome::Inconclusive, Reason::Resources),
            (io::Error::from(ErrorKind::InvalidInput), Outcome::Inconclusive, Reason::SourceAddress),
        ];
        for (error, outcome, reason) in table {
            let failure = of_connect(&error, to, true);
            assert_eq!((failure.outcome, failure.reason), (outcome, reason), "{error}");
            assert_eq!(failure.phase, Phase::Connect);
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
