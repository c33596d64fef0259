//! Which addresses may be contacted: public ones, unless the machine's own file allows more.
//!
//! Used by probes for targets and by the aggregator for webhooks. Targets, DNS answers and redirects are
//! hostile: the rule is applied to the address that is connected to, on every hop, after unwrapping
//! IPv4 addresses that hide in IPv6 ones (INV-10).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Networks that no check of the public internet has business with, beside what allows say.
/// Sources: the IANA special-purpose registries (RFC 6890 and later), and cloud metadata services that
/// live on addresses which are public by number.
const NOT_PUBLIC: &[&str] = &[
    // IPv4
    "0.0.0.0/8",        // "this network", RFC 791
    "10.0.0.0/8",       // private, RFC 1918
    "100.64.0.0/10",    // carrier-grade NAT, RFC 6598; holds 100.100.100.200 (cloud metadata)
    "127.0.0.0/8",      // loopback, RFC 1122
    "168.63.129.16/32", // a cloud's wire server, public by number
    "169.254.0.0/16",   // link-local, RFC 3927; cloud metadata
    "172.16.0.0/12",    // private, RFC 1918
    "192.0.0.0/24",     // protocol assignments, RFC 6890
    "192.0.2.0/24",     // documentation, RFC 5737
    "192.88.99.0/24",   // 6to4 relay, RFC 7526
    "192.168.0.0/16",   // private, RFC 1918
    "198.18.0.0/15",    // benchmarks, RFC 2544
    "198.51.100.0/24",  // documentation, RFC 5737
    "203.0.113.0/24",   // documentation, RFC 5737
    "224.0.0.0/4",      // multicast, RFC 5771
    "240.0.0.0/4",      // reserved and broadcast, RFC 1112
    // IPv6
    "::/96",          // unspecified, loopback, IPv4-compatible (RFC 4291): `::` reaches loopback on Linux
    "64:ff9b:1::/48", // local-use NAT64, RFC 8215
    "100::/64",       // discard, RFC 6666
    "100:0:0:1::/64", // dummy prefix, RFC 9780
    "2001::/23",      // protocol assignments, RFC 2928; Teredo, ORCHID
    "2001:db8::/32",  // documentation, RFC 3849
    "3fff::/20",      // documentation, RFC 9637
    "5f00::/16",      // segment routing, RFC 9602
    "fc00::/7",       // unique local, RFC 4193; holds fd00:ec2::254 (cloud metadata)
    "fe80::/10",      // link-local, RFC 4291
    "fec0::/10",      // site-local, RFC 3879
    "ff00::/8",       // multicast, RFC 4291
];

/// Which addresses a machine lets itself contact. The default is: public addresses only.
#[derive(Clone, Debug)]
pub struct AddressRule {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    not_public: Vec<IpNet>,
}

impl Default for AddressRule {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

/// An address that the rule does not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not a public address, and not allowed by the machine's own file.
    #[error(
        "{address} is not a public address ({network}); the probe's own file must allow it: targets = {{ allow = [\"{address}\"] }}"
    )]
    NotPublic {
        /// As it was to be contacted.
        address: IpAddr,
        /// The special network that it lies in.
        network: IpNet,
    },
    /// Denied by the machine's own file.
    #[error("{address} is denied by the probe's own file ({network})")]
    Denied {
        /// As it was to be contacted.
        address: IpAddr,
        /// The network of the `deny` list.
        network: IpNet,
    },
}

impl AddressRule {
    /// Public addresses and those in `allow`, but none in `deny`.
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>) -> Self {
        let not_public = NOT_PUBLIC.iter().map(|net| net.parse().expect("the table holds networks")).collect();
        Self { allow, deny, not_public }
    }

    /// Whether `address` may be contacted. An IPv6 address that carries an IPv4 one (mapped, 6to4,
    /// NAT64) must pass as itself and as what it carries.
    ///
    /// # Errors
    /// [`Forbidden`], which names the network that stands against it.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let faces = Faces::of(address);
        for face in faces.all() {
            if let Some(network) = self.deny.iter().find(|net| net.contains(&face)) {
                return Err(Forbidden::Denied { address, network: *network });
            }
        }
        if faces.all().any(|face| self.allow.iter().any(|net| net.contains(&face))) {
            return Ok(());
        }
        for face in faces.all() {
            if let Some(network) = self.not_public.iter().find(|net| net.contains(&face)) {
                return Err(Forbidden::NotPublic { address, network: *network });
            }
        }
        Ok(())
    }
}

/// An address as it stands, and the IPv4 address inside it.
struct Faces {
    outer: IpAddr,
    inner: Option<Ipv4Addr>,
}

impl Faces {
    fn of(address: IpAddr) -> Self {
        match address {
            // A mapped address is its IPv4 address: the kernel sends IPv4 packets.
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => Self { outer: IpAddr::V4(v4), inner: None },
                None => Self { outer: address, inner: carried(v6) },
            },
            IpAddr::V4(_) => Self { outer: address, inner: None },
        }
    }

    fn all(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(self.outer).chain(self.inner.map(IpAddr::V4))
    }
}

/// The IPv4 address that a 6to4 or NAT64 address carries to a gateway, if it is one.
fn carried(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = v6.octets();
    let at = |start: usize| Ipv4Addr::new(octets[start], octets[start + 1], octets[start + 2], octets[start + 3]);
    match v6.segments() {
        [0x2002, ..] => Some(at(2)),                    // 6to4, RFC 3056
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(at(12)), // NAT64, RFC 6052
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn forbidden(text: &str) -> bool {
        AddressRule::default().check(text.parse().unwrap()).is_err()
    }

    #[test]
    fn what_peers_let_through_is_forbidden() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:7f00:1::",
            "2001:db8::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
        ] {
            assert!(forbidden(text), "{text} must not be contacted");
        }
    }

    #[test]
    fn public_addresses_are_let_through() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(!forbidden(text), "{text} is public");
        }
    }

    #[test]
    fn a_machine_may_allow_more_and_deny_more_and_deny_wins() {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        let rule = AddressRule::new(nets(&["127.0.0.0/8"]), nets(&["127.0.0.9/32", "8.8.8.8/32"]));
        assert!(rule.check("127.0.0.1".parse().unwrap()).is_ok());
        assert!(rule.check("::ffff:127.0.0.1".parse().unwrap()).is_ok());
        assert!(rule.check("127.0.0.9".parse().unwrap()).is_err());
        assert!(rule.check("::ffff:127.0.0.9".parse().unwrap()).is_err());
        assert!(rule.check("8.8.8.8".parse().unwrap()).is_err());
        assert!(rule.check("10.0.0.1".parse().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_the_same_in_every_wrapping(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let plain = AddressRule::default().check(IpAddr::V4(v4)).is_err();
            let mapped = AddressRule::default().check(IpAddr::V6(v4.to_ipv6_mapped())).is_err();
            let [a, b, c, d] = v4.octets();
            let join = |x: u8, y: u8| u16::from_be_bytes([x, y]);
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, join(a, b), join(c, d));
            let sixtofour = Ipv6Addr::new(0x2002, join(a, b), join(c, d), 0, 0, 0, 0, 1);
            prop_assert_eq!(plain, mapped);
            prop_assert_eq!(plain, AddressRule::default().check(IpAddr::V6(nat64)).is_err());
            prop_assert_eq!(plain, AddressRule::default().check(IpAddr::V6(sixtofour)).is_err());
        }
    }
}
