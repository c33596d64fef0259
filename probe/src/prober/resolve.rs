//! From a host to the addresses that may be contacted.
//!
//! Asks the machine's own resolvers, without a cache and without a second try: a cached answer or a
//! silent retry would hide a failure. Host files are not read either. Every address is held against the
//! vantage's rule here, and only what passed is handed on (INV-10).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use nines_shared::sample::{Phase, Reason};
use tokio::time::timeout;
use url::Host;

use super::Vantage;
use super::failure::Failure;

/// The most addresses of one name that are tried.
pub(crate) const MAX_ADDRESSES: usize = 8;
/// How long the other family's answer is waited for once one has come (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// The machine's own resolvers, as its configuration stood when the prober was made.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// What was wrong with the configuration, where something was.
    system: Result<System, String>,
}

#[derive(Debug)]
struct System {
    resolver: Box<TokioResolver>,
    first: Option<IpAddr>,
}

impl Resolver {
    /// Reads the system's configuration. A machine without one can still check addresses.
    pub(crate) fn from_system() -> Self {
        let read = hickory_resolver::system_conf::read_system_conf();
        Self { system: read.and_then(|(config, options)| build(config, options)).map_err(|error| error.to_string()) }
    }

    /// Asks `config`'s servers instead of the system's.
    #[cfg(test)]
    pub(crate) fn asking(config: ResolverConfig) -> Self {
        Self { system: build(config, ResolverOpts::default()).map_err(|error| error.to_string()) }
    }

    /// The machine's first resolver: whom a DNS check asks that names no server.
    pub(crate) fn first_server(&self) -> Option<IpAddr> {
        self.system.as_ref().ok()?.first
    }

    /// All addresses of `host`, at most [`MAX_ADDRESSES`], IPv6 and IPv4 in turns (RFC 8305 §4).
    pub(crate) async fn addresses(&self, host: &Host<&str>) -> Result<Vec<IpAddr>, Failure> {
        match host {
            Host::Ipv4(v4) => Ok(vec![IpAddr::V4(*v4)]),
            Host::Ipv6(v6) => Ok(vec![IpAddr::V6(*v6).to_canonical()]),
            Host::Domain(name) => self.lookup(name).await,
        }
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let system = self.system.as_ref().map_err(|error| {
            let detail = format!("the machine's resolver configuration can't be used: {error}");
            Failure::ours(Reason::Internal, Phase::Resolve, detail)
        })?;
        let fqdn = Name::from_ascii(name).map(|mut fqdn| {
            // Absolute, so that a search list can't make regions ask for different names.
            fqdn.set_fqdn(true);
            fqdn
        });
        let fqdn = fqdn.map_err(|error| {
            Failure::theirs(Reason::DnsNxdomain, Phase::Resolve, format!("{name} can't be a domain name: {error}"))
        })?;
        let (v6, v4) =
            both(ask(&system.resolver, fqdn.clone(), RecordType::AAAA), ask(&system.resolver, fqdn, RecordType::A))
                .await;
        merge(v6, v4).map_err(|error| of_lookup(&error, name))
    }
}

fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<System, NetError> {
    options.cache_size = 0;
    options.attempts = 1;
    options.num_concurrent_reqs = 1;
    options.use_hosts_file = ResolveHosts::Never;
    let first = config.name_servers.first().map(|server| server.ip);
    let resolver = TokioResolver::builder_with_config(config, Default::default()).with_options(options).build()?;
    Ok(System { resolver: Box::new(resolver), first })
}

type Answer = Result<Vec<IpAddr>, NetError>;

async fn ask(resolver: &TokioResolver, name: Name, record_type: RecordType) -> Answer {
    let lookup = resolver.lookup(name, record_type).await?;
    let addresses = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0).to_canonical()),
        _ => None,
    });
    Ok(addresses.collect())
}

