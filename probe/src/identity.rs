//! Who this probe is: its key, its certificate, and how it got them.

use std::path::Path;

use url::Url;

/// Why a probe could not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The aggregator can't be reached or does not let us in.
    #[error("can't join {0}")]
    Unavailable(Url),
}

/// Joins the fleet of the aggregator at `url` with the one-time `token`: makes a key, gets its
/// certificate and writes both to the directory `state`, where [`crate::agent::run`] finds them.
///
/// # Errors
/// [`JoinError`]; nothing is written then.
pub async fn join(url: &Url, _token: &str, _state: &Path) -> Result<(), JoinError> {
    Err(JoinError::Unavailable(url.clone()))
}
