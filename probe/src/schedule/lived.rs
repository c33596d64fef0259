//! The spans of wall time that a check has lived through here.

use nines_shared::time::Timestamp;

/// The most spans remembered: each is one step of the clock. Beyond it the one furthest from now is
/// forgotten, where the clock is least likely to return to.
const MAX_SPANS: usize = 16;

/// Spans `(after, until]`, disjoint and in order.
#[derive(Debug, Default)]
pub(super) struct Lived(Vec<(Timestamp, Timestamp)>);

impl Lived {
    /// Whether the clock has passed `at` before.
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.0.iter().any(|(after, until)| *after < at && at <= *until)
    }

    /// Whether some of it is later than `at`.
    pub(super) fn reaches_beyond(&self, at: Timestamp) -> bool {
        self.0.last().is_some_and(|(_, until)| at < *until)
    }

    /// Adds `(after, until]`, which the clock has just passed.
    pub(super) fn add(&mut self, after: Timestamp, until: Timestamp) {
        // Nearly always: time went on where it was.
        if let Some(last) = self.0.last_mut()
            && last.0 <= after
            && after <= last.1
        {
            last.1 = last.1.max(until);
            return;
        }
        let (mut after, mut until) = (after, until);
        self.0.retain(|span| {
            let apart = span.1 < after || until < span.0;
            if !apart {
                (after, until) = (after.min(span.0), until.max(span.1));
            }
            apart
        });
        let place = self.0.partition_point(|span| span.0 < after);
        self.0.insert(place, (after, until));
        if MAX_SPANS < self.0.len() {
            let far = if place < MAX_SPANS / 2 { self.0.len() - 1 } else { 0 };
            self.0.remove(far);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn spans_that_meet_become_one() {
        let mut lived = Lived::default();
        lived.add(at(10), at(20));
        lived.add(at(20), at(30));
        lived.add(at(0), at(5));
        lived.add(at(4), at(11));
        assert_eq!(lived.0, [(at(0), at(30))]);
        assert!(!lived.contains(at(0)) && lived.contains(at(1)) && lived.contains(at(30)) && !lived.contains(at(31)));
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_near() {
        let mut lived = Lived::default();
        for step in 0..40 {
            lived.add(at(step * 100), at(step * 100 + 10));
        }
        assert_eq!(lived.0.len(), MAX_SPANS);
        assert!(lived.contains(at(3_905)) && !lived.contains(at(5)));
    }
}