/// Both answers, or the first with addresses once the other is [`RESOLUTION_DELAY`] later than it: a
/// server that drops one type's questions does not stop anybody's browser either.
async fn both(v6: impl Future<Output = Answer>, v4: impl Future<Output = Answer>) -> (Option<Answer>, Option<Answer>) {
    let (mut v6, mut v4) = (std::pin::pin!(v6), std::pin::pin!(v4));
    let some = |answer: &Answer| answer.as_ref().is_ok_and(|addresses| !addresses.is_empty());
    tokio::select! {
        first = &mut v6 => {
            let second = if some(&first) { timeout(RESOLUTION_DELAY, v4).await.ok() } else { Some(v4.await) };
            (Some(first), second)
        }
        first = &mut v4 => {
            let second = if some(&first) { timeout(RESOLUTION_DELAY, v6).await.ok() } else { Some(v6.await) };
            (second, Some(first))
        }
    }
}

/// The addresses of both families in turns. Where neither has any, the error that says more: NODATA of
/// one family only says that the other's error counts.
fn merge(v6: Option<Answer>, v4: Option<Answer>) -> Answer {
    let mut errors = Vec::new();
    let mut list = |answer: Option<Answer>| match answer {
        Some(Ok(addresses)) => addresses,
        Some(Err(error)) => {
            errors.push(error);
            Vec::new()
        }
        None => Vec::new(),
    };
    let (v6, v4) = (list(v6), list(v4));
    let mut turns = Vec::with_capacity(v6.len() + v4.len());
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    loop {
        let before = turns.len();
        turns.extend(v6.next());
        turns.extend(v4.next());
        if turns.len() == before || MAX_ADDRESSES <= turns.len() {
            break;
        }
    }
    turns.truncate(MAX_ADDRESSES);
    if !turns.is_empty() {
        return Ok(turns);
    }
    let telling = errors.iter().position(|error| !is_no_data(error)).unwrap_or(0);
    if errors.is_empty() { Ok(turns) } else { Err(errors.swap_remove(telling)) }
}

fn is_no_data(error: &NetError) -> bool {
    matches!(error, NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError)
}

/// Why a name has no addresses. An answer of the DNS is the target's; trouble in reaching our own
/// resolver is ours.
fn of_lookup(error: &NetError, name: &str) -> Failure {
    let theirs = |reason, what: &str| Failure::theirs(reason, Phase::Resolve, format!("{name}: {what}"));
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
            theirs(Reason::DnsNxdomain, "the name does not exist (NXDOMAIN)")
        }
        NetError::Dns(DnsError::NoRecordsFound(_)) => theirs(Reason::DnsNoData, "the name has no address"),
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => {
            theirs(Reason::DnsServfail, "the resolver answers SERVFAIL")
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
            theirs(Reason::DnsRefused, "the resolver answers REFUSED")
        }
        NetError::Dns(error) => theirs(Reason::DnsRcode, &error.to_string()),
        NetError::Timeout => theirs(Reason::DnsTimeout, "no answer from the machine's resolvers"),
        NetError::Proto(error) => theirs(Reason::DnsMalformed, &error.to_string()),
        _ => {
            let detail = format!("{name}: the machine's own resolvers can't be asked: {error}");
            Failure::ours(Reason::NoRoute, Phase::Resolve, detail)
        }
    }
}

/// Those of `addresses` that `vantage` may contact from its source.
pub(crate) fn permitted(vantage: &Vantage, host: &Host<&str>, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Failure> {
    if addresses.is_empty() {
        return Err(Failure::theirs(Reason::DnsNoData, Phase::Resolve, format!("{host}: the name has no address")));
    }
    let mut refusal = None;
    let mut permitted = addresses;
    permitted.retain(|address| match refusal_of(vantage, *address) {
        Some(why) => {
            refusal = Some(why);
            false
        }
        None => true,
    });
    match refusal {
        Some(refusal) if permitted.is_empty() => Err(refusal),
        Some(_) | None => Ok(permitted),
    }
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
