//! What a report was judged by: the definitions in force, as much of them as its figures depend on.
//!
//! It is a part of the report, so that whoever holds the report and the samples needs nothing else to make every
//! figure again; and the report is made from it and from nothing beside it. What a check asks is told without
//! secrets, and pinned by the digest of its whole definition.

use nines_shared::check::{Check, Draft, HttpQuestion, Question, default_recheck_ms};
use nines_shared::id::{CheckId, CustomerId, RegionId};
use nines_shared::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::definition::{Maintenance, Service};
use crate::fingerprint::{self, OfLines};
use crate::uptime::{CheckRecord, CheckVersion, ServiceRecord};

/// The definitions of one service in one report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceBasis {
    /// The definition in force at the window's end, with its contract.
    pub service: Service,
    /// The customer's zone, IANA.
    pub timezone: String,
    /// Its life, as far as the report looks.
    pub life: Span,
    /// The maintenance that counts, as far as the report looks.
    pub maintenance: Vec<Maintenance>,
    /// Its checks, by id.
    pub checks: Vec<CheckBasis>,
}

/// The definitions of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckBasis {
    /// Which check.
    pub check: CheckId,
    /// When it was removed, where that lies within what the report looks at.
    pub removed_at: Option<Timestamp>,
    /// In order, never empty; the first one holds for all time before the second.
    pub versions: Vec<VersionBasis>,
}

/// A definition of a check that was in force for a part of the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionBasis {
    /// Its first instant, or the first that the report looks at.
    pub from: Timestamp,
    /// Between two slots of a region.
    pub interval_ms: i64,
    /// Until a check that has not ended is down.
    pub timeout_ms: i64,
    /// How many regions must agree.
    pub quorum: u16,
    /// Where it was asked from; their order is that of their stagger.
    pub regions: Vec<RegionId>,
    /// What it asked; without secrets.
    pub target: String,
    /// SHA-256 of the whole definition as JSON.
    pub definition: String,
}

/// A basis that no program of ours wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definitions of check {check} make no sense: {why}")]
pub struct BasisError {
    /// Which check.
    pub check: CheckId,
    /// What is wrong.
    pub why: String,
}

impl ServiceBasis {
    /// The definitions of `record` as `customer` may see them, as far as a report of `window` reaches that uses samples
    /// of `used`. `None` where the service had no life in `window`.
    pub fn of(record: &ServiceRecord, customer: &CustomerId, (window, used): (Span, Span)) -> Option<Self> {
        record.life.intersection(window)?;
        let checks = record.checks.iter().filter_map(|check| CheckBasis::of(check, used));
        Some(Self {
            // Who else there is a contract with is none of this customer's business.
            service: Service { customer: customer.clone(), contracts: Vec::new(), ..record.service.clone() },
            timezone: record.timezone.clone(),
            life: record.life.intersection(used)?,
            maintenance: clipped(&record.maintenance, used),
            checks: checks.collect(),
        })
    }

    /// The record to be judged, without samples.
    ///
    /// # Errors
    /// [`BasisError`] where it was not made by [`ServiceBasis::of`].
    pub fn record(&self) -> Result<ServiceRecord, BasisError> {
        let checks = self.checks.iter().map(|check| check.record(self)).collect::<Result<_, _>>()?;
        Ok(ServiceRecord {
            service: self.service.clone(),
            timezone: self.timezone.clone(),
            life: self.life,
            checks,
            maintenance: self.maintenance.clone(),
        })
    }

    /// What `check` asked by the last of its definitions in force in `window`.
    pub fn target(&self, check: &CheckId, window: Span) -> Option<&str> {
        let check = self.checks.iter().find(|known| known.check == *check)?;
        let later = check.versions.partition_point(|version| version.from < window.to);
        check.versions.get(later.saturating_sub(1)).map(|version| version.target.as_str())
    }
}

impl CheckBasis {
    fn of(record: &CheckRecord, used: Span) -> Option<Self> {
        let in_force = record.in_force().filter_map(|(span, check)| Some((span.intersection(used)?, check)));
        let version = |(span, check): (Span, &Check)| VersionBasis {
            from: span.from,
            interval_ms: check.interval_ms,
            timeout_ms: check.timeout_ms,
            quorum: check.quorum,
            regions: check.regions.clone(),
            target: check.question.target(),
            definition: fingerprint::of(
                &serde_json::to_vec(check).expect("a check has only text keys and is written to memory"),
            ),
        };
        let versions: Vec<VersionBasis> = in_force.map(version).collect();
        let check = record.versions.first()?.check.id.clone();
        let removed_at = (record.removed_at < used.to).then_some(record.removed_at);
        (!versions.is_empty()).then_some(Self { check, removed_at, versions })
    }

    fn record(&self, service: &ServiceBasis) -> Result<CheckRecord, BasisError> {
        let version = |(index, version): (usize, &VersionBasis)| {
            let valid_from = if index == 0 { Timestamp::MIN } else { version.from };
            Ok(CheckVersion { valid_from, check: version.check(self, service)? })
        };
        let versions = self.versions.iter().enumerate().map(version).collect::<Result<Vec<_>, BasisError>>()?;
        let ordered = versions.windows(2).all(|pair| pair[0].valid_from < pair[1].valid_from);
        if versions.is_empty() || !ordered {
            return Err(BasisError { check: self.check.clone(), why: "its versions are not in order".to_owned() });
        }
        Ok(CheckRecord { versions, removed_at: self.removed_at.unwrap_or(Timestamp::MAX), regions: Vec::new() })
    }
}

