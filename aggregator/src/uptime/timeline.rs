//! Timelines: a verdict as a piecewise constant function of time.
//!
//! Invariants: steps lie in order inside the window, the first at its start, and neighbours differ, so every
//! span that [`Timeline::spans`] gives is maximal. A timeline of an empty window has no steps.

use nines_shared::time::{Span, Timestamp};

use super::Verdict;

/// What was so at every instant of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    window: Span,
    steps: Vec<(Timestamp, Verdict)>,
}

impl Timeline {
    /// The same verdict throughout `window`.
    pub fn constant(window: Span, verdict: Verdict) -> Self {
        let steps = if window.is_empty() { Vec::new() } else { vec![(window.from, verdict)] };
        Self { window, steps }
    }

    /// The time it speaks of.
    pub fn window(&self) -> Span {
        self.window
    }

    /// Its maximal spans of one verdict, in order; they cover the window without gap or overlap.
    pub fn spans(&self) -> impl DoubleEndedIterator<Item = (Span, Verdict)> + '_ {
        self.steps.iter().enumerate().map(|(index, (from, verdict))| (Span::new(*from, self.end_of(index)), *verdict))
    }

    /// The verdict at `at`; `None` outside the window.
    pub fn at(&self, at: Timestamp) -> Option<Verdict> {
        let index = self.index_at(at)?;
        Some(self.steps[index].1)
    }

    /// The span that holds `at`, and its verdict; `None` outside the window.
    pub fn span_at(&self, at: Timestamp) -> Option<(Span, Verdict)> {
        let index = self.index_at(at)?;
        let (from, verdict) = self.steps[index];
        Some((Span::new(from, self.end_of(index)), verdict))
    }

    /// The last span: since when what is so at the window's end has been so. `None` for an empty window.
    pub fn last(&self) -> Option<(Span, Verdict)> {
        self.spans().next_back()
    }

    /// The spans that share time with `part`, cut to it.
    pub fn within(&self, part: Span) -> impl Iterator<Item = (Span, Verdict)> + '_ {
        let first = self.steps.partition_point(|(from, _)| *from <= part.from).saturating_sub(1);
        (first..self.steps.len())
            .map(move |index| (Span::new(self.steps[index].0, self.end_of(index)), self.steps[index].1))
            .take_while(move |(span, _)| span.from < part.to)
            .filter_map(move |(span, verdict)| Some((span.intersection(part)?, verdict)))
    }

    fn end_of(&self, index: usize) -> Timestamp {
        self.steps.get(index + 1).map_or(self.window.to, |next| next.0)
    }

    fn index_at(&self, at: Timestamp) -> Option<usize> {
        if !self.window.contains(at) {
            return None;
        }
        self.steps.partition_point(|(from, _)| *from <= at).checked_sub(1)
    }
}

/// Makes a timeline from steps that come in order of time.
#[derive(Clone, Debug)]
pub struct Builder(Timeline);

impl Builder {
    /// A timeline of `window` that begins with `verdict`.
    pub fn new(window: Span, verdict: Verdict) -> Self {
        Self(Timeline::constant(window, verdict))
    }

    /// From `at` on it is `verdict`. What comes at or before the window's start decides how the window begins;
    /// what comes after its end is ignored. `at` never lies before that of an earlier push.
    pub fn push(&mut self, at: Timestamp, verdict: Verdict) {
        let Timeline { window, steps } = &mut self.0;
        if window.is_empty() || window.to <= at {
            return;
        }
        let at = at.max(window.from);
        debug_assert!(steps.last().is_none_or(|(from, _)| *from <= at), "steps come in order of time");
        if steps.last().is_some_and(|(from, _)| *from == at) {
            steps.pop();
        }
        if steps.last().is_none_or(|(_, before)| *before != verdict) {
            steps.push((at, verdict));
        }
    }

    /// The timeline.
    pub fn build(self) -> Timeline {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Down, Unknown, Up};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn span(from: i64, to: i64) -> Span {
        Span::new(at(from), at(to))
    }

    fn built(steps: &[(i64, Verdict)]) -> Timeline {
        let mut builder = Builder::new(span(10, 50), Unknown);
        for (ms, verdict) in steps {
            builder.push(at(*ms), *verdict);
        }
        builder.build()
    }

    #[test]
    fn spans_are_maximal_and_cover_the_window() {
        let timeline = built(&[(0, Up), (20, Up), (30, Down), (30, Up), (40, Down), (60, Up)]);
        assert_eq!(timeline.spans().collect::<Vec<_>>(), [(span(10, 40), Up), (span(40, 50), Down)]);
        assert_eq!(timeline.last(), Some((span(40, 50), Down)));
    }

    #[test]
    fn a_step_that_lasts_no_time_leaves_no_trace() {
        let timeline = built(&[(0, Up), (20, Down), (20, Up)]);
        assert_eq!(timeline.spans().collect::<Vec<_>>(), [(span(10, 50), Up)]);
    }

    #[test]
    fn an_instant_outside_the_window_has_no_verdict() {
        let timeline = built(&[(20, Up)]);
        assert_eq!(timeline.at(at(9)), None);
        assert_eq!(timeline.at(at(10)), Some(Unknown));
        assert_eq!(timeline.at(at(20)), Some(Up));
        assert_eq!(timeline.at(at(50)), None);
    }

    #[test]
    fn a_part_is_cut_to_its_edges() {
        let timeline = built(&[(20, Up), (30, Down)]);
        let part: Vec<_> = timeline.within(span(15, 35)).collect();
        assert_eq!(part, [(span(15, 20), Unknown), (span(20, 30), Up), (span(30, 35), Down)]);
        assert_eq!(timeline.within(span(0, 100)).count(), 3);
        assert_eq!(timeline.within(span(60, 100)).count(), 0);
    }

    #[test]
    fn an_empty_window_has_nothing_to_say() {
        let timeline = Builder::new(span(10, 10), Up).build();
        assert_eq!((timeline.last(), timeline.at(at(10))), (None, None));
    }
}
