//! The last minutes of a service's timeline, added up: what windows that move with the present are made of, so that
//! none of them reads days of samples again and again.
//!
//! Only whole minutes are here. A minute may be told anew as late samples change it; the newest telling holds.

use std::collections::VecDeque;

use nines_shared::time::{Span, Timestamp};

use super::service::ServiceAssessment;
use super::{Verdict, maintenance};

/// The length of a minute, in ms.
pub const MINUTE_MS: i64 = 60_000;

/// What one minute, or several together, hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Down, in ms.
    pub down_ms: i64,
    /// Neither excluded nor unknown, in ms.
    pub observed_ms: i64,
    /// Not excluded, in ms.
    pub counted_ms: i64,
}

/// Adjoining minutes, up to the one before the present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minutes {
    /// The first one's number since the epoch.
    first: i64,
    each: VecDeque<Minute>,
}

/// As [`Held`], small: a minute has 60 000 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    down: u16,
    observed: u16,
    counted: u16,
}

impl Minutes {
    /// Takes over the whole minutes of what was assessed, which ends at the present. Minutes that do not adjoin are
    /// forgotten.
    pub fn absorb(&mut self, seen: &ServiceAssessment) {
        let (from, to) = (minute_from(seen.window.from), minute_at(seen.window.to));
        if to <= from {
            return;
        }
        let fresh = added_up(seen, from, to);
        let kept = from - self.first;
        if 0 <= kept && kept <= self.len() {
            self.each.truncate(usize::try_from(kept).unwrap_or(0));
        } else {
            self.each.clear();
        }
        if self.each.is_empty() {
            self.first = from;
        }
        self.each.extend(fresh);
    }

    /// Forgets what lies more than `ms` before `now`.
    pub fn keep(&mut self, ms: i64, now: Timestamp) {
        let from = minute_at(now.plus_ms(-ms));
        while self.first < from && self.each.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Whether the last `ms` before `now` are here, as far as they lie after `life_from`.
    pub fn reach(&self, ms: i64, now: Timestamp, life_from: Timestamp) -> bool {
        let from = minute_at(now).saturating_sub(ms / MINUTE_MS).max(minute_from(life_from));
        minute_at(now) <= from || (self.first <= from && minute_at(now) == self.first + self.len())
    }

    /// What the whole minutes in the last `ms` before `now` hold.
    pub fn held(&self, ms: i64, now: Timestamp) -> Held {
        let from = minute_at(now).saturating_sub(ms / MINUTE_MS);
        let skipped = usize::try_from(from - self.first).unwrap_or(0);
        let mut held = Held::default();
        for minute in self.each.iter().skip(skipped) {
            held.down_ms += i64::from(minute.down);
            held.observed_ms += i64::from(minute.observed);
            held.counted_ms += i64::from(minute.counted);
        }
        held
    }

    fn len(&self) -> i64 {
        i64::try_from(self.each.len()).unwrap_or(i64::MAX)
    }
}

/// The minute that holds `at`.
fn minute_at(at: Timestamp) -> i64 {
    at.as_ms().div_euclid(MINUTE_MS)
}

/// The first minute that begins at `at` or later.
fn minute_from(at: Timestamp) -> i64 {
    at.as_ms().saturating_add(MINUTE_MS - 1).div_euclid(MINUTE_MS)
}

fn added_up(seen: &ServiceAssessment, from: i64, to: i64) -> Vec<Minute> {
    let start = |minute: i64| Timestamp::from_ms(minute * MINUTE_MS);
    let mut minutes = vec![Minute::default(); usize::try_from(to - from).unwrap_or(0)];
    for (span, verdict) in seen.timeline.within(Span::new(start(from), start(to))) {
        for part in maintenance::outside(&seen.excluded, span) {
            let mut at = part.from;
            while at < part.to {
                let number = minute_at(at);
                let end = start(number + 1).min(part.to);
                // At most a minute, which fits.
                let ms = u16::try_from(end.since(at)).unwrap_or(u16::MAX);
                if let Some(minute) = usize::try_from(number - from).ok().and_then(|index| minutes.get_mut(index)) {
                    minute.counted += ms;
                    minute.observed += if verdict == Verdict::Unknown { 0 } else { ms };
                    minute.down += if verdict == Verdict::Down { ms } else { 0 };
                }
                at = end;
            }
        }
    }
    minutes
}

#[cfg(test)]
mod tests;
