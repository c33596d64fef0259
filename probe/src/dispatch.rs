//! Sleep until due, take a permit, run, hand to the spool.
//!
//! Owns the one loop that knows what time it is: it looks at the schedule, begins what is due and sleeps,
//! never long, so that a clock that is put back or forth is noticed. It decides nothing about slots
//! ([`crate::schedule`]) nor about outcomes (`judge`). Every slot that it is given becomes a sample, whatever
//! happens: `overrun`, `saturated`, `stopped` and `internal` are samples too.

mod judge;
mod pace;
mod permits;
mod pulse;
mod take;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use nines_shared::check::Pace;
use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::sample::{Outcome, Reason, Sample};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::asks::Asked;
use crate::assignment::Work;
use crate::canary::Canaries;
use crate::clock_watch::{ClockWatch, Reading};
use crate::prober::Prober;
use crate::schedule::{Action, Due, Look, Schedule};
use crate::spool::Spool;

use pace::{Begun, Limit};

pub use permits::{MAX_IN_FLIGHT, permits};
pub use pulse::Pulse;
pub use tally::Tally;

/// The longest sleep: within it a step of the wall clock goes unnoticed.
const MAX_SLEEP: Duration = Duration::from_millis(500);
/// How long running checks may go on once the agent is to stop; then they are named `stopped`.
pub const FINISH_GRACE: Duration = Duration::from_secs(3);
/// The most endings that wait to be noted; more wait in their tasks.
const MAX_ENDINGS: usize = 1_024;

/// The most answers to asks that wait or run at one time; further asks are dropped, which only costs their haste.
pub const MAX_ASKED: usize = 256;

/// What every check that runs has in common.
#[derive(Debug)]
pub struct Kit {
    /// Who looks.
    pub probe: ProbeId,
    /// From where.
    pub region: RegionId,
    /// Runs checks.
    pub prober: Prober,
    /// Keeps samples.
    pub spool: Spool,
    /// What time it is.
    pub clock: Arc<ClockWatch>,
    /// Whether it is us.
    pub canaries: Arc<Canaries>,
    /// What was missed, and how late we are.
    pub tally: Arc<Tally>,
    /// Whether we stood still.
    pub pulse: Arc<Pulse>,
    /// How often one target may be asked.
    pub pace: Pace,
    /// How many checks may run at once.
    pub permits: Arc<Semaphore>,
    /// Told when a sample is in the spool that somebody waits for.
    pub hurry: Arc<Notify>,
}

/// A check that was begun has ended.
#[derive(Debug)]
struct Ending {
    check: CheckId,
    outcome: Outcome,
}

/// The loop's own.
struct Dispatch {
    kit: Arc<Kit>,
    tasks: TaskTracker,
    endings: mpsc::Sender<Ending>,
    /// Cancelled when running checks must end.
    cut: CancellationToken,
    /// Places for answers to asks.
    answering: Arc<Semaphore>,
    /// What this machine lets targets be asked.
    limit: Limit,
    /// The most checks that were ever assigned: some of them may run on.
    most: usize,
}

/// Runs every slot of `work` until `stop`, and what is asked of it besides; then waits for what runs, at most
/// [`FINISH_GRACE`].
pub async fn run(
    kit: Arc<Kit>,
    mut work: watch::Receiver<Arc<Work>>,
    mut asks: mpsc::Receiver<Asked>,
    stop: CancellationToken,
) {
    let (endings, mut ended) = mpsc::channel(MAX_ENDINGS);
    let answering = Arc::new(Semaphore::new(MAX_ASKED));
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let limit = Limit::new(kit.pace);
    let mut dispatch = Dispatch { kit, tasks, endings, cut, answering, limit, most: 0 };
    let pulse = Arc::clone(&dispatch.kit.pulse);
    let _beating = AbortOnDropHandle::new(tokio::spawn(async move { pulse.beat().await }));
    let clock = Arc::clone(&dispatch.kit.clock);
    let mut last = clock.read();
    let mut schedule = Schedule::new(dispatch.kit.region.clone(), last.now);
    dispatch.assign(&mut schedule, &work.borrow_and_update(), last);
    while !stop.is_cancelled() {
        let reading = clock.read();
        let look = schedule.look(reading.now, reading.uptime_ms - last.uptime_ms);
        last = reading;
        dispatch.begin(&mut schedule, look, reading);
        dispatch.kit.tally.turn();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some(ending) = ended.recv() => note(&mut schedule, ending, &mut ended, reading),
            Some(asked) = asks.recv() => dispatch.answer(&mut schedule, &asked, clock.read()),
            Ok(()) = work.changed() => dispatch.assign(&mut schedule, &work.borrow_and_update(), clock.read()),
            () = tokio::time::sleep(until_due(&schedule, &clock)) => {}
        }
    }
    drop(ended);
    dispatch.finish().await;
}

fn until_due(schedule: &Schedule, clock: &ClockWatch) -> Duration {
    let Some(due) = schedule.next_due() else { return MAX_SLEEP };
    let wait_ms = u64::try_from(due.since(clock.read().now)).unwrap_or(0);
    Duration::from_millis(wait_ms).min(MAX_SLEEP)
}

/// Notes `first` and whatever else has ended by now.
fn note(schedule: &mut Schedule, first: Ending, ended: &mut mpsc::Receiver<Ending>, reading: Reading) {
    let mut next = Some(first);
    while let Some(ending) = next {
        schedule.ended(&ending.check, ending.outcome, reading.now);
        next = ended.try_recv().ok();
    }
}

