//! The strip: a timeline drawn in a row of cells, by pure functions.
//!
//! A cell shows the worst that happened in it, so a short outage in a long window stays visible and
//! silence is never painted over. A gap is never drawn as up.

use nines_shared::time::{Span, Timestamp};

use super::shade::Shade;
use crate::uptime::Verdict;

/// Cells of a strip: ten minutes each over a day, and wide enough to see on a phone.
pub(super) const CELLS: usize = 144;

/// A run of neighbouring cells of one shade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// What it shows.
    pub(super) shade: Shade,
    /// Its first cell.
    pub(super) from: usize,
    /// The first cell after it.
    pub(super) to: usize,
    /// From the first to the last instant of that shade in these cells, which may lie inside the drawn edges.
    pub(super) span: Span,
}

/// `window` in [`CELLS`] cells, as runs from left to right that together cover all of them.
///
/// `timeline` holds verdicts in order; what it does not cover stays [`Shade::Blank`]. Maintenance in
/// `excluded` lies over any verdict. An instant however short colours its whole cell.
pub(super) fn strip(window: Span, timeline: impl IntoIterator<Item = (Span, Verdict)>, excluded: &[Span]) -> Vec<Run> {
    let mut cells = [Cell { shade: Shade::Blank, span: window }; CELLS];
    if !window.is_empty() {
        for (span, verdict) in timeline {
            for part in outside(span, excluded) {
                paint(&mut cells, window, part, verdict.into());
            }
        }
        for span in excluded {
            paint(&mut cells, window, *span, Shade::Maintenance);
        }
    }
    runs(&cells)
}

#[derive(Clone, Copy)]
struct Cell {
    shade: Shade,
    span: Span,
}

fn paint(cells: &mut [Cell; CELLS], window: Span, span: Span, shade: Shade) {
    let Some(seen) = window.intersection(span) else { return };
    let (first, last) = (cell_of(window, seen.from), cell_of(window, seen.to.plus_ms(-1)));
    for cell in &mut cells[first..=last] {
        if shade > cell.shade {
            *cell = Cell { shade, span: seen };
        } else if shade == cell.shade {
            cell.span = Span::new(cell.span.from.min(seen.from), cell.span.to.max(seen.to));
        }
    }
}

/// The cell in which `at` lies; `at` must lie in `window`.
fn cell_of(window: Span, at: Timestamp) -> usize {
    let (past, length) = (i128::from(at.since(window.from)), i128::from(window.length_ms()));
    let cell = past * CELLS as i128 / length;
    usize::try_from(cell).map_or(0, |cell| cell.min(CELLS - 1))
}

fn runs(cells: &[Cell; CELLS]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.shade == cell.shade => {
                run.to = index + 1;
                run.span = Span::new(run.span.from.min(cell.span.from), run.span.to.max(cell.span.to));
            }
            Some(_) | None => runs.push(Run { shade: cell.shade, from: index, to: index + 1, span: cell.span }),
        }
    }
    runs
}

