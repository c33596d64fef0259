//! What a seed decides: the fleet, the truth, and which faults strike when. The same seed, the same plan.

use std::path::Path;
use std::sync::Arc;

use nines::definition::Fleet;
use nines::fleet_file;
use nines_shared::time::{Span, Timestamp};

use super::truth::Truth;
use crate::dice::Dice;

/// When every simulated world begins: a day before the end of a month, 2026-10-31T00:00:00Z.
pub const BEGIN: Timestamp = Timestamp::from_ms(1_793_404_800_000);
/// How long a world is left alone after its last fault, in ms: letters are tried every five minutes by then.
pub const CALM_MS: i64 = 8 * HOUR_MS;
/// How long a check may take, in ms.
pub const TIMEOUT_MS: i64 = 10_000;
/// What is slower is degraded, in ms.
pub const SLOW_MS: i64 = 2_000;

/// In worlds that live longer the check is asked less often, so that a month does not cost a month's looks.
const MANY_DAYS: u32 = 10;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const REGIONS: [&str; 5] = ["af-south", "ap-south", "eu-west", "sa-east", "us-east"];

/// A world, before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// From its beginning to the end of its last fault.
    pub life: Span,
    /// How often the check is asked, in ms; a reload may double it.
    pub interval_ms: i64,
    /// In how many regions.
    pub regions: usize,
    /// Which probe looks from which region, by numbers. A region may have several, which share its checks.
    pub probes: Vec<usize>,
    /// How many samples a spool holds.
    pub spool: usize,
    /// Nothing strikes that keeps a probe from seeing the truth or delivering it in the end, and no outage is too short
    /// to be seen: then the bounds of each outage hold the truth.
    pub fair: bool,
    /// The fleet files, the first in force from the beginning.
    pub fleets: Vec<Arc<Fleet>>,
    /// What truly happens.
    pub truth: Truth,
    /// What strikes, in order of its beginning.
    pub troubles: Vec<Trouble>,
}

/// A fault, and when.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// When.
    pub span: Span,
    /// What.
    pub fault: Fault,
}

/// What may strike. Probes, regions and channels are named by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of a probe, at any step.
    ProbeKilled(usize),
    /// A probe does nothing for a while, and goes on.
    ProbeFrozen(usize),
    /// A probe's commits take seconds.
    SlowDisk(usize),
    /// A probe reaches neither the target nor its canaries.
    Offline(usize),
    /// A probe says the contrary of what it sees.
    Liar(usize),
    /// A probe's wall clock is off by this many ms.
    ProbeClock(usize, i64),
    /// Nothing of a probe reaches the aggregator …
    CutOut(usize),
    /// … or no answer comes back, …
    CutBack(usize),
    /// … or batches are lost, late, doubled and in disorder.
    Lossy(usize),
    /// The target can't be reached from a region.
    Local(usize),
    /// `kill -9` of the aggregator, between any two of its commits.
    AggregatorKilled,
    /// The aggregator takes seconds to take a batch.
    AggregatorSlow,
    /// The aggregator's wall clock is off by this many ms.
    AggregatorClock(i64),
    /// The fleet file is another one: the check gets another interval.
    Reloaded,
    /// A channel accepts nothing.
    ChannelDown(usize),
    /// A person silences the service.
    Silenced,
    /// Maintenance that was announced in time.
    Maintenance,
    /// Time that is excluded afterwards, once the span is over.
    Granted,
}

impl Plan {
    /// The world of `seed`, with faults for `days`.
    ///
    /// # Panics
    /// Never: the fleet files are good.
    pub fn drawn(seed: u64, days: u32) -> Self {
        let mut dice = Dice::of(seed);
        let fair = dice.happens(25);
        let life = Span::new(BEGIN, BEGIN.plus_ms(i64::from(days.max(1)) * DAY_MS));
        let seldom = if days <= MANY_DAYS { 1 } else { 4 };
        let interval_ms = seldom * [300_000, 600_000, 900_000, 900_000][dice.index(4)];
        let regions = [3, 3, 5][dice.index(3)];
        let mut probes: Vec<usize> = (0..regions).collect();
        if dice.happens(60) {
            let shared = dice.index(regions);
            probes.extend([shared, shared, dice.index(regions)].into_iter().take(1 + dice.index(3)));
        }
        let spool = if fair || dice.happens(50) { 100_000 } else { 20 + dice.index(60) };
        let truth = Truth::drawn(&mut dice, life, interval_ms, fair);
        // The windows of burn rates are long, and whoever looks at them often is slow.
        let slo = if dice.happens(25) { "slo = { availability = 99.5, window = \"30d\" }" } else { "" };
        let fleets = [interval_ms, 2 * interval_ms].map(|interval_ms| Arc::new(fleet(regions, interval_ms, slo)));
        let (fleets, troubles) = (fleets.into(), Vec::new());
        let mut plan = Self { seed, life, interval_ms, regions, probes, spool, fair, fleets, truth, troubles };
        for _ in 0..6 + 5 * days {
            let fault = plan.fault(&mut dice);
            plan.strike(&mut dice, fault);
        }
        for _ in 0..2 * days {
            plan.strike(&mut dice, Fault::AggregatorKilled);
        }
        plan.stay_away_over_the_end_of_the_month(&mut dice);
        plan.troubles.sort_by_key(|trouble| (trouble.span.from, trouble.span.to));
        plan
    }

    /// The quorum.
    pub fn quorum(&self) -> usize {
        self.regions / 2 + 1
    }

    /// Whether probe number `probe` has another one beside it in its region.
    pub fn shares(&self, probe: usize) -> bool {
        1 < self.probes.iter().filter(|place| **place == self.probes[probe]).count()
    }

