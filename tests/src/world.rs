//! A fleet of hosts: an aggregator, probes, a target, a canary and a channel, each with its own address and line.

use std::net::{SocketAddr, TcpListener};

use crate::fleet::{Fleet, REGIONS, Seat, Seats};
use crate::net::{Host, Line, Net};
use crate::seen::no_page;
use crate::sink::Sink;
use crate::target::Target;

/// How often its check is asked, in ms. A slot may begin half of it late, which a busy machine needs.
pub const INTERVAL_MS: i64 = 2_000;
/// How long its check may take, in ms.
pub const TIMEOUT_MS: i64 = 900;

/// The service of a world, and the customer's only one.
pub const SERVICE: &str = "shop";

/// A running fleet and what is around it.
#[derive(Debug)]
pub struct World {
    /// The lines.
    pub net: Net,
    /// Where the aggregator runs.
    pub aggregator: Host,
    /// Where each probe runs, in the order of [`REGIONS`].
    pub probes: Vec<Host>,
    /// Where the target runs.
    pub shop: Host,
    /// Where what the probes take for their canary runs.
    pub canary: Host,
    /// The target.
    pub target: Target,
    /// The channel, on a host of its own.
    pub sink: Sink,
    /// The processes; [`SERVICE`] has one check, asked of the target from every region.
    pub fleet: Fleet,
}

impl World {
    /// Starts it all, and waits until every region has looked.
    pub fn start(regions: usize) -> Self {
        let mut net = Net::new();
        let [aggregator, shop, canary, people] = [(); 4].map(|()| net.host());
        let probes: Vec<Host> = (0..regions).map(|_| net.host()).collect();
        let (target, sink) = (Target::on(shop.listen()), Sink::on(people.listen()));
        let seat =
            |host: &Host, file: &str| Seat { host: Some(host.clone()), file: file.to_owned(), ..Seat::default() };
        let asked = format!("canaries = [\"tcp://{}\"]\n", answering(canary.listen()));
        let seats = Seats {
            aggregator: seat(&aggregator, ""),
            probes: probes.iter().map(|probe| seat(probe, &asked)).collect(),
        };
        let fleet = Fleet::seated(seats, &checks(&target), &sink);
        fleet.until_all_look(1);
        Self { net, aggregator, probes, shop, canary, target, sink, fleet }
    }

    /// The regions by their names, in order.
    pub fn regions(&self) -> Vec<&'static str> {
        REGIONS[..self.probes.len()].iter().map(|(region, _)| *region).collect()
    }

    /// Takes the internet away from probe number `index`: target and canary, and not the aggregator.
    pub fn take_internet(&mut self, index: usize) {
        let probe = &self.probes[index];
        for place in [&self.shop, &self.canary] {
            self.net.worsen_both_ways(Line::Broken, probe, place);
        }
    }

    /// Cuts probe number `index` off from the aggregator, and from nothing else.
    pub fn cut_off(&mut self, index: usize) {
        self.net.worsen_both_ways(Line::Broken, &self.probes[index], &self.aggregator);
    }

    /// Makes all lines of probe number `index` sound.
    pub fn mend(&mut self, index: usize) {
        self.net.mend(&self.probes[index]);
    }

    /// How often probes have dialled the aggregator so far, all together.
    pub fn dials(&self) -> u64 {
        self.probes.iter().map(|probe| self.net.dials(probe, &self.aggregator)).sum()
    }

    /// That nobody was paged so far, and that no outage is on record.
    ///
    /// # Panics
    /// Where somebody was, with why nobody should have been.
    pub fn pages_nobody(&self, why: &str) {
        let outages = self.fleet.incidents_of("outage");
        assert!(outages.is_empty(), "{why}: {outages:#?}");
        no_page(&self.sink, why);
    }
}

/// Takes every connection on `listener` and says nothing, for as long as the test runs.
fn answering(listener: TcpListener) -> SocketAddr {
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || for _taken in listener.incoming() {});
    address
}

/// A service with one check of `target`, asked from every region.
pub fn checks(target: &Target) -> String {
    format!(
        "\n[[service]]\nid = \"{SERVICE}\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"shop-home\"\nservice = \"{SERVICE}\"\n\
         interval = \"{INTERVAL_MS}ms\"\ntimeout = \"{TIMEOUT_MS}ms\"\nhttp = {{ url = \"{}\" }}\n",
        target.url()
    )
}
