//! One check, once: one deadline for all of it, and a match over the kinds.

use std::net::IpAddr;

use nines_shared::address::AddressRule;
use nines_shared::check::Check;
use nines_shared::sample::{Evidence, Outcome, Phase, Phases, Reason};

/// How this machine looks out: from which address, to which addresses.
#[derive(Clone, Debug, Default)]
pub struct Vantage {
    /// Look from this address; the kernel's choice where `None`.
    pub source: Option<IpAddr>,
    /// Which addresses may be contacted.
    pub rule: AddressRule,
}

/// What one check saw: a sample without its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was seen, and so whose fault it was.
    pub outcome: Outcome,
    /// Why, where it is not `up`.
    pub reason: Option<Reason>,
    /// In which phase it failed.
    pub phase: Option<Phase>,
    /// One line for people, clean (see [`nines_shared::sample::detail`]).
    pub detail: Option<String>,
    /// µs of the last attempt.
    pub duration_us: u64,
    /// µs of each phase of the last attempt.
    pub phases_us: Phases,
    /// The number of the attempt that decided, from 1.
    pub attempt: u8,
    /// What the target said and showed.
    pub evidence: Evidence,
}

/// What every check of a probe shares: the vantage, the resolver, the TLS configurations made so far.
#[derive(Debug)]
pub struct Prober {
    vantage: Vantage,
}

impl Prober {
    /// A prober that looks out from `vantage`.
    pub fn new(vantage: Vantage) -> Self {
        Self { vantage }
    }

    /// Runs `check` once, with its retries, within its timeout. Never fails: whatever goes wrong is an outcome.
    pub async fn run(&self, _check: &Check) -> Observation {
        let detail = format!("no prober yet looks out from {:?}", self.vantage.source);
        Observation {
            outcome: Outcome::Inconclusive,
            reason: Some(Reason::Unsupported),
            phase: None,
            detail: Some(detail),
            duration_us: 0,
            phases_us: Phases::default(),
            attempt: 1,
            evidence: Evidence::default(),
        }
    }
}
