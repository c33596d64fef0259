//! Instants and spans in UTC milliseconds, and the product's one reading of the wall clock.
//!
//! Pure code takes `now: Timestamp`; shells hold a [`Clock`] and pass the reading in. Durations are
//! measured with the monotonic clock elsewhere: subtracting two wall-clock readings would let NTP
//! invent latency.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since the Unix epoch, UTC. On the wire a plain integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant there is; "always" in definitions that cover all earlier time.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant there is; the open end of a life that has not ended.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// This instant moved by `ms` milliseconds (either way), stopping at the ends of time.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A half-open span of time `[from, to)`: its start is inside, its end is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first instant inside.
    pub from: Timestamp,
    /// The first instant after.
    pub to: Timestamp,
}

impl Span {
    /// The span `[from, to)`; where `to` lies before `from` it is the empty span at `from`.
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from) }
    }

    /// Its length in milliseconds, never negative.
    pub fn length_ms(self) -> i64 {
        self.to.since(self.from)
    }

    /// Whether no instant lies inside.
    pub fn is_empty(self) -> bool {
        self.to <= self.from
    }

    /// Whether `at` lies inside: the start does, the end does not.
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// The instants in both spans, or `None` where they share none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from < to).then_some(Self { from, to })
    }
}

/// Where a shell learns what time it is. Tests hand in a [`Clock::manual`] and move it.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's wall clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`Clock::set`] moves it. Clones share the hands.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_ms()))))
    }

    /// The time now, in whole milliseconds, rounded down.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(hands) => Timestamp(hands.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock to `now`, forwards or backwards. The system's clock is not ours to move:
    /// on [`Clock::system`] this does nothing.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual(hands) = &self.0 {
            hands.store(now.as_ms(), Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one reading of the wall clock")]
fn system_now() -> Timestamp {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        // A machine that thinks it is before 1970 gets a negative time, not a panic and not zero.
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Timestamp(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to))
    }

    #[test]
    fn a_span_holds_its_start_and_not_its_end() {
        let span = span(10, 20);
        assert!(span.contains(Timestamp::from_ms(10)));
        assert!(!span.contains(Timestamp::from_ms(20)));
    }

    #[test]
    fn spans_that_only_touch_share_no_instant() {
        assert_eq!(span(0, 10).intersection(span(10, 20)), None);
        assert_eq!(span(0, 11).intersection(span(10, 20)), Some(span(10, 11)));
    }

    #[test]
    fn a_manual_clock_moves_only_when_told_and_clones_share_its_hands() {
        let clock = Clock::manual(Timestamp::from_ms(5));
        let other = clock.clone();
        clock.set(Timestamp::from_ms(3));
        assert_eq!(other.now(), Timestamp::from_ms(3));
    }
}
