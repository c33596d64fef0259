//! A slow, obviously right model of the method, and the laws that hold for every record.
//!
//! The model answers for one instant at a time, straight from the words of `docs/METHOD.md`. All times of a
//! drawn record lie on a grid, so asking once in each cell of it asks about every millisecond.

use std::collections::BTreeSet;

use nines_shared::check::Check;
use nines_shared::id::RegionId;
use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::time::{Span, Timestamp};
use proptest::prelude::*;

use super::cases::{check, maintenance, shop};
use super::region_state::SETTLE_MS;
use super::{
    Accounts, CheckRecord, CheckVersion, Observed, RegionSamples, ServiceAssessment, ServiceRecord, Verdict, service,
};
use crate::definition::ServiceRule;

/// ms between two instants of the grid.
const GRID: i64 = 50;
/// A second in which records begin.
const START: i64 = 1_790_000_040_000;
/// How long records last, in ms.
const LENGTH: i64 = 16_000;
const REGIONS: [&str; 4] = ["region-a", "region-b", "region-c", "region-d"];

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(START + ms)
}

fn span(from: i64, to: i64) -> Span {
    Span::new(at(from), at(to))
}

// ---- the model

/// The three rules' answers: measured, at least, at most.
type Three = [Verdict; 3];

fn version_at(record: &CheckRecord, at: Timestamp) -> Option<&Check> {
    let mut begun = record.versions.iter().filter(|version| version.valid_from <= at);
    begun.next_back().map(|version| &version.check).filter(|_| at < record.removed_at)
}

fn asked(record: &CheckRecord, region: &RegionId, at: Timestamp) -> bool {
    version_at(record, at).is_some_and(|check| check.regions.contains(region))
}

/// Whether the region falls silent at `at`: it is not asked, or a slot is due that is missing or inconclusive.
fn silent(record: &CheckRecord, region: &RegionId, samples: &[Observed], at: Timestamp, now: Timestamp) -> bool {
    let Some(check) = version_at(record, at) else { return true };
    let Some(cadence) = check.cadence(region) else { return true };
    let filling = |sample: &&Observed| sample.kind == SampleKind::Planned && sample.scheduled_at == at;
    match samples.iter().find(filling) {
        _ if !cadence.is_due(at) => false,
        Some(sample) => sample.outcome == Outcome::Inconclusive,
        None => at.plus_ms(check.timeout_ms + SETTLE_MS) <= now,
    }
}

fn region_at(record: &CheckRecord, region: &RegionId, at: Timestamp, now: Timestamp) -> Three {
    let none = Vec::new();
    let samples = record.regions.iter().find(|of| of.region == *region).map_or(&none, |of| &of.samples);
    let mut spoken: Vec<&Observed> = samples
        .iter()
        .filter(|sample| sample.outcome != Outcome::Inconclusive && asked(record, region, sample.started_at))
        .collect();
    spoken.sort_by_key(|sample| (sample.started_at, sample.scheduled_at, sample.kind));
    let silence = |from: Timestamp, to: Timestamp| {
        let instants = (1..).map(|n| from.plus_ms(n * GRID)).take_while(|instant| *instant < to);
        instants.into_iter().any(|instant| silent(record, region, samples, instant, now))
    };
    let begun = spoken.iter().take_while(|sample| sample.started_at <= at).count();
    let Some(left) = begun.checked_sub(1).map(|index| spoken[index]) else { return [Verdict::Unknown; 3] };
    if silence(left.started_at, at.plus_ms(1)) {
        return [Verdict::Unknown; 3];
    }
    let says = |sample: &Observed| Verdict::of_outcome(sample.outcome).unwrap();
    let neighbour = spoken.get(begun).filter(|right| !silence(left.started_at, right.started_at));
    let (left, right) = (says(left), neighbour.map_or(says(left), |right| says(right)));
    let at_least = if left == Verdict::Down { right } else { left };
    let at_most = if right == Verdict::Down { right } else { left };
    [left, at_least, at_most]
}

fn check_at(record: &CheckRecord, at: Timestamp, now: Timestamp) -> Option<Three> {
    let check = version_at(record, at)?;
    let regions: Vec<Three> = check.regions.iter().map(|region| region_at(record, region, at, now)).collect();
    Some([0, 1, 2].map(|rule| {
        let those = |verdict: Verdict| regions.iter().filter(|says| says[rule] == verdict).count();
        let quorum = usize::from(check.quorum);
        let failing = those(Verdict::Down);
        if failing >= quorum {
            Verdict::Down
        } else if failing + those(Verdict::Unknown) >= quorum {
            Verdict::Unknown
        } else if failing + those(Verdict::Degraded) >= quorum {
            Verdict::Degraded
        } else {
            Verdict::Up
        }
    }))
}

