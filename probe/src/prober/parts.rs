//! A sample of several parts: one question asked of every address of its host at the same time, or several
//! questions at once. One deadline holds for all.
//!
//! The worst part decides, in the order down > inconclusive > degraded > up: what we could not do neither
//! hides what a target did nor passes for a success. Among parts that failed alike the first in the order of
//! their addresses is told, so that regions and samples agree; among those that worked, the slowest. Its
//! figures and evidence are the sample's; every part's own are in `evidence.parts`. Limit: [`MAX_PARTS`].

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin as Pinned;
use std::task::Poll;

use nines_shared::check::{Addresses, Check, Question};
use nines_shared::sample::{Outcome, Part, Phase, Reason, detail};
use tokio::time::timeout_at;
use url::Host;

use super::connect::{self, Pin};
use super::failure::Failure;
use super::record::Record;
use super::{Look, Observation, Run, must_fail};

/// The most parts of one sample. Where there would be more, that is a part of its own, and inconclusive.
pub(crate) const MAX_PARTS: usize = 16;

/// A part before it is asked.
struct Plan<'q> {
    /// The address and port, or the host and port where no address is given.
    what: String,
    question: &'q Question,
    /// The address that it is bound to.
    pin: Option<Pin>,
    /// Why it can't be asked.
    refusal: Option<Failure>,
}

impl Look<'_> {
    /// Asks `questions`, which `check` is made of, each of all the addresses that it is for.
    pub(super) async fn parts(&self, check: &Check, questions: &[Question], run: Run) -> Observation {
        let mut record = Record::start();
        let plans = match timeout_at(run.deadline, self.plans(questions, &mut record)).await {
            Ok(Ok(plans)) => plans,
            Ok(Err(failure)) => return unplanned(check, failure, record, run),
            Err(_elapsed) => {
                let failure = record.timed_out(&check.question);
                return unplanned(check, failure, record, run);
            }
        };
        let asked = plans.iter().map(|plan| self.part(check, plan, &record, run)).collect();
        let whats = plans.iter().map(|plan| plan.what.clone());
        worst(whats.zip(together(asked).await).collect())
    }

    /// One part; its clock began with the resolution that all share.
    fn part<'a>(&'a self, check: &'a Check, plan: &'a Plan<'_>, shared: &Record, run: Run) -> Asked<'a> {
        let record = shared.branch();
        Box::pin(async move {
            if let Some(refusal) = &plan.refusal {
                return record.conclude(Some(refusal.clone()), run.attempt, None, true);
            }
            let secrets = self.secrets.clone();
            let look = Look { prober: self.prober, trace: self.trace, pin: plan.pin.as_ref(), secrets };
            look.one(check, plan.question, record, Run { whole: false, ..run }).await
        })
    }

    async fn plans<'q>(&self, questions: &'q [Question], record: &mut Record) -> Result<Vec<Plan<'q>>, Failure> {
        let mut plans = Vec::new();
        for question in questions {
            let Some((host, port)) = question.endpoint() else { continue };
            if question.reach().addresses == Addresses::One {
                plans.push(Plan { what: shown(&host, port), question, pin: None, refusal: None });
                continue;
            }
            for address in connect::addresses(self, &host, port, question.reach().family, record).await? {
                let pin = Pin { host: host.to_owned(), port, addresses: vec![address] };
                plans.push(Plan { what: shown_address(address, port), question, pin: Some(pin), refusal: None });
            }
        }
        if MAX_PARTS < plans.len() {
            let why = format!("there are {} addresses and ports; at most {MAX_PARTS} are asked", plans.len());
            plans.truncate(MAX_PARTS);
            if let Some(last) = plans.last().map(|plan| plan.question) {
                let refusal = Some(Failure::ours(Reason::Unsupported, Phase::Resolve, why));
                plans.push(Plan { what: "the rest".to_owned(), question: last, pin: None, refusal });
            }
        }
        Ok(plans)
    }
}

/// What it amounts to that there are no parts.
fn unplanned(check: &Check, failure: Failure, record: Record, run: Run) -> Observation {
    let failure = must_fail::turned(check.must_fail.as_ref(), Some(failure), record.last_phase());
    record.conclude(failure, run.attempt, None, true)
}

fn shown(host: &Host<&str>, port: u16) -> String {
    if port == 0 { host.to_string() } else { format!("{host}:{port}") }
}

fn shown_address(address: IpAddr, port: u16) -> String {
    if port == 0 { address.to_string() } else { SocketAddr::new(address, port).to_string() }
}

type Asked<'a> = Pinned<Box<dyn Future<Output = Observation> + Send + 'a>>;

