//! Who is asked, and how.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
