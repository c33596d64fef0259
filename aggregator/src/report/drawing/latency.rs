//! Latency by day: a panel a region, all on one scale. The line is p50, the band reaches to p95, the broken line
//! is p99. A day without data is a gap.

use nines_shared::time::Timestamp;

use super::strip::place;
use super::{Anchor, Area, Drawing, Ink, Point, Shape, TEXT, WIDTH};
use crate::report::figures::{self, Zone};
use crate::uptime::percentile::Percentiles;

/// Panels beside each other.
const ACROSS: usize = 3;
/// Rows of panels in one drawing, so that it fits on a page.
const ROWS: usize = 6;
const GAP: i32 = 160;
const PLOT: i32 = 420;
const HEAD: i32 = 130;
const ROW: i32 = HEAD + PLOT + 190;

/// One region's days.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct Panel<'a> {
    /// As people call it.
    pub(in crate::report) name: &'a str,
    /// A day each.
    pub(in crate::report) days: &'a [Option<Percentiles>],
}

/// The panels of one check, in as many drawings as it takes. `days` are their beginnings.
pub(in crate::report) fn panels(panels: &[Panel<'_>], days: &[Timestamp], zone: Zone<'_>) -> Vec<Drawing> {
    let most = panels.iter().flat_map(|panel| panel.days.iter().flatten()).map(|day| day.p99).max().unwrap_or(0);
    let top = rounded(most);
    panels.chunks(ACROSS * ROWS).map(|panels| drawing(panels, days, (top, zone))).collect()
}

fn drawing(panels: &[Panel<'_>], days: &[Timestamp], (top, zone): (u32, Zone<'_>)) -> Drawing {
    let width = (WIDTH - GAP * (count(ACROSS) - 1)) / count(ACROSS);
    let mut shapes = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        let (column, row) = (count(index % ACROSS), count(index / ACROSS));
        let area = Area { x: column * (width + GAP), y: row * ROW + HEAD, width, height: PLOT };
        frame(&mut shapes, area, (panel.name, top));
        dates(&mut shapes, area, days, zone);
        curves(&mut shapes, area, panel.days, top);
    }
    let rows = count(panels.len().div_ceil(ACROSS));
    key(&mut shapes, rows * ROW + 40);
    Drawing { height: rows * ROW + 70, shapes }
}

fn frame(shapes: &mut Vec<Shape>, area: Area, (name, top): (&str, u32)) {
    let words = |at, text: String, anchor, ink, strong| Shape::Words { at, text, anchor, ink, strong };
    let right = area.x + area.width;
    shapes.push(words((area.x, area.y - 50), name.to_owned(), Anchor::Start, Ink::Words, true));
    let lines = [0, 1, 2].map(|n| area.y + area.height * n / 2).map(|y| vec![(area.x, y), (right, y)]);
    shapes.push(Shape::Strokes { lines: lines.into(), ink: Ink::Grid, width: 5, dashed: false });
    shapes.push(words((right, area.y - 50), figures::latency(top), Anchor::End, Ink::Soft, false));
}

fn dates(shapes: &mut Vec<Shape>, area: Area, days: &[Timestamp], zone: Zone<'_>) {
    let every = days.len().div_ceil(5).next_multiple_of(7);
    for (index, day) in days.iter().enumerate().step_by(every) {
        let x = middle(area, index, days.len());
        let (at, anchor) = if index == 0 { (area.x, Anchor::Start) } else { (x, Anchor::Middle) };
        let format = if index == 0 || 60 <= days.len() { "%-d %b" } else { "%-d" };
        let at = (at, area.y + area.height + 30 + TEXT);
        let text = zone.shown(*day, format);
        shapes.push(Shape::Words { at, text, anchor, ink: Ink::Soft, strong: false });
    }
}

