//! The loop that follows open incidents: writes what is due although nothing changed, and waits for the next time that
//! something is. It decides nothing: [`super::plan`] does.

use std::sync::Arc;
use std::time::Duration;

use nines_shared::time::Timestamp;
use rusqlite::Connection;
use tokio::time::timeout;

use super::telling;
use crate::definition::Fleet;
use crate::running::Running;
use crate::store::{StoreError, incidents, silences};

/// The longest time between two looks: a step of the clock is noticed within it.
pub const LOOK: Duration = Duration::from_secs(5);
/// The shortest: what comes meanwhile is looked at together.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// Follows until `running.stop` is cancelled.
pub async fn run(running: Running) {
    let mut news = running.news.subscribe();
    while !running.stop.is_cancelled() {
        news.mark_unchanged();
        let wait = match look(&running).await {
            Ok(next) => until(next, running.clock.now()),
            Err(error) => {
                tracing::error!(%error, "alert.not_followed: tried again within seconds");
                LOOK
            }
        };
        running.counters.follow_rounds.add(1);
        tokio::select! {
            () = running.stop.cancelled() => {}
            () = async {
                tokio::time::sleep(SHORTEST_LOOK).await;
                // An error means that nobody can bump it any more; then time alone wakes us.
                let _woken = timeout(wait, news.changed()).await;
            } => {}
        }
    }
}

/// Writes what is due and says when to look again.
async fn look(running: &Running) -> Result<Option<Timestamp>, StoreError> {
    let now = running.clock.now();
    let fleet = Arc::clone(&running.fleet.borrow());
    let seen = Arc::clone(&fleet);
    let (due, next) = running.store.read(move |conn| survey(conn, &seen, now)).await?;
    if due {
        // Read again in the transaction that writes: what was acknowledged meanwhile is not told again.
        let written = running.store.write(move |tx| telling::write_due(tx, &fleet, now)).await?;
        if 0 < written {
            running.news.send_modify(|count| *count += 1);
        }
    }
    Ok(next)
}

/// Whether something is due, and when to look again.
fn survey(conn: &Connection, fleet: &Fleet, now: Timestamp) -> Result<(bool, Option<Timestamp>), StoreError> {
    let holding = silences::holding(conn, now)?;
    let (mut due, mut next) = (false, None);
    for incident in incidents::open(conn)? {
        let plan = telling::due(conn, fleet, &incident, &holding, now)?;
        due |= !plan.letters.is_empty();
        next = [next, plan.next_look].into_iter().flatten().min();
    }
    Ok((due, next))
}

fn until(next: Option<Timestamp>, now: Timestamp) -> Duration {
    let ms = next.map_or(i64::MAX, |next| next.since(now).max(0));
    LOOK.min(Duration::from_millis(ms.unsigned_abs()))
}
