//! The same samples under another policy: what would have been, beside what the contract says.
//!
//! Such a report is marked as such, is never frozen and never signed.

use std::str::FromStr;

use nines_shared::duration;
use rusqlite::Connection;

use super::basis::ServiceBasis;
use super::model::{Report, Said, State, WhatIf};
use super::{ReportError, life};
use crate::definition::{DegradedIs, Method, Policy, UnknownIs};

/// One thing that is to be otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// How many regions must agree, of every check.
    Quorum(u16),
    /// What is counted.
    Method(Method),
    /// The length of a slice, in ms.
    SliceMs(i64),
    /// What unknown time is.
    Unknown(UnknownIs),
    /// What degraded time is.
    Degraded(DegradedIs),
    /// Shorter outages are not contractual downtime, in ms.
    MinOutageMs(i64),
}

const MEND: &str = "write one of quorum=N, method=time|timeslices|occurrences, slice=1m, unknown=exclude|down|up, \
    degraded=up|down, min_outage=0s";

impl FromStr for Otherwise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no policy; {MEND}");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let ms = || duration::parse_ms(value).map_err(|error| error.to_string());
        match (key, value) {
            ("quorum", _) => value.parse().map(Self::Quorum).map_err(|_no_number| wrong()),
            ("method", "time") => Ok(Self::Method(Method::Time)),
            ("method", "timeslices") => Ok(Self::Method(Method::Timeslices)),
            ("method", "occurrences") => Ok(Self::Method(Method::Occurrences)),
            ("slice", _) => ms().and_then(|ms| if 0 < ms { Ok(Self::SliceMs(ms)) } else { Err(wrong()) }),
            ("unknown", "exclude") => Ok(Self::Unknown(UnknownIs::Exclude)),
            ("unknown", "down") => Ok(Self::Unknown(UnknownIs::Down)),
            ("unknown", "up") => Ok(Self::Unknown(UnknownIs::Up)),
            ("degraded", "up") => Ok(Self::Degraded(DegradedIs::Up)),
            ("degraded", "down") => Ok(Self::Degraded(DegradedIs::Down)),
            ("min_outage", _) => ms().map(Self::MinOutageMs),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Otherwise {
    /// As it is written in the fleet file: `unknown=down`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Quorum(quorum) => write!(f, "quorum={quorum}"),
            Self::Method(Method::Time) => f.write_str("method=time"),
            Self::Method(Method::Timeslices) => f.write_str("method=timeslices"),
            Self::Method(Method::Occurrences) => f.write_str("method=occurrences"),
            Self::SliceMs(ms) => write!(f, "slice={}", duration::Shown(*ms)),
            Self::Unknown(UnknownIs::Exclude) => f.write_str("unknown=exclude"),
            Self::Unknown(UnknownIs::Down) => f.write_str("unknown=down"),
            Self::Unknown(UnknownIs::Up) => f.write_str("unknown=up"),
            Self::Degraded(DegradedIs::Up) => f.write_str("degraded=up"),
            Self::Degraded(DegradedIs::Down) => f.write_str("degraded=down"),
            Self::MinOutageMs(ms) => write!(f, "min_outage={}", duration::Shown(*ms)),
        }
    }
}

impl Otherwise {
    /// Changes `basis`; says why that makes no sense.
    fn applied(self, basis: &mut ServiceBasis) -> Result<(), String> {
        if let Self::Quorum(quorum) = self {
            for check in &mut basis.checks {
                for version in &mut check.versions {
                    if quorum == 0 || version.regions.len() < usize::from(quorum) {
                        let regions = version.regions.len();
                        return Err(format!("quorum={quorum}: check {} is asked from {regions} regions", check.check));
                    }
                    version.quorum = quorum;
                }
            }
            return Ok(());
        }
        let Some(sla) = &mut basis.service.sla else { return Ok(()) };
        let policy: &mut Policy = &mut sla.policy;
        match self {
            Self::Quorum(_) => {}
            Self::Method(method) => policy.method = method,
            Self::SliceMs(ms) => policy.slice_ms = ms,
            Self::Unknown(unknown) => policy.unknown = unknown,
            Self::Degraded(degraded) => policy.degraded = degraded,
            Self::MinOutageMs(ms) if policy.min_outage_ms < ms => {
                let why =
                    "can only be made shorter here: how long an outage at the window's edge lasted is not looked at";
                return Err(format!("min_outage {why}"));
            }
            Self::MinOutageMs(ms) => policy.min_outage_ms = ms,
        }
        Ok(())
    }
}

