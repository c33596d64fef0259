//! Who this probe is: its key, its certificate, how it got them and how it gets the next ones.
//!
//! Owns `identity.pem` in the state directory (mode 0600): the key, which never leaves the machine, its certificate and
//! the authorities that vouch for the fleet, in one file, so that they change together or not at all. The
//! certificate's CN is the probe's id and its OU the region; nothing else says who we are. The first authority is
//! the one that the join token pinned; others are told by an aggregator that one we know vouches for.

mod credentials;
mod files;
mod join;
mod papers;
mod pin;
mod renew;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nines_shared::id::{ProbeId, RegionId};

pub use credentials::Credentials;
pub use files::{ROOT, open_or_make, write_atomically};
pub use join::{JoinError, Joined, join};
pub use papers::{Papers, authorities_digest, names};
pub use renew::Renewal;

/// Key, certificate and authorities, in the state directory.
pub const IDENTITY_FILE: &str = "identity.pem";

/// Who this probe is, and the TLS that proves it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub probe: ProbeId,
    /// The region that it looks from.
    pub region: RegionId,
    /// TLS towards the aggregator, as it is at any moment: our certificate, the fleet's authorities, nothing else.
    pub tls: Arc<Credentials>,
    /// What it has now.
    pub papers: Papers,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The state directory holds none.
    #[error(
        "{0} is not there: this machine has not joined; ask for the line with `nines probe invite --region REGION` and run it here"
    )]
    Missing(PathBuf),
    /// A file is there and can't be read.
    #[error("can't read {path}: {message}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Key, certificate and authority do not belong together.
    #[error("the identity in {path} can't be used: {source}; move it away and join again")]
    Unusable {
        /// The state directory.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The certificate does not say which probe of which region it is for.
    #[error("{0} names no probe and region; move it away and join again")]
    Nameless(PathBuf),
}

impl Identity {
    /// The identity in the state directory, in a new life: what it shows says that another process asks.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(state: &Path) -> Result<Self, IdentityError> {
        let papers = Papers::read(state)?;
        let tls = Arc::new(Credentials::of(&papers));
        Ok(Self { probe: papers.probe.clone(), region: papers.region.clone(), tls, papers })
    }
}

#[cfg(test)]
mod tests;