impl VersionBasis {
    /// The check as far as verdicts are concerned; what it asked is told apart, by [`ServiceBasis::target`].
    fn check(&self, of: &CheckBasis, service: &ServiceBasis) -> Result<Check, BasisError> {
        let nowhere = "https://target.invalid/".parse().expect("a URL");
        let question = Question::Http(Box::new(HttpQuestion::get(nowhere)));
        let draft = Draft::new(of.check.clone(), service.service.id.clone(), self.regions.clone(), question);
        let draft = Draft {
            interval_ms: self.interval_ms,
            timeout_ms: self.timeout_ms,
            quorum: self.quorum,
            recheck_ms: default_recheck_ms(self.interval_ms),
            ..draft
        };
        Check::new(draft).map_err(|errors| BasisError {
            check: of.check.clone(),
            why: errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        })
    }
}

/// Windows as far as they lie in `used`, in the same order.
pub(super) fn clipped(windows: &[Maintenance], used: Span) -> Vec<Maintenance> {
    let clip = |window: &Maintenance| Some(Maintenance { span: window.span.intersection(used)?, ..window.clone() });
    windows.iter().filter_map(clip).collect()
}

/// SHA-256 of `basis` as one line of compact JSON: `jq -c .basis report.json | sha256sum`.
pub fn digest(basis: &[ServiceBasis]) -> String {
    let mut line = OfLines::new();
    line.push(&serde_json::to_string(basis).expect("a basis has only text keys and is written to memory"));
    line.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::definitions::{self, maintenance};
    use crate::store::tests::{check, fleet, store};

    const REGIONS: &[&str] = &["us-east", "eu-west"];

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn basis(store: &crate::store::Store, window: Span) -> ServiceBasis {
        let shop = "shop".parse().unwrap();
        let record = store.read_blocking(|conn| definitions::outline(conn, &shop, window)).unwrap().unwrap();
        ServiceBasis::of(&record, &"acme".parse().unwrap(), (window, window)).unwrap()
    }

    #[test]
    fn the_digest_changes_with_what_counts_in_the_window_and_with_nothing_else() {
        let (_folder, store) = store();
        let mut fleet = fleet(vec![check("shop-home", 60_000, REGIONS)]);
        fleet.services[0].since = Some(ms(0));
        let load = |fleet: &crate::definition::Fleet, at| {
            let fleet = fleet.clone();
            store.write_blocking(move |tx| definitions::load(tx, &fleet, ms(at))).unwrap()
        };
        let digested = |to| digest(&[basis(&store, Span::new(ms(0), ms(to)))]);
        load(&fleet, 1_000);
        let early = digested(5_000);
        assert!(early.starts_with("sha256:") && early.len() == 7 + 64);
        fleet.checks[0] = check("shop-home", 30_000, REGIONS);
        load(&fleet, 5_000);
        assert_eq!(digested(5_000), early, "a later version is no part of the window");
        assert_ne!(digested(5_001), early);
        let add = |from, to| {
            let span = Span::new(ms(from), ms(to));
            let window = Maintenance {
                service: "shop".parse().unwrap(),
                span,
                reason: "upgrade".to_owned(),
                afterwards: None,
                weekly: None,
            };
            store.write_blocking(move |tx| maintenance::add(tx, &window, "ann", ms(6_000))).unwrap()
        };
        add(5_000, 6_000);
        assert_eq!(digested(5_000), early);
        add(4_999, 6_000);
        assert_ne!(digested(5_000), early);
        fleet.checks.clear();
        let before = digested(7_000);
        load(&fleet, 7_000);
        assert_eq!(digested(7_000), before, "what is removed later was there");
    }

    #[test]
    fn a_basis_says_all_that_a_verdict_needs_and_hides_what_a_question_must_not_show() {
        let (_folder, store) = store();
        let mut fleet = fleet(vec![check("shop-home", 60_000, REGIONS)]);
        fleet.services[0].since = Some(ms(0));
        let Question::Http(mut http) = fleet.checks[0].question.clone() else { panic!("an HTTP check") };
        http.url = "https://ann:hunter2@shop.example/".parse().unwrap();
        let draft = Draft { question: Question::Http(http), ..Draft::from(fleet.checks[0].clone()) };
        fleet.checks[0] = Check::new(draft).unwrap();
        let loaded = fleet.clone();
        store.write_blocking(move |tx| definitions::load(tx, &loaded, ms(1))).unwrap();
        let basis = basis(&store, Span::new(ms(0), ms(1_000_000)));
        let text = serde_json::to_string(&basis).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let again: ServiceBasis = serde_json::from_str(&text).unwrap();
        assert_eq!(again, basis);
        let record = again.record().unwrap();
        let (made, asked) = (&record.checks[0].versions[0].check, &fleet.checks[0]);
        assert_eq!((made.quorum, made.timeout_ms, &made.regions), (asked.quorum, asked.timeout_ms, &asked.regions));
        let region = "us-east".parse().unwrap();
        assert_eq!(made.cadence(&region), asked.cadence(&region), "the same slots");
        assert_eq!(again.target(&asked.id, Span::new(ms(0), ms(1))), Some("https://shop.example/"));
    }

    #[test]
    fn a_basis_that_was_tampered_with_is_refused_and_not_judged() {
        let (_folder, store) = store();
        let mut fleet = fleet(vec![check("shop-home", 60_000, REGIONS)]);
        fleet.services[0].since = Some(ms(0));
        store.write_blocking(move |tx| definitions::load(tx, &fleet, ms(1))).unwrap();
        let mut basis = basis(&store, Span::new(ms(0), ms(1_000_000)));
        basis.checks[0].versions[0].quorum = 0;
        assert!(basis.record().unwrap_err().to_string().contains("quorum"));
        basis.checks[0].versions.clear();
        assert!(basis.record().is_err());
    }
}
