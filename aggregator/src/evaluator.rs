//! The tick: read, judge, and write transitions with their notifications in one transaction.

use crate::running::Running;

/// Judges until `running.stop` is cancelled: at every arrival, and at least once a second.
pub async fn run(running: Running) {
    running.stop.cancelled().await;
}
