//! The evidence of an incident as people read it: each region's last good sample above its first bad one, on one scale.

use nines_shared::sample::Phase;
use nines_shared::time::Timestamp;

use super::{Moment, Names, phase_words, reason_words, sentence};
use crate::incident::evidence::{Glimpse, Sight};
use crate::uptime::calendar::local::Zone;
use crate::web::shade::Shade;
use crate::words;

/// The thinnest bar of a phase that took any time, in thousandths of the width.
const THINNEST: u64 = 4;

/// What regions saw of one check.
#[derive(Clone, Debug)]
pub(in crate::web) struct SightCard {
    pub(in crate::web) check: String,
    /// How long the whole width of its bars is: "10.2 s".
    pub(in crate::web) scale: String,
    pub(in crate::web) rows: Vec<SightRow>,
}

/// What one region saw.
#[derive(Clone, Debug)]
pub(in crate::web) struct SightRow {
    pub(in crate::web) region: String,
    /// The last good sample, where one was near, and the first bad one.
    pub(in crate::web) samples: Vec<Seen>,
    /// What changed between them.
    pub(in crate::web) changes: Vec<String>,
}

/// One sample.
#[derive(Clone, Debug)]
pub(in crate::web) struct Seen {
    pub(in crate::web) shade: Shade,
    pub(in crate::web) word: &'static str,
    pub(in crate::web) at: Moment,
    pub(in crate::web) took: String,
    /// "HTTP status while waiting for the first byte".
    pub(in crate::web) why: String,
    pub(in crate::web) bars: Vec<PhaseBar>,
}

/// A phase as a bar.
#[derive(Clone, Debug)]
pub(in crate::web) struct PhaseBar {
    pub(in crate::web) class: &'static str,
    /// Per cent of the width, with one decimal.
    pub(in crate::web) x: String,
    pub(in crate::web) width: String,
    /// "connect: 9 ms".
    pub(in crate::web) title: String,
}

/// A card for each check, in the order of `sights`.
pub(super) fn cards(sights: &[Sight], names: &Names, zone: &Zone, now: Timestamp) -> Vec<SightCard> {
    sights.chunk_by(|left, right| left.check == right.check).map(|of_check| card(of_check, names, zone, now)).collect()
}

fn card(sights: &[Sight], names: &Names, zone: &Zone, now: Timestamp) -> SightCard {
    let glimpses = sights.iter().flat_map(|sight| sight.last_good.iter().chain([&sight.first_bad]));
    let longest_us = glimpses.map(length_us).max().unwrap_or(0).max(1);
    let row = |sight: &Sight| {
        let good = sight.last_good.iter().map(|good| seen(good, "last good", (zone, now), longest_us));
        let bad = seen(&sight.first_bad, "first bad", (zone, now), longest_us);
        SightRow {
            region: names.region(&sight.region),
            samples: good.chain([bad]).collect(),
            changes: sight
                .differences()
                .iter()
                .map(|differs| {
                    let what = sentence(&words::code(differs.what));
                    if differs.was.is_empty() {
                        format!("{what} {}", differs.is)
                    } else {
                        format!("{what}: {} → {}", differs.was, differs.is)
                    }
                })
                .collect(),
        }
    };
    SightCard {
        check: sights.first().map(|sight| sight.check.to_string()).unwrap_or_default(),
        scale: words::latency(longest_us),
        rows: sights.iter().map(row).collect(),
    }
}

fn seen(glimpse: &Glimpse, word: &'static str, (zone, now): (&Zone, Timestamp), longest_us: u64) -> Seen {
    let mut why = glimpse.reason.as_ref().map(|reason| reason_words(reason.code())).unwrap_or_default();
    if let Some(phase) = glimpse.phase {
        why.push(' ');
        why.push_str(&phase_words(phase.code()));
    }
    Seen {
        shade: glimpse.outcome.into(),
        word,
        at: Moment::of(glimpse.started_at, zone, now),
        took: words::latency(length_us(glimpse)),
        why: sentence(why.trim()),
        bars: bars(glimpse, longest_us),
    }
}

/// How long it took: as measured, or as its phases add up where that is more.
fn length_us(glimpse: &Glimpse) -> u64 {
    let phases = Phase::ALL.into_iter().filter_map(|phase| glimpse.phases_us.get(phase)).sum();
    glimpse.duration_us.unwrap_or(0).max(phases)
}

fn bars(glimpse: &Glimpse, longest_us: u64) -> Vec<PhaseBar> {
    let mut begins_us: u64 = 0;
    let mut bars = Vec::new();
    for phase in Phase::ALL {
        let Some(us) = glimpse.phases_us.get(phase).filter(|us| 0 < *us) else { continue };
        let thousandths = |us: u64| us.saturating_mul(1_000) / longest_us;
        let x = thousandths(begins_us).min(1_000 - THINNEST);
        let width = thousandths(us).max(THINNEST).min(1_000 - x);
        let title = format!("{}: {}", words::code(phase.code()), words::latency(us));
        bars.push(PhaseBar { class: phase.code(), x: percent(x), width: percent(width), title });
        begins_us += us;
    }
    bars
}

fn percent(thousandths: u64) -> String {
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use nines_shared::sample::{Outcome, Phases, SampleKind};

    use super::*;

    #[test]
    fn bars_follow_each_other_inside_the_width_and_every_phase_is_seen() {
        let at = Timestamp::from_ms(0);
        let phases_us =
            Phases { resolve: Some(1), connect: Some(250_000), first_byte: Some(749_999), ..Phases::default() };
        let glimpse = Glimpse {
            kind: SampleKind::Planned,
            scheduled_at: at,
            started_at: at,
            outcome: Outcome::Down,
            reason: None,
            phase: None,
            detail: None,
            duration_us: Some(1_000_000),
            phases_us,
            shows: Default::default(),
            answers: Vec::new(),
            trace_id: None,
        };
        let drawn: Vec<_> = bars(&glimpse, 1_000_000).into_iter().map(|bar| (bar.class, bar.x, bar.width)).collect();
        let expected = [("resolve", "0.0", "0.4"), ("connect", "0.0", "25.0"), ("first_byte", "25.0", "74.9")];
        assert_eq!(drawn, expected.map(|(class, x, width)| (class, x.to_owned(), width.to_owned())));
    }
}
