//! The look through a database that is too large to be looked through before it is served.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::running::Running;
use crate::store::{StoreError, soundness};

/// How often a look that is to end is told so.
const TOLD_EVERY: Duration = Duration::from_millis(50);

/// Looks through the database, unless `looked` tells that this has been done; then waits for `running.stop`. Damage is
/// in the log, in `nines status`, `/healthz` and `/metrics`, and makes the heartbeat silent; what can be served goes
/// on.
pub(super) async fn through(running: Running, looked: bool) {
    if !looked {
        look(&running).await;
    }
    running.stop.cancelled().await;
}

async fn look(running: &Running) {
    let (begun, path, (tell, told)) = (Instant::now(), running.store.path().to_owned(), oneshot::channel());
    // Where nobody wants to end it, the handle goes unused.
    let mut looking = tokio::task::spawn_blocking(move || soundness::look(&path, |handle| drop(tell.send(handle))));
    let ended = tokio::select! {
        ended = &mut looking => ended,
        () = running.stop.cancelled() => {
            let Ok(handle) = told.await else { return };
            while !looking.is_finished() {
                handle.interrupt();
                sleep(TOLD_EVERY).await;
            }
            return;
        }
    };
    match ended {
        Ok(Ok(())) => tracing::info!(ms = begun.elapsed().as_millis(), "store.looked_through"),
        Ok(Err(error)) => {
            // Damage makes itself known.
            let error = running.store.damaged(error);
            if !matches!(error, StoreError::Damaged { .. }) {
                tracing::error!(%error, "store.not_looked_through");
            }
        }
        Err(panicked) => tracing::error!(error = %panicked, "store.not_looked_through"),
    }
}
