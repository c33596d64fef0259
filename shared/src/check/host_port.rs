//! A host and a port, as people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::by_text;

/// A host, by name or address, and a port: `shop.example:443`, `192.0.2.1:443`, `[2001:db8::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// A name or an address in canonical form.
    pub host: url::Host<String>,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Both, borrowed.
    pub fn endpoint(&self) -> (url::Host<&str>, u16) {
        (borrowed(&self.host), self.port)
    }
}

pub(super) fn borrowed(host: &url::Host<String>) -> url::Host<&str> {
    match host {
        url::Host::Domain(name) => url::Host::Domain(name.as_str()),
        url::Host::Ipv4(v4) => url::Host::Ipv4(*v4),
        url::Host::Ipv6(v6) => url::Host::Ipv6(*v6),
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || format!("{text:?} is not an address; write host:port, such as shop.example:443 or [2001:db8::1]:443");
        let (host, port) = text.rsplit_once(':').ok_or_else(wanted)?;
        let host = url::Host::parse(host).map_err(|_not_a_host| wanted())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wanted)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

by_text!(HostPort);

/// A host, by name or address, without a port: `shop.example`, `192.0.2.1`, `2001:db8::1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BareHost(pub url::Host<String>);

impl BareHost {
    /// The host, borrowed.
    pub fn host(&self) -> url::Host<&str> {
        borrowed(&self.0)
    }
}

impl FromStr for BareHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let v6 = text.parse().map(url::Host::Ipv6);
        let host = v6.or_else(|_not_v6| url::Host::parse(text));
        host.map(Self).map_err(|_not_a_host| format!("{text:?} is not a host's name or address; no port belongs here"))
    }
}

impl fmt::Display for BareHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

by_text!(BareHost);
