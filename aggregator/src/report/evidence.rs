//! What the samples of a report tell beside their outcomes: their digests, and why what failed did.

use std::collections::BTreeMap;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Phase, Reason};
use nines_shared::time::Span;

use super::model::Series;
use crate::fingerprint::{self, OfLines};
use crate::store::samples::days::{self, Day, Form};
use crate::store::samples::sweep::{Failure, Swept};
use crate::uptime::RegionSamples;

/// What is known of the samples of a report by the service that is judged just now: the days of all that came before
/// it, the failures of its own alone.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    form: Form,
    days: BTreeMap<(CheckId, RegionId), Vec<Day>>,
    failures: BTreeMap<CheckId, Vec<(RegionId, Vec<Failure>)>>,
}

/// Why a sample failed, and in which phase.
pub(super) type Cause = (Option<Reason>, Option<Phase>);

impl Evidence {
    /// Of nothing yet.
    pub(super) fn new(form: Form) -> Self {
        Self { form, days: BTreeMap::new(), failures: BTreeMap::new() }
    }

    /// The next service begins: why others failed is of no more use.
    pub(super) fn begin_service(&mut self) {
        self.failures.clear();
    }

    /// Takes in what was swept of `check`; gives what it is judged by.
    pub(super) fn take(&mut self, check: &CheckId, swept: Vec<Swept>) -> Vec<RegionSamples> {
        let failures = self.failures.entry(check.clone()).or_default();
        let mut record = Vec::with_capacity(swept.len());
        for Swept { region, samples, failures: theirs, days } in swept {
            self.days.insert((check.clone(), region.clone()), days);
            failures.push((region.clone(), theirs));
            record.push(RegionSamples { region, samples });
        }
        record
    }

    /// The samples of `region` of `check`.
    pub(super) fn series(&self, check: &CheckId, region: &RegionId) -> Series {
        let days = self.days.get(&(check.clone(), region.clone())).map_or(&[][..], |days| days);
        let digest = match (self.form, days) {
            (Form::Lines, [whole, ..]) => fingerprint::of_bytes(&whole.digest),
            (Form::Lines, []) => OfLines::new().finish(),
            (Form::Days, days) => {
                let mut list = OfLines::new();
                days::push_lines(&mut list, (check, region), days);
                list.finish()
            }
        };
        Series { count: days.iter().map(|day| day.count).sum(), digest }
    }

    /// The digest of the days of all services; what a report of [`Form::Lines`] has is not made of them.
    pub(super) fn digest(&self) -> String {
        let mut list = OfLines::new();
        for ((check, region), days) in &self.days {
            days::push_lines(&mut list, (check, region), days);
        }
        list.finish()
    }

    /// The cause that most of the failing samples of `checks` in `regions` gave during `outage`; of equals, the
    /// first in order. Where none began in it (maintenance cut those off), that of the last one before.
    pub(super) fn cause<'a>(
        &self,
        checks: impl Iterator<Item = &'a CheckId>,
        regions: &[RegionId],
        outage: Span,
    ) -> Cause {
        let mut counts: BTreeMap<(&Option<Reason>, Option<Phase>), usize> = BTreeMap::new();
        let mut before: Option<&Failure> = None;
        let series = checks.filter_map(|check| self.failures.get(check)).flatten();
        for (_region, failures) in series.filter(|(region, _)| regions.contains(region)) {
            let from = failures.partition_point(|failure| failure.started_at < outage.from);
            let to = failures.partition_point(|failure| failure.started_at < outage.to);
            for failure in &failures[from..to] {
                *counts.entry((&failure.reason, failure.phase)).or_default() += 1;
            }
            let last = failures[..from].last();
            if before.map(|before| before.started_at) <= last.map(|last| last.started_at) {
                before = last.or(before);
            }
        }
        // `max_by_key` gives the last of equals, so the order is turned round.
        let most = counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|((reason, phase), _)| (reason, phase));
        let last = || before.map(|failure| (&failure.reason, failure.phase));
        most.or_else(last).map(|(reason, phase)| (reason.clone(), phase)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::time::Timestamp;

    /// Evidence of one check with failures of these regions: when, and why.
    fn evidence(failures: &[(&str, &[(i64, Reason)])]) -> (Evidence, CheckId) {
        let (mut evidence, check) = (Evidence::new(Form::Days), "shop-home".parse().unwrap());
        let swept = failures.iter().map(|(region, failures)| Swept {
            region: region.parse().unwrap(),
            samples: Vec::new(),
            failures: failures
                .iter()
                .map(|(at, reason)| Failure {
                    started_at: Timestamp::from_ms(*at),
                    reason: Some(reason.clone()),
                    phase: Some(Phase::Connect),
                })
                .collect(),
            days: Vec::new(),
        });
        evidence.take(&check, swept.collect());
        (evidence, check)
    }

    #[test]
    fn the_cause_is_that_of_most_failures_in_the_outage_by_the_regions_that_failed_else_of_the_last_before() {
        use Reason::{ConnectRefused, DnsTimeout, HttpStatus};
        let (mut evidence, check) = evidence(&[
            ("ap-south", &[(20, DnsTimeout), (21, DnsTimeout), (22, DnsTimeout)]),
            ("eu-west", &[(5, HttpStatus), (20, ConnectRefused), (39, HttpStatus), (40, HttpStatus)]),
            ("us-east", &[(5, DnsTimeout), (21, ConnectRefused), (41, HttpStatus)]),
        ]);
        let regions: Vec<RegionId> = ["eu-west", "us-east"].map(|region| region.parse().unwrap()).into();
        let reason = |evidence: &Evidence, from, to| {
            let outage = Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to));
            evidence.cause([&check].into_iter(), &regions, outage).0
        };
        assert_eq!(reason(&evidence, 20, 40), Some(ConnectRefused), "the end is not in it, nor is another region");
        assert_eq!(reason(&evidence, 20, 42), Some(HttpStatus), "three of five");
        assert_eq!(reason(&evidence, 6, 19), Some(DnsTimeout), "of two at once the one of the later region");
        assert_eq!(reason(&evidence, 25, 30), Some(ConnectRefused));
        assert_eq!(reason(&evidence, 0, 5), None);
        evidence.begin_service();
        assert_eq!(reason(&evidence, 20, 40), None, "another service's failures are of no use");
    }
}
