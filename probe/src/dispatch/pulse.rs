//! Is it us? Whether this process stood still while a check waited for its target.
//!
//! A task wakes at every beat and notes how late it was: a machine that is overloaded, frozen, throttled or asleep
//! wakes it late, and everything else with it. What was lost within a sample is the difference of two readings, so a
//! check costs two atomic loads and a look at the clock, twice. Limit: what is shorter than a beat may go unnoticed,
//! and a sample's own phases stay as they were measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How often the pulse beats.
const BEAT: Duration = Duration::from_millis(200);
/// A late beat of this much is told in the log.
const TOLD: Duration = Duration::from_secs(1);
/// What was lost of a sample's time counts from this on: below it, any machine is late now and then.
pub(super) const LOST_FLOOR_MS: i64 = 250;
/// … and where it is at least one part in so many of the sample's time.
pub(super) const LOST_SHARE: i64 = 4;
/// No beat is due.
const NEVER: u64 = u64::MAX;

/// How much of its time this process has lost.
#[derive(Debug)]
pub struct Pulse {
    born: Instant,
    /// When the next beat is due, in µs since `born`.
    due_us: AtomicU64,
    /// How late beats were so far, all together.
    lost_us: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { born: Instant::now(), due_us: AtomicU64::new(NEVER), lost_us: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// Beats for ever.
    pub(super) async fn beat(&self) {
        loop {
            let due = Instant::now() + BEAT;
            self.due_us.store(micros(due - self.born), Ordering::Relaxed);
            sleep_until(due).await;
            let late = due.elapsed();
            self.lost_us.fetch_add(micros(late), Ordering::Relaxed);
            if TOLD <= late {
                tracing::warn!(lost_ms = micros(late) / 1_000, "pulse.stood_still");
            }
        }
    }

    /// ms lost so far, with what the beat that is due by now is late. It grows while the process lives, but for a
    /// beat that is noted between the two loads.
    pub(super) fn lost_ms(&self) -> i64 {
        let overdue = micros(self.born.elapsed()).saturating_sub(self.due_us.load(Ordering::Relaxed));
        i64::try_from((self.lost_us.load(Ordering::Relaxed) + overdue) / 1_000).unwrap_or(i64::MAX)
    }
}

/// Whether `lost_ms` of the `took_ms` of a sample are so much that nothing which hangs on time was seen of the target.
pub(super) const fn is_much(lost_ms: i64, took_ms: i64) -> bool {
    LOST_FLOOR_MS <= lost_ms && took_ms <= lost_ms.saturating_mul(LOST_SHARE)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_quarter_of_a_samples_time_is_much_and_little_never_is() {
        assert!(is_much(2_500, 10_000) && !is_much(2_499, 10_000));
        assert!(is_much(250, 300) && !is_much(249, 300));
        assert!(!is_much(0, 0));
    }

    #[tokio::test]
    async fn what_a_process_loses_is_known_at_once_and_stays_known() {
        let pulse = Arc::new(Pulse::default());
        let inside = Arc::clone(&pulse);
        let beating = tokio::spawn(async move { inside.beat().await });
        tokio::time::sleep(2 * BEAT).await;
        let before = pulse.lost_ms();
        // Nothing else runs on this thread meanwhile.
        std::thread::sleep(Duration::from_millis(900));
        assert!(900 - 200 <= pulse.lost_ms() - before, "before the late beat is noted");
        tokio::time::sleep(2 * BEAT).await;
        assert!(900 - 200 <= pulse.lost_ms() - before, "and after");
        beating.abort();
    }

    #[test]
    fn who_has_no_pulse_has_lost_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pulse = Pulse::default();
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(pulse.lost_ms(), 0);
        });
    }
}