/// The figures of `contract` under another policy, by the same samples as far as they are still the same.
///
/// # Errors
/// [`ReportError::Otherwise`] where a change makes no sense; and what the store says.
pub fn build(conn: &Connection, contract: &Report, changes: &[Otherwise]) -> Result<Report, ReportError> {
    if contract.basis.is_empty() {
        return Err(ReportError::Otherwise(
            "can't be applied to a report that holds no definitions (basis)".to_owned(),
        ));
    }
    let mut plan = life::plan_of(contract);
    for basis in &mut plan.basis {
        for change in changes {
            change.applied(basis).map_err(ReportError::Otherwise)?;
        }
    }
    let said = contract.services.iter().map(|service| Said {
        service: service.service.clone(),
        accounts: service.accounts,
        availability_ppm: service.availability_ppm,
        sla: service.sla.clone(),
    });
    let what_if = WhatIf {
        policy: changes.iter().map(ToString::to_string).collect(),
        revision: (contract.state == State::Final).then_some(contract.revision),
        samples: contract.samples.clone(),
        contract: said.collect(),
    };
    Ok(Report { what_if: Some(what_if), ..plan.carried_out(conn)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{FLEET, MINUTE, asked, built, shelf, store, two_hours};

    #[test]
    fn a_policy_is_written_as_it_is_read_and_nonsense_is_told_what_there_is() {
        let all = "quorum=1 method=time method=timeslices method=occurrences slice=1m unknown=exclude unknown=down unknown=up \
            degraded=up degraded=down min_outage=30s";
        for text in all.split_whitespace() {
            assert_eq!(text.parse::<Otherwise>().unwrap().to_string(), text);
        }
        for text in ["quorum", "quorum=many", "unknown=maybe", "colour=red", "slice=0s", ""] {
            assert!(text.parse::<Otherwise>().unwrap_err().contains("quorum=N") || text.starts_with("slice"), "{text}");
        }
    }

    #[test]
    fn the_same_samples_under_another_policy_stand_beside_what_the_contract_says() {
        let shelf = shelf(FLEET);
        let mut held = two_hours(&shelf);
        held.retain(|sample| sample.region.as_str() != "us-east");
        store(&shelf, &held);
        let contract = built(&shelf, &asked(0, 120), 200_000).unwrap();
        let under = |changes: &[&str]| {
            let changes: Vec<Otherwise> = changes.iter().map(|change| change.parse().unwrap()).collect();
            shelf.store.read_blocking(|conn| Ok(build(conn, &contract, &changes))).unwrap()
        };
        let down = contract.services[0].accounts.down_ms;
        assert!(4 * MINUTE < down, "two of three agree");
        let strict = under(&["quorum=1", "unknown=down"]).unwrap();
        let sla = |report: &Report| report.services[0].sla.clone().unwrap();
        assert!(down < strict.services[0].accounts.down_ms, "one region may accuse");
        assert_eq!((sla(&strict).good, sla(&strict).bad), (0, 110 * MINUTE), "and the silent one may, too");
        let what_if = strict.what_if.as_ref().unwrap();
        assert_eq!(what_if.policy, ["quorum=1", "unknown=down"]);
        assert_eq!(
            (what_if.contract[0].accounts.down_ms, what_if.contract[0].sla.as_ref()),
            (down, Some(&sla(&contract)))
        );
        assert_eq!((strict.state, &strict.samples), (State::Preliminary, &contract.samples));
        assert_eq!(sla(&under(&["method=timeslices"]).unwrap()).unit, crate::report::model::Unit::Slices);
        assert!(under(&["quorum=4"]).unwrap_err().to_string().contains("3 regions"));
        assert!(under(&["min_outage=2m"]).unwrap_err().to_string().contains("shorter"));
    }
}
