//! From a host to a connection: resolve, hold against the rule, dial; each phase timed.
//!
//! What is dialled is an address that was checked, never a name: nobody can answer differently between
//! the check and the connection (INV-10). Addresses are tried in turn with a head start for each
//! (RFC 8305), all within the attempt's deadline, which the caller holds.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nines_shared::sample::{Phase, Reason};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use url::Host;

use super::failure::{self, Failure};
use super::record::Record;
use super::{Look, resolve};

/// How long an address is tried before the next one is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A TCP connection to `host`.
pub(crate) async fn open(
    look: &Look<'_>,
    host: &Host<&str>,
    port: u16,
    record: &mut Record,
) -> Result<TcpStream, Failure> {
    if matches!(host, Host::Domain(_)) {
        record.enter(Phase::Resolve);
    }
    let addresses = look.prober.resolver.addresses(host).await?;
    let addresses = resolve::permitted(&look.prober.vantage, host, addresses)?;
    record.enter(Phase::Connect);
    let stream = first_of(&addresses, port, look.prober.vantage.source, record).await?;
    record.leave();
    Ok(stream)
}

/// A connection to the first of `addresses` that takes one. `addresses` is not empty.
async fn first_of(
    addresses: &[IpAddr],
    port: u16,
    source: Option<IpAddr>,
    record: &mut Record,
) -> Result<TcpStream, Failure> {
    if let [only] = addresses {
        let to = SocketAddr::new(*only, port);
        record.contact(to);
        return dial(to, source).await;
    }
    let mut waiting = addresses.iter().map(|address| SocketAddr::new(*address, port));
    let mut dials = JoinSet::new();
    let mut failure = None;
    loop {
        if let Some(to) = waiting.next() {
            record.contact(to);
            dials.spawn(async move { (to, dial(to, source).await) });
        }
        let ended = tokio::select! {
            ended = dials.join_next() => ended,
            () = tokio::time::sleep(HEAD_START), if waiting.len() != 0 => continue,
        };
        match ended {
            Some(Ok((to, Ok(stream)))) => {
                record.contact(to);
                return Ok(stream);
            }
            Some(Ok((_to, Err(next)))) => failure = Some(Failure::or_worse(next, failure)),
            Some(Err(panic)) => {
                return Err(Failure::ours(Reason::Internal, Phase::Connect, panic.to_string()));
            }
            None => break,
        }
    }
    Err(failure.unwrap_or_else(|| Failure::ours(Reason::Internal, Phase::Connect, "no address to dial")))
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
