//! Whether this machine's wall clock can be believed.
//!
//! Each exchange with the aggregator measures the offset of our wall clock, give or take half the round
//! trip. Between exchanges the monotonic clock, which nobody steps, tells whether the wall clock was
//! moved. An offset above [`MAX_CLOCK_OFFSET_MS`] casts doubt on every sample until one is measured that
//! is within it. Before the first exchange ever the clock is believed as it stands.

use std::sync::{Mutex, PoisonError};

use nines_shared::time::{Clock, Timestamp};
use nines_shared::wire::MAX_CLOCK_OFFSET_MS;
use tokio::time::Instant;

/// The wall clock, watched.
#[derive(Debug)]
pub struct ClockWatch {
    clock: Clock,
    born: Instant,
    track: Mutex<Track>,
}

/// What both clocks say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub now: Timestamp,
    /// ms of the monotonic clock since the watch began.
    pub uptime_ms: i64,
    /// Whether the wall clock can be believed.
    pub trusted: bool,
}

/// An offset of our wall clock against the aggregator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// ms; positive where we are ahead.
    pub offset_ms: i64,
    /// Half the round trip, in ms.
    pub uncertainty_ms: i64,
}

impl ClockWatch {
    /// Watches `clock` from now on.
    pub fn new(clock: Clock) -> Self {
        let track = Mutex::new(Track::new(clock.now().as_ms()));
        Self { clock, born: Instant::now(), track }
    }

    /// Reads both clocks, and notices a step.
    pub fn read(&self) -> Reading {
        let (now, uptime_ms) = self.clocks();
        let trusted = self.with(|track| track.observe(now.as_ms() - uptime_ms));
        Reading { now, uptime_ms, trusted }
    }

    /// Notes that the aggregator, asked at `sent`, has just answered that its time is `theirs`.
    pub fn exchanged(&self, sent: Instant, theirs: Timestamp) {
        let (now, uptime_ms) = self.clocks();
        let round_trip_ms = i64::try_from(sent.elapsed().as_millis()).unwrap_or(i64::MAX);
        let offset = Offset::of(now, round_trip_ms, theirs);
        self.with(|track| track.measure(now.as_ms() - uptime_ms, offset));
    }

    /// The offset measured last.
    pub fn offset(&self) -> Option<Offset> {
        self.with(|track| track.measured)
    }

    fn clocks(&self) -> (Timestamp, i64) {
        (self.clock.now(), i64::try_from(self.born.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Track) -> T) -> T {
        look(&mut self.track.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Offset {
    /// From our time `now` when the answer came, and `theirs` when it was written: halfway, as NTP has it
    /// (RFC 5905, §8).
    pub fn of(now: Timestamp, round_trip_ms: i64, theirs: Timestamp) -> Self {
        let uncertainty_ms = round_trip_ms / 2 + round_trip_ms % 2;
        Self { offset_ms: now.plus_ms(-round_trip_ms / 2).since(theirs), uncertainty_ms }
    }
}

/// What is known of the offset. `lead` is wall clock minus monotonic clock, in ms: it moves only where
/// somebody moves the wall clock.
///
/// Pure: what the clocks say comes in as arguments.
#[derive(Debug)]
pub struct Track {
    /// The lead when the offset was last known …
    lead: i64,
    /// … and the offset then.
    offset_ms: i64,
    measured: Option<Offset>,
    doubted: bool,
}

impl Track {
    /// Believes the wall clock as it stands.
    pub fn new(lead: i64) -> Self {
        Self { lead, offset_ms: 0, measured: None, doubted: false }
    }

    /// Whether the wall clock can be believed, now that its lead is `lead`.
    pub fn observe(&mut self, lead: i64) -> bool {
        let offset_ms = self.offset_ms.saturating_add(lead.saturating_sub(self.lead));
        if !self.doubted && MAX_CLOCK_OFFSET_MS < offset_ms.saturating_abs() {
            self.doubted = true;
            tracing::warn!(offset_ms, "clock.doubted");
        }
        !self.doubted
    }

    /// A measurement vaguer than the limit could neither accuse nor acquit, so it is not used.
    pub fn measure(&mut self, lead: i64, offset: Offset) {
        if MAX_CLOCK_OFFSET_MS < offset.uncertainty_ms {
            return;
        }
        let was_doubted = self.doubted;
        (self.lead, self.offset_ms, self.measured) = (lead, offset.offset_ms, Some(offset));
        self.doubted = MAX_CLOCK_OFFSET_MS < offset.offset_ms.saturating_abs();
        let (offset_ms, uncertainty_ms) = (offset.offset_ms, offset.uncertainty_ms);
        match (was_doubted, self.doubted) {
            (false, true) => tracing::warn!(offset_ms, uncertainty_ms, "clock.doubted"),
            (true, false) => tracing::info!(offset_ms, uncertainty_ms, "clock.believed_again"),
            (true, true) | (false, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOON: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn offset(offset_ms: i64, uncertainty_ms: i64) -> Offset {
        Offset { offset_ms, uncertainty_ms }
    }

    #[test]
    fn the_offset_is_ours_minus_theirs_halfway_through_the_exchange() {
        assert_eq!(Offset::of(NOON, 100, NOON.plus_ms(-50)), offset(0, 50));
        assert_eq!(Offset::of(NOON.plus_ms(3_000), 100, NOON.plus_ms(-50)), offset(3_000, 50));
        assert_eq!(Offset::of(NOON, 101, NOON.plus_ms(1_000)).uncertainty_ms, 51);
    }

    #[test]
    fn a_clock_is_believed_until_something_speaks_against_it() {
        let mut track = Track::new(0);
        assert!(track.observe(0) && track.observe(MAX_CLOCK_OFFSET_MS));
        assert!(!track.observe(MAX_CLOCK_OFFSET_MS + 1));
    }

    #[test]
    fn after_a_step_only_a_fine_measurement_restores_belief() {
        let mut track = Track::new(0);
        assert!(!track.observe(5_000));
        assert!(!track.observe(0), "back where it was: but when was it right?");
        track.measure(0, offset(10, MAX_CLOCK_OFFSET_MS + 1));
        assert!(!track.observe(0), "too vague to tell");
        track.measure(0, offset(1_500, 10));
        assert!(!track.observe(0));
        track.measure(0, offset(10, 10));
        assert!(track.observe(0));
    }

    #[test]
    fn a_step_counts_from_the_offset_known_before() {
        let mut track = Track::new(0);
        track.measure(0, offset(900, 5));
        assert!(track.observe(-1_800), "900 ahead, set back by 1,800: still within a second");
        assert!(!track.observe(200), "900 ahead and 200 more is too much");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_moves_while_the_monotonic_one_does_not_was_stepped() {
        let clock = Clock::manual(NOON);
        let watch = ClockWatch::new(clock.clone());
        tokio::time::advance(Duration::from_secs(60)).await;
        clock.set(NOON.plus_ms(60_000));
        assert_eq!(watch.read(), Reading { now: NOON.plus_ms(60_000), uptime_ms: 60_000, trusted: true });
        clock.set(NOON.plus_ms(3_660_000));
        assert!(!watch.read().trusted);
        watch.exchanged(Instant::now(), NOON.plus_ms(3_660_000));
        assert!(watch.read().trusted);
        assert_eq!(watch.offset(), Some(offset(0, 0)));
    }
}