    /// When the world ends: what was on its way has arrived by then, and what was wrong is mended.
    pub fn end(&self) -> Timestamp {
        self.life.to.plus_ms(CALM_MS)
    }

    fn fault(&self, dice: &mut Dice) -> Fault {
        let probe = dice.index(self.probes.len());
        // Ahead by less than the calm at the end: what is from the future is taken once it is not.
        let off_ms = [-2 * DAY_MS, -HOUR_MS, -5_000, 700, 3_000, 20_000, HOUR_MS, 6 * HOUR_MS][dice.index(8)];
        let drawn = if self.fair { dice.below(9) } else { dice.below(25) };
        match drawn {
            0 | 1 => Fault::AggregatorKilled,
            2 => Fault::AggregatorSlow,
            3 => Fault::CutOut(probe),
            4 => Fault::CutBack(probe),
            5 | 6 => Fault::Lossy(probe),
            7 => Fault::ChannelDown(dice.index(2)),
            8 => Fault::Silenced,
            9 | 10 => Fault::ProbeKilled(probe),
            11 => Fault::ProbeFrozen(probe),
            12 => Fault::SlowDisk(probe),
            13 | 14 => Fault::Offline(probe),
            // Fewer than a quorum lie: always the same one.
            15 | 16 => Fault::Liar(0),
            17 | 23 | 24 => Fault::ProbeClock(probe, off_ms),
            // Never past the end of a month and what is waited for then: that is a row of its own in
            // docs/RELIABILITY.md.
            18 => Fault::AggregatorClock(off_ms.clamp(-HOUR_MS, HOUR_MS)),
            19 => Fault::Local(self.probes[probe]),
            20 => Fault::Reloaded,
            21 => Fault::Maintenance,
            _ => Fault::Granted,
        }
    }

    fn strike(&mut self, dice: &mut Dice, fault: Fault) {
        let longest_ms = match fault {
            Fault::AggregatorKilled => HOUR_MS / 2,
            Fault::AggregatorSlow | Fault::Maintenance | Fault::Granted => 2 * HOUR_MS,
            Fault::ProbeFrozen(_) | Fault::AggregatorClock(_) | Fault::Silenced => 3 * HOUR_MS,
            Fault::CutOut(_) | Fault::CutBack(_) | Fault::ProbeKilled(_) => 10 * HOUR_MS,
            Fault::SlowDisk(_)
            | Fault::Offline(_)
            | Fault::Liar(_)
            | Fault::ProbeClock(..)
            | Fault::Lossy(_)
            | Fault::Local(_)
            | Fault::Reloaded
            | Fault::ChannelDown(_) => 6 * HOUR_MS,
        };
        let lasts_ms = 1_000 + dice.within_ms(longest_ms);
        let from = self.life.from.plus_ms(HOUR_MS + dice.within_ms(self.life.length_ms() - HOUR_MS));
        let span = Span::new(from, from.plus_ms(lasts_ms).min(self.life.to));
        if let Fault::Local(region) = fault {
            self.truth.local.push((region, span));
        }
        let alone = |other: &Trouble| other.fault != fault || other.span.intersection(span).is_none();
        // One reload, one step of a clock and one stop of a host at a time; what is of several kinds may meet.
        let kind = std::mem::discriminant(&fault);
        let exclusive = matches!(fault, Fault::Reloaded | Fault::AggregatorKilled | Fault::AggregatorClock(_));
        let free = |other: &Trouble| {
            !exclusive || std::mem::discriminant(&other.fault) != kind || other.span.intersection(span).is_none()
        };
        if self.troubles.iter().all(|other| alone(other) && free(other)) {
            self.troubles.push(Trouble { span, fault });
        }
    }

    /// Of two probes in one region one is cut off before the month ends, and comes back when it is closed: the other
    /// was heard past its end.
    fn stay_away_over_the_end_of_the_month(&mut self, dice: &mut Dice) {
        let twin = self.probes.len() - 1;
        if self.regions <= twin && dice.happens(70) {
            let from = self.life.from.plus_ms(DAY_MS - 6 * HOUR_MS);
            let span = Span::new(from, from.plus_ms(12 * HOUR_MS).min(self.life.to));
            self.troubles.push(Trouble { span, fault: Fault::CutOut(twin) });
        }
    }
}

/// A fleet of one service with one check.
fn fleet(regions: usize, interval_ms: i64, slo: &str) -> Fleet {
    let names = REGIONS.iter().take(regions).map(|id| format!("[[region]]\nid = \"{id}\"\nname = \"{id}\"\n"));
    let text = format!(
        r#"
environment = "simulated"
[aggregator]
probes = "127.0.0.1:0"
web = "127.0.0.1:0"
database = "nines.db"
{}
[[customer]]
id = "acme"
name = "Acme GmbH"
timezone = "UTC"
[[service]]
id = "shop"
customer = "acme"
since = "2026-10-31T00:00:00Z"
{slo}
sla = {{ availability = 99.0, period = "month" }}
[[check]]
id = "shop-home"
service = "shop"
interval = "{interval_ms}ms"
timeout = "{TIMEOUT_MS}ms"
degraded_after = "{SLOW_MS}ms"
http = {{ url = "https://shop.example/" }}
[[channel]]
id = "oncall"
webhook = {{ url = "https://hooks.example/oncall" }}
[[channel]]
id = "desk"
webhook = {{ url = "https://hooks.example/desk" }}
[[route]]
severity = "page"
channels = ["oncall"]
repeat = "1h"
escalate = {{ after = "30m", channels = ["desk"] }}
[[route]]
channels = ["desk"]
"#,
        names.collect::<String>()
    );
    fleet_file::parse(&text, Path::new("nines.toml")).expect("the fleet file is good").0
}
