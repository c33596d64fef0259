//! PURE: how often each target has been asked of late, and whether it may be asked now.
//!
//! What an assignment amounts to in a day says nothing of how it falls: slots can be made to fall together, and asks
//! are in no assignment. So every look is counted as it begins, by the generic cell rate algorithm (ITU-T I.371): a
//! target earns one request every `least_ms`, and owes at most [`BURST`] of them. What the probe owes a target outlives
//! the assignment, or two that alternate would ask twice as often.

use std::collections::HashMap;
use std::sync::Arc;

use nines_shared::check::{Check, Pace};
use nines_shared::duration::Shown;
use nines_shared::id::CheckId;

/// How many requests may come before their time. Phases are spread by chance: of n checks that take up all that a
/// target is let, hardly ever more than 2·√n are ahead of their time (Kolmogorov's distribution of the largest
/// deviation), so 10,000 have room.
pub(super) const BURST: i64 = 256;
/// How many of them asks may take up; the rest is left to slots, which are owed.
const BURST_OF_ASKS: i64 = BURST / 2;

/// Why a look begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is due by the assignment.
    Due,
    /// The aggregator asked for it.
    Asked,
}

/// What each target is owed.
#[derive(Debug)]
pub(super) struct Meter {
    pace: Pace,
    targets: Vec<Target>,
    /// What one look of a check costs, and which targets.
    of: HashMap<CheckId, (i64, Vec<usize>)>,
}

#[derive(Debug)]
struct Target {
    name: String,
    /// When all that it was asked would be within its pace, in ms of the monotonic clock.
    even_at_ms: i64,
}

