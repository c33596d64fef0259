//! PURE: the last word: the outcome, why, and what to try next.

use nines_shared::check::Question;
use nines_shared::sample::{Judged, Outcome};

use super::figure::millis;
use super::page::{Line, MARGIN, Page};
use super::{DIM, Look, colour, hint};

/// Draws the verdict.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    let seen = look.seen;
    page.gap();
    let style = colour(seen.outcome);
    let mut line = Line::styled(style.bold(), seen.outcome.code().to_uppercase());
    match (&seen.reason, seen.phase) {
        (Some(reason), Some(phase)) => line = line.and_styled(style.bold(), format!("  {reason} in {phase}")),
        (Some(reason), None) => line = line.and_styled(style.bold(), format!("  {reason}")),
        (None, _) => line = line.and(format!("  in {}", millis(seen.duration_us))),
    }
    page.line(MARGIN, &line);
    // What was unmet stands right above, with what was seen.
    let told = |why: &str| {
        let mut unmet = seen.evidence.expectations.iter().filter(|one| one.verdict == Judged::Unmet);
        unmet.any(|one| why == format!("expected: {}; {}", one.what, one.seen.as_deref().unwrap_or_default()))
    };
    if let Some(why) = seen.detail.as_ref().filter(|why| !told(why)) {
        page.line(MARGIN, &Line::of(why));
    }
    if let Some(next) = hint::next(look) {
        page.folded(MARGIN, MARGIN + 2, &Line::styled(DIM, "→ ").and(next));
    }
    // Where a request went out, the target may have written its trace down.
    let asked = seen.phases_us.first_byte.is_some() && matches!(look.question, Question::Http(_));
    if seen.outcome != Outcome::Up && asked {
        page.line(MARGIN, &Line::styled(DIM, format!("  the request's trace id was {}", look.trace)));
    }
}
