//! Hosts with their own addresses on one machine: network namespaces, each on a line of its own to one router.
//!
//! Owns the namespaces and what the lines between them do to packets; knows nothing of what the hosts run. A
//! namespace here has no name: it lives as long as a handle on it or a process in it, so nothing is left behind
//! however a test ends. No host has a way out: addresses are those for benchmarks (198.18.0.0/15, RFC 2544),
//! and the router knows no other.
//!
//! Needs root, and `ip`, `nft` and `unshare`; `tests/run` sees to them.

mod space;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use space::Space;

/// Out of how many packets of a [`Line::Lossy`] line how many are lost.
pub const LOST_OF_100: u32 = 25;

/// What befalls the packets from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// They vanish, and nobody is told.
    Broken,
    /// Those of TCP are answered with a reset, as by a firewall in the way.
    Resetting,
    /// Some of them vanish: [`LOST_OF_100`].
    Lossy,
    /// The router answers that it can't reach the host …
    HostUnreachable,
    /// … or its network.
    NetUnreachable,
}

impl Line {
    const ALL: [Self; 5] = [Self::Broken, Self::Resetting, Self::Lossy, Self::HostUnreachable, Self::NetUnreachable];

    /// The router's set of the pairs of hosts that it happens to.
    const fn set(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Resetting => "resetting",
            Self::Lossy => "lossy",
            Self::HostUnreachable => "host_unreachable",
            Self::NetUnreachable => "net_unreachable",
        }
    }

    /// What the router does.
    fn rule(self) -> String {
        match self {
            Self::Broken => "drop".to_owned(),
            Self::Resetting => "reject with tcp reset".to_owned(),
            Self::HostUnreachable => "reject with icmp host-unreachable".to_owned(),
            Self::NetUnreachable => "reject with icmp net-unreachable".to_owned(),
            Self::Lossy => format!("numgen random mod 100 < {LOST_OF_100} drop"),
        }
    }
}

/// A router and the hosts around it. Every line is sound until it is made worse.
#[derive(Debug)]
pub struct Net {
    router: Space,
    hosts: u8,
    ill: BTreeSet<(Line, Ipv4Addr, Ipv4Addr)>,
}

/// A host of a [`Net`]; clones are the same host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its only address, beside loopback.
    pub address: Ipv4Addr,
    space: Arc<Space>,
}

impl Net {
    /// A router without hosts.
    ///
    /// # Panics
    /// Where this machine gives no namespaces, with what it says: they need root.
    pub fn new() -> Self {
        let router = Space::new();
        router.within(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a router of ours may forward"));
        let mut rules = "table ip lines {\n".to_owned();
        for line in Line::ALL {
            writeln!(rules, "set {} {{ type ipv4_addr . ipv4_addr; }}", line.set()).expect("a String takes text");
        }
        rules.push_str("set dials { type ipv4_addr . ipv4_addr; flags dynamic; size 65535; }\n");
        rules.push_str("chain forward { type filter hook forward priority 0; policy accept;\n");
        rules.push_str("tcp flags & (syn | ack) == syn update @dials { ip saddr . ip daddr counter }\n");
        for line in Line::ALL {
            let only_tcp = if line == Line::Resetting { "meta l4proto tcp " } else { "" };
            let (set, rule) = (line.set(), line.rule());
            writeln!(rules, "{only_tcp}ip saddr . ip daddr @{set} {rule}").expect("a String takes text");
        }
        rules.push_str("}\n}\n");
        router.run("nft", &["-f", "-"], &rules);
        Self { router, hosts: 0, ill: BTreeSet::new() }
    }

    /// One more host, with an address of its own.
    pub fn host(&mut self) -> Host {
        self.hosts = self.hosts.checked_add(1).expect("a net of ours has at most 255 hosts");
        let number = self.hosts;
        let space = Space::new();
        let (gateway, address) = (Ipv4Addr::new(198, 18, number, 1), Ipv4Addr::new(198, 18, number, 2));
        let there = space.path();
        self.router.run(
            "ip",
            &["-batch", "-"],
            &format!(
                "link add to-{number} type veth peer name eth0 netns {there}\n\
                 address add {gateway}/24 dev to-{number}\nlink set to-{number} up\n"
            ),
        );
        space.run(
            "ip",
            &["-batch", "-"],
            &format!(
                "link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {gateway}\n"
            ),
        );
        Host { address, space: Arc::new(space) }
    }

    /// From now on `line` befalls what `from` sends to `to`; the way back stays as it is.
    pub fn worsen(&mut self, line: Line, from: &Host, to: &Host) {
        self.ill.insert((line, from.address, to.address));
        self.apply();
    }

    /// From now on `line` befalls what the two send to each other.
    pub fn worsen_both_ways(&mut self, line: Line, one: &Host, other: &Host) {
        self.ill.extend([(line, one.address, other.address), (line, other.address, one.address)]);
        self.apply();
    }

    /// From now on all lines of `host` are sound.
    pub fn mend(&mut self, host: &Host) {
        self.ill.retain(|(_, from, to)| *from != host.address && *to != host.address);
        self.apply();
    }

    /// How often `from` has dialled `to` so far: packets of TCP that ask for a connection, repeated ones included.
    pub fn dials(&self, from: &Host, to: &Host) -> u64 {
        let text = self.router.run("nft", &["list", "set", "ip", "lines", "dials"], "");
        let counted = format!("{} . {} counter packets ", from.address, to.address);
        let count = text.split_once(&counted).and_then(|(_, rest)| rest.split(' ').next());
        count.map_or(0, |count| count.parse().expect("a counter is a number"))
    }

    /// Gives the router all that is ill, in one transaction.
    fn apply(&self) {
        let mut rules = String::new();
        for line in Line::ALL {
            writeln!(rules, "flush set ip lines {}", line.set()).expect("a String takes text");
        }
        for (line, from, to) in &self.ill {
            writeln!(rules, "add element ip lines {} {{ {from} . {to} }}", line.set()).expect("a String takes text");
        }
        self.router.run("nft", &["-f", "-"], &rules);
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Does `act` on this host: sockets and processes that it makes are the host's for their lives.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.space.within(act)
    }

    /// From now on this host has a route of `kind` to `to`, such as `unreachable`.
    pub fn route(&self, kind: &str, to: &Self) {
        self.space.run("ip", &["route", "add", kind, &to.address.to_string()], "");
    }

    /// Takes the route away again.
    pub fn unroute(&self, kind: &str, to: &Self) {
        self.space.run("ip", &["route", "del", kind, &to.address.to_string()], "");
    }

    /// A listener on a free port of this host.
    pub fn listen(&self) -> TcpListener {
        let any = SocketAddr::from((self.address, 0));
        self.within(|| TcpListener::bind(any).expect("a host of ours has a free port"))
    }
}
