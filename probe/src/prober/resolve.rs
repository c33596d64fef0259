//! From a host to the addresses that may be contacted.
//!
//! Asks the machine's own resolvers, without a cache and without a second try: a cached answer or a
//! silent retry would hide a failure. Host files are not read either. Every address is held against the
//! vantage's rule here, and only what passed is handed on (INV-10).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

mod configured;
mod doubt;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use nines_shared::check::Family;
use nines_shared::sample::{Phase, Reason};
use tokio::time::timeout;

use super::Vantage;
use super::failure::{self, Failure};
use configured::{Configured, SYSTEM_FILE};

/// The most addresses of one name that are tried where one is enough.
pub(crate) const MAX_ADDRESSES: usize = 8;
/// How long the other family's answer is waited for once one has come (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// The machine's own resolvers, as its configuration names them now: networks change beneath a probe that runs for
/// months.
#[derive(Debug)]
pub(crate) struct Resolver {
    configured: Configured,
}

/// Resolvers that are ready to be asked.
#[derive(Debug)]
struct System {
    resolver: TokioResolver,
    /// Where its servers are asked, in the machine's order.
    servers: Vec<SocketAddr>,
}

impl Resolver {
    /// Follows the system's configuration. A machine without one can still check addresses.
    pub(crate) fn from_system() -> Self {
        Self { configured: Configured::in_file(SYSTEM_FILE.into()) }
    }

    /// Asks `config`'s servers instead of the system's.
    #[cfg(test)]
    pub(crate) fn asking(config: ResolverConfig) -> Self {
        Self { configured: Configured::Fixed(build(config, ResolverOpts::default()).map(Arc::new).unwrap()) }
    }

    /// The machine's first resolver: whom a DNS check asks that names no server.
    pub(crate) fn first_server(&self) -> Option<SocketAddr> {
        self.servers().first().copied()
    }

    fn servers(&self) -> Vec<SocketAddr> {
        self.configured.now().map_or_else(|_unusable| Vec::new(), |system| system.servers.clone())
    }

    /// `name`, ready to be asked for.
    pub(crate) fn named(&self, name: &str) -> Result<Named, Failure> {
        let system = self.configured.now().map_err(|error| {
            let detail = format!("the machine's resolver configuration can't be used: {error}");
            Failure::ours(Reason::Resolver, Phase::Resolve, detail)
        })?;
        let mut fqdn = Name::from_ascii(name).map_err(|error| {
            Failure::theirs(Reason::DnsNxdomain, Phase::Resolve, format!("{name} can't be a domain name: {error}"))
        })?;
        // Absolute, so that a search list can't make regions ask for different names.
        fqdn.set_fqdn(true);
        Ok(Named { system, fqdn })
    }
}

fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<System, NetError> {
    options.cache_size = 0;
    options.attempts = 1;
    options.num_concurrent_reqs = 1;
    options.use_hosts_file = ResolveHosts::Never;
    let port =
        |connection: &ConnectionConfig| matches!(connection.protocol, ProtocolConfig::Udp).then_some(connection.port);
    let over_udp =
        |server: &NameServerConfig| Some(SocketAddr::new(server.ip, server.connections.iter().find_map(port)?));
    let servers = config.name_servers.iter().filter_map(over_udp).collect();
    let resolver = TokioResolver::builder_with_config(config, Default::default()).with_options(options).build()?;
    Ok(System { resolver, servers })
}

/// The addresses that one family's question gave, as the server ordered them.
pub(crate) type Answer = Result<Vec<IpAddr>, NetError>;

/// A name, and who is asked for its addresses.
pub(crate) struct Named {
    system: Arc<System>,
    fqdn: Name,
}

impl Named {
    /// The IPv6 addresses. IPv4 ones in IPv6 clothes are among them, unclothed.
    pub(crate) async fn v6(&self) -> Answer {
        self.ask(RecordType::AAAA).await
    }

    /// The IPv4 addresses.
    pub(crate) async fn v4(&self) -> Answer {
        self.ask(RecordType::A).await
    }

    /// All of both families, or of one.
    pub(crate) async fn all(&self, family: Family) -> Answer {
        let (v6, v4) = match family {
            Family::Any => tokio::join!(self.v6(), self.v4()),
            Family::Ipv6 => return self.v6().await,
            Family::Ipv4 => return self.v4().await,
        };
        let has_none = |error: &NetError| matches!(error, NetError::Dns(DnsError::NoRecordsFound(_)));
        match (v6, v4) {
            (Ok(mut v6), Ok(v4)) => {
                v6.extend(v4);
                Ok(v6)
            }
            (Ok(some), Err(error)) | (Err(error), Ok(some)) if has_none(&error) => Ok(some),
            (Ok(_), Err(error)) | (Err(error), Ok(_)) => Err(error),
            (Err(v6), Err(v4)) => Err(if is_no_data(&v6) { v4 } else { v6 }),
        }
    }

    async fn ask(&self, record_type: RecordType) -> Answer {
        let lookup = self.system.resolver.lookup(self.fqdn.clone(), record_type).await?;
        let addresses = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0).to_canonical()),
            _ => None,
        });
        Ok(addresses.collect())
    }
}

/// The addresses of a name as far as they are known.
#[derive(Default)]
pub(crate) struct Found<'a> {
    pub(crate) v6: Vec<IpAddr>,
    pub(crate) v4: Vec<IpAddr>,
    /// The answer that is still out.
    pub(crate) late: Option<Late<'a>>,
}

