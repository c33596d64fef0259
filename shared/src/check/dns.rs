//! The DNS question: a name, a type and a server, and what is expected of the answer.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A DNS question to one server, and what is expected of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsQuestion {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    pub record_type: RecordType,
    /// Who is asked; the probe's own first resolver where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<DnsServer>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: DnsExpect,
}

impl DnsQuestion {
    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        let name = self.name.strip_suffix('.').unwrap_or(&self.name);
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
        };
        let root = self.name == ".";
        if !root && (253 < name.len() || !name.split('.').all(label)) {
            push(
                "dns.name",
                format!(
                    "{:?} is not a domain name; write one such as shop.example (in its xn-- form if it has other letters)",
                    self.name
                ),
            );
        }
    }
}

/// What a DNS answer must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsExpect {
    /// The response code; `NOERROR` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// Exactly these answers, in any order; any (but at least one) where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<String>>,
}

/// The record types that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The canonical name.
    Cname,
    /// Mail exchangers.
    Mx,
    /// Texts.
    Txt,
    /// Name servers.
    Ns,
}

impl RecordType {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::A, Self::Aaaa, Self::Cname, Self::Mx, Self::Txt, Self::Ns];

    /// Its name in DNS.
    pub const fn code(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Ns => "NS",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for RecordType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|kind| kind.code().eq_ignore_ascii_case(text));
        known.copied().ok_or_else(|| {
            format!("{text:?} is not a record type that can be asked for; use A, AAAA, CNAME, MX, TXT or NS")
        })
    }
}

/// A DNS server by address: `udp://192.0.2.53:53` or `tcp://[2001:db8::53]:53`. UDP falls back to TCP
/// where the answer is truncated; the port may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsServer {
    /// Ask over TCP from the start.
    pub tcp: bool,
    /// Where it listens.
    pub address: SocketAddr,
}

impl FromStr for DnsServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tcp, rest) = match text.split_once("://") {
            Some(("udp", rest)) => (false, rest),
            Some(("tcp", rest)) => (true, rest),
            Some(_) | None => {
                return Err(format!("{text:?} is not a DNS server; write udp://ADDRESS:53 or tcp://ADDRESS:53"));
            }
        };
        let bare = rest.trim_matches(['[', ']']).parse().map(|ip| SocketAddr::new(ip, 53));
        let address = rest.parse().or(bare).map_err(|_not_an_address| format!("{rest:?} is not an IP address with an optional port; a DNS server is named by address, such as udp://192.0.2.53:53"))?;
        Ok(Self { tcp, address })
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tcp { "tcp" } else { "udp" }, self.address)
    }
}

impl TryFrom<String> for DnsServer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DnsServer> for String {
    fn from(server: DnsServer) -> Self {
        server.to_string()
    }
}
