//! The same check again and again, until there were enough runs or somebody says stop.

use std::time::Duration;

use nines_shared::sample::Outcome;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Failure, One, json, print, terminal};
use crate::cli::UNAVAILABLE;
use crate::waterfall::runs::{Drawing, Tally};

/// How often a run begins where nobody says, in ms.
pub(super) const EVERY_MS: i64 = 1_000;

/// How many runs and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) runs: u32,
    /// From the beginning of a run to that of the next; a run that takes longer delays it.
    pub(super) every_ms: u64,
}

/// Runs `one` as `pace` says, prints a line for each run and the summary; gives the worst outcome. Stopped before the
/// first run has ended, nothing is known.
pub(super) async fn run(one: &One, pace: Pace, as_json: bool) -> Result<Outcome, Failure> {
    let no_signals = |error| Failure::new(UNAVAILABLE, format!("no signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let began = Instant::now();
    let mut drawing = Drawing::new(&one.check.question, terminal::paper());
    let mut tally = Tally::default();
    if !as_json {
        print(&drawing.head())?;
    }
    tokio::select! {
        ended = runs(one, pace, async |number, run| {
            tally.count(run.seen);
            let text = if as_json { json::of_run(&one.check, &run) } else { drawing.run(number, run.started_at, run.seen) };
            print(&text)
        }) => ended?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let elapsed_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    print(&if as_json {
        json::of_summary(&one.check, &tally, elapsed_ms)
    } else {
        drawing.summary(&tally, elapsed_ms)
    })?;
    Ok(tally.worst().unwrap_or(Outcome::Inconclusive))
}

/// The runs themselves, each told to `tell` as it ends.
async fn runs(
    one: &One,
    pace: Pace,
    mut tell: impl AsyncFnMut(u32, json::Run<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut ticks = interval(Duration::from_millis(pace.every_ms.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1..=pace.runs {
        ticks.tick().await;
        let (started_at, trace, seen) = one.run().await;
        tell(number, json::Run { number: Some(number), started_at, trace, seen: &seen }).await?;
    }
    Ok(())
}