/// An answer that is still out while the other family's addresses are already tried.
pub(crate) type Late<'a> = Pin<&'a mut (dyn Future<Output = Answer> + Send)>;

/// Enough of the answers that `family` wants to begin with (RFC 8305 §3): the IPv6 one where it has addresses, else
/// both, or the IPv4 one once the other is [`RESOLUTION_DELAY`] later than it. A server that drops one type's
/// questions does not stop anybody's browser either.
pub(crate) async fn enough<'a, A, B>(
    family: Family,
    mut v6: Pin<&'a mut A>,
    mut v4: Pin<&'a mut B>,
) -> Result<Found<'a>, NetError>
where
    A: Future<Output = Answer> + Send,
    B: Future<Output = Answer> + Send,
{
    match family {
        Family::Any => {}
        Family::Ipv4 => return v4.await.map(|v4| Found { v4, ..Found::default() }),
        Family::Ipv6 => return v6.await.map(|v6| Found { v6, ..Found::default() }),
    }
    let some = |answer: &Answer| answer.as_ref().is_ok_and(|addresses| !addresses.is_empty());
    tokio::select! {
        biased;
        first = &mut v6 => match first {
            Ok(v6) if !v6.is_empty() => Ok(Found { v6, v4: Vec::new(), late: Some(v4) }),
            nothing => merge(nothing, v4.await),
        },
        first = &mut v4 => {
            if !some(&first) {
                return merge(v6.await, first);
            }
            match timeout(RESOLUTION_DELAY, &mut v6).await {
                Ok(second) => merge(second, first),
                Err(_later) => Ok(Found { v6: Vec::new(), v4: first?, late: Some(v6) }),
            }
        }
    }
}

/// Both answers. Where neither has an address, the error that says more: NODATA of one family only says
/// that the other's error counts.
fn merge<'a>(v6: Answer, v4: Answer) -> Result<Found<'a>, NetError> {
    match (v6, v4) {
        (Err(v6), Err(v4)) => Err(if is_no_data(&v6) { v4 } else { v6 }),
        (Err(error), Ok(none)) | (Ok(none), Err(error)) if none.is_empty() => Err(error),
        (v6, v4) => Ok(Found { v6: v6.unwrap_or_default(), v4: v4.unwrap_or_default(), late: None }),
    }
}

fn is_no_data(error: &NetError) -> bool {
    matches!(error, NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError)
}

/// Why a name has no addresses. An answer of the DNS is the target's; trouble in reaching our own
/// resolver is ours.
pub(crate) fn of_lookup(error: &NetError, name: &str, family: Family) -> Failure {
    let theirs = |reason, what: &str| Failure::theirs(reason, Phase::Resolve, format!("{name}: {what}"));
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
            theirs(Reason::DnsNxdomain, "the name does not exist (NXDOMAIN)")
        }
        NetError::Dns(DnsError::NoRecordsFound(_)) => {
            theirs(Reason::DnsNoData, &format!("the name has no {} address", family.name()))
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => {
            theirs(Reason::DnsServfail, "the resolver answers SERVFAIL")
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
            theirs(Reason::DnsRefused, "the resolver answers REFUSED")
        }
        NetError::Dns(error) => theirs(Reason::DnsRcode, &error.to_string()),
        NetError::Timeout => theirs(Reason::DnsTimeout, "no answer from the machine's resolvers"),
        NetError::Proto(error) => theirs(Reason::DnsMalformed, &error.to_string()),
        NetError::Io(error) => match failure::our_own(error, Phase::Resolve) {
            Some(ours) => Failure { detail: unasked(name, &ours.detail), ..ours },
            None => Failure::ours(Reason::NoRoute, Phase::Resolve, unasked(name, error)),
        },
        _ => Failure::ours(Reason::NoRoute, Phase::Resolve, unasked(name, error)),
    }
}

fn unasked(name: &str, why: impl Display) -> String {
    format!("{name}: the machine's own resolvers can't be asked: {why}")
}

/// Why `vantage` can't contact `address`, if it can't.
pub(crate) fn refusal_of(vantage: &Vantage, address: IpAddr) -> Option<Failure> {
    if let Err(forbidden) = vantage.rule.check(address) {
        return Some(Failure::ours(Reason::AddressForbidden, Phase::Resolve, forbidden.to_string()));
    }
    let source = vantage.source?;
    (source.is_ipv4() != address.is_ipv4()).then(|| {
        let detail = format!("{address} can't be reached from source_address {source}, which is of the other family");
        Failure::ours(Reason::SourceAddress, Phase::Resolve, detail)
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn inv_5_a_resolver_that_we_can_not_ask_is_our_own_fault_and_says_which() {
        for (raw, reason) in [(24, Reason::Resources), (101, Reason::NoRoute), (111, Reason::NoRoute)] {
            let error = NetError::from(io::Error::from_raw_os_error(raw));
            let failure = of_lookup(&error, "shop.example", Family::Any);
            assert_eq!((failure.reason, failure.phase), (reason, Phase::Resolve), "{raw}");
            assert_eq!(failure.outcome, nines_shared::sample::Outcome::Inconclusive, "{raw}");
            assert!(failure.detail.starts_with("shop.example: the machine's own resolvers can't be asked: "));
        }
    }
}
