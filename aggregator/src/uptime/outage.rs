//! Outages: the maximal `down` spans of a timeline, clipped by maintenance, with their bounds and the
//! regions that failed.

use nines_shared::id::RegionId;
use nines_shared::time::Span;

use super::bounds::Bounded;
use super::{CheckAssessment, Timeline, Verdict, maintenance};

/// A span in which it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When, as measured.
    pub span: Span,
    /// The least that this outage can have lasted, in ms.
    pub at_least_ms: i64,
    /// The most that it can have lasted, in ms: back to the outage before and on to the one after at most, so the
    /// sum over outages can differ from the accounts' `down_at_most_ms`.
    pub at_most_ms: i64,
    /// The regions that failed in it, sorted.
    pub regions: Vec<RegionId>,
}

/// The outages of a timeline, clipped by `excluded` (a set of spans). `checks` say which regions failed.
pub fn outages(timelines: &Bounded<Timeline>, excluded: &[Span], checks: &[&CheckAssessment]) -> Vec<Outage> {
    let down = |(span, verdict): (Span, Verdict)| (verdict == Verdict::Down).then_some(span);
    let whole: Vec<Span> = timelines.measured.spans().filter_map(down).collect();
    let mut outages = Vec::new();
    for (index, span) in whole.iter().enumerate() {
        let before = index.checked_sub(1).map_or(timelines.measured.window().from, |index| whole[index].to);
        let after = whole.get(index + 1).map_or(timelines.measured.window().to, |next| next.from);
        for piece in maintenance::outside(excluded, *span) {
            let mut reach = piece;
            // Where maintenance cut it, the cut is exact; elsewhere the edge is as unsure as the samples leave it.
            if piece.from == span.from {
                reach.from = most(timelines, *span).map_or(piece.from, |most| most.from).max(before);
            }
            if piece.to == span.to {
                reach.to = most(timelines, *span).map_or(piece.to, |most| most.to).min(after);
            }
            let at_least = timelines.at_least.within(piece).filter_map(down);
            outages.push(Outage {
                span: piece,
                at_least_ms: at_least.map(|span| maintenance::outside_ms(excluded, span)).sum(),
                at_most_ms: maintenance::outside_ms(excluded, reach),
                regions: failing(checks, piece),
            });
        }
    }
    outages
}

/// The span of the most downtime around an outage.
fn most(timelines: &Bounded<Timeline>, outage: Span) -> Option<Span> {
    timelines.at_most.span_at(outage.from).map(|(span, _)| span)
}

/// The regions that said down while their check was down, in `span`.
fn failing(checks: &[&CheckAssessment], span: Span) -> Vec<RegionId> {
    let mut regions = Vec::new();
    for check in checks {
        let parts = check.timeline.within(span).filter(|(_, verdict)| *verdict == Verdict::Down);
        for (part, _) in parts {
            let failed = check
                .regions
                .iter()
                .filter(|region| region.timeline.within(part).any(|(_, verdict)| verdict == Verdict::Down));
            regions.extend(failed.map(|region| region.region.clone()));
        }
    }
    regions.sort_unstable();
    regions.dedup();
    regions
}
