//! Faults strike, and are mended.

use super::super::plan::Fault;
use super::{Doom, World};

impl World {
    /// A fault begins, or is mended.
    pub(super) fn strike(&mut self, index: usize, begins: bool) {
        let trouble = self.plan.troubles[index];
        if let Some((host, what)) = self.told(trouble.fault, begins) {
            self.story.tell(self.now, host, what);
        }
        let more = |count: &mut u32| *count = if begins { *count + 1 } else { *count - 1 };
        match trouble.fault {
            Fault::ProbeKilled(probe) if begins => {
                self.probes[probe].life = None;
                self.probes[probe].lives += 1;
            }
            Fault::ProbeKilled(probe) => {
                if self.probes[probe].life.is_none() {
                    self.start_probe(probe);
                }
            }
            Fault::ProbeFrozen(probe) if begins => self.probes[probe].ills.frozen_until = trouble.span.to,
            Fault::ProbeFrozen(_) | Fault::Local(_) => {}
            Fault::SlowDisk(probe) => more(&mut self.probes[probe].ills.slow_disk),
            Fault::Offline(probe) => more(&mut self.probes[probe].ills.offline),
            Fault::Liar(probe) => more(&mut self.probes[probe].ills.lies),
            Fault::CutOut(probe) => more(&mut self.probes[probe].ills.cut_out),
            Fault::CutBack(probe) => more(&mut self.probes[probe].ills.cut_back),
            Fault::Lossy(probe) => more(&mut self.probes[probe].ills.lossy),
            Fault::ProbeClock(probe, by_ms) => {
                self.probes[probe].ills.clock_ms += if begins { by_ms } else { -by_ms };
                self.look_anew(probe);
            }
            Fault::AggregatorKilled if begins => {
                let dooms = [Doom::Anyhow, Doom::Telling, Doom::LookingBack { came: false }];
                let doom = dooms[self.dice.index(dooms.len())];
                self.doom = self.aggregator.lives().then_some(doom);
            }
            Fault::AggregatorKilled => self.revive(),
            Fault::AggregatorSlow => more(&mut self.slow),
            Fault::AggregatorClock(by_ms) => self.off_ms += if begins { by_ms } else { -by_ms },
            Fault::ChannelDown(channel) => more(&mut self.channels_down[channel]),
            Fault::Reloaded => self.reload(usize::from(begins)),
            Fault::Silenced if begins => self.silence(trouble.span),
            Fault::Maintenance if begins => self.announce(trouble.span),
            Fault::Granted if !begins => self.grant(trouble.span),
            Fault::Silenced | Fault::Maintenance | Fault::Granted => {}
        }
    }

    /// Whom a fault strikes, and what is told of it: when it begins, and when it is mended.
    fn told(&self, fault: Fault, begins: bool) -> Option<(String, String)> {
        let probe = |index: usize| self.probes[index].name.to_string();
        let aggregator = || "aggregator".to_owned();
        let clock = |ms: i64| match begins {
            true => format!("has its clock set by {ms:+} ms"),
            false => format!("has its clock set by {:+} ms", -ms),
        };
        let (host, one, other) = match fault {
            Fault::ProbeClock(index, ms) => return Some((probe(index), clock(ms))),
            Fault::AggregatorClock(ms) => return Some((aggregator(), clock(ms))),
            // Told when it strikes, which is with what the process does next.
            Fault::AggregatorKilled => return None,
            Fault::ProbeKilled(index) => (probe(index), "is killed", "begins anew"),
            Fault::ProbeFrozen(index) => (probe(index), "stands still", "goes on"),
            Fault::SlowDisk(index) => (probe(index), "has a slow disk", "has a quick disk again"),
            Fault::Offline(index) => (probe(index), "has lost the internet", "has the internet again"),
            Fault::Liar(index) => (probe(index), "says the contrary of what it sees", "says what it sees"),
            Fault::CutOut(index) => (probe(index), "is cut off", "is heard again"),
            Fault::CutBack(index) => (probe(index), "gets no answers", "gets answers again"),
            Fault::Lossy(index) => (probe(index), "has a bad line", "has a good line again"),
            Fault::Local(region) => {
                let region = self.plan.fleets[0].checks[0].regions[region].to_string();
                (region, "does not reach the target", "reaches the target again")
            }
            Fault::AggregatorSlow => (aggregator(), "is slow", "is quick again"),
            Fault::ChannelDown(index) => {
                let channel = self.plan.fleets[0].channels[index].id.to_string();
                (channel, "accepts nothing", "accepts letters again")
            }
            Fault::Reloaded => (aggregator(), "gets another fleet file", "gets the first fleet file again"),
            Fault::Silenced => ("ann".to_owned(), "silences shop", "would be told of shop again"),
            Fault::Maintenance => ("ann".to_owned(), "announces maintenance of shop", "thinks that it is done"),
            Fault::Granted => ("ann".to_owned(), "works on shop, unannounced", "excludes that time afterwards"),
        };
        Some((host, if begins { one } else { other }.to_owned()))
    }
}