fn service_at(record: &ServiceRecord, at: Timestamp, now: Timestamp) -> Three {
    let checks: Vec<Three> = record.checks.iter().filter_map(|check| check_at(check, at, now)).collect();
    [0, 1, 2].map(|rule| {
        let said = checks.iter().map(|says| says[rule]);
        match record.service.rule {
            ServiceRule::All => said.max(),
            ServiceRule::Any => said.min(),
        }
        .unwrap_or(Verdict::Unknown)
    })
}

fn model_accounts(record: &ServiceRecord, window: Span, now: Timestamp) -> Accounts {
    let mut accounts = Accounts::default();
    let mut instant = window.from;
    while instant < window.to {
        let [measured, at_least, at_most] = service_at(record, instant, now);
        let account = match measured {
            _ if record.maintenance.iter().any(|announced| announced.span.contains(instant)) => {
                &mut accounts.excluded_ms
            }
            Verdict::Up => &mut accounts.up_ms,
            Verdict::Degraded => &mut accounts.degraded_ms,
            Verdict::Unknown => &mut accounts.unknown_ms,
            Verdict::Down => &mut accounts.down_ms,
        };
        *account += GRID;
        if !record.maintenance.iter().any(|announced| announced.span.contains(instant)) {
            accounts.down_at_least_ms += if at_least == Verdict::Down { GRID } else { 0 };
            accounts.down_at_most_ms += if at_most == Verdict::Down { GRID } else { 0 };
        }
        instant = instant.plus_ms(GRID);
    }
    accounts
}

/// (expected, answered) over all regions of a check.
fn model_slots(record: &CheckRecord, window: Span, now: Timestamp) -> (i64, i64) {
    let (mut expected, mut answered) = (0, 0);
    let mut instant = window.from;
    while instant < window.to {
        let regions = version_at(record, instant).map_or(&[][..], |check| &check.regions);
        for region in regions {
            let check = version_at(record, instant).unwrap();
            if !check.cadence(region).unwrap().is_due(instant) {
                continue;
            }
            let samples = record.regions.iter().filter(|of| of.region == *region).flat_map(|of| &of.samples);
            let filling = |sample: &&Observed| sample.kind == SampleKind::Planned && sample.scheduled_at == instant;
            let sample = samples.into_iter().find(filling);
            let settled = instant.plus_ms(check.timeout_ms + SETTLE_MS) <= now;
            expected += i64::from(sample.is_some() || settled);
            answered += i64::from(sample.is_some_and(|sample| sample.outcome != Outcome::Inconclusive));
        }
        instant = instant.plus_ms(GRID);
    }
    (expected, answered)
}

// ---- records, drawn

/// A version: which regions, which interval, which quorum, for how long after the one before.
type DrawnVersion = (u8, usize, u16, i64);
/// What becomes of a slot: its outcome (4 and above: no sample) and its lateness.
type DrawnSlot = (u8, i64);
/// An extra sample: region, when, outcome.
type DrawnExtra = (usize, i64, u8);

fn outcome(drawn: u8) -> Option<Outcome> {
    Outcome::ALL.get(usize::from(drawn)).copied()
}

