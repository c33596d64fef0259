//! How often a target is asked, and how often it may be.
//!
//! What counts is what checks do at their worst: while a target fails, every region asks it every `recheck`, with all
//! retries. A target is a host and a port as checks name them. Not counted is what only an answer shows: where
//! redirects lead, which servers speak for a zone, which names share an address. The aggregator's asks are in no
//! assignment: it makes one a second and target at most, and the probe counts each as it begins.

use url::Host;

use super::{Check, DnsServer, DnsServers, HostPort, Question};
use crate::address::is_public;

const DAY_MS: i64 = 86_400_000;

/// How far apart requests to one target must be on average, and whose targets that is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// ms from one request to the next; at least 0, which forbids nothing.
    pub least_ms: i64,
    /// Whether it is about targets in networks of one's own too.
    pub of_own_too: bool,
}

impl Pace {
    /// What holds where nobody said anything: it protects strangers, and so is about nobody's own network.
    pub const fn unsaid(least_ms: i64) -> Self {
        Self { least_ms, of_own_too: false }
    }

    /// What somebody said, of all targets.
    pub const fn said(least_ms: i64) -> Self {
        Self { least_ms, of_own_too: true }
    }

    /// Whether `a_day` requests in a day to `target` are too many.
    pub fn forbids(self, target: &HostPort, a_day: i64) -> bool {
        DAY_MS < a_day.saturating_mul(self.least_ms) && (self.of_own_too || !is_own(&target.host))
    }
}

/// Whether `host` is by its very name nobody else's: an address that is not public, or this machine.
fn is_own(host: &Host) -> bool {
    match host {
        Host::Ipv4(v4) => !is_public((*v4).into()),
        Host::Ipv6(v6) => !is_public((*v6).into()),
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// How far apart `a_day` requests in a day are on average, in ms; cut, not rounded.
pub const fn gap_ms(a_day: i64) -> i64 {
    if a_day < 1 { DAY_MS } else { DAY_MS / a_day }
}

impl Check {
    /// How many requests in a day one region makes at most, each retry one of its own: what it does while it fails.
    pub fn worst_a_day(&self) -> i64 {
        let looks = (DAY_MS + self.recheck_ms - 1) / self.recheck_ms.max(1);
        looks * (1 + i64::from(self.retries))
    }
}

impl Question {
    /// Every host and port that it is asked of, as far as the question names them; each once. The port is 0 where the
    /// protocol has none.
    pub fn targets(&self) -> Vec<HostPort> {
        let mut targets = match self {
            Self::Tls(tls) if !tls.ports.is_empty() => {
                let host = &tls.address.host;
                tls.ports.iter().map(|port| named(super::host_port::borrowed(host), *port)).collect()
            }
            Self::Dns(dns) => {
                let several = match &dns.servers {
                    Some(DnsServers::Named(servers)) => servers.as_slice(),
                    Some(DnsServers::Authoritative { .. }) | None => &[],
                };
                dns.server.iter().chain(several).filter_map(of_server).collect()
            }
            Self::Http(_) | Self::Tls(_) | Self::Tcp(_) | Self::Icmp(_) | Self::Grpc(_) => {
                self.endpoint().map(|(host, port)| named(host, port)).into_iter().collect::<Vec<_>>()
            }
        };
        targets.sort_by_key(ToString::to_string);
        targets.dedup();
        targets
    }
}

fn of_server(server: &DnsServer) -> Option<HostPort> {
    match server {
        DnsServer::Udp(address) | DnsServer::Tcp(address) | DnsServer::Tls { address, .. } => {
            let host = match address.ip().to_canonical() {
                std::net::IpAddr::V4(v4) => Host::Ipv4(v4),
                std::net::IpAddr::V6(v6) => Host::Ipv6(v6),
            };
            Some(HostPort { host, port: address.port() })
        }
        DnsServer::Https(url) => Some(named(url.host()?, url.port_or_known_default()?)),
    }
}

/// A host in one spelling: a name without the dot that makes it absolute, an address without IPv6 clothes.
fn named(host: Host<&str>, port: u16) -> HostPort {
    let host = match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_owned()),
        Host::Ipv4(v4) => Host::Ipv4(v4),
        Host::Ipv6(v6) => v6.to_ipv4_mapped().map_or(Host::Ipv6(v6), Host::Ipv4),
    };
    HostPort { host, port }
}

