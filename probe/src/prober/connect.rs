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
pub(crate) use self::race::Turns;
use super::failure::{self, Failure};
use super::record::Record;
use super::{Look, resolve};

/// A TCP connection to `host`, over the family that `reach` allows.
pub(crate) async fn open(
    look: &Look<'_>,
    host: &Host<&str>,
    port: u16,
    reach: Reach,
    record: &mut Record,
) -> Result<TcpStream, Failure> {
    match way(look, host, port, reach.family)? {
        Way::Known(turns) => {
            record.enter(Phase::Connect);
            let stream = race::run(turns, port, None, record).await?;
            record.leave();
            Ok(stream)
        }
        Way::Named(name) => to_named(look, name, port, reach.family, record).await,
    }
}

/// How the addresses of a host are come by.
enum Way<'l, 'h> {
    /// Nobody has to be asked.
    Known(Turns<'l>),
    /// By this name.
    Named(&'h str),
}

impl Look<'_> {
    fn pin_for(&self, host: &Host<&str>, port: u16) -> Option<&Pin> {
        self.pin.into_iter().chain(&self.prober.vantage.pins).find(|pin| pin.is_for(host, port))
    }
}

fn way<'l, 'h>(look: &'l Look<'_>, host: &Host<&'h str>, port: u16, family: Family) -> Result<Way<'l, 'h>, Failure> {
    let mut turns = Turns::new(&look.prober.vantage, family);
    let pin = look.pin_for(host, port);
    match (pin, host) {
        (Some(pin), _) => turns.add(&pin.addresses),
        (None, Host::Ipv4(v4)) => turns.add(&[IpAddr::V4(*v4)]),
        (None, Host::Ipv6(v6)) => turns.add(&[IpAddr::V6(*v6).to_canonical()]),
        (None, Host::Domain(name)) => return Ok(Way::Named(name)),
    }
    if !turns.is_empty() {
        return Ok(Way::Known(turns));
    }
    let nothing = turns.nothing(host);
    Err(if pin.is_some() { of_pin(nothing) } else { nothing })
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
    let found = resolve::enough(family, v6, v4).await;
    let found = found.map_err(|error| resolve::of_lookup(&error, name, family))?;
    let mut turns = Turns::new(&look.prober.vantage, family);
    let late = turns.begin(found).await;
    if turns.is_empty() {
        return Err(turns.nothing(name));
    }
    record.enter(Phase::Connect);
    let stream = race::run(turns, port, late, record).await?;
    record.leave();
    Ok(stream)
}

/// The permitted addresses of `host` in turns, at least one: for what has no connections to race.
pub(crate) async fn turns<'l>(
    look: &'l Look<'_>,
    host: &Host<&str>,
    port: u16,
    family: Family,
    record: &mut Record,
) -> Result<Turns<'l>, Failure> {
    let name = match way(look, host, port, family)? {
        Way::Known(turns) => return Ok(turns),
        Way::Named(name) => name,
    };
    record.enter(Phase::Resolve);
    let named = look.prober.resolver.named(name)?;
    let (v6, v4) = (pin!(named.v6()), pin!(named.v4()));
    let found = resolve::enough(family, v6, v4).await;
    let mut turns = Turns::new(&look.prober.vantage, family);
    let _nothing_races = turns.begin(found.map_err(|error| resolve::of_lookup(&error, name, family))?).await;
    record.leave();
    if turns.is_empty() { Err(turns.nothing(name)) } else { Ok(turns) }
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
    let socket = socket.map_err(|error| failure::of_connect(&error, to, source))?;
    if let Some(source) = source {
        // A bound socket takes a port of its own; without this, one in TIME_WAIT would block it.
        socket
            .set_reuseaddr(true)
            .and_then(|()| socket.bind(SocketAddr::new(source, 0)))
            .map_err(|error| failure::of_bind(&error, Phase::Connect, source))?;
    }
    let stream = socket.connect(to).await.map_err(|error| failure::of_connect(&error, to, source))?;
    // Requests are written in one piece; waiting for more would only delay them. Where the option is
    // refused the connection is already gone, which the next read will say better.
    let _refused = stream.set_nodelay(true);
    Ok(stream)
}