fn drawn_check(id: &str, versions: &[DrawnVersion], slots: &[DrawnSlot], extras: &[DrawnExtra]) -> CheckRecord {
    let mut record = CheckRecord { versions: Vec::new(), removed_at: Timestamp::MAX, regions: Vec::new() };
    let mut from = 0;
    for (mask, interval, quorum, length) in versions {
        let regions: Vec<&str> = (0..4).filter(|bit| mask >> bit & 1 == 1).map(|bit| REGIONS[bit]).collect();
        let quorum = 1 + quorum % u16::try_from(regions.len()).unwrap();
        let valid_from = if record.versions.is_empty() { Timestamp::MIN } else { at(from) };
        let check = check(id, &regions, [1_000, 1_500, 2_000][*interval], quorum);
        record.versions.push(CheckVersion { valid_from, check });
        from += length * GRID;
    }
    let mut slots = slots.iter().cycle();
    for (index, name) in REGIONS.iter().enumerate() {
        let region: RegionId = name.parse().unwrap();
        let mut samples: Vec<Observed> = Vec::new();
        let asking: Vec<_> =
            record.in_force().filter_map(|(time, check)| Some((time, check.cadence(&region)?))).collect();
        for slot in asking.iter().flat_map(|(time, cadence)| {
            cadence.slots_in(time.intersection(span(-4_000, LENGTH)).unwrap_or(span(0, 0))).collect::<Vec<_>>()
        }) {
            let (fate, late) = slots.next().unwrap();
            samples.extend(
                outcome(*fate).map(|outcome| observed(slot, slot.plus_ms(late * GRID), outcome, SampleKind::Planned)),
            );
        }
        let mut whens = BTreeSet::new();
        for (_, ms, fate) in extras.iter().filter(|(region, _, _)| *region == index) {
            let when = at(ms * GRID);
            // One identity, one sample: two extra ones of a region and an instant are nowhere kept.
            if !whens.insert(when) {
                continue;
            }
            let outcome = outcome(*fate).unwrap_or(Outcome::Down);
            samples.push(observed(when, when, outcome, SampleKind::Extra));
        }
        samples.sort_by_key(|sample| (sample.started_at, sample.scheduled_at, sample.kind));
        record.regions.push(RegionSamples { region, samples });
    }
    record
}

fn observed(scheduled_at: Timestamp, started_at: Timestamp, outcome: Outcome, kind: SampleKind) -> Observed {
    Observed { scheduled_at, started_at, kind, outcome, duration_us: 1 }
}

fn checks(id: &'static str) -> impl Strategy<Value = CheckRecord> {
    let versions = prop::collection::vec((1_u8..16, 0_usize..3, 0_u16..4, 1_i64..160), 1..4);
    // Mostly in time, sometimes so late that samples overtake each other.
    let late = prop_oneof![4 => 0_i64..4, 1 => 0_i64..50];
    let fate = prop_oneof![6 => 0_u8..1, 2 => 1_u8..2, 4 => 2_u8..3, 1 => 3_u8..6];
    let slots = prop::collection::vec((fate, late), 1..60);
    let extras = prop::collection::vec((0_usize..4, 0_i64..LENGTH / GRID, 0_u8..4), 0..8);
    let removed = prop::option::weighted(0.2, 0_i64..LENGTH / GRID);
    (versions, slots, extras, removed).prop_map(move |(versions, slots, extras, removed)| {
        let mut record = drawn_check(id, &versions, &slots, &extras);
        record.removed_at = removed.map_or(Timestamp::MAX, |ms| at(ms * GRID));
        record
    })
}

fn records() -> impl Strategy<Value = ServiceRecord> {
    let spans = prop::collection::vec((0_i64..300, 0_i64..60), 0..3);
    (checks("shop-home"), prop::option::of(checks("shop-dns")), any::<bool>(), spans).prop_map(
        |(first, second, any, spans)| {
            let mut record = shop(std::iter::once(first).chain(second).collect());
            record.service.rule = if any { ServiceRule::Any } else { ServiceRule::All };
            let excluded = spans.iter().map(|(from, length)| span(from * GRID, (from + length) * GRID));
            record.maintenance = excluded.map(maintenance).collect();
            record
        },
    )
}

fn windows() -> impl Strategy<Value = Span> {
    (0_i64..160, 1_i64..160).prop_map(|(from, length)| span(from * GRID, (from + length) * GRID))
}

fn past() -> Timestamp {
    at(10 * LENGTH)
}

fn sum(left: Accounts, right: Accounts) -> Accounts {
    Accounts {
        up_ms: left.up_ms + right.up_ms,
        degraded_ms: left.degraded_ms + right.degraded_ms,
        down_ms: left.down_ms + right.down_ms,
        unknown_ms: left.unknown_ms + right.unknown_ms,
        excluded_ms: left.excluded_ms + right.excluded_ms,
        down_at_least_ms: left.down_at_least_ms + right.down_at_least_ms,
        down_at_most_ms: left.down_at_most_ms + right.down_at_most_ms,
    }
}

fn slots(assessment: &ServiceAssessment) -> Vec<(String, i64, i64)> {
    let counts = |check: &super::CheckAssessment| (check.check.to_string(), check.slots_expected, check.slots_answered);
    assessment.checks.iter().map(counts).collect()
}