fn curves(shapes: &mut Vec<Shape>, area: Area, days: &[Option<Percentiles>], top: u32) {
    let level = |us: u32| {
        let up = i64::from(us.min(top)) * i64::from(area.height) / i64::from(top.max(1));
        area.y + area.height - i32::try_from(up).unwrap_or(area.height)
    };
    let line = |run: &[(usize, Percentiles)], of: fn(&Percentiles) -> u32| -> Vec<Point> {
        let points = run.iter().map(|(index, day)| (middle(area, *index, days.len()), level(of(day))));
        let mut points: Vec<Point> = points.collect();
        // A day between gaps is a short stroke, not nothing.
        if let [(x, y)] = points[..] {
            points = vec![(x - 20, y), (x + 20, y)];
        }
        points
    };
    let known: Vec<(usize, Percentiles)> =
        days.iter().enumerate().filter_map(|(index, day)| Some((index, (*day)?))).collect();
    let runs: Vec<&[(usize, Percentiles)]> = known.chunk_by(|left, right| left.0 + 1 == right.0).collect();
    for run in &runs {
        let mut band = line(run, |day| day.p95);
        band.extend(line(run, |day| day.p50).into_iter().rev());
        shapes.push(Shape::Fill(band, Ink::Band));
    }
    let all = |of: fn(&Percentiles) -> u32| runs.iter().map(|run| line(run, of)).collect();
    shapes.push(Shape::Strokes { lines: all(|day| day.p99), ink: Ink::Soft, width: 7, dashed: true });
    shapes.push(Shape::Strokes { lines: all(|day| day.p95), ink: Ink::Accent, width: 7, dashed: false });
    shapes.push(Shape::Strokes { lines: all(|day| day.p50), ink: Ink::Accent, width: 14, dashed: false });
}

/// What the lines are.
fn key(shapes: &mut Vec<Shape>, y: i32) {
    let lines = [("p50", 14, Ink::Accent, false), ("p95", 7, Ink::Accent, false), ("p99", 7, Ink::Soft, true)];
    let mut x = 0;
    for (text, width, ink, dashed) in lines {
        let level = y - 24;
        shapes.push(Shape::Strokes { lines: vec![vec![(x, level), (x + 200, level)]], ink, width, dashed });
        let (at, text) = ((x + 235, y), text.to_owned());
        shapes.push(Shape::Words { at, text, anchor: Anchor::Start, ink: Ink::Soft, strong: false });
        x += 480;
    }
}

fn middle(area: Area, index: usize, count: usize) -> i32 {
    let (x, width) = place(index, count, (area.x, area.width));
    x + width / 2
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The next of 1, 2, 5 times a power of ten: where the scale ends.
fn rounded(us: u32) -> u32 {
    let tens = std::iter::successors(Some(1_000_u32), |ten| ten.checked_mul(10));
    let steps = tens.flat_map(|ten| [1, 2, 4, 6, 8].map(|n| ten.checked_mul(n)));
    steps.flatten().find(|step| us <= *step).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(p50: u32) -> Option<Percentiles> {
        Some(Percentiles { p50, p95: 2 * p50, p99: 3 * p50 })
    }

    #[test]
    fn a_day_without_data_is_a_gap_and_a_day_between_gaps_is_seen() {
        let days = [day(10), day(20), None, day(30), None];
        let starts: Vec<Timestamp> = (0..5).map(|n| Timestamp::from_ms(n * 86_400_000)).collect();
        let [drawing] = &panels(&[Panel { name: "Ireland", days: &days }], &starts, Zone("UTC"))[..] else { panic!() };
        let lines = drawing.shapes.iter().find_map(|shape| {
            let Shape::Strokes { lines, width: 14, .. } = shape else { return None };
            Some(lines.iter().map(Vec::len).collect::<Vec<_>>())
        });
        assert_eq!(lines, Some(vec![2, 2]));
    }

    #[test]
    fn the_scale_ends_at_a_round_figure_above_all() {
        assert_eq!([0, 1_000, 1_001, 412_345, 1_000_001].map(rounded), [1_000, 1_000, 2_000, 600_000, 2_000_000]);
        assert_eq!(rounded(u32::MAX), u32::MAX);
    }
}
