//! PURE: a line for each run as it comes, and the summary.

use nines_shared::check::Question;
use nines_shared::duration::Shown;
use nines_shared::sample::{Outcome, Phase};
use nines_shared::time::Timestamp;

use super::super::figure::{counted, millis, time_of_day};
use super::super::page::{Line, MARGIN, Page};
use super::super::{BOLD, DIM, Paper, RED, YELLOW, colour, hops, title};
use super::{Figures, Tally};
use crate::prober::Observation;

/// How wide each column of a line is.
const NUMBER: usize = 6;
const TIME: usize = 10;
const OUTCOME: usize = 13;
const TOTAL: usize = 11;
/// How wide a figure of the summary is.
const FIGURE: usize = 13;
/// How wide the names in the summary are.
const NAME: usize = 14;

/// Many runs, being drawn.
#[derive(Clone, Debug)]
pub struct Drawing<'d> {
    question: &'d Question,
    paper: Paper,
    /// What the whole width of a bar stands for, in µs; grows when a run does not fit.
    scale_us: u64,
}

impl<'d> Drawing<'d> {
    /// A drawing of runs of `question`.
    pub const fn new(question: &'d Question, paper: Paper) -> Self {
        Self { question, paper, scale_us: 0 }
    }

    /// The lines above the first run.
    pub fn head(&self) -> String {
        let mut page = Page::new(self.paper);
        page.line(0, &Line::default());
        title(&mut page, self.question);
        page.gap();
        if self.paper.bars() {
            let legend = Phase::ALL.map(|phase| {
                let mark = Line::styled(hops::colour(phase), mark(self.paper, phase));
                mark.and_styled(DIM, format!(" {}  ", hops::name(self.question, phase)))
            });
            page.line(MARGIN, &legend.into_iter().fold(Line::default(), Line::and_all));
        }
        let columns = format!("{:>NUMBER$}  {:<TIME$}{:<OUTCOME$}{:>TOTAL$}", "run", "UTC", "outcome", "total");
        page.line(MARGIN, &Line::styled(DIM, columns));
        page.into_text()
    }

    /// The line of run `number`, which was begun at `started_at`.
    pub fn run(&mut self, number: u32, started_at: Timestamp, seen: &Observation) -> String {
        let mut page = Page::new(self.paper);
        if self.scale_us < seen.duration_us {
            let first = self.scale_us == 0;
            // Room for runs that are half as long again, so that a little more does not move the scale.
            self.scale_us = round_up(seen.duration_us.saturating_add(seen.duration_us / 2));
            if self.paper.bars() && !first {
                page.line(
                    MARGIN,
                    &Line::styled(DIM, format!("{:NUMBER$}  bars are {} wide from here on", "", millis(self.scale_us))),
                );
            }
        }
        let line = Line::styled(DIM, format!("{number:>NUMBER$}  {:<TIME$}", time_of_day(started_at)))
            .and_styled(colour(seen.outcome).bold(), format!("{:<OUTCOME$}", seen.outcome))
            .and(format!("{:>TOTAL$}", millis(seen.duration_us)))
            .and("  ");
        let line = line.and_all(self.what(seen));
        page.line(MARGIN, &line.cut(self.paper.width() - MARGIN));
        page.into_text()
    }

    /// What happened in a run: its phases as bars or figures, or why it failed.
    fn what(&self, seen: &Observation) -> Line {
        let why = seen.reason.as_ref().filter(|_reason| matches!(seen.outcome, Outcome::Down | Outcome::Inconclusive));
        if let Some(reason) = why {
            let phase = seen.phase.map(|phase| format!(" in {phase}")).unwrap_or_default();
            let detail = seen.detail.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
            return Line::styled(colour(seen.outcome), format!("{reason}{phase}")).and_styled(DIM, detail);
        }
        let phases = Phase::ALL.into_iter().filter_map(|phase| Some((phase, seen.phases_us.get(phase)?)));
        if !self.paper.bars() {
            let texts: Vec<String> =
                phases.map(|(phase, us)| format!("{} {}", hops::name(self.question, phase), millis(us))).collect();
            return Line::of(texts.join(", "));
        }
        let room = self.paper.width() - MARGIN - (NUMBER + 2 + TIME + OUTCOME + TOTAL + 2);
        let mut line = Line::default();
        let (mut from_us, mut from) = (0_u64, 0);
        for (phase, us) in phases {
            from_us = from_us.saturating_add(us);
            let to = column(from_us, self.scale_us, room);
            line = line.and_styled(hops::colour(phase), mark(self.paper, phase).repeat(to - from));
            from = to;
        }
        if from == 0 { line.and_styled(DIM, "▏") } else { line }
    }