impl Meter {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, targets: Vec::new(), of: HashMap::new() }
    }

    /// Meters `checks` from `now_ms` on, and goes on with what is owed.
    pub(super) fn assign(&mut self, checks: &[Arc<Check>], now_ms: i64) {
        self.targets.retain(|target| now_ms < target.even_at_ms);
        let mut places: HashMap<String, usize> =
            self.targets.iter().enumerate().map(|(place, target)| (target.name.clone(), place)).collect();
        self.of.clear();
        for check in checks {
            let metered = check.question.targets().into_iter().filter(|target| self.pace.forbids(target, i64::MAX));
            let of_check = metered.map(|target| {
                *places.entry(target.to_string()).or_insert_with_key(|name| {
                    self.targets.push(Target { name: name.clone(), even_at_ms: now_ms });
                    self.targets.len() - 1
                })
            });
            let of_check: Vec<usize> = of_check.collect();
            if !of_check.is_empty() {
                self.of.insert(check.id.clone(), (1 + i64::from(check.retries), of_check));
            }
        }
    }

    /// Counts a look of `check` that begins at `now_ms`.
    ///
    /// # Errors
    /// Why it may not begin; then it is not counted.
    pub(super) fn count(&mut self, check: &CheckId, now_ms: i64, begun: Begun) -> Result<(), String> {
        let Some((requests, places)) = self.of.get(check) else { return Ok(()) };
        let cost_ms = self.pace.least_ms.saturating_mul(*requests);
        let burst = match begun {
            Begun::Due => BURST,
            Begun::Asked => BURST_OF_ASKS,
        };
        let room_ms = self.pace.least_ms.saturating_mul(burst);
        let even_then = |target: &Target| target.even_at_ms.max(now_ms).saturating_add(cost_ms);
        let full = places.iter().map(|place| &self.targets[*place]).find(|target| room_ms < even_then(target) - now_ms);
        if let Some(Target { name, .. }) = full {
            let least = Shown(self.pace.least_ms);
            return Err(format!(
                "{name} was asked {burst} times more than every {least} allows; the probe's own file lets it be asked every \
                 {least}: targets = {{ min_interval = … }}"
            ));
        }
        for place in places {
            self.targets[*place].even_at_ms = even_then(&self.targets[*place]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nines_shared::check::{Draft, Question};
    use proptest::prelude::*;

    use super::*;

    const LEAST_MS: i64 = 1_000;

    fn check(id: &str, url: &str, retries: u8) -> Arc<Check> {
        let question: Question = serde_json::from_value(serde_json::json!({ "http": { "url": url } })).unwrap();
        let draft = Draft::new(id.parse().unwrap(), "s".parse().unwrap(), vec!["r".parse().unwrap()], question);
        Arc::new(Check::new(Draft { retries, ..draft }).unwrap())
    }

    fn metering(pace: Pace, checks: &[Arc<Check>]) -> Meter {
        let mut meter = Meter::new(pace);
        meter.assign(checks, 0);
        meter
    }

    fn begin(meter: &mut Meter, check: &Check, now_ms: i64, begun: Begun) -> usize {
        (0..1_000).take_while(|_| meter.count(&check.id, now_ms, begun).is_ok()).count()
    }

    #[test]
    fn a_storm_ends_with_its_burst_and_goes_on_at_the_pace() {
        let [a, b] = ["a", "b"].map(|id| check(id, "https://shop.example/", 0));
        let mut meter = metering(Pace::said(LEAST_MS), &[Arc::clone(&a), Arc::clone(&b)]);
        assert_eq!(begin(&mut meter, &a, 0, Begun::Due), 256);
        assert_eq!(begin(&mut meter, &b, 999, Begun::Due), 0, "the target counts, not the check");
        assert_eq!(begin(&mut meter, &b, 1_000, Begun::Due), 1);
        let why = meter.count(&a.id, 1_000, Begun::Due).unwrap_err();
        assert!(why.contains("shop.example:443") && why.contains("256 times") && why.contains("min_interval"), "{why}");
        assert_eq!(begin(&mut meter, &a, 4_000, Begun::Due), 3);
    }

    #[test]
    fn asks_leave_room_for_what_is_due() {
        let a = check("a", "https://shop.example/", 0);
        let mut meter = metering(Pace::said(LEAST_MS), &[Arc::clone(&a)]);
        assert_eq!(begin(&mut meter, &a, 0, Begun::Asked), 128);
        assert_eq!(begin(&mut meter, &a, 0, Begun::Due), 128);
    }

    #[test]
    fn what_is_owed_outlives_the_assignment() {
        let (a, other) = (check("a", "https://shop.example/", 0), check("o", "https://other.example/", 0));
        let mut meter = metering(Pace::said(LEAST_MS), &[Arc::clone(&a)]);
        begin(&mut meter, &a, 0, Begun::Due);
        meter.assign(&[Arc::clone(&other)], 1_000);
        assert_eq!(begin(&mut meter, &other, 1_000, Begun::Due), 256);
        let again = check("again", "https://shop.example/other", 0);
        meter.assign(&[Arc::clone(&again)], 2_000);
        assert_eq!(begin(&mut meter, &again, 2_000, Begun::Due), 2);
        meter.assign(&[], 10_000_000);
        assert!(meter.targets.is_empty(), "nothing is kept of whom nothing is owed");
    }

    #[test]
    fn strangers_are_protected_where_nobody_says_anything_and_ones_own_network_is_not_held_up() {
        let (own, stranger) = (check("own", "http://10.0.0.1/", 0), check("stranger", "https://shop.example/", 1));
        let mut meter = metering(Pace::unsaid(20), &[Arc::clone(&own), Arc::clone(&stranger)]);
        assert_eq!(begin(&mut meter, &own, 0, Begun::Due), 1_000);
        assert_eq!(begin(&mut meter, &stranger, 0, Begun::Due), 128, "each retry is a request");
    }

    proptest! {
        /// However looks fall, and whatever is asked: in no window does a target get more than its burst and its pace.
        #[test]
        fn no_window_has_more_than_the_burst_and_the_pace(
            steps in prop::collection::vec((0_i64..100, prop::bool::ANY, prop::bool::ANY), 1..600),
        ) {
            let (a, b) = (check("a", "https://shop.example/", 0), check("b", "https://shop.example/b", 2));
            let mut meter = metering(Pace::said(LEAST_MS), &[Arc::clone(&a), Arc::clone(&b)]);
            let (mut now_ms, mut begun) = (0, Vec::new());
            for (step, heavy, asked) in steps {
                now_ms += step;
                let (one, requests) = if heavy { (&b, 3) } else { (&a, 1) };
                let kind = if asked { Begun::Asked } else { Begun::Due };
                if meter.count(&one.id, now_ms, kind).is_ok() {
                    begun.push((now_ms, requests));
                }
            }
            for (first, (from_ms, _)) in begun.iter().enumerate() {
                let mut requests = 0;
                for (at_ms, more) in &begun[first..] {
                    requests += more;
                    prop_assert!(requests <= BURST + (at_ms - from_ms) / LEAST_MS + 1);
                }
            }
        }
    }
}
