//! What the aggregator told, read check by check.

use std::sync::Arc;

use nines_shared::check::Check;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::secret::Secrets;
use nines_shared::time::Timestamp;
use serde::{Deserialize, Deserializer};

use super::Work;

/// Why an assignment is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentError {
    /// It can't be read.
    #[error("the assignment can't be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is for another region.
    #[error("the assignment is for region {theirs}, this probe looks from {ours}")]
    Foreign {
        /// As assigned.
        theirs: RegionId,
        /// As our certificate says.
        ours: RegionId,
    },
    /// It is for another probe.
    #[error("the assignment is for {theirs}, this probe is {ours}")]
    OfAnother {
        /// As assigned.
        theirs: ProbeId,
        /// As our certificate says.
        ours: ProbeId,
    },
    /// It bears a signature of somebody whom we don't know, or of something else.
    #[error("the assignment is not signed by an authority of this fleet, or was changed since")]
    Forged,
    /// It bears none, and the one before did.
    #[error("the assignment has lost its signature")]
    Unsigned,
}

/// [`nines_shared::wire::Assignment`], one check at a time: a later version may assign what this one can't read.
#[derive(Deserialize)]
struct Told {
    digest: String,
    #[serde(default)]
    version: u64,
    #[serde(default)]
    probe: Option<ProbeId>,
    region: RegionId,
    checks: Vec<Readable>,
    #[serde(default)]
    secrets: Secrets,
    now: Timestamp,
}

/// A check, or its id and why it can't be read.
struct Readable(Result<Box<Check>, (String, serde_json::Error)>);

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let id = value["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self(serde_json::from_value(value).map(Box::new).map_err(|error| (id, error))))
    }
}

/// The work in an aggregator's answer, and its time when it answered.
pub(super) fn work(body: &[u8], (us, ours): (&ProbeId, &RegionId)) -> Result<(Work, Timestamp), AssignmentError> {
    let told: Told = serde_json::from_slice(body)?;
    if told.region != *ours {
        return Err(AssignmentError::Foreign { theirs: told.region, ours: ours.clone() });
    }
    if let Some(theirs) = told.probe.as_ref().filter(|probe| *probe != us) {
        return Err(AssignmentError::OfAnother { theirs: theirs.clone(), ours: us.clone() });
    }
    let now = told.now;
    Ok((readable(told), now))
}

/// The work in an aggregator's answer, whatever the region.
pub(super) fn any_work(body: &[u8]) -> Result<Work, AssignmentError> {
    Ok(readable(serde_json::from_slice(body)?))
}

fn readable(told: Told) -> Work {
    let (mut checks, mut unread) = (Vec::with_capacity(told.checks.len()), Vec::new());
    for check in told.checks {
        match check.0 {
            Ok(check) => checks.push(Arc::new(*check)),
            Err((check, error)) => {
                tracing::error!(check, %error, "assignment.check_unreadable");
                unread.extend(check.parse().ok());
            }
        }
    }
    Work { digest: told.digest, version: told.version, checks, unread, secrets: Arc::new(told.secrets) }
}