/// All of `asked` at the same time, in their order.
async fn together(mut asked: Vec<Asked<'_>>) -> Vec<Observation> {
    let mut seen: Vec<Option<Observation>> = asked.iter().map(|_| None).collect();
    poll_fn(move |cx| {
        for (part, seen) in asked.iter_mut().zip(&mut seen) {
            if seen.is_none()
                && let Poll::Ready(observation) = part.as_mut().poll(cx)
            {
                *seen = Some(observation);
            }
        }
        if seen.iter().all(Option::is_some) {
            Poll::Ready(seen.iter_mut().filter_map(Option::take).collect())
        } else {
            Poll::Pending
        }
    })
    .await
}

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Up => 0,
        Outcome::Degraded => 1,
        Outcome::Inconclusive => 2,
        Outcome::Down => 3,
    }
}

/// What the parts amount to. There is at least one.
fn worst(mut parts: Vec<(String, Observation)>) -> Observation {
    let mut chosen = 0;
    for (index, (_what, seen)) in parts.iter().enumerate() {
        let best = &parts[chosen].1;
        let slower = rank(seen.outcome) <= rank(Outcome::Degraded) && best.duration_us < seen.duration_us;
        if rank(best.outcome) < rank(seen.outcome) || (seen.outcome == best.outcome && slower) {
            chosen = index;
        }
    }
    let outcome = parts[chosen].1.outcome;
    let alike = parts.iter().filter(|(_what, seen)| seen.outcome == outcome).count();
    let told = parts.iter().map(|(what, seen)| told(what, seen)).collect();
    let count = parts.len();
    let (what, mut worst) = parts.swap_remove(chosen);
    worst.detail = worst.detail.map(|text| detail(&format!("{alike} of {count} {outcome}: {what}: {text}")));
    worst.evidence.parts = told;
    if outcome != Outcome::Up {
        worst.evidence.bound();
    }
    worst
}

fn told(what: &str, seen: &Observation) -> Part {
    Part {
        what: what.to_owned(),
        outcome: seen.outcome,
        reason: seen.reason.clone(),
        phase: seen.phase,
        detail: seen.detail.clone(),
        duration_us: seen.duration_us,
        phases_us: seen.phases_us,
    }
}

#[cfg(test)]
mod tests {
    use nines_shared::sample::{Evidence, Phases};
    use proptest::prelude::*;

    use super::*;

    fn seen(outcome: Outcome, duration_us: u64) -> Observation {
        let failed = outcome != Outcome::Up;
        Observation {
            outcome,
            reason: failed.then_some(Reason::ConnectRefused),
            phase: failed.then_some(Phase::Connect),
            detail: failed.then(|| "why".to_owned()),
            duration_us,
            phases_us: Phases::default(),
            attempt: 1,
            evidence: Evidence::default(),
        }
    }

    fn of(parts: &[(Outcome, u64)]) -> Observation {
        let name = |(index, (outcome, us)): (usize, &(Outcome, u64))| (format!("part {index}"), seen(*outcome, *us));
        worst(parts.iter().enumerate().map(name).collect())
    }

    #[test]
    fn our_own_fault_neither_hides_the_targets_nor_passes_for_success() {
        use Outcome::{Degraded, Down, Inconclusive, Up};
        for (parts, outcome, us, detail) in [
            (vec![(Up, 1), (Up, 9), (Up, 3)], Up, 9, None),
            (vec![(Up, 9), (Degraded, 4)], Degraded, 4, Some("1 of 2 degraded: part 1: why")),
            (
                vec![(Up, 1), (Inconclusive, 2), (Degraded, 9)],
                Inconclusive,
                2,
                Some("1 of 3 inconclusive: part 1: why"),
            ),
            (vec![(Inconclusive, 9), (Down, 1), (Up, 2), (Down, 5)], Down, 1, Some("2 of 4 down: part 1: why")),
        ] {
            let seen = of(&parts);
            assert_eq!((seen.outcome, seen.duration_us, seen.detail.as_deref()), (outcome, us, detail), "{parts:?}");
            assert_eq!(seen.evidence.parts.len(), parts.len());
        }
    }

    proptest! {
        #[test]
        fn the_worst_is_as_bad_as_any_and_every_part_is_told(
            parts in proptest::collection::vec((proptest::sample::select(&Outcome::ALL[..]), 0..9_u64), 1..16)
        ) {
            let seen = of(&parts);
            prop_assert!(parts.iter().all(|(outcome, _)| rank(*outcome) <= rank(seen.outcome)));
            prop_assert!(parts.contains(&(seen.outcome, seen.duration_us)));
            let told: Vec<_> = seen.evidence.parts.iter().map(|part| (part.outcome, part.duration_us)).collect();
            prop_assert_eq!(told, parts);
        }
    }
}
