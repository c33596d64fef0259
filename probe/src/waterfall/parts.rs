//! PURE: each part of a check that asked several addresses or ports, as a row of a table.

use nines_shared::sample::{Outcome, Part};

use super::figure::millis;
use super::page::{COLUMN, Line, MARGIN, Page};
use super::{DIM, Look, colour};

/// The widest that what was asked may be.
const MAX_WHAT: usize = 44;
/// How wide an outcome and a time are.
const OUTCOME: usize = 14;
const TIME: usize = 11;

/// Draws a row for each part, where there are several.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    let parts = &look.seen.evidence.parts;
    let widest = parts.iter().map(|part| Line::of(&part.what).width()).max().unwrap_or(0).min(MAX_WHAT);
    for (index, part) in parts.iter().enumerate() {
        if index == 0 {
            page.gap();
        }
        let label = Line::of(if index == 0 { "each" } else { "" }).padded(COLUMN - MARGIN);
        page.folded(MARGIN, COLUMN + 2, &label.and_all(row(part, widest)));
    }
}

fn row(part: &Part, widest: usize) -> Line {
    let mark = match part.outcome {
        Outcome::Up => "✓",
        Outcome::Degraded => "~",
        Outcome::Down => "✗",
        Outcome::Inconclusive => "?",
    };
    let what = Line::of(&part.what).cut(widest).padded(widest + 2);
    let outcome = Line::styled(colour(part.outcome), format!("{mark} {:<OUTCOME$}", part.outcome));
    let line = what.and_all(outcome).and(format!("{:>TIME$}", millis(part.duration_us)));
    let Some(reason) = &part.reason else { return line };
    let phase = part.phase.map(|phase| format!(" in {phase}")).unwrap_or_default();
    let line = line.and_styled(colour(part.outcome), format!("  {reason}{phase}"));
    match &part.detail {
        Some(why) => line.and_styled(DIM, format!("  {why}")),
        None => line,
    }
}
