//! The DNS question: a name, a type and a server, and what is expected of the answer.

mod dnssec;
mod expect;
mod record_type;
mod server;
mod servers;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use self::dnssec::{Anchor, Anchors, Dnssec};
pub use self::expect::{AnswerPattern, Bounds, DnsExpect, FlagsExpect, MAX_EXPECTED, Rcodes, shown_seconds};
pub use self::record_type::RecordType;
pub use self::server::DnsServer;
pub use self::servers::{Agreement, DnsServers, MAX_SERVERS};

/// A DNS question, whom it is put to, and what is expected of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsQuestion {
    /// The name asked for. For `PTR` an address may stand for its name below `in-addr.arpa` or `ip6.arpa`.
    pub name: String,
    /// The type asked for.
    pub record_type: RecordType,
    /// Who is asked; the probe's own first resolver where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<DnsServer>,
    /// Several servers, each of which is asked; `server` where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<DnsServers>,
    /// What several servers must agree on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agree: Option<Agreement>,
    /// Roots that the certificate of a server with `tls://` or `https://` is verified with, instead of Mozilla's; PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Whether the server is to find the answer elsewhere if it does not have it (RD).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub recursion: bool,
    /// How the answer must be proven, where it must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<Dnssec>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: DnsExpect,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

impl DnsQuestion {
    /// A question that expects nothing but an answer.
    pub fn new(name: &str, record_type: RecordType, server: Option<DnsServer>) -> Self {
        Self {
            name: name.to_owned(),
            record_type,
            server,
            servers: None,
            agree: None,
            ca_pem: None,
            recursion: true,
            dnssec: None,
            expect: DnsExpect::default(),
        }
    }

    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        let address = self.record_type == RecordType::Ptr && self.name.parse::<IpAddr>().is_ok();
        if !address && !is_name(&self.name) {
            push(
                "dns.name",
                format!(
                    "{:?} is not a domain name; write one such as shop.example (in its xn-- form if it has other letters)",
                    self.name
                ),
            );
        }
        let named = match &self.servers {
            Some(DnsServers::Named(list)) => list.as_slice(),
            Some(DnsServers::Authoritative { .. }) | None => self.server.as_slice(),
        };
        if self.ca_pem.is_some() && !named.iter().any(|one| matches!(one, DnsServer::Tls { .. } | DnsServer::Https(_)))
        {
            push("dns.ca", "only a server with tls:// or https:// shows a certificate; leave ca out".to_owned());
        }
        servers::errors(self, push);
        if self.dnssec.is_some() && self.expect.flags.ad.is_some() {
            let mend = "with dnssec the server is told not to validate (CD), so that AD says nothing; leave ad out";
            push("dns.expect.flags.ad", mend.to_owned());
        }
        self.expect.errors(self.record_type, push);
    }
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
    };
    let bare = name.strip_suffix('.').unwrap_or(name);
    name == "." || (bare.len() <= 253 && bare.split('.').all(label))
}
