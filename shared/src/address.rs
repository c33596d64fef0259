//! Which addresses may be contacted: public ones, unless the machine's own file allows more.
//!
//! Used by probes for targets and by the aggregator for webhooks. Targets, DNS answers and redirects are
//! hostile: the rule is applied to the address that is connected to, on every hop, after unwrapping
//! IPv4 addresses that hide in IPv6 ones (INV-10). Limit: a NAT64 or ISATAP gateway with a prefix or a form of
//! its own looks like any other network; whoever runs one denies it in the machine's own file.

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
    "::/96",           // unspecified, loopback, IPv4-compatible (RFC 4291): `::` reaches loopback on Linux
    "::ffff:0:0:0/96", // IPv4-translated, RFC 2765
    "64:ff9b:1::/48",  // local-use NAT64, RFC 8215
    "100::/64",        // discard, RFC 6666
    "100:0:0:1::/64",  // dummy prefix, RFC 9780
    "2001::/23",       // protocol assignments, RFC 2928; Teredo, ORCHID
    "2001:db8::/32",   // documentation, RFC 3849
    "3fff::/20",       // documentation, RFC 9637
    "5f00::/16",       // segment routing, RFC 9602
    "fc00::/7",        // unique local, RFC 4193; holds fd00:ec2::254 (cloud metadata)
    "fe80::/10",       // link-local, RFC 4291
    "fec0::/10",       // site-local, RFC 3879
    "ff00::/8",        // multicast, RFC 4291
];

/// What is public of IPv6 at all: global unicast (RFC 4291 §2.4, as far as IANA has given any out), and the way to
/// IPv4 by NAT64 (RFC 6052). Everything else is somebody's own or nobody's.
const PUBLIC_V6: &[&str] = &["2000::/3", "64:ff9b::/96"];

/// Which addresses a machine lets itself contact. The default is: public addresses only.
#[derive(Clone, Debug)]
pub struct AddressRule {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    not_public: Vec<IpNet>,
    public_v6: Vec<IpNet>,
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
        /// The special network that it lies in; itself where that has no name.
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
        let table = |nets: &[&str]| nets.iter().map(|net| net.parse().expect("the table holds networks")).collect();
        Self { allow, deny, not_public: table(NOT_PUBLIC), public_v6: table(PUBLIC_V6) }
    }

    /// Whether `address` may be contacted. An IPv6 address that carries an IPv4 one (compatible, translated, 6to4,
    /// Teredo, NAT64, ISATAP) must pass as itself and as what it carries; a mapped one is the IPv4 address.
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
        let allowed = |face: &IpAddr| self.allow.iter().any(|net| net.contains(face));
        match faces.all().filter(|face| !allowed(face)).find_map(|face| self.not_public(face)) {
            Some(network) => Err(Forbidden::NotPublic { address, network }),
            None => Ok(()),
        }
    }

    /// The network for which `face` is not public, if it is not.
    fn not_public(&self, face: IpAddr) -> Option<IpNet> {
        let named = self.not_public.iter().find(|net| net.contains(&face)).copied();
        let nowhere = || face.is_ipv6() && !self.public_v6.iter().any(|net| net.contains(&face));
        named.or_else(|| nowhere().then(|| IpNet::from(face)))
    }
}

