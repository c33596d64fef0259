//! The ICMP check: echoes, and how many of them come back.
//!
//! Over the datagram sockets by which Linux lets anyone ping whose group it allows; nothing here needs a
//! privilege. Such a socket hears of a router's "prohibited" and of an address without a route; of other
//! routers' "unreachable" the kernel tells it nothing, and they end as `icmp_timeout`.

mod echo;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};
use std::time::Duration;

use aws_lc_rs::rand;
use nines_shared::check::{IcmpQuestion, MAX_ECHOES};
use nines_shared::sample::{Phase, Reason};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::failure::{self, Failure};
use super::record::Record;
use super::{Look, connect};
use echo::{Echoes, HEADER_BYTES, TOKEN_BYTES};

/// How long after one echo the next is asked for.
const SPACING: Duration = Duration::from_millis(100);

/// Asks `question` once.
pub(crate) async fn ask(look: &Look<'_>, question: &IcmpQuestion, record: &mut Record) -> Result<(), Failure> {
    let mut turns = connect::turns(look, &question.host.host(), 0, question.reach.family, record).await?;
    let mut failure = None;
    while let Some(address) = turns.next() {
        record.contact(SocketAddr::new(address, 0));
        match Asking::of(address, look.prober.vantage.source, question) {
            Ok(asking) => return asking.run(record).await,
            Err(next) => failure = Some(Failure::or_worse(next, failure)),
        }
    }
    Err(failure.unwrap_or_else(|| internal("no address to ask")))
}

fn internal(why: &str) -> Failure {
    Failure::ours(Reason::Internal, Phase::FirstByte, why)
}

/// The echoes of one sample, on their way.
struct Asking {
    socket: UdpSocket,
    to: IpAddr,
    /// The identifier by which the kernel tells our echoes from others'.
    identifier: u16,
    echoes: Echoes,
    count: u8,
    wanted: u8,
    /// When each was sent.
    sent: Vec<Instant>,
    /// µs until each came back that did.
    round_trips: [Option<u64>; MAX_ECHOES as usize],
}

impl Asking {
    fn of(to: IpAddr, source: Option<IpAddr>, question: &IcmpQuestion) -> Result<Self, Failure> {
        let mut token = [0; TOKEN_BYTES];
        rand::fill(&mut token).map_err(|_no_detail| internal("no random bytes for the echoes' token"))?;
        let socket = socket(to, source)?;
        let identifier = socket.local_addr().map_err(|error| internal(&error.to_string()))?.port();
        let socket = UdpSocket::from_std(socket).map_err(|error| internal(&error.to_string()))?;
        let echoes = Echoes { v6: to.is_ipv6(), token, size: usize::from(question.size) };
        let (sent, round_trips) = (Vec::new(), [None; MAX_ECHOES as usize]);
        let (count, wanted) = (question.count, question.wanted());
        Ok(Self { socket, to, identifier, echoes, count, wanted, sent, round_trips })
    }

    /// Sends, and hears until as many came back as are wanted of all.
    async fn run(mut self, record: &mut Record) -> Result<(), Failure> {
        // One byte more than an answer has, so that a longer message is seen to be none.
        let mut message = vec![0; HEADER_BYTES + self.echoes.size + 1];
        let mut next_at = Instant::now();
        record.enter(Phase::FirstByte);
        loop {
            let all_sent = self.sent.len() == usize::from(self.count);
            let back = self.round_trips.iter().flatten().count();
            if all_sent && usize::from(self.wanted) <= back {
                record.leave_after(self.median());
                return Ok(());
            }
            if 1 < self.count {
                record.remark = Some(format!(
                    "{back} of {} echoes came back, and {} are wanted of {}",
                    self.sent.len(),
                    self.wanted,
                    self.count
                ));
            }
            tokio::select! {
                () = sleep_until(next_at), if !all_sent => {
                    self.send().await?;
                    next_at += SPACING;
                }
                heard = self.socket.recv(&mut message) => {
                    let length = heard.map_err(|error| of_echo(&error, self.to))?;
                    self.hear(&message[..length]);
                }
            }
        }
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let sequence = u16::try_from(self.sent.len()).unwrap_or(u16::MAX);
        self.sent.push(Instant::now());
        let sent = self.socket.send(&self.echoes.request(sequence)).await;
        sent.map(|_all| ()).map_err(|error| of_send(&error, self.to))
    }

