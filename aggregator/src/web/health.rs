//! `/healthz` and `/readyz`: whether the process lives on a sound database, and whether it does its work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, sleep, timeout};

use super::Web;
use crate::running::Running;
use crate::store::definitions;

/// The evaluator ticks at least once a second; without any tick for this long it is taken for stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long the store may take to answer the simplest question.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(1);

/// When the evaluator was last seen to tick.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// Looks once a second whether the evaluator ticked, until the process stops.
    pub(super) async fn watch(self, running: Running) {
        let mut before = 0;
        loop {
            let ticks = running.counters.ticks.get();
            if ticks != before {
                before = ticks;
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            tokio::select! {
                () = running.stop.cancelled() => return,
                () = sleep(LOOK) => {}
            }
        }
    }

    /// How long ago the evaluator was seen to tick; `None` before it ever did.
    fn age(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

/// What is said of a damaged database to whoever asks: where it is is nobody's business here.
const DAMAGED: &str = "the database is damaged; the log and `nines status` say which file, and what to do";

/// The process lives and answers, and its database is sound as far as anybody knows.
pub(super) async fn healthz(State(web): State<Web>) -> Response {
    match web.running.store.damage() {
        None => "ok\n".into_response(),
        Some(_why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{DAMAGED}\n")).into_response(),
    }
}

/// The store answers and the evaluator ticks.
pub(super) async fn readyz(State(web): State<Web>) -> Response {
    match fault(&web).await {
        None => "ready\n".into_response(),
        Some(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")).into_response(),
    }
}

async fn fault(web: &Web) -> Option<String> {
    if web.running.stop.is_cancelled() {
        return Some("the process is stopping".to_owned());
    }
    if web.running.store.damage().is_some() {
        return Some(DAMAGED.to_owned());
    }
    let question = web.running.store.read(definitions::regions);
    match timeout(STORE_PATIENCE, question).await {
        Err(_elapsed) => return Some(format!("the database does not answer within {} s", STORE_PATIENCE.as_secs())),
        Ok(Err(error)) => {
            tracing::error!(%error, "web.not_ready");
            return Some("the database does not answer; the log says why".to_owned());
        }
        Ok(Ok(_regions)) => {}
    }
    match web.pulse.age() {
        None => Some("the evaluator has not ticked yet".to_owned()),
        Some(age) if PATIENCE < age => Some(format!("the evaluator has not ticked for {} s", age.as_secs())),
        Some(_) => None,
    }
}