    /// What all the runs of `tally`, which took `elapsed_ms`, amount to.
    pub fn summary(&self, tally: &Tally, elapsed_ms: i64) -> String {
        let mut page = Page::new(self.paper);
        page.line(0, &Line::default());
        let elapsed = if elapsed_ms < 1_000 { elapsed_ms } else { elapsed_ms - elapsed_ms % 1_000 };
        let what = format!("{} in {}", counted(tally.runs().into(), "run"), Shown(elapsed));
        let outcomes = Outcome::ALL.map(|outcome| {
            let n = tally.with(outcome);
            let style = if n == 0 { DIM } else { colour(outcome).bold() };
            Line::styled(style, format!("{n} {outcome}"))
        });
        page.line(MARGIN, &Line::styled(BOLD, what).and("  ").and_all(Line::listed(outcomes)));
        self.figures(&mut page, tally);
        causes(&mut page, tally);
        addresses(&mut page, tally);
        page.gap();
        page.into_text()
    }

    fn figures(&self, page: &mut Page, tally: &Tally) {
        let Some(total) = tally.total_us() else { return };
        page.gap();
        let head = ["min", "median", "p95", "max"].map(|name| format!("{name:>FIGURE$}")).concat();
        page.line(MARGIN, &Line::styled(DIM, format!("{:NAME$}{head}", "")));
        for phase in Phase::ALL {
            if let Some(figures) = tally.phase_us(phase) {
                row(page, &Line::styled(hops::colour(phase), hops::name(self.question, phase)), figures);
            }
        }
        row(page, &Line::styled(BOLD, "total"), total);
    }
}

fn row(page: &mut Page, name: &Line, figures: Figures) {
    let cells = [figures.min, figures.median, figures.p95, figures.max].map(|us| format!("{:>FIGURE$}", millis(us)));
    page.line(MARGIN, &name.clone().padded(NAME).and(cells.concat()));
}

fn causes(page: &mut Page, tally: &Tally) {
    let causes = tally.causes();
    if causes.is_empty() {
        return;
    }
    page.gap();
    for cause in causes {
        let phase = cause.phase.map(|phase| format!(" in {phase}")).unwrap_or_default();
        let line = Line::styled(RED, format!("{:>NUMBER$} x", cause.runs)).and(format!("  {}{phase}", cause.reason));
        page.line(MARGIN, &line);
    }
}

fn addresses(page: &mut Page, tally: &Tally) {
    let [first, others @ ..] = tally.addresses() else { return };
    page.gap();
    if others.is_empty() {
        page.line(MARGIN, &Line::styled(DIM, format!("always {}", first.address)));
        return;
    }
    for contact in tally.addresses() {
        let line = Line::styled(YELLOW, format!("from run {:>NUMBER$}", contact.from_run));
        page.line(MARGIN, &line.and(format!("  {}", contact.address)));
    }
    if tally.further_changes() != 0 {
        page.line(
            MARGIN,
            &Line::styled(DIM, format!("and {} more", counted(tally.further_changes().into(), "change"))),
        );
    }
}

/// What a phase's part of a bar is made of: a block where colours tell phases apart, else the phase's letter.
fn mark(paper: Paper, phase: Phase) -> &'static str {
    if paper.colour() {
        return "█";
    }
    match phase {
        Phase::Resolve => "r",
        Phase::Connect => "c",
        Phase::Tls => "t",
        Phase::FirstByte => "f",
        Phase::Transfer => "x",
    }
}

/// At which of `width` columns `us` lies, where all of them are `scale_us`.
fn column(us: u64, scale_us: u64, width: usize) -> usize {
    let at = u128::from(us.min(scale_us)) * width as u128 / u128::from(scale_us.max(1));
    usize::try_from(at).unwrap_or(width)
}

/// The next of 1, 2 and 5 times a power of ten, from `us` on.
fn round_up(us: u64) -> u64 {
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    powers.flat_map(|power| [1, 2, 5].map(|n| power.saturating_mul(n))).find(|round| us <= *round).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_figures() {
        assert_eq!([0, 1, 3, 60, 1_500, 70_000].map(round_up), [1, 1, 5, 100, 2_000, 100_000]);
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }
}
