//! How a question reaches its host: over which family of addresses, and over one of them or each.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::Host;

/// Over which of its host's addresses a question is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reach {
    /// Which family is used.
    #[serde(skip_serializing_if = "is_default")]
    pub family: Family,
    /// Whether one address is enough.
    #[serde(skip_serializing_if = "is_default")]
    pub addresses: Addresses,
}

/// Which family of addresses is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv6 and IPv4, whichever connects first (RFC 8305).
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// Over how many of its host's addresses a question is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addresses {
    /// The first that takes the connection, as a browser does.
    #[default]
    One,
    /// Each of them, and the worst decides.
    Every,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Reach {
    /// Whether it is what a question has that says nothing of it.
    pub fn is_default(&self) -> bool {
        is_default(self)
    }

    /// Notes at `key` where `host` is an address that the family rules out.
    pub(super) fn errors<S>(
        self,
        host: Option<&Host<S>>,
        key: &'static str,
        push: &mut impl FnMut(&'static str, String),
    ) {
        let address = match host {
            Some(Host::Ipv4(v4)) => IpAddr::V4(*v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(*v6),
            Some(Host::Domain(_)) | None => return,
        };
        if !self.family.has(address) {
            push(key, format!("{address} is no {} address; leave family out", self.family.name()));
        }
    }
}

impl Family {
    /// Whether `address` is one of it. An IPv4 address in IPv6 clothes is an IPv4 address.
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Ipv4 => address.to_canonical().is_ipv4(),
            Self::Ipv6 => address.to_canonical().is_ipv6(),
        }
    }

    /// Its name among people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "IP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_ipv6_clothes_is_of_the_family_that_it_wears_beneath() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(Family::Ipv4.has(mapped) && !Family::Ipv6.has(mapped) && Family::Any.has(mapped));
    }

    #[test]
    fn what_nobody_asked_for_is_not_written() {
        assert_eq!(serde_json::to_string(&Reach::default()).unwrap(), "{}");
        let reach = Reach { family: Family::Ipv6, addresses: Addresses::Every };
        let text = serde_json::to_string(&reach).unwrap();
        assert_eq!(text, r#"{"family":"ipv6","addresses":"every"}"#);
        assert_eq!(serde_json::from_str::<Reach>(&text).unwrap(), reach);
    }
}