/// The planned samples whose loss can only make their region silent: no other sample of the region begins
/// between their due time and their start, so nothing else can speak in their stead.
fn lonely(samples: &[Observed]) -> Vec<usize> {
    let lonely = |(index, sample): (usize, &Observed)| {
        let rival = |(other, rival): (usize, &Observed)| {
            other != index && sample.scheduled_at <= rival.started_at && rival.started_at <= sample.started_at
        };
        let alone = !samples.iter().enumerate().any(rival);
        (sample.kind == SampleKind::Planned && sample.scheduled_at <= sample.started_at && alone).then_some(index)
    };
    samples.iter().enumerate().filter_map(lonely).collect()
}

proptest! {
    #[test]
    fn the_sweep_agrees_with_the_model_at_every_instant(record in records(), window in windows(), now in 0_i64..900) {
        let now = at(now * GRID);
        let found = service::assess(&record, window, now);
        prop_assert_eq!(found.window.to, window.to.min(now).max(window.from));
        prop_assert_eq!(found.accounts, model_accounts(&record, found.window, now));
        let mut instant = found.window.from;
        while instant < found.window.to {
            let says = [&found.timeline, &found.at_least, &found.at_most].map(|timeline| timeline.at(instant).unwrap());
            prop_assert_eq!(says, service_at(&record, instant, now), "at {}", instant.since(at(0)));
            instant = instant.plus_ms(GRID);
        }
        for check in &found.checks {
            let of = record.checks.iter().find(|of| of.versions[0].check.id == check.check).unwrap();
            let judged = Span::new(found.window.from, found.window.to.min(of.removed_at));
            prop_assert_eq!((check.slots_expected, check.slots_answered), model_slots(of, judged, now));
        }
    }

    #[test]
    fn inv_4_every_millisecond_and_every_slot_is_counted_once(record in records(), window in windows()) {
        let found = service::assess(&record, window, past());
        prop_assert_eq!(found.accounts.total_ms(), window.length_ms());
        for check in &found.checks {
            prop_assert_eq!(check.accounts.total_ms(), check.timeline.window().length_ms());
            prop_assert!(0 <= check.slots_answered && check.slots_answered <= check.slots_expected);
            prop_assert_eq!(check.slots_expected, check.regions.iter().map(|region| region.slots_expected).sum::<i64>());
            prop_assert_eq!(check.slots_answered, check.regions.iter().map(|region| region.slots_answered).sum::<i64>());
        }
    }

    #[test]
    fn the_measured_downtime_lies_within_its_bounds(record in records(), window in windows()) {
        let found = service::assess(&record, window, past());
        for accounts in found.checks.iter().map(|check| check.accounts).chain([found.accounts]) {
            prop_assert!(accounts.down_at_least_ms <= accounts.down_ms && accounts.down_ms <= accounts.down_at_most_ms);
        }
        let mut measured = 0;
        for outage in &found.outages {
            let length = outage.span.length_ms();
            prop_assert!(outage.at_least_ms <= length && length <= outage.at_most_ms, "{:?}", outage);
            prop_assert!(!outage.regions.is_empty());
            measured += length;
        }
        prop_assert_eq!(measured, found.accounts.down_ms);
        let at_least: i64 = found.outages.iter().map(|outage| outage.at_least_ms).sum();
        prop_assert_eq!(at_least, found.accounts.down_at_least_ms);
    }

    /// Losing a planned sample, or learning that it was our fault, never adds availability and never adds
    /// downtime. (Losing an *extra* sample can: the planned one before it then speaks for longer.)
    #[test]
    fn inv_5_silence_and_our_own_faults_earn_nothing_and_cost_nothing(
        record in records(), window in windows(), which in any::<prop::sample::Index>(), lost in any::<bool>(),
    ) {
        let before = service::assess(&record, window, past());
        let mut less = record.clone();
        let candidates: Vec<(usize, usize, usize)> = (less.checks.iter().enumerate())
            .flat_map(|(c, check)| (check.regions.iter().enumerate()).flat_map(move |(r, region)| {
                lonely(&region.samples).into_iter().map(move |s| (c, r, s))
            }))
            .collect();
        prop_assume!(!candidates.is_empty());
        let (c, r, s) = candidates[which.index(candidates.len())];
        let samples = &mut less.checks[c].regions[r].samples;
        if lost {
            samples.remove(s);
        } else {
            samples[s].outcome = Outcome::Inconclusive;
        }
        let after = service::assess(&less, window, past());
        prop_assert!(after.accounts.available_ms() <= before.accounts.available_ms());
        prop_assert!(after.accounts.down_ms <= before.accounts.down_ms);
        for (span, verdict) in after.timeline.spans() {
            for (_, was) in before.timeline.within(span) {
                let fair = match verdict {
                    Verdict::Up | Verdict::Degraded => matches!(was, Verdict::Up | Verdict::Degraded),
                    Verdict::Down => was == Verdict::Down,
                    Verdict::Unknown => true,
                };
                prop_assert!(fair, "{was} became {verdict} in {span:?}");
            }
        }
    }

    #[test]
    fn inv_3_the_order_in_which_samples_come_changes_nothing(
        record in records(), window in windows(), seed in any::<prop::sample::Index>(),
    ) {
        let mut other = record.clone();
        for samples in other.checks.iter_mut().flat_map(|check| &mut check.regions).map(|region| &mut region.samples) {
            samples.reverse();
            if !samples.is_empty() {
                let by = seed.index(samples.len());
                samples.rotate_left(by);
            }
        }
        prop_assert_eq!(service::assess(&record, window, past()), service::assess(&other, window, past()));
    }

    #[test]
    fn the_parts_of_a_window_add_up_to_the_whole(record in records(), window in windows(), cut in 0_i64..100_000) {
        let cut = window.from.plus_ms(cut % window.length_ms());
        let whole = service::assess(&record, window, past());
        let left = service::assess(&record, Span::new(window.from, cut), past());
        let right = service::assess(&record, Span::new(cut, window.to), past());
        prop_assert_eq!(whole.accounts, sum(left.accounts, right.accounts));
        let mut parts = slots(&left).into_iter().chain(slots(&right)).fold(Vec::new(), |mut sums: Vec<(String, i64, i64)>, (check, expected, answered)| {
            match sums.iter_mut().find(|sum| sum.0 == check) {
                Some(sum) => (sum.1, sum.2) = (sum.1 + expected, sum.2 + answered),
                None => sums.push((check, expected, answered)),
            }
            sums
        });
        parts.sort();
        let mut all = slots(&whole);
        all.sort();
        prop_assert_eq!(parts, all);
    }

    #[test]
    fn inv_7_a_window_that_is_past_is_judged_the_same_whenever_one_looks(
        record in records(), window in windows(), later in 0_i64..1_000_000,
    ) {
        let settled = at(2 * LENGTH);
        prop_assert_eq!(service::assess(&record, window, settled), service::assess(&record, window, settled.plus_ms(later)));
    }

    #[test]
    fn a_life_that_begins_or_ends_inside_clips_the_window(record in records(), window in windows(), life in windows()) {
        let mut record = record;
        let everything = service::assess(&record, life.intersection(window).unwrap_or(span(0, 0)), past());
        record.life = life;
        let found = service::assess(&record, window, past());
        prop_assert_eq!(found.accounts, everything.accounts);
        prop_assert_eq!(found.window.length_ms(), found.accounts.total_ms());
    }
}