/// The parts of `span` that lie in none of `excluded`, which must be sorted by their starts.
fn outside(span: Span, excluded: &[Span]) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut from = span.from;
    for hole in excluded.iter().filter_map(|hole| span.intersection(*hole)) {
        if from < hole.from {
            parts.push(Span::new(from, hole.from));
        }
        from = from.max(hole.to);
    }
    if from < span.to {
        parts.push(Span::new(from, span.to));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    fn span(from: i64, to: i64) -> Span {
        Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to))
    }

    fn shade_at(runs: &[Run], cell: usize) -> Shade {
        runs.iter().find(|run| (run.from..run.to).contains(&cell)).unwrap().shade
    }

    #[test]
    fn an_outage_of_one_minute_in_a_day_is_seen() {
        let noon = DAY / 2;
        let timeline = [
            (span(0, noon), Verdict::Up),
            (span(noon, noon + 60_000), Verdict::Down),
            (span(noon + 60_000, DAY), Verdict::Up),
        ];
        let runs = strip(span(0, DAY), timeline, &[]);
        assert_eq!(runs.iter().map(|run| run.shade).collect::<Vec<_>>(), [Shade::Up, Shade::Down, Shade::Up]);
        assert_eq!((runs[1].to - runs[1].from, runs[1].span), (1, span(noon, noon + 60_000)));
    }

    #[test]
    fn an_outage_of_one_millisecond_at_either_end_is_seen() {
        let timeline =
            [(span(0, 1), Verdict::Down), (span(1, DAY - 1), Verdict::Up), (span(DAY - 1, DAY), Verdict::Down)];
        let runs = strip(span(0, DAY), timeline, &[]);
        assert_eq!((shade_at(&runs, 0), shade_at(&runs, CELLS - 1)), (Shade::Down, Shade::Down));
    }

    #[test]
    fn a_gap_of_a_second_is_never_painted_over_by_the_up_around_it() {
        let timeline = [
            (span(0, 1_000), Verdict::Up),
            (span(1_000, 2_000), Verdict::Unknown),
            (span(2_000, DAY), Verdict::Degraded),
        ];
        assert_eq!(shade_at(&strip(span(0, DAY), timeline, &[]), 0), Shade::Unknown);
    }

    #[test]
    fn what_was_before_the_life_stays_blank() {
        let runs = strip(span(0, DAY), [(span(DAY / 2, DAY), Verdict::Up)], &[]);
        assert_eq!(runs.iter().map(|run| run.shade).collect::<Vec<_>>(), [Shade::Blank, Shade::Up]);
    }

    #[test]
    fn maintenance_lies_over_an_outage_but_hides_none_beside_it() {
        let hour = DAY / 24;
        let timeline = [(span(0, 2 * hour), Verdict::Down), (span(2 * hour, DAY), Verdict::Up)];
        let runs = strip(span(0, DAY), timeline, &[span(hour, 3 * hour)]);
        assert_eq!(shade_at(&runs, 0), Shade::Down);
        assert_eq!(shade_at(&runs, CELLS / 24 + 1), Shade::Maintenance);
        assert_eq!(runs.last().unwrap().shade, Shade::Up);
    }

    #[test]
    fn an_empty_window_is_blank() {
        let runs = strip(span(5, 5), [(span(0, 10), Verdict::Up)], &[]);
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].shade, Shade::Blank);
    }

    fn timelines() -> impl Strategy<Value = Vec<(Span, Verdict)>> {
        let verdict = prop::sample::select(vec![Verdict::Up, Verdict::Degraded, Verdict::Unknown, Verdict::Down]);
        prop::collection::vec((1_i64..10_000, verdict), 1..60).prop_map(|pieces| {
            let mut from = 0;
            let mut timeline = Vec::new();
            for (length, verdict) in pieces {
                timeline.push((span(from, from + length), verdict));
                from += length;
            }
            timeline
        })
    }

    proptest! {
        #[test]
        fn runs_cover_every_cell_once_and_alternate(timeline in timelines(), from in -5_000_i64..50_000, length in 1_i64..200_000) {
            let runs = strip(span(from, from + length), timeline, &[]);
            prop_assert_eq!((runs[0].from, runs[runs.len() - 1].to), (0, CELLS));
            for pair in runs.windows(2) {
                prop_assert!(pair[0].to == pair[1].from && pair[0].shade != pair[1].shade);
            }
        }

        /// INV-5 as it is drawn: silence never earns a green cell, and no worse instant is painted over.
        #[test]
        fn inv_5_every_instant_is_drawn_at_least_as_bad_as_it_was(
            timeline in timelines(), from in -5_000_i64..50_000, length in 1_i64..200_000,
        ) {
            let window = span(from, from + length);
            let runs = strip(window, timeline.clone(), &[]);
            for (piece, verdict) in timeline {
                let Some(seen) = window.intersection(piece) else { continue };
                for at in [seen.from, seen.to.plus_ms(-1)] {
                    prop_assert!(shade_at(&runs, cell_of(window, at)) >= Shade::from(verdict));
                }
            }
        }
    }
}
