//! Who is asked, and how.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::text::by_text;

/// The port of DNS over UDP and TCP.
const PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858).
const TLS_PORT: u16 = 853;

/// A DNS server, as a URL. The port may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DnsServer {
    /// `udp://192.0.2.53:53`: TCP only where the answer is truncated.
    Udp(SocketAddr),
    /// `tcp://[2001:db8::53]:53`.
    Tcp(SocketAddr),
    /// `tls://192.0.2.53:853#dns.example`: DNS over TLS (RFC 7858).
    Tls {
        /// Where it listens.
        address: SocketAddr,
        /// The name that its certificate must be for; the address where `None`.
        name: Option<String>,
    },
    /// `https://dns.example/dns-query`: DNS over HTTPS (RFC 8484). Its host is resolved like any other.
    Https(Url),
}

impl DnsServer {
    /// How it is asked: `udp`, `tcp`, `tls` or `https`.
    pub const fn transport(&self) -> &'static str {
        match self {
            Self::Udp(_) => "udp",
            Self::Tcp(_) => "tcp",
            Self::Tls { .. } => "tls",
            Self::Https(_) => "https",
        }
    }
}

impl FromStr for DnsServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("udp", rest)) => address(rest, PORT).map(Self::Udp),
            Some(("tcp", rest)) => address(rest, PORT).map(Self::Tcp),
            Some(("tls", rest)) => {
                let (rest, name) = rest.split_once('#').map_or((rest, None), |(rest, name)| (rest, Some(name)));
                if name.is_some_and(|name| !super::is_name(name)) {
                    return Err(format!("{text:?} has no name after #; write tls://192.0.2.53#dns.example"));
                }
                Ok(Self::Tls { address: address(rest, TLS_PORT)?, name: name.map(ToOwned::to_owned) })
            }
            Some(("https", _)) => https(text),
            Some(_) | None => Err(format!(
                "{text:?} is not a DNS server; write udp://ADDRESS:53, tcp://ADDRESS:53, tls://ADDRESS:853#NAME or \
                 https://HOST/dns-query"
            )),
        }
    }
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = text.trim_matches(['[', ']']).parse().map(|ip| SocketAddr::new(ip, port));
    text.parse().or(bare).map_err(|_not_an_address| {
        format!(
            "{text:?} is not an IP address with an optional port; a DNS server is named by address, such as \
             udp://192.0.2.53:53, and by name only with https://"
        )
    })
}

fn https(text: &str) -> Result<DnsServer, String> {
    let plain =
        |url: &Url| url.has_host() && url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    match text.parse::<Url>() {
        Ok(url) if plain(&url) => Ok(DnsServer::Https(url)),
        // Not quoted: there may be a password in it.
        Ok(_) | Err(_) => {
            Err("not a server of DNS over HTTPS; write https://HOST/dns-query, with no user, password or #".to_owned())
        }
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) | Self::Tcp(address) | Self::Tls { address, name: None } => {
                write!(f, "{}://{address}", self.transport())
            }
            Self::Tls { address, name: Some(name) } => write!(f, "tls://{address}#{name}"),
            Self::Https(url) => f.write_str(url.as_str()),
        }
    }
}

by_text!(DnsServer);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_written_alike() {
        for text in [
            "udp://192.0.2.53:53",
            "tcp://[2001:db8::53]:5353",
            "tls://192.0.2.53:853",
            "tls://[2001:db8::53]:853#dns.example",
            "https://dns.example/dns-query",
        ] {
            assert_eq!(text.parse::<DnsServer>().unwrap().to_string(), text);
        }
        for (text, full) in [
            ("udp://192.0.2.53", "udp://192.0.2.53:53"),
            ("tcp://[2001:db8::53]", "tcp://[2001:db8::53]:53"),
            ("tls://192.0.2.53#dns.example", "tls://192.0.2.53:853#dns.example"),
        ] {
            assert_eq!(text.parse::<DnsServer>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn what_is_not_a_server_is_refused() {
        for text in [
            "192.0.2.53",
            "udp://dns.example",
            "tls://dns.example",
            "tls://192.0.2.53#",
            "udp://192.0.2.53#dns.example",
            "https://",
            "https://user:hunter2@dns.example/",
            "https://dns.example/#a",
            "http://dns.example/",
        ] {
            assert!(text.parse::<DnsServer>().is_err(), "{text}");
        }
    }
}
