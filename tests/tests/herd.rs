//! Fifty probes come back to an aggregator that was away for hours, in virtual time: planned by the code of the probes,
//! and nothing is waited for.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use nines::gateway::limits::{COMMIT, RETRY_AFTER_S};
use nines_probe::link::backoff::Backoff;
use nines_probe::uplink::{GATHER, HEARTBEAT};
use nines_shared::wire::{DRAIN_PACE, MAX_BATCH_SAMPLES};
use nines_tests::dice::Dice;
use proptest::prelude::*;

const PROBES: usize = 50;
const WHOLE: u64 = MAX_BATCH_SAMPLES as u64;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// How long the way there and back takes, in ms.
const ROUND_TRIP: u64 = 20;

fn ms(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

/// A probe and what waits in its spool: spans of samples, which are numbered as they are taken.
#[derive(Default)]
struct Probe {
    backoff: Backoff,
    waiting: VecDeque<(u64, u64)>,
    taken: u64,
    /// Whether its last request was answered with an ack.
    through: bool,
}

impl Probe {
    fn takes(&mut self, until: u64) {
        if self.taken < until {
            self.waiting.push_back((self.taken, until));
            self.taken = until;
        }
    }

    fn count(&self) -> u64 {
        self.waiting.iter().map(|(from, to)| to - from).sum()
    }

    /// A batch, as the spool hands it out: where not all has room, half of it is the newest. Returns how many are in
    /// it.
    fn ships(&mut self) -> u64 {
        let before = self.count();
        if before <= WHOLE {
            self.waiting.clear();
            return before;
        }
        let (mut newest, mut oldest) = (WHOLE / 2, WHOLE / 2);
        while let Some((from, to)) = self.waiting.back_mut().filter(|_| 0 < newest) {
            let some = newest.min(*to - *from);
            (*to, newest) = (*to - some, newest - some);
            self.waiting.retain(|(from, to)| from < to);
        }
        while let Some((from, to)) = self.waiting.front_mut().filter(|_| 0 < oldest) {
            let some = oldest.min(*to - *from);
            (*from, oldest) = (*from + some, oldest - some);
            self.waiting.retain(|(from, to)| from < to);
        }
        before - self.count()
    }
}

/// What was seen after the aggregator came back.
#[derive(Debug, Default)]
struct Seen {
    /// Requests in each second, from its coming back.
    requests: BTreeMap<u64, u64>,
    /// First requests that got through, in each second.
    first: BTreeMap<u64, u64>,
    /// Dials in each second of the last hour before.
    dials: BTreeMap<u64, u64>,
    /// The oldest that the newest sample of a batch was, in ms.
    stale_ms: u64,
    /// When the last backlog was there, in ms.
    drained: u64,
}

/// An aggregator that is away for `away` ms and stores `capacity` samples a second, and probes that take a sample every
/// `every` ms. Runs until every backlog is there, or a day is over.
fn return_of_the_aggregator(away: u64, capacity: u64, every: u64, seed: u64) -> Seen {
    let (mut dice, mut seen) = (Dice(seed), Seen::default());
    let mut probes: Vec<Probe> = (0..PROBES).map(|_| Probe::default()).collect();
    // All lose it at one instant.
    let mut queue: BinaryHeap<Reverse<(u64, usize)>> = (0..PROBES).map(|probe| Reverse((0, probe))).collect();
    let mut store_free = 0;
    while let Some(Reverse((now, index))) = queue.pop() {
        let probe = &mut probes[index];
        probe.takes(now / every);
        let drawn = Some(dice.below(u64::from(u32::MAX)));
        if now < away {
            *seen.dials.entry(now / SECOND).or_default() += 1;
            let wait = ms(probe.backoff.after_failure_drawn(drawn)).max(1);
            queue.push(Reverse((now + wait, index)));
            continue;
        }
        let since = now - away;
        *seen.requests.entry(since / SECOND).or_default() += 1;
        if now + ms(COMMIT) < store_free {
            probe.through = false;
            let wait = RETRY_AFTER_S * SECOND + ms(probe.backoff.after_failure_drawn(drawn));
            queue.push(Reverse((now + ms(COMMIT) + wait, index)));
            continue;
        }
        if !std::mem::replace(&mut probe.through, true) {
            *seen.first.entry(since / SECOND).or_default() += 1;
        }
        probe.backoff.reset();
        let newest = probe.taken.saturating_sub(1) * every;
        store_free = store_free.max(now) + probe.ships() * SECOND / capacity;
        let acked = store_free + ROUND_TRIP;
        seen.stale_ms = seen.stale_ms.max(acked - newest);
        let left = probe.count();
        if WHOLE <= left {
            seen.drained = seen.drained.max(acked - away);
        }
        let next = match left {
            0 => acked.max(now + ms(GATHER).max(every).min(ms(HEARTBEAT))),
            few if few < WHOLE => acked + ms(GATHER),
            _backlog => acked.max(now + ms(DRAIN_PACE)),
        };
        if WHOLE <= left || since < 5 * MINUTE {
            queue.push(Reverse((next, index)));
        }
    }
    seen
}

fn most(counts: &BTreeMap<u64, u64>) -> u64 {
    counts.values().copied().max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn after_hours_of_an_outage_fifty_probes_come_back_spread_and_drain_at_a_bounded_rate(
        seed in any::<u64>(),
        hours in 1_u64..4,
        capacity in 20_000_u64..200_000,
        every in prop::sample::select(vec![6_u64, 50, 1_000]),
    ) {
        let seen = return_of_the_aggregator(hours * HOUR, capacity, every, seed);
        let settled: BTreeMap<u64, u64> = seen.dials.clone().into_iter().filter(|(second, _)| 120 < *second).collect();
        prop_assert!(most(&settled) <= 20, "{} dials in one second while it was away", most(&settled));
        prop_assert!(most(&seen.first) <= 12, "{} of {PROBES} came back in one second", most(&seen.first));
        prop_assert_eq!(seen.first.values().sum::<u64>(), PROBES as u64, "each comes back once and stays");
        // Once all is as ever: a batch as often as one gathers, or a sample is there.
        let steady = PROBES as u64 * SECOND / every.max(ms(GATHER));
        let draining = PROBES as u64 * SECOND / ms(DRAIN_PACE);
        prop_assert!(
            most(&seen.requests) <= 2 * steady + draining,
            "{} requests in one second; {steady} are steady and {draining} drain", most(&seen.requests)
        );
    }

    #[test]
    fn the_present_never_waits_behind_the_past(seed in any::<u64>(), hours in 1_u64..4) {
        let (every, capacity) = (6, 60_000);
        let seen = return_of_the_aggregator(hours * HOUR, capacity, every, seed);
        // At worst every probe has a whole batch before one's own.
        let queue = PROBES as u64 * WHOLE * SECOND / capacity;
        let most = queue + every + ROUND_TRIP + 2 * SECOND;
        prop_assert!(seen.stale_ms <= most, "the newest of a batch was {} ms old; a backlog of {hours} h came", seen.stale_ms);
        let backlog = PROBES as u64 * hours * HOUR / every;
        let ideal = backlog * SECOND / (capacity - PROBES as u64 * SECOND / every);
        prop_assert!(seen.drained <= 2 * ideal + HOUR, "drained after {} s", seen.drained / SECOND);
    }
}
