//! Tokens over time: how much of something one may have at once, and how soon there is more.

use std::collections::HashMap;
use std::hash::Hash;

use nines_shared::time::Timestamp;

/// A share for each of many: `burst` at once, and one more every `refill_ms`.
///
/// Of each is kept only until when its share is not whole, so that one who has not taken anything for a while costs
/// nothing.
#[derive(Debug)]
pub(super) struct Shares<K> {
    burst: i64,
    refill_ms: i64,
    whole_at: HashMap<K, Timestamp>,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    pub(super) fn new(burst: i64, refill_ms: i64) -> Self {
        Self { burst, refill_ms, whole_at: HashMap::new() }
    }

    /// Takes one of `key`'s share at `now`, where there is one left.
    pub(super) fn take(&mut self, key: &K, now: Timestamp) -> bool {
        let all_ms = self.burst * self.refill_ms;
        let whole_at = self.whole_at.entry(key.clone()).or_insert(now);
        // Never further off than an empty share: a clock that was put back must not refuse for as long.
        *whole_at = (*whole_at).clamp(now, now.plus_ms(all_ms));
        let after = whole_at.plus_ms(self.refill_ms);
        let left = after.since(now) <= all_ms;
        if left {
            *whole_at = after;
        }
        left
    }

    /// Forgets whose share is whole again.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.whole_at.retain(|_, at| now < *at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    #[test]
    fn a_share_is_a_burst_and_then_one_at_a_time_and_each_has_its_own() {
        let mut shares = Shares::new(3, 1_000);
        let taken: Vec<bool> = (0..4).map(|_| shares.take(&"a", NOW)).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(shares.take(&"b", NOW));
        assert!(!shares.take(&"a", NOW.plus_ms(999)));
        assert!(shares.take(&"a", NOW.plus_ms(1_000)) && !shares.take(&"a", NOW.plus_ms(1_000)));
        let later = NOW.plus_ms(60_000);
        assert_eq!((0..4).filter(|_| shares.take(&"a", later)).count(), 3, "never more than the burst");
    }

    #[test]
    fn who_takes_nothing_is_forgotten_and_a_clock_put_back_does_not_lock_anyone_out() {
        let mut shares = Shares::new(2, 1_000);
        assert!(shares.take(&"a", NOW) && shares.take(&"a", NOW));
        shares.forget(NOW.plus_ms(1_999));
        assert_eq!(shares.whole_at.len(), 1);
        let an_hour_ago = NOW.plus_ms(-3_600_000);
        assert!(!shares.take(&"a", an_hour_ago), "the share is empty as before");
        assert!(shares.take(&"a", an_hour_ago.plus_ms(1_000)), "and fills as before");
        shares.forget(NOW.plus_ms(2_000));
        assert!(shares.whole_at.is_empty());
    }
}
