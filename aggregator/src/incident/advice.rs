//! What to do next, for whoever is woken by an incident: one sentence from what the failures have in common.

use super::common::Aspect;
use super::{Incident, Kind};

/// The next step for `incident`.
pub fn next_step(incident: &Incident) -> &'static str {
    if !incident.is_open() {
        return "nothing: it is over; what it cost is in `nines report`";
    }
    match incident.kind {
        Kind::Probe => "look whether its machine and its network are up: `systemctl status nines-probe` there",
        Kind::Degraded => "look at what grew slow first: compare the phases, then the service's own load",
        Kind::BurnRate => "mend what fails, or hold back changes until the budget grows again",
        Kind::Certificate => "renew the certificate and reload what serves it",
        Kind::Coverage => "find out which regions are silent: `nines probe list`",
        Kind::Suspected => "find out why regions are silent: `nines probe list`; until they speak nobody can tell",
        Kind::Outage => from_outside(incident),
    }
}

fn from_outside(incident: &Incident) -> &'static str {
    let common = |aspect| incident.scene.findings.iter().find(|finding| finding.aspect == aspect)?.common();
    match (common(Aspect::Phase), common(Aspect::Reason)) {
        (_, Some("tls_expired" | "tls_not_yet_valid" | "tls_expires_soon")) => {
            "renew the certificate and reload what serves it"
        }
        (
            _,
            Some("tls_wrong_name" | "tls_self_signed" | "tls_unknown_issuer" | "tls_bad_certificate" | "tls_revoked"),
        ) => "look at which certificate and chain the target serves, and since when",
        (_, Some("http_status" | "http_body" | "http_json" | "http_header")) => {
            "it answers, but wrongly: look at the service's own logs and its last release"
        }
        (Some("resolve"), _) => {
            "ask the name's own servers: `nines-probe check dns:NAME`; look at the zone's last change"
        }
        (Some("connect"), Some("connect_refused")) => "nothing listens there: look whether the service runs",
        (Some("connect"), _) => "look at the network, the firewall and the load balancer before the service",
        (Some("tls"), _) => "look at what ends TLS before the service: load balancer, proxy",
        (Some("first_byte" | "transfer"), _) => {
            "it accepts and does not answer in time: look at load and at what it waits for"
        }
        (None | Some(_), _) => "the regions fail differently: compare them, then look at what they share on the way",
    }
}
