//! The outbox's loop: delivers what is due, keeps what came of it.

use crate::running::Running;

/// Delivers until `running.stop` is cancelled.
pub async fn run(running: Running) {
    running.stop.cancelled().await;
}