#[cfg(test)]
mod tests {
    use super::super::Draft;
    use super::*;

    fn question(json: &str) -> Question {
        serde_json::from_str(json).unwrap()
    }

    fn targets(json: &str) -> Vec<String> {
        question(json).targets().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_target_is_a_host_and_a_port_in_one_spelling() {
        for (json, wanted) in [
            (r#"{"http":{"url":"https://Shop.example./a?b"}}"#, &["shop.example:443"][..]),
            (r#"{"http":{"url":"http://2130706433:8080/"}}"#, &["127.0.0.1:8080"]),
            (r#"{"http":{"url":"http://[::ffff:7f00:1]/"}}"#, &["127.0.0.1:80"]),
            (r#"{"tls":{"address":"shop.example:443"}}"#, &["shop.example:443"]),
            (
                r#"{"tls":{"address":"shop.example:443","ports":[8443,443]}}"#,
                &["shop.example:443", "shop.example:8443"],
            ),
            (r#"{"tcp":{"address":"[2001:db8::1]:25"}}"#, &["[2001:db8::1]:25"]),
            (r#"{"icmp":{"host":"shop.example"}}"#, &["shop.example:0"]),
            (r#"{"grpc":{"address":"shop.example:50051"}}"#, &["shop.example:50051"]),
            (r#"{"dns":{"name":"a.example","record_type":"A"}}"#, &[]),
            (r#"{"dns":{"name":"a.example","record_type":"A","server":"udp://192.0.2.53"}}"#, &["192.0.2.53:53"]),
            (
                r#"{"dns":{"name":"a.example","record_type":"A","servers":{"named":["tcp://192.0.2.53","udp://192.0.2.53","https://dns.example/q"]}}}"#,
                &["192.0.2.53:53", "dns.example:443"],
            ),
        ] {
            assert_eq!(targets(json), wanted, "{json}");
        }
    }

    #[test]
    fn the_worst_is_what_a_failing_region_does_with_its_retries() {
        let check = |interval_ms, recheck_ms, retries| {
            let question = question(r#"{"http":{"url":"https://shop.example/"}}"#);
            let draft = Draft::new("c".parse().unwrap(), "s".parse().unwrap(), vec!["r".parse().unwrap()], question);
            Check::new(Draft { interval_ms, recheck_ms, retries, timeout_ms: 500, ..draft }).unwrap()
        };
        assert_eq!(check(60_000, 60_000, 0).worst_a_day(), 1_440);
        assert_eq!(check(60_000, 10_000, 2).worst_a_day(), 3 * 8_640);
        assert_eq!(check(604_800_000, 604_800_000, 0).worst_a_day(), 1, "never less than one");
        assert_eq!([0, 1, 1_440, 86_400_001].map(gap_ms), [DAY_MS, DAY_MS, 60_000, 0]);
    }

    #[test]
    fn a_default_protects_strangers_and_what_is_said_holds_for_all() {
        let target = |text: &str| text.parse::<HostPort>().unwrap();
        let (unsaid, said) = (Pace::unsaid(1_000), Pace::said(1_000));
        for own in ["127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "[fd00::1]:80", "localhost:80", "a.localhost:80"] {
            assert!(!unsaid.forbids(&target(own), 86_401) && said.forbids(&target(own), 86_401), "{own}");
        }
        for stranger in ["shop.example:80", "1.1.1.1:53", "[2606:4700::1111]:53", "notlocalhost:80"] {
            assert!(unsaid.forbids(&target(stranger), 86_401), "{stranger}");
            assert!(!unsaid.forbids(&target(stranger), 86_400), "{stranger}: just as often as it may");
        }
        assert!(!Pace::said(0).forbids(&target("shop.example:80"), i64::MAX));
    }
}
