//! From a host to a connection: resolve, hold against the rule, dial; each phase timed.
//!
//! What is dialled is an address that was checked, never a name: nobody can answer differently between
//! the check and the connection (INV-10). Addresses are tried in turn with a head start for each
//! (`race`), all within the attempt's deadline, which the caller holds. A [`Pin`] stands in for resolution.

mod pin;
mod race;

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use nines_shared::check::{Family, Reach};
use nines_shared::sample::{Phase, Reason};
use tokio::net::{TcpSocket, TcpStream};
use url::Host;

pub use self::pin::Pin;
use self::race::Turns;
use super::failure::{self, Failure};
use super::record::Record;
use super::resolve::{self, Found};
use super::{Look, Vantage};

/// A TCP connection to `host`, over the family that `reach` allows.
pub(crate) async fn open(
    look: &Look<'_>,
    host: &Host<&str>,
    port: u16,
    reach: Reach,
    record: &mut Record,
) -> Result<TcpStream, Failure> {
    let vantage = &look.prober.vantage;
    let turns = match (look.pin_for(host, port), host) {
        (Some(pin), _) => known(vantage, host, reach.family, &pin.addresses).map_err(of_pin),
        (None, Host::Ipv4(v4)) => known(vantage, host, reach.family, &[IpAddr::V4(*v4)]),
        (None, Host::Ipv6(v6)) => known(vantage, host, reach.family, &[IpAddr::V6(*v6).to_canonical()]),
        (None, Host::Domain(name)) => return to_named(look, name, port, reach.family, record).await,
    };
    let turns = turns?;
    record.enter(Phase::Connect);
    let stream = race::run(turns, port, None, record).await?;
    record.leave();
    Ok(stream)
}

impl Look<'_> {
    fn pin_for(&self, host: &Host<&str>, port: u16) -> Option<&Pin> {
        self.pin.into_iter().chain(&self.prober.vantage.pins).find(|pin| pin.is_for(host, port))
    }
}

/// The turns of addresses that nobody has to be asked for.
fn known<'v>(
    vantage: &'v Vantage,
    host: &Host<&str>,
    family: Family,
    addresses: &[IpAddr],
) -> Result<Turns<'v>, Failure> {
    let mut turns = Turns::new(vantage, family);
    turns.add(addresses);
    if turns.is_empty() { Err(turns.nothing(host)) } else { Ok(turns) }
}

/// Where nobody pinned an address of the family, that is not the target's fault.
fn of_pin(failure: Failure) -> Failure {
    if failure.reason != Reason::DnsNoData {
        return failure;
    }
    Failure::ours(Reason::Unsupported, failure.phase, format!("{} pinned", failure.detail))
}

async fn to_named(
    look: &Look<'_>,
    name: &str,
    port: u16,
    family: Family,
    record: &mut Record,
) -> Result<TcpStream, Failure> {
    record.enter(Phase::Resolve);
    let named = look.prober.resolver.named(name)?;
    let (v6, v4) = (pin!(named.v6()), pin!(named.v4()));
    let found = match family {
        Family::Any => resolve::enough(v6, v4).await,
        Family::Ipv4 => v4.await.map(|v4| Found { v4, ..Found::default() }),
        Family::Ipv6 => v6.await.map(|v6| Found { v6, ..Found::default() }),
    };
    let Found { v6, v4, mut late } = found.map_err(|error| resolve::of_lookup(&error, name, family))?;
    let mut turns = Turns::new(&look.prober.vantage, family);
    turns.add(&v6);
    turns.add(&v4);
    if turns.is_empty()
        && let Some(late) = late.take()
    {
        turns.add(&late.await.unwrap_or_default());
    }
    if turns.is_empty() {
        return Err(turns.nothing(name));
    }
    record.enter(Phase::Connect);
    let stream = race::run(turns, port, late, record).await?;
    record.leave();
    Ok(stream)
}

/// All addresses of `host`, in an order that is the same everywhere, permitted or not. An answer that does not
/// come leaves the set unknown, and is an error even where the other family's came.
pub(crate) async fn addresses(
    look: &Look<'_>,
    host: &Host<&str>,
    port: u16,
    family: Family,
    record: &mut Record,
) -> Result<Vec<IpAddr>, Failure> {
    let mut addresses = match (look.pin_for(host, port), host) {
        (Some(pin), _) => pin.addresses.clone(),
        (None, Host::Ipv4(v4)) => vec![IpAddr::V4(*v4)],
        (None, Host::Ipv6(v6)) => vec![IpAddr::V6(*v6).to_canonical()],
        (None, Host::Domain(name)) => {
            record.enter(Phase::Resolve);
            let all = look.prober.resolver.named(name)?.all(family).await;
            record.leave();
            all.map_err(|error| resolve::of_lookup(&error, name, family))?
        }
    };
    addresses.retain(|address| family.has(*address));
    if addresses.is_empty() {
        return Err(Turns::new(&look.prober.vantage, family).nothing(host));
    }
    addresses.sort_by_key(|address| (address.is_ipv4(), *address));
    addresses.dedup();
    Ok(addresses)
}

/// A connection to `to`, from `source` where there is one.
pub(crate) async fn dial(to: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, Failure> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| failure::of_connect(&error, to, false))?;
    if let Some(source) = source {
        // A bound socket takes a port of its own; without this, one in TIME_WAIT would block it.
        socket
            .set_reuseaddr(true)
            .and_then(|()| socket.bind(SocketAddr::new(source, 0)))
            .map_err(|error| failure::of_bind(&error, Phase::Connect, source))?;
    }
    let stream = socket.connect(to).await.map_err(|error| failure::of_connect(&error, to, source.is_some()))?;
    // Requests are written in one piece; waiting for more would only delay them. Where the option is
    // refused the connection is already gone, which the next read will say better.
    let _refused = stream.set_nodelay(true);
    Ok(stream)
}
