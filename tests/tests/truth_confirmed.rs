//! Truth over many outages where asks are answered: the probes' schedules and the aggregator's confirmations, as they
//! are, in a world of their own time.
//!
//! The mean error of a measured outage is nought for every quorum, less what re-checks and the length of a failing
//! look take away (`docs/METHOD.md`).

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use nines::confirm::Confirm;
use nines::uptime::service::assess;
use nines::uptime::{Observed, RegionSamples};
use nines_probe::schedule::{Action, Schedule};
use nines_shared::check::Check;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::sample::{Outcome, Phases, Sample, SampleKind};
use nines_shared::time::Timestamp;
use nines_shared::wire::Ask;
use nines_tests::simulated::{BEGIN_MS, World, check, record};

const OUTAGES: usize = 400;
/// From an ask to the beginning of its answer, in ms.
const TRIP_MS: i64 = 40;
const INTERVAL_MS: i64 = 60_000;
/// How far a mean may stray from the law, in effective steps: five times its standard error.
const STRAY: f64 = 0.11;

#[test]
fn where_asks_are_answered_the_mean_error_is_nought_for_every_quorum() {
    for (n, q) in [(1, 1), (2, 2), (3, 1), (3, 2), (4, 3), (5, 2), (5, 3), (5, 5)] {
        assert_eq!(check(n, q, INTERVAL_MS).recheck_bias_ms(), 0);
        law_holds(&check(n, q, INTERVAL_MS), 0, 0);
    }
}

#[test]
fn rechecks_make_outages_shorter_by_what_is_said_of_them() {
    for (n, q, recheck_ms, said) in [
        (1, 1, 10_000, 25_000),
        (3, 2, 10_000, 5_000),
        (5, 3, 30_000, 3_000),
        (5, 3, 12_000, 0),
        (5, 3, 10_000, 5_000),
        (5, 4, 10_000, 5_000),
    ] {
        let check = check(n, q, recheck_ms);
        assert_eq!(check.recheck_bias_ms(), said, "{q} of {n}, re-checked every {recheck_ms} ms");
        law_holds(&check, 0, -said);
    }
}

#[test]
fn what_a_failing_look_takes_longer_than_a_good_one_is_missing_from_the_outage() {
    law_holds(&check(5, 3, INTERVAL_MS), 3_000, -3_000);
}

/// Where failing takes `fail_ms` and succeeding nothing, every outage is found, none is invented, the truth lies within
/// the bounds of each, and the mean error is `law_ms`.
fn law_holds(check: &Check, fail_ms: i64, law_ms: i64) {
    let (n, q) = (check.regions.len(), check.quorum);
    let world = World::new(OUTAGES, 7_000 + n as u64 * 100 + u64::from(q));
    let seen = Fleet::new(check, fail_ms).live(&world);
    let assessment = assess(&record(check, seen), world.span(), world.end.plus_ms(86_400_000));
    assert_eq!(assessment.outages.len(), OUTAGES, "{q} of {n}: each outage is found, none is invented");
    let step = INTERVAL_MS / i64::try_from(n).unwrap();
    let mut sum = 0;
    for (measured, truth) in assessment.outages.iter().zip(&world.outages) {
        let late = measured.span.from.since(truth.from);
        assert!((0..=step + 100 + fail_ms + TRIP_MS).contains(&late), "{q} of {n}: the start is {late} ms late");
        let bounds = measured.at_least_ms..=measured.at_most_ms;
        assert!(bounds.contains(&truth.length_ms()), "{q} of {n}: {measured:?} of {truth:?}");
        assert!(bounds.contains(&measured.span.length_ms()), "{q} of {n}: {measured:?}");
        sum += measured.span.length_ms() - truth.length_ms();
    }
    let mean_ms = sum as f64 / OUTAGES as f64;
    assert!(
        (mean_ms - law_ms as f64).abs() < STRAY * step as f64 + TRIP_MS as f64,
        "{q} of {n}, re-checked every {} ms: the mean error is {mean_ms:.0} ms, the law says {law_ms}",
        check.recheck_ms
    );
}

/// What happens at an instant; those of one instant happen in the order in which they were noted.
type Events = BinaryHeap<Reverse<(Timestamp, u64, usize, Event)>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The region looks at its schedule.
    Look,
    /// The region begins a sample.
    Begin { kind: SampleKind, scheduled_at: Timestamp },
    /// A sample of the region arrives.
    Arrive { kind: SampleKind, scheduled_at: Timestamp, started_at: Timestamp },
}