    fn hear(&mut self, message: &[u8]) {
        let Some(sequence) = self.echoes.answered(self.identifier, message) else { return };
        let place = usize::from(sequence);
        if let (Some(sent), Some(none @ None)) = (self.sent.get(place), self.round_trips.get_mut(place)) {
            *none = Some(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// The median of the round trips, in µs; the lower of two.
    fn median(&self) -> u64 {
        let mut all: Vec<u64> = self.round_trips.iter().flatten().copied().collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }
}

/// A socket that sends echoes to `to` and hears their answers, from `source` where there is one.
fn socket(to: IpAddr, source: Option<IpAddr>) -> Result<StdSocket, Failure> {
    let (domain, protocol, any) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)),
    };
    if !cfg!(target_os = "linux") {
        return Err(Failure::ours(Reason::Unsupported, Phase::Connect, "ICMP is asked only on Linux"));
    }
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol)).map_err(|error| of_socket(&error))?;
    let from = source.unwrap_or(any);
    socket.bind(&SocketAddr::new(from, 0).into()).map_err(|error| match source {
        Some(source) => failure::of_bind(&error, Phase::Connect, source),
        None => of_socket(&error),
    })?;
    socket.connect(&SocketAddr::new(to, 0).into()).map_err(|error| of_way(&error, to))?;
    socket.set_nonblocking(true).map_err(|error| internal(&error.to_string()))?;
    Ok(socket.into())
}

/// Why there is no socket.
fn of_socket(error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::PermissionDenied {
        let detail = "the kernel lets this user send no echoes; allow its group: \
                      sysctl -w net.ipv4.ping_group_range='0 2147483647' (it holds for IPv6 too)";
        return Failure::ours(Reason::Unsupported, Phase::Connect, detail);
    }
    let ours = failure::our_own(error, Phase::Connect);
    ours.unwrap_or_else(|| Failure::ours(Reason::Unsupported, Phase::Connect, format!("no ICMP socket: {error}")))
}

/// Why the machine has no way to `to`: nothing was sent yet, so nobody else can have said so.
fn of_way(error: &io::Error, to: IpAddr) -> Failure {
    let detail = format!("{to}: {error}");
    match failure::our_own(error, Phase::Connect) {
        Some(ours) => Failure { detail, ..ours },
        None => Failure::ours(Reason::NoRoute, Phase::Connect, detail),
    }
}

/// Why an echo could not be sent: what the machine itself says of the way.
fn of_send(error: &io::Error, to: IpAddr) -> Failure {
    match failure::our_own(error, Phase::FirstByte) {
        Some(ours) => Failure { detail: format!("{to}: {error}"), ..ours },
        None => of_echo(error, to),
    }
}

/// What was answered instead of an echo, by the target or a router on the way.
fn of_echo(error: &io::Error, to: IpAddr) -> Failure {
    Failure::theirs(Reason::IcmpUnreachable, Phase::FirstByte, format!("{to}: {error}"))
}

#[cfg(test)]
mod tests {
    use nines_shared::sample::Outcome;

    use super::*;

    #[test]
    fn inv_5_what_the_machine_refuses_is_ours_and_what_the_way_answers_is_the_targets() {
        let to = "192.0.2.1".parse().unwrap();
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let table = [
            (of_socket(&denied), Outcome::Inconclusive, Reason::Unsupported, Phase::Connect),
            (
                of_socket(&io::Error::from(ErrorKind::Unsupported)),
                Outcome::Inconclusive,
                Reason::Unsupported,
                Phase::Connect,
            ),
            (of_socket(&io::Error::from_raw_os_error(24)), Outcome::Inconclusive, Reason::Resources, Phase::Connect),
            (of_send(&denied, to), Outcome::Inconclusive, Reason::NoRoute, Phase::FirstByte),
            (
                of_send(&io::Error::from(ErrorKind::NetworkUnreachable), to),
                Outcome::Inconclusive,
                Reason::NoRoute,
                Phase::FirstByte,
            ),
            (
                of_way(&io::Error::from(ErrorKind::HostUnreachable), to),
                Outcome::Inconclusive,
                Reason::NoRoute,
                Phase::Connect,
            ),
            (of_way(&io::Error::from_raw_os_error(105), to), Outcome::Inconclusive, Reason::Resources, Phase::Connect),
            (
                of_send(&io::Error::from(ErrorKind::HostUnreachable), to),
                Outcome::Down,
                Reason::IcmpUnreachable,
                Phase::FirstByte,
            ),
            (
                of_echo(&io::Error::from(ErrorKind::HostUnreachable), to),
                Outcome::Down,
                Reason::IcmpUnreachable,
                Phase::FirstByte,
            ),
            // ICMPv6 "administratively prohibited" comes as this.
            (of_echo(&denied, to), Outcome::Down, Reason::IcmpUnreachable, Phase::FirstByte),
        ];
        for (failure, outcome, reason, phase) in table {
            assert_eq!((failure.outcome, &failure.reason, failure.phase), (outcome, &reason, phase), "{failure:?}");
        }
        assert!(of_socket(&denied).detail.contains("net.ipv4.ping_group_range"));
    }
}
