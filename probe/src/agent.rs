//! The agent: assignment, schedule, dispatch, spool and uplink, wired together.

use nines_shared::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::probe_file::Settings;

/// Why the agent can't run, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {}

/// Runs the agent until `stop` is cancelled, then ends within `SHUTDOWN_GRACE`. Many may run in one
/// process, each with a `state` directory of its own.
///
/// # Errors
/// [`AgentError`] where it can't start or its spool breaks; never for what the network does.
pub async fn run(settings: Settings, clock: Clock, stop: CancellationToken) -> Result<(), AgentError> {
    let _wired_next = (settings, clock);
    stop.cancelled().await;
    Ok(())
}
