//! The one-shot check, drawn: what was asked, where, how long each phase took, what was shown, what was expected, and
//! what to try next.
//!
//! PURE: an observation in, text with colours out; whoever prints it strips the colours where they are not wanted.
//! Nothing that a target wrote can draw: `page` is the only way onto the paper, and cleans. Limits: those of the
//! evidence, and the `MAX_…` of each part.

mod answer;
mod bar;
mod certificate;
mod figure;
mod hint;
mod hops;
mod marks;
mod page;
mod paper;
mod parts;
mod response;
pub mod runs;
mod session;
mod verdict;

use anstyle::{AnsiColor, Style};
use nines_shared::check::{MustFail, Question};
use nines_shared::sample::{Outcome, TraceId};
use nines_shared::time::Timestamp;

use crate::prober::Observation;
use page::{Line, MARGIN, Page};

pub use paper::{Paper, is_unicode};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const MAGENTA: Style = AnsiColor::Magenta.on_default();

/// One check that was run, and when.
#[derive(Clone, Copy, Debug)]
pub struct Look<'l> {
    /// What was asked.
    pub question: &'l Question,
    /// Whether it must fail, and how.
    pub must_fail: Option<&'l MustFail>,
    /// What was seen.
    pub seen: &'l Observation,
    /// What went out with whatever could carry it.
    pub trace: TraceId,
    /// When the drawing is made: for the days that certificates have left.
    pub now: Timestamp,
}

/// Draws `look` on `paper`.
pub fn draw(look: Look<'_>, paper: Paper) -> String {
    let mut page = Page::new(paper);
    page.line(0, &Line::default());
    title(&mut page, look.question);
    hops::draw(&mut page, look);
    parts::draw(&mut page, look);
    session::draw(&mut page, look);
    answer::draw(&mut page, look);
    response::draw(&mut page, look);
    marks::draw(&mut page, look);
    verdict::draw(&mut page, look);
    page.gap();
    page.into_text()
}

fn title(page: &mut Page, question: &Question) {
    let what = match question {
        Question::Http(http) => format!("{} {}", http.method, question.target()),
        Question::Dns(_) | Question::Tls(_) | Question::Tcp(_) | Question::Icmp(_) | Question::Grpc(_) => {
            question.target()
        }
    };
    page.line(MARGIN, &Line::styled(BOLD, what));
}

/// The colour of `outcome`, here and in every line of many runs.
const fn colour(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Up => GREEN,
        Outcome::Degraded => YELLOW,
        Outcome::Down => RED,
        Outcome::Inconclusive => MAGENTA,
    }
}

#[cfg(test)]
mod tests;
