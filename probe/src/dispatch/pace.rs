//! PURE: which checks of an assignment this machine refuses, since they would ask one target too often; and which
//! looks, since they come too thick.
//!
//! The probe's own file has the last word: an aggregator that was stolen, or that somebody made a slip in, can't turn
//! its probes on a stranger. A refused check's slots are told as `inconclusive: too_often`; none is skipped in
//! silence.

mod meter;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nines_shared::check::{Check, Pace, gap_ms};
use nines_shared::duration::Shown;
use nines_shared::id::CheckId;

pub(super) use meter::Begun;
use meter::Meter;

/// How often this machine lets targets be asked.
#[derive(Debug)]
pub(super) struct Limit {
    pace: Pace,
    /// The checks that are not let run at all, and why.
    refused: BTreeMap<CheckId, String>,
    meter: Meter,
}

impl Limit {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, refused: BTreeMap::new(), meter: Meter::new(pace) }
    }

    /// Holds `checks` to it from `now_ms` of the monotonic clock on, and gives those that are refused and why.
    pub(super) fn assign(&mut self, checks: &[Arc<Check>], now_ms: i64) -> &BTreeMap<CheckId, String> {
        self.refused = refused(checks, self.pace);
        self.meter.assign(checks, now_ms);
        &self.refused
    }

    /// Lets a look of `check` begin at `now_ms`.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn begin(&mut self, check: &CheckId, now_ms: i64, begun: Begun) -> Result<(), String> {
        match self.refused.get(check) {
            Some(why) => Err(why.clone()),
            None => self.meter.count(check, now_ms, begun),
        }
    }
}

/// Those of `checks` that `pace` does not let run beside the others, and why. The check with the smaller id goes
/// first, so that the same are refused in whatever order they were assigned.
fn refused(checks: &[Arc<Check>], pace: Pace) -> BTreeMap<CheckId, String> {
    let mut in_order: Vec<&Arc<Check>> = checks.iter().collect();
    in_order.sort_by(|one, other| one.id.cmp(&other.id));
    let mut asked: HashMap<String, i64> = HashMap::new();
    let mut refused = BTreeMap::new();
    for check in in_order {
        let (targets, a_day) = (check.question.targets(), check.worst_a_day());
        let so_far = |target: &str| asked.get(target).copied().unwrap_or(0);
        let with_it = |target: &str| so_far(target).saturating_add(a_day);
        if let Some(target) = targets.iter().find(|target| pace.forbids(target, with_it(&target.to_string()))) {
            let gap = Shown(gap_ms(with_it(&target.to_string())));
            let least = Shown(pace.least_ms);
            let why = format!(
                "with this check {target} would be asked every {gap} from here; the probe's own file lets it be asked every \
                 {least}: targets = {{ min_interval = … }}"
            );
            refused.insert(check.id.clone(), why);
            continue;
        }
        for target in targets {
            let of_target = asked.entry(target.to_string()).or_insert(0);
            *of_target = of_target.saturating_add(a_day);
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use nines_shared::check::{Draft, Question};

    use super::*;

    fn check(id: &str, interval_ms: i64, url: &str) -> Arc<Check> {
        let question: Question = serde_json::from_value(serde_json::json!({ "http": { "url": url } })).unwrap();
        let region = vec!["r".parse().unwrap()];
        let draft = Draft::new(id.parse().unwrap(), "s".parse().unwrap(), region, question);
        let draft = Draft { interval_ms, recheck_ms: interval_ms, timeout_ms: 500, ..draft };
        Arc::new(Check::new(draft).unwrap())
    }

    fn ids(checks: &[Arc<Check>], pace: Pace) -> Vec<String> {
        refused(checks, pace).keys().map(ToString::to_string).collect()
    }

    #[test]
    fn the_earlier_ids_keep_their_place_in_whatever_order_they_come() {
        const SHOP: &str = "https://shop.example/";
        let mut checks: Vec<_> = ["d", "b", "a", "c"].map(|id| check(id, 4_000, SHOP)).to_vec();
        assert_eq!(ids(&checks, Pace::said(1_000)), Vec::<String>::new(), "four every 4 s are one a second");
        assert_eq!(ids(&checks, Pace::said(2_000)), ["c", "d"]);
        checks.reverse();
        assert_eq!(ids(&checks, Pace::said(2_000)), ["c", "d"]);
        // What is refused takes nobody's place.
        checks.push(check("aa", 1_000, SHOP));
        assert_eq!(ids(&checks, Pace::said(2_000)), ["aa", "c", "d"]);
    }

    #[test]
    fn other_hosts_and_ports_are_other_targets_and_another_spelling_is_not() {
        let shop = check("a", 2_000, "https://shop.example/");
        for (url, wanted) in [
            ("https://SHOP.example.:443/b", &["b"][..]),
            ("https://shop.example:444/", &[]),
            ("http://shop.example/", &[]),
            ("https://other.example/", &[]),
        ] {
            assert_eq!(ids(&[Arc::clone(&shop), check("b", 2_000, url)], Pace::said(2_000)), wanted, "{url}");
        }
    }

    #[test]
    fn where_nobody_says_anything_strangers_are_protected_and_ones_own_network_is_not_held_up() {
        let many = |url: &str| (0..100).map(|n| check(&format!("check-{n:03}"), 1_000, url)).collect::<Vec<_>>();
        let stranger = ids(&many("https://shop.example/"), crate::probe_file::UNSAID_PACE);
        assert_eq!((stranger.len(), stranger[0].as_str()), (50, "check-050"));
        assert!(ids(&many("http://10.0.0.1/"), crate::probe_file::UNSAID_PACE).is_empty());
    }

    #[test]
    fn why_names_the_target_the_figure_and_the_key() {
        let checks = [check("a", 2_000, "https://shop.example/"), check("b", 2_000, "https://shop.example/")];
        let why = refused(&checks, Pace::said(1_500)).into_values().next().unwrap();
        assert!(
            why.contains("shop.example:443") && why.contains("every 1s ") && why.contains("every 1s500ms"),
            "{why}"
        );
        assert!(why.contains("min_interval"), "{why}");
    }
}
