//! What may happen as often as others like, and is told once a minute.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How seldom one thing is told.
const EVERY: Duration = Duration::from_secs(60);

/// When each thing was told last. Things are of a bounded number: whoever counts something here sees to that.
#[derive(Debug)]
pub(super) struct Seldom<K>(Mutex<BTreeMap<K, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How often it has happened since.
    untold: u64,
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Seldom<K> {
    /// `what` happens again at `now`. Where it is time to tell of it: how often it happened before without being told.
    pub(super) fn again(&self, what: K, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = all.get_mut(&what) else {
            all.insert(what, Told { at: now, untold: 0 });
            return Some(0);
        };
        if now.duration_since(told.at) < EVERY {
            told.untold += 1;
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_told_once_a_minute_with_how_often_it_was_not() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let again = |what, after: Duration| seldom.again(what, start + after);
        assert_eq!(again("a", Duration::ZERO), Some(0));
        assert_eq!([1, 59].map(|s| again("a", Duration::from_secs(s))), [None, None]);
        assert_eq!(again("b", Duration::from_secs(59)), Some(0), "another thing");
        assert_eq!(again("a", EVERY), Some(2));
        assert_eq!(again("a", EVERY * 2), Some(0));
    }
}