/// Whether `address` is public: nobody's own network, so somebody else's.
pub fn is_public(address: IpAddr) -> bool {
    AddressRule::default().check(address).is_ok()
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

/// The IPv4 address that an IPv6 one carries to a gateway or tunnel, if it is of a form that does.
fn carried(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = v6.octets();
    let at = |start: usize| Ipv4Addr::new(octets[start], octets[start + 1], octets[start + 2], octets[start + 3]);
    match v6.segments() {
        // Unspecified and loopback are of that form and are no such addresses.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, ..] => Some(at(12)),      // IPv4-compatible, RFC 4291
        [0, 0, 0, 0, 0xffff, 0, ..] => Some(at(12)), // IPv4-translated, RFC 2765
        [0x2002, ..] => Some(at(2)),                 // 6to4, RFC 3056
        // Teredo, RFC 4380: the client's address, each bit turned.
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!at(12).to_bits())),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(at(12)), // NAT64, RFC 6052
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some(at(12)), // ISATAP, RFC 5214
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
            "100.127.255.255",
            "192.88.99.1",
            "198.51.100.1",
            "::ffff:0:127.0.0.1",
            "::ffff:168.63.129.16",
            "64:ff9b::100.100.100.200",
            "64:ff9b:1:ffff::1",
            "2001:0:4136:e378:8000:63bf:5601:5601",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:169.254.169.254",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "::1:0:0:1",
            "febf::1",
            "feff::1",
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
            "2606:4700::5efe:1.1.1.1",
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

    #[test]
    fn what_a_machine_allows_of_ipv6_does_not_open_the_ipv4_inside() {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        let rule = AddressRule::new(nets(&["2000::/3"]), Vec::new());
        assert!(rule.check("2001:db8::1".parse().unwrap()).is_ok());
        assert!(rule.check("2002:a9fe:a9fe::1".parse().unwrap()).is_err());
        let both = AddressRule::new(nets(&["10.0.0.0/8"]), nets(&["10.9.0.0/16"]));
        assert!(both.check("64:ff9b::10.1.2.3".parse().unwrap()).is_ok());
        assert!(
            both.check("64:ff9b::10.9.2.3".parse().unwrap()).is_err(),
            "what is denied is denied in all its clothes"
        );
        assert!(both.check("::10.1.2.3".parse().unwrap()).is_err(), "nobody sends to an IPv4-compatible address");
    }

    /// Every form in which an IPv6 address carries `v4`, and whether it can be public at all.
    fn embeddings(v4: Ipv4Addr) -> [(Ipv6Addr, bool); 9] {
        let bits = v4.to_bits();
        let [high, low] = [bits >> 16, bits & 0xffff].map(|half| u16::try_from(half).unwrap());
        [
            (v4.to_ipv6_mapped(), true),
            (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low), true),
            (Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1), true),
            (Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0x5efe, high, low), true),
            (Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0x200, 0x5efe, high, low), true),
            (Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low), false),
            (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low), false),
            (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low), false),
            (Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low), false),
        ]
    }

    fn any_forbidden_v4() -> impl Strategy<Value = Ipv4Addr> {
        let nets: Vec<ipnet::Ipv4Net> = NOT_PUBLIC.iter().filter_map(|net| net.parse().ok()).collect();
        (prop::sample::select(nets), any::<u32>())
            .prop_map(|(net, bits)| Ipv4Addr::from_bits(net.network().to_bits() | bits & net.hostmask().to_bits()))
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_the_same_in_every_wrapping(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let plain = is_public(IpAddr::V4(v4));
            for (v6, may_be_public) in embeddings(v4) {
                prop_assert_eq!(plain && may_be_public, is_public(IpAddr::V6(v6)), "{}", v6);
            }
        }

        #[test]
        fn no_embedding_of_a_forbidden_ipv4_address_is_let_through(v4 in any_forbidden_v4()) {
            prop_assert!(!is_public(IpAddr::V4(v4)), "{}", v4);
            for (v6, _) in embeddings(v4) {
                prop_assert!(!is_public(IpAddr::V6(v6)), "{} as {}", v4, v6);
            }
        }

        #[test]
        fn what_is_denied_is_denied_in_every_wrapping_whatever_is_allowed(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let everything = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
            let rule = AddressRule::new(everything, vec![IpNet::from(IpAddr::V4(v4))]);
            // Local-use NAT64 has no one place for what it carries.
            for (v6, _) in embeddings(v4).into_iter().filter(|(v6, _)| v6.segments()[2] != 1 && 1 < bits) {
                prop_assert!(rule.check(IpAddr::V6(v6)).is_err(), "{} as {}", v4, v6);
            }
        }
    }
}
