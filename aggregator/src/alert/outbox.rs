//! The outbox's loop: delivers what is due, keeps what came of it.
//!
//! A letter is on its way at most once at a time, and the next one of its incident and channel waits until it is
//! settled. A crash between delivery and the note of it delivers again, under the same key. A channel that hangs holds
//! up its own letters and nobody else's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use nines_shared::id::ChannelId;
use nines_shared::sample::detail;
use nines_shared::time::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::channel::client::Client;
use super::channel::{self, Refused};
use super::{backoff, notice};
use crate::definition::Fleet;
use crate::running::Running;
use crate::store::StoreError;
use crate::store::outbox::{self, Attempt, Letter};

/// The most letters on their way to one channel.
pub const MAX_PER_CHANNEL: usize = 4;
/// The most letters of one channel that are looked at in one round: those on their way, and as many more.
const LOOKED_AT: u32 = 8;
/// The longest time between two looks at the outbox.
pub const LOOK: Duration = Duration::from_secs(1);
/// How often settled letters that are old are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// How long letters on their way may take to be settled once the process is to stop; the others are sent again later.
pub const GRACE: Duration = Duration::from_secs(5);

/// Delivers until `running.stop` is cancelled; then letters on their way get [`GRACE`].
pub async fn run(running: Running) {
    let mut news = running.news.subscribe();
    let mut pruned: Option<Instant> = None;
    let mut courier = Courier { running: running.clone(), away: BTreeMap::new(), trips: JoinSet::new() };
    while !running.stop.is_cancelled() {
        news.mark_unchanged();
        if let Err(error) = courier.send_what_is_due().await {
            tracing::error!(%error, "outbox.failed: tried again within a second");
        }
        running.counters.outbox_rounds.add(1);
        if pruned.is_none_or(|at| PRUNE_EVERY <= at.elapsed()) {
            pruned = Some(Instant::now());
            prune(&running).await;
        }
        tokio::select! {
            () = running.stop.cancelled() => {}
            Some(trip) = courier.trips.join_next() => courier.back(trip.ok()),
            // An error means that nobody can bump it any more; then time alone wakes us.
            _woken = async { timeout(LOOK, news.changed()).await } => {}
        }
    }
    let rest = async { while courier.trips.join_next().await.is_some() {} };
    if timeout(GRACE, rest).await.is_err() {
        tracing::warn!("outbox.cut_off: letters on their way are sent again at the next start");
    }
}

async fn prune(running: &Running) {
    let before = running.clock.now().plus_ms(-outbox::KEPT_MS);
    match running.store.write(move |tx| outbox::prune(tx, before)).await {
        Ok(0) => {}
        Ok(letters) => tracing::info!(letters, "outbox.pruned"),
        Err(error) => tracing::error!(%error, "outbox.not_pruned: tried again within an hour"),
    }
}

/// Letters on their way.
struct Courier {
    running: Running,
    /// By number, with where they go.
    away: BTreeMap<i64, ChannelId>,
    trips: JoinSet<i64>,
}

impl Courier {
    async fn send_what_is_due(&mut self) -> Result<(), StoreError> {
        let now = self.running.clock.now();
        let letters = self.running.store.read(|conn| outbox::next(conn, LOOKED_AT)).await?;
        for letter in letters.into_iter().filter(|letter| backoff::is_due(letter.due_at, now)) {
            let at_channel = self.away.values().filter(|channel| **channel == letter.channel).count();
            if self.away.contains_key(&letter.no) || MAX_PER_CHANNEL <= at_channel {
                continue;
            }
            self.away.insert(letter.no, letter.channel.clone());
            self.trips.spawn(trip(self.running.clone(), letter));
        }
        Ok(())
    }

    /// A trip has ended; one that panicked never says which, and then nothing is known to be away.
    fn back(&mut self, no: Option<i64>) {
        match no {
            Some(no) => drop(self.away.remove(&no)),
            None if self.trips.is_empty() => self.away.clear(),
            None => {}
        }
    }
}

/// Delivers one letter and keeps what came of it; says its number.
async fn trip(running: Running, letter: Letter) -> i64 {
    let fleet = Arc::clone(&running.fleet.borrow());
    let client = Client::new(&fleet.aggregator.webhook_allow);
    let answer = channel::deliver(&client, &fleet, &letter, running.clock.now()).await;
    let now = running.clock.now();
    let attempt = judged(&running, &letter, answer, now);
    let no = letter.no;
    // The answer is not forgotten: until it is kept, the letter counts as on its way.
    while let Err(error) = keep(&running, &fleet, &letter, &attempt, now).await {
        tracing::error!(%error, letter = no, "outbox.not_kept: tried again within a second");
        sleep(LOOK).await;
    }
    no
}

async fn keep(
    running: &Running,
    fleet: &Arc<Fleet>,
    letter: &Letter,
    attempt: &Attempt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (fleet, letter, attempt) = (Arc::clone(fleet), letter.clone(), attempt.clone());
    let gave_up = matches!(attempt, Attempt::GaveUp { .. });
    let job = move |tx: &rusqlite::Transaction<'_>| {
        outbox::keep_attempt(tx, letter.no, &attempt, now)?;
        match &attempt {
            Attempt::GaveUp { failure } => notice::given_up(tx, &fleet, (&letter, failure), now),
            Attempt::Accepted | Attempt::Failed { .. } => Ok(()),
        }
    };
    running.store.write(job).await?;
    if gave_up {
        // Whoever is next is told at once.
        running.news.send_modify(|news| *news += 1);
    }
    Ok(())
}

/// Counts and logs how it went, and says what is to be kept of it.
fn judged(running: &Running, letter: &Letter, answer: Result<(), Refused>, now: Timestamp) -> Attempt {
    let (about, channel, event) = (&letter.about, &letter.channel, &letter.event);
    let Err(refused) = answer else {
        running.counters.notifications_sent.add(1);
        tracing::info!(about, %channel, event, attempts = letter.attempts + 1, "alert.accepted");
        return Attempt::Accepted;
    };
    running.counters.notifications_failed.add(1);
    let failure = detail(&refused.why);
    let attempts = letter.attempts.saturating_add(1);
    let retry_at = backoff::retry_at(attempts, refused.retry_after_ms, dice(), letter.written_at, now);
    match retry_at.filter(|_| !refused.permanent) {
        Some(retry_at) => {
            tracing::warn!(about, %channel, event, attempts, failure, retry_at = %retry_at, "alert.failed");
            Attempt::Failed { retry_at, failure }
        }
        None => {
            running.counters.notifications_given_up.add(1);
            tracing::error!(about, %channel, event, attempts, failure, "alert.given_up: this channel was not told");
            Attempt::GaveUp { failure }
        }
    }
}

/// A number that nobody can guess; the middle of all where the machine has none to give.
fn dice() -> u64 {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_or(u64::MAX / 2, |()| u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests;