#[test]
fn a_slot_is_pending_until_its_check_has_had_the_time_to_arrive() {
    let check = check("shop-home", &["region-a"], 60_000, 1);
    let cadence = check.cadence(&"region-a".parse().unwrap()).unwrap();
    let first = cadence.at_or_after(at(0));
    let record = shop(vec![CheckRecord {
        versions: vec![CheckVersion { valid_from: Timestamp::MIN, check }],
        removed_at: Timestamp::MAX,
        regions: vec![RegionSamples {
            region: "region-a".parse().unwrap(),
            samples: vec![observed(first, first, Outcome::Up, SampleKind::Planned)],
        }],
    }]);
    let judge = |ms: i64| service::assess(&record, Span::new(first, first.plus_ms(1_000_000)), first.plus_ms(ms));
    // The next slot is due after 60 s; it may take 10 s and be on its way for 5 more.
    let pending = judge(74_999);
    assert_eq!((pending.accounts.up_ms, pending.accounts.unknown_ms), (74_999, 0));
    assert_eq!(pending.checks[0].slots_expected, 1);
    let missing = judge(75_000);
    assert_eq!((missing.accounts.up_ms, missing.accounts.unknown_ms), (60_000, 15_000));
    assert_eq!(missing.checks[0].slots_expected, 2);
    assert_eq!(
        missing.timeline.last().map(|(span, verdict)| (span.from, verdict)),
        Some((first.plus_ms(60_000), Verdict::Unknown))
    );
}