impl Dispatch {
    /// The secrets first, so that no check begins without those that it names.
    fn assign(&mut self, schedule: &mut Schedule, work: &Work, reading: Reading) {
        self.kit.prober.know(Arc::clone(&work.secrets));
        let foreign = schedule.assign(work.checks.clone());
        self.most = self.most.max(schedule.len());
        tracing::info!(checks = schedule.len(), digest = work.digest, "schedule.assigned");
        for check in foreign {
            tracing::error!(%check, "schedule.check_of_another_region");
        }
        for (check, why) in self.limit.assign(&work.checks, reading.uptime_ms) {
            tracing::warn!(%check, why, "dispatch.refused");
        }
    }

    fn begin(&mut self, schedule: &mut Schedule, look: Look, reading: Reading) {
        self.kit.tally.miss(look.unnamed);
        let (mut overruns, mut refused, mut unnamed) = (Vec::new(), Vec::new(), 0_u64);
        for due in look.due {
            if self.is_full() {
                if due.action == Action::Run {
                    schedule.ended(&due.check.id, Outcome::Inconclusive, reading.now);
                }
                unnamed += u64::from(judge::is_owed(due.kind));
                continue;
            }
            match due.action {
                Action::Run => match self.limit.begin(&due.check.id, reading.uptime_ms, Begun::Due) {
                    Ok(()) => self.start(due, None),
                    Err(why) => {
                        schedule.ended(&due.check.id, Outcome::Inconclusive, reading.now);
                        refused.push((due, why));
                    }
                },
                Action::Overrun => overruns.push(due),
            }
        }
        if 0 < unnamed {
            self.kit.tally.miss(unnamed);
            tracing::error!(slots = unnamed, "dispatch.full");
        }
        if !overruns.is_empty() {
            let kit = Arc::clone(&self.kit);
            self.tasks.spawn(async move { name_overruns(&kit, &overruns, reading).await });
        }
        if !refused.is_empty() {
            let kit = Arc::clone(&self.kit);
            self.tasks.spawn(async move { name_refused(&kit, refused, reading).await });
        }
    }

    /// Runs what is asked, where it is a check of ours (INV-10), still wanted, and there is room.
    fn answer(&mut self, schedule: &mut Schedule, asked: &Asked, reading: Reading) {
        let left = asked.until.saturating_duration_since(Instant::now());
        let dropped = |why: &str| tracing::warn!(check = %asked.check, at = %asked.at, why, "ask.dropped");
        if left.is_zero() {
            return dropped("it came too late");
        }
        if !reading.trusted {
            return dropped("our clock is in doubt, and the answer would say nothing");
        }
        let Ok(place) = Arc::clone(&self.answering).try_acquire_owned() else {
            return dropped("too many are being answered");
        };
        if let Err(why) = self.limit.begin(&asked.check, reading.uptime_ms, Begun::Asked) {
            return dropped(&why);
        }
        let latest_start = reading.now.plus_ms(i64::try_from(left.as_millis()).unwrap_or(i64::MAX));
        match schedule.asked(&asked.check, asked.at, latest_start) {
            Some(due) => self.start(due, Some(place)),
            None => dropped("the assignment has no such check"),
        }
    }

    /// Whether more wait than can while the spool gets on: two of each check's slots, since a slot's latest start and
    /// timeout lie before the next slot's; what is asked besides, and as many who only name slots. A disk that hangs
    /// must not fill the memory with slots that wait to be told; those that are not told stay missing.
    fn is_full(&self) -> bool {
        2 * (self.most + MAX_ASKED) < self.tasks.len()
    }

    fn start(&self, due: Due, place: Option<OwnedSemaphorePermit>) {
        let (kit, endings, cut) = (Arc::clone(&self.kit), self.endings.clone(), self.cut.clone());
        self.tasks.spawn(async move {
            let check = due.check.id.clone();
            let outcome = take::take(&kit, &due, &cut).await;
            drop(place);
            // The loop may have stopped; then nobody asks.
            let _noted = endings.send(Ending { check, outcome }).await;
        });
    }

    async fn finish(self) {
        self.tasks.close();
        if timeout(FINISH_GRACE, self.tasks.wait()).await.is_err() {
            tracing::info!(running = self.tasks.len(), "dispatch.cut_short");
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }
}

async fn name_overruns(kit: &Kit, overruns: &[Due], reading: Reading) {
    kit.tally.miss(overruns.len() as u64);
    tracing::warn!(slots = overruns.len(), "dispatch.overrun");
    let samples: Vec<Sample> = overruns.iter().map(|due| judge::not_run(kit, due, reading, Reason::Overrun)).collect();
    take::keep(kit, &samples, false).await;
}

/// The samples of slots whose checks this machine does not let run.
async fn name_refused(kit: &Kit, refused: Vec<(Due, String)>, reading: Reading) {
    let told = |(due, why)| Sample { detail: Some(why), ..judge::not_run(kit, &due, reading, Reason::TooOften) };
    let owed = refused.into_iter().filter(|(due, _)| judge::is_owed(due.kind));
    let samples: Vec<Sample> = owed.map(told).collect();
    take::keep(kit, &samples, false).await;
}

#[cfg(test)]
mod tests;
