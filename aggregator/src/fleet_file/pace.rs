//! `[aggregator] target_min_interval`: how often the whole fleet may ask one host and port.
//!
//! PURE: sums over checks and regions what [`nines_shared::check::Pace`] says of one of each, at its worst. A fleet
//! that means to ask its own service oftener says so by the key; one that says nothing can't become a burden to a
//! stranger by mistake.

use std::collections::BTreeMap;

use nines_shared::check::{HostPort, Pace, gap_ms};
use nines_shared::duration::Shown;

use super::advice::Spots;
use super::notes::Spot;
use super::reader::{Table, Value};
use crate::definition::Fleet;

/// Five requests a second to one host and port, all regions and checks together: far above what contracts need to be
/// proven, and below what any public service notices.
pub(super) const UNSAID: Pace = Pace::unsaid(200);
/// The longest that may be asked for, in ms: above it one check with the longest interval would be too many.
const LONGEST_MS: i64 = 3_600_000;

/// What somebody said.
pub(super) fn read(value: &Value<'_>) -> Option<Pace> {
    let least_ms = value.duration_ms()?;
    let fits = (1..=LONGEST_MS).contains(&least_ms);
    let why = "requests to one target may be 1ms to 1h apart; leave the key out for 200ms";
    value.accept(if fits { Ok(Pace::said(least_ms)) } else { Err(why) })
}

/// What is asked of one target.
struct Asked<'f> {
    target: HostPort,
    a_day: i64,
    checks: usize,
    /// The check with which it becomes too much.
    over: Option<&'f Spot>,
}

/// Notes each target that the fleet would ask oftener than `pace` lets it, at the check with which that begins.
pub(super) fn keep(root: &Table<'_>, fleet: &Fleet, spots: &Spots, pace: Pace) {
    let mut of_target: BTreeMap<String, Asked<'_>> = BTreeMap::new();
    for (check, spot) in fleet.checks.iter().zip(&spots.checks) {
        let regions = i64::try_from(check.regions.len()).unwrap_or(i64::MAX);
        for target in check.question.targets() {
            let new = |target| Asked { target, a_day: 0, checks: 0, over: None };
            let asked = of_target.entry(target.to_string()).or_insert_with(|| new(target));
            asked.a_day = asked.a_day.saturating_add(check.worst_a_day().saturating_mul(regions));
            asked.checks += 1;
            if asked.over.is_none() && pace.forbids(&asked.target, asked.a_day) {
                asked.over = Some(spot);
            }
        }
    }
    for asked in of_target.values() {
        if let Some(spot) = asked.over {
            let (message, mend) = told(asked, pace);
            root.notes.error(spot, message, Some(mend));
        }
    }
}

fn told(asked: &Asked<'_>, pace: Pace) -> (String, String) {
    let Asked { target, a_day, checks, .. } = asked;
    let together = if *checks == 1 { String::new() } else { format!(" by {checks} checks together") };
    let message = format!(
        "while {target} fails it is asked every {}{together}, all regions and retries counted; at most every {} is allowed",
        Shown(gap_ms(*a_day)),
        Shown(pace.least_ms),
    );
    let mend = format!(
        "ask less often or, where it is yours, say so: [aggregator] target_min_interval = \"{}\"",
        Shown(gap_ms(*a_day).max(1))
    );
    (message, mend)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;

    /// What a fleet of `regions` regions with these checks of shop.example is refused with; nothing where it is good.
    fn refused(regions: usize, settings: &str, checks: &[&str]) -> Vec<String> {
        let mut text = format!("[aggregator]\n{settings}\n");
        text.push_str("[[customer]]\nid = 'acme'\ntimezone = 'UTC'\n[[service]]\nid = 'shop'\ncustomer = 'acme'\n");
        (0..regions).for_each(|n| text.push_str(&format!("[[region]]\nid = 'region-{n}'\n")));
        for (n, check) in checks.iter().enumerate() {
            text.push_str(&format!("[[check]]\nid = 'check-{n}'\nservice = 'shop'\n{check}\n"));
        }
        match parse(&text, Path::new("nines.toml")) {
            Ok(_) => Vec::new(),
            Err(super::super::FleetFileErrors::Invalid { errors, .. }) => {
                errors.iter().map(ToString::to_string).collect()
            }
            Err(error) => panic!("{error}"),
        }
    }

    const SHOP: &str = "http = { url = 'https://shop.example/' }";

    #[test]
    fn what_fleets_usually_ask_is_no_burden_to_anybody() {
        let every_30s = format!("interval = '30s'\n{SHOP}");
        assert!(refused(5, "", &[every_30s.as_str(); 20]).is_empty(), "twenty pages of one shop from five regions");
        let rechecked = format!("interval = '60s'\nrecheck = '5s'\nretries = 2\n{SHOP}");
        assert!(refused(3, "", &[&rechecked]).is_empty(), "closely watched while it fails");
        assert!(refused(5, "", &[&format!("interval = '1s'\n{SHOP}")]).is_empty(), "as often as one can, from five");
    }

    #[test]
    fn a_target_is_protected_from_all_regions_checks_retries_and_rechecks_together() {
        let every_1s = format!("interval = '1s'\n{SHOP}");
        let errors = refused(6, "", &[&every_1s]);
        assert_eq!(errors.len(), 1, "{errors:?}");
        let wanted = "of check-0: while shop.example:443 fails it is asked every 166ms, all regions and retries counted; at \
                      most every 200ms is allowed; ask less often or, where it is yours, say so: [aggregator] \
                      target_min_interval = \"166ms\"";
        assert!(errors[0].ends_with(wanted), "{errors:?}");

        let retried = format!("interval = '60s'\nrecheck = '1s'\nretries = 5\n{SHOP}");
        assert_eq!(refused(1, "", &[&retried]).len(), 1, "six requests a second while it fails");

        let errors = refused(5, "", &[SHOP, &every_1s, SHOP, "tcp = { address = 'shop.example:443' }"]);
        assert!(errors.len() == 1 && errors[0].contains("of check-1: ") && errors[0].contains("by 4 checks together"));
        let elsewhere = ["http = { url = 'http://shop.example/' }", "tcp = { address = 'other.example:443' }"];
        assert!(
            refused(5, "", &[&every_1s, elsewhere[0], elsewhere[1]]).is_empty(),
            "other ports and hosts are others"
        );
    }

    #[test]
    fn who_says_so_may_ask_oftener_and_who_wants_less_gets_less() {
        let every_1s = format!("interval = '1s'\n{SHOP}");
        assert!(refused(6, "target_min_interval = '166ms'", &[&every_1s]).is_empty());
        assert_eq!(refused(6, "target_min_interval = '167ms'", &[&every_1s]).len(), 1);
        assert_eq!(
            refused(2, "target_min_interval = '10s'", &["interval = '10s'\nhttp = { url = 'http://10.0.0.1/' }"]).len(),
            1
        );
    }

    #[test]
    fn a_network_of_ones_own_is_nobody_elses() {
        let own = "interval = '1s'\nhttp = { url = 'http://10.0.0.1/' }";
        assert!(refused(9, "", &[own; 50]).is_empty());
    }
}