struct Region {
    id: RegionId,
    probe: ProbeId,
    schedule: Schedule,
    looked: Timestamp,
    /// When it looks next; another look that was planned before is void.
    planned: Timestamp,
    have: u64,
    seen: Vec<Observed>,
}

struct Fleet {
    check: Arc<Check>,
    fail_ms: i64,
    regions: Vec<Region>,
    confirm: Confirm,
    events: Events,
    noted: u64,
}

impl Fleet {
    fn new(check: &Check, fail_ms: i64) -> Self {
        let (check, begin) = (Arc::new(check.clone()), Timestamp::from_ms(BEGIN_MS - 2 * INTERVAL_MS));
        let region = |id: &RegionId| {
            let mut schedule = Schedule::new(id.clone(), begin);
            schedule.assign(vec![Arc::clone(&check)]);
            let probe = id.as_str().parse().unwrap();
            Region { id: id.clone(), probe, schedule, looked: begin, planned: begin, have: 0, seen: Vec::new() }
        };
        let mut confirm = Confirm::new(begin);
        confirm.know(std::slice::from_ref(&check));
        let regions = check.regions.iter().map(region).collect();
        Self { check, fail_ms, regions, confirm, events: BinaryHeap::new(), noted: 0 }
    }

    fn note(&mut self, at: Timestamp, region: usize, event: Event) {
        self.noted += 1;
        self.events.push(Reverse((at, self.noted, region, event)));
    }

    fn live(mut self, world: &World) -> Vec<RegionSamples> {
        for region in 0..self.regions.len() {
            self.note(self.regions[region].looked, region, Event::Look);
        }
        while let Some(Reverse((now, _, region, event))) = self.events.pop() {
            if world.end.plus_ms(2 * INTERVAL_MS) < now {
                break;
            }
            match event {
                Event::Look => self.look(region, now),
                Event::Begin { kind, scheduled_at } => {
                    let takes = if world.outcome(now) == Outcome::Down { self.fail_ms } else { 0 };
                    self.note(now.plus_ms(takes), region, Event::Arrive { kind, scheduled_at, started_at: now });
                }
                Event::Arrive { kind, scheduled_at, started_at } => {
                    let outcome = world.outcome(started_at);
                    let observed = Observed { scheduled_at, started_at, kind, outcome, duration_us: 1 };
                    self.arrive(region, observed, now);
                }
            }
        }
        self.regions.into_iter().map(|region| RegionSamples { region: region.id, samples: region.seen }).collect()
    }

    fn look(&mut self, index: usize, now: Timestamp) {
        let region = &mut self.regions[index];
        if region.planned != now {
            return;
        }
        let look = region.schedule.look(now, now.since(region.looked));
        region.looked = now;
        for due in look.due {
            assert_eq!(due.action, Action::Run);
            self.note(now, index, Event::Begin { kind: due.kind, scheduled_at: due.scheduled_at });
        }
        self.plan(index, now);
    }

    fn plan(&mut self, index: usize, now: Timestamp) {
        let region = &mut self.regions[index];
        let next = region.schedule.next_due().unwrap().max(now);
        if region.looked == region.planned || region.planned != next {
            region.planned = next;
            self.note(next, index, Event::Look);
        }
    }

    fn arrive(&mut self, index: usize, observed: Observed, now: Timestamp) {
        let check = Arc::clone(&self.check);
        let region = &mut self.regions[index];
        region.schedule.ended(&check.id, observed.outcome, now);
        self.plan(index, now);
        for region in &self.regions {
            self.confirm.listens(&region.probe, &region.id, now);
        }
        let region = &mut self.regions[index];
        region.seen.push(observed);
        self.confirm.arrived(&region.probe, &[sample(&check, &region.id, observed)], now);
        for asked in 0..self.regions.len() {
            let region = &mut self.regions[asked];
            for Ask { no, check, at, until } in self.confirm.asked(&region.probe, region.have, now) {
                region.have = no;
                let due = region.schedule.asked(&check, at, until).unwrap();
                self.noted += 1;
                let event = Event::Begin { kind: due.kind, scheduled_at: due.scheduled_at };
                self.events.push(Reverse((now.plus_ms(TRIP_MS), self.noted, asked, event)));
            }
        }
    }
}

fn sample(check: &Check, region: &RegionId, observed: Observed) -> Sample {
    Sample {
        check: check.id.clone(),
        region: region.clone(),
        probe: None,
        kind: observed.kind,
        scheduled_at: observed.scheduled_at,
        started_at: observed.started_at,
        outcome: observed.outcome,
        reason: None,
        phase: None,
        detail: None,
        duration_us: None,
        phases_us: Phases::default(),
        attempt: 1,
        trace_id: None,
        evidence: None,
    }
}
