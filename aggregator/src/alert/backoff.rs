//! When to try again: exponential backoff with full jitter, and what the channel asks for. Pure: the dice are
//! cast by the caller.

use nines_shared::time::Timestamp;

/// The span of the first wait, in ms; each next one is twice as long.
pub const FIRST_MS: i64 = 1_000;
/// The longest span of a wait, in ms.
pub const LONGEST_MS: i64 = 300_000;
/// The longest wait that a channel may ask for with `Retry-After`, in ms.
pub const LONGEST_ASKED_MS: i64 = 3_600_000;
/// How long a letter is tried, in ms. After that, and [`LEAST_ATTEMPTS`], it is given up, loudly.
pub const GIVE_UP_AFTER_MS: i64 = 24 * 3_600_000;
/// How often a letter is tried at least: we may have been away for a day, or the clock may have been set forward.
pub const LEAST_ATTEMPTS: u32 = 8;

/// Whether a letter that waits until `due_at` is to be tried at `now`. One that waits longer than any wait can be was
/// told to before the clock was set back.
pub fn is_due(due_at: Timestamp, now: Timestamp) -> bool {
    due_at <= now || LONGEST_ASKED_MS < due_at.since(now)
}

/// When to try again at `now` after `attempts` failures, or `None` where a letter written at `written_at` is to be
/// given up.
///
/// The wait is drawn evenly from nought to the whole span (full jitter) by `dice`, but is never shorter than
/// what the channel asked for.
pub fn retry_at(
    attempts: u32,
    asked_ms: Option<i64>,
    dice: u64,
    written_at: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    if GIVE_UP_AFTER_MS <= now.since(written_at) && LEAST_ATTEMPTS <= attempts {
        return None;
    }
    let span_ms = FIRST_MS.saturating_mul(1_i64 << attempts.saturating_sub(1).min(30)).min(LONGEST_MS);
    let drawn = dice % (span_ms.unsigned_abs() + 1);
    let wait_ms = i64::try_from(drawn).unwrap_or(LONGEST_MS).max(asked_ms.unwrap_or(0).clamp(0, LONGEST_ASKED_MS));
    Some(now.plus_ms(wait_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WRITTEN: Timestamp = Timestamp::from_ms(1_000_000);

    #[test]
    fn what_the_channel_asks_for_is_waited_for_but_not_for_ever() {
        let retry = |asked| retry_at(1, Some(asked), 0, WRITTEN, WRITTEN).unwrap().since(WRITTEN);
        assert_eq!(retry(7_000), 7_000);
        assert_eq!(retry(i64::MAX), LONGEST_ASKED_MS);
        assert_eq!(retry(-5), 0);
    }

    #[test]
    fn a_letter_is_given_up_after_a_day_and_not_before() {
        let last = WRITTEN.plus_ms(GIVE_UP_AFTER_MS - 1);
        assert!(retry_at(500, None, 0, WRITTEN, last).is_some());
        assert_eq!(retry_at(LEAST_ATTEMPTS, None, 0, WRITTEN, last.plus_ms(1)), None);
        assert!(retry_at(LEAST_ATTEMPTS - 1, None, 0, WRITTEN, last.plus_ms(1)).is_some(), "it was not tried often");
    }

    #[test]
    fn a_letter_is_not_kept_waiting_by_a_clock_that_is_set_back() {
        let due = |ms| is_due(WRITTEN.plus_ms(ms), WRITTEN);
        assert!(due(0) && !due(1) && !due(LONGEST_ASKED_MS) && due(LONGEST_ASKED_MS + 1));
    }

    proptest! {
        #[test]
        fn waits_lie_within_a_span_that_doubles_up_to_its_limit(attempts in 1_u32..100, dice: u64) {
            let wait = retry_at(attempts, None, dice, WRITTEN, WRITTEN).unwrap().since(WRITTEN);
            let span = if attempts < 10 { FIRST_MS << (attempts - 1) } else { LONGEST_MS };
            prop_assert!((0..=span.min(LONGEST_MS)).contains(&wait));
        }
    }
}
