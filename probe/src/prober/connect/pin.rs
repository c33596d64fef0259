//! Addresses that someone gave for a host, as curl's `--resolve` does.

use std::net::IpAddr;
use std::str::FromStr;

use url::Host;

use super::super::resolve::MAX_ADDRESSES;

/// A host and port, and the addresses to dial for it without asking the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The name, or an address that others stand in for.
    pub host: Host<String>,
    /// Only for this port.
    pub port: u16,
    /// The addresses, tried in turn; 1 to 8.
    pub addresses: Vec<IpAddr>,
}

impl Pin {
    /// Whether it is the one for `host` and `port`.
    pub(crate) fn is_for(&self, host: &Host<&str>, port: u16) -> bool {
        self.port == port && self.host == *host
    }
}

/// `HOST:PORT:ADDRESS`, with more addresses after commas; IPv6 addresses in brackets or without.
impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || format!("{text:?} pins no address; write HOST:PORT:ADDRESS, such as shop.example:443:192.0.2.1");
        // An IPv6 host has colons of its own, between brackets.
        let end =
            if text.starts_with('[') { text.find(']').ok_or_else(wanted)? + 1 } else { text.find(':').unwrap_or(0) };
        let (host, rest) = (&text[..end], text[end..].strip_prefix(':').ok_or_else(wanted)?);
        let (port, addresses) = rest.split_once(':').ok_or_else(wanted)?;
        let host = Host::parse(host).map_err(|_not_a_host| wanted())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wanted)?;
        let address = |text: &str| text.trim_matches(['[', ']']).parse().map(|address: IpAddr| address.to_canonical());
        let addresses: Vec<IpAddr> =
            addresses.split(',').map(address).collect::<Result<_, _>>().map_err(|_| wanted())?;
        if MAX_ADDRESSES < addresses.len() {
            return Err(format!("{} addresses are too many to pin; at most {MAX_ADDRESSES}", addresses.len()));
        }
        Ok(Self { host, port, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_curl_writes_it() {
        let pin: Pin = "Shop.example:443:192.0.2.1,[2001:db8::1],2001:db8::2".parse().unwrap();
        assert!(pin.is_for(&Host::Domain("shop.example"), 443));
        assert!(!pin.is_for(&Host::Domain("shop.example"), 80) && !pin.is_for(&Host::Domain("example"), 443));
        let addresses: Vec<String> = pin.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1", "2001:db8::1", "2001:db8::2"]);
        let pin: Pin = "[2001:db8::1]:443:::1".parse().unwrap();
        assert_eq!((pin.host.to_string().as_str(), pin.addresses[0].is_loopback()), ("[2001:db8::1]", true));
    }

    #[test]
    fn what_pins_nothing_is_refused_with_an_example() {
        let nine = format!("a:1:{}", ["::1"; 9].join(","));
        for text in ["", "a", "a:1", "a:1:", "a:0:::1", "a:x:::1", "a:1:b", "[::1:1:::1", "a:1:::1,", ":1:::1", &nine] {
            let error = text.parse::<Pin>().unwrap_err();
            assert!(error.contains("write HOST:PORT:ADDRESS") || error.contains("at most 8"), "{error}");
        }
    }
}
