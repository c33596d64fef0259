//! The messages between probe and aggregator, their version and their limits.
//!
//! JSON over mutual TLS; batches compressed with zstd. Readers ignore fields that they do not know and
//! default those that an older writer does not send, so neighbours in version keep understanding each
//! other. The paths carry the version: a change that breaks one is a new path, the old one still read.
//!
//! | request | by | answer |
//! |---|---|---|
//! | `POST /v1/join` [`JoinRequest`] | one without certificate | [`JoinResponse`] |
//! | `POST /v1/renew` [`RenewRequest`] | probe | [`RenewResponse`] |
//! | `POST /v1/leave` | probe that ends in order | 204 |
//! | `GET /v1/assignment?have=DIGEST&wait_ms=N` | probe | [`Assignment`], [sealed](crate::seal), or 304 after the wait |
//! | `GET /v1/asks?have=NO&wait_ms=N` | probe | [`Asks`] once there are any, or 204 after the wait |
//! | `POST /v1/batches` [`Batch`] | probe | [`Ack`] once all of it is committed and synced |
//!
//! A probe says with [`BOOT_HEADER`] which of its lives asks; the aggregator says with [`AUTHORITIES_HEADER`] who
//! vouches for the fleet. One process at a time may be a probe: another one with the same certificate is refused
//! with 409 and `cloned` for as long as the first is heard.

mod unread;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::id::{CheckId, ProbeId, RegionId};
use crate::sample::Sample;
use crate::secret::Secrets;
use crate::time::Timestamp;

/// Where a probe enrols.
pub const JOIN_PATH: &str = "/v1/join";
/// Where a probe gets the certificate that follows its own, over the one that it has.
pub const RENEW_PATH: &str = "/v1/renew";
/// Where a probe that ends in order says so, so that its next life need not wait until this one is taken for dead.
pub const LEAVE_PATH: &str = "/v1/leave";
/// Where a probe asks what to do.
pub const ASSIGNMENT_PATH: &str = "/v1/assignment";
/// Where a probe listens for what it is to look at now. An aggregator of before there were asks answers 404.
pub const ASKS_PATH: &str = "/v1/asks";
/// Where a probe delivers.
pub const BATCHES_PATH: &str = "/v1/batches";

/// The name in the gateway's certificate. Probes verify this name against the private authority whatever
/// host they dial: a fleet's trust does not hang on DNS, nor on where the aggregator lives this month.
pub const AGGREGATOR_NAME: &str = "aggregator.nines.internal";

/// The header of a probe's requests with what was drawn when its process began.
pub const BOOT_HEADER: &str = "nines-boot";
/// The longest value of [`BOOT_HEADER`] that is looked at.
pub const MAX_BOOT_LEN: usize = 64;
/// The header of answers that names the authorities which vouch for the fleet: the SHA-256 (hex) of their certificates,
/// one after the other. Where it is another than that of those it knows, a probe renews, and learns them.
pub const AUTHORITIES_HEADER: &str = "nines-authorities";
/// The most authorities that vouch for one fleet at one time.
pub const MAX_AUTHORITIES: usize = 4;
/// Certificates are good from this long before they were made, in ms: a probe whose clock is behind gets in, and is
/// told how far off it is. Their life is counted from when they were made.
pub const BACKDATED_MS: i64 = 86_400_000;

/// The most samples in one batch.
pub const MAX_BATCH_SAMPLES: usize = 1_000;
/// How far apart a probe begins the batches of a backlog, at least. So it is spread over time after an outage, and
/// stays below what the aggregator allows one probe.
pub const DRAIN_PACE: Duration = Duration::from_millis(250);
/// The most bytes of a batch as it comes over the wire.
pub const MAX_BATCH_BYTES: usize = 1 << 20;
/// The most bytes of a batch once decompressed; a larger one is refused without decompressing the rest.
pub const MAX_BATCH_DECODED_BYTES: usize = 8 << 20;
/// The most bytes of any answer that a probe reads.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;
/// The most checks that a probe names as unreadable; of further ones nobody hears.
pub const MAX_UNREAD: usize = 64;
/// The most asks in one answer.
pub const MAX_ASKS: usize = 256;
/// The most bytes of such an answer.
pub const MAX_ASKS_BYTES: usize = 128 << 10;
/// How long the aggregator may keep a probe waiting for a new assignment or for asks, in ms.
pub const MAX_WAIT_MS: u64 = 25_000;
/// How far in the aggregator's future a sample may lie, in ms. Beyond it the clock is surely wrong.
pub const MAX_FUTURE_MS: i64 = 10_000;
/// The clock offset above which a probe's samples are `inconclusive: clock`, in ms.
pub const MAX_CLOCK_OFFSET_MS: i64 = 1_000;

/// What a probe is to do, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Names `region`, `checks` and `secrets`: equal digests, equal work. Tells nothing of the secrets.
    pub digest: String,
    /// Grows with everything that the aggregator hands out, also across its starts; 0 from one of before there were
    /// versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version: u64,
    /// Whom it is for; does not say so where the aggregator is of before regions were shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeId>,
    /// The region that the probe looks from.
    pub region: RegionId,
    /// The checks of that region which are this probe's; all of them where it is alone there.
    pub checks: Vec<Check>,
    /// The values of the secrets that these checks name, as far as the aggregator has them. A probe that keeps the
    /// assignment keeps it where only itself can read it.
    #[serde(default, skip_serializing_if = "Secrets::is_empty")]
    pub secrets: Secrets,
    /// The aggregator's clock when it answered, for the probe's offset.
    pub now: Timestamp,
}

/// What a probe is to look at now, beside its slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asks {
    /// The asks, in order of their numbers.
    pub asks: Vec<Ask>,
    /// The aggregator's clock when it answered: how long an ask still stands is `until − now`, whatever the
    /// probe's clock says.
    pub now: Timestamp,
}

/// Another region saw a check change: what does this one see?
///
/// The answer is an extra sample with `scheduled_at` = [`Ask::at`], so it is the same sample from whichever
/// probe of the region. It names a check of the assignment and nothing else: no address comes this way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Grows from ask to ask, also across starts of the aggregator.
    pub no: u64,
    /// Which check.
    pub check: CheckId,
    /// When it was asked, by the aggregator's clock.
    pub at: Timestamp,
    /// An answer that has not begun by then is not wanted any more.
    pub until: Timestamp,
}

/// Samples on their way to the aggregator, and how the probe is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Who sends it; must be whom the certificate names.
    pub probe: ProbeId,
    /// The samples, in the order in which they were taken; may be none, and then it is a sign of life.
    pub samples: Vec<Sample>,
    /// How the probe is.
    #[serde(default)]
    pub health: Health,
}

/// How a probe is, told with every batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// The probe's version.
    pub version: String,
    /// Drawn at each start of the probe.
    pub boot_id: String,
    /// Samples in the spool that are not acknowledged yet, this batch included.
    pub spooled: u64,
    /// The slot of the first of them, in the order in which they were taken, that is not in this batch; `None` where
    /// all are in it. A backlog is delivered from both ends, so what was taken before a sample that has come may still
    /// be to come, from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog_from: Option<Timestamp>,
    /// Samples that were dropped since the spool was made because it was full.
    pub dropped: u64,
    /// Samples held in memory because the probe's disk does not take them; they are not taken yet.
    pub held: u64,
    /// Samples that the aggregator has refused and the spool keeps.
    pub refused: u64,
    /// Slots given up as `overrun` or `saturated` since the probe's start.
    pub missed: u64,
    /// Offset of the probe's wall clock against the aggregator's, in ms; positive where the probe is ahead.
    pub clock_offset_ms: Option<i64>,
    /// Half the round trip of that measurement, in ms: the offset's uncertainty.
    pub clock_uncertainty_ms: Option<i64>,
    /// Lateness of starts since the batch before, in ms: the largest.
    pub lateness_max_ms: Option<i64>,
    /// Whether the probe's canaries answer; `None` where it has none.
    pub canaries_ok: Option<bool>,
    /// [`Assignment::version`] of what the probe works by; 0 where it does not know.
    #[serde(skip_serializing_if = "is_zero")]
    pub assignment: u64,
    /// How many checks it looks at; `None` from a probe that does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<u64>,
    /// Checks of the assignment that this version of the probe can't read, so does not look at; at most [`MAX_UNREAD`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "unread::read")]
    pub unread: Vec<CheckId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Everything in the batch is committed and synced. Nothing else than this, with status 200, is a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// How many samples the batch had; the probe compares.
    pub samples: usize,
    /// How many of them were new.
    pub stored: usize,
    /// The aggregator's clock when it answered, for the probe's offset.
    pub now: Timestamp,
}

/// Why a request was refused: the body of every 4xx and 5xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A stable code, such as `foreign_check`.
    pub error: String,
    /// What is wrong and how to mend it.
    pub message: String,
    /// The index of the sample at fault, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
}

/// A probe's request to be let in: its one-time token and a request for a certificate of its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The secret part of the token that `nines probe invite` printed.
    pub token: String,
    /// PKCS #10, PEM. The key stays with the probe.
    pub csr_pem: String,
    /// Whom this machine has been so far, where it has been a probe: it joins again as that one or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeId>,
}

/// A probe's request for its next certificate, of a new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// PKCS #10, PEM. The key stays with the probe.
    pub csr_pem: String,
}

/// A probe's next certificate. The one before stays good until this one is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewResponse {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Every authority that vouches for the fleet, PEM: those whose word counts from now on, and no others.
    pub ca_pem: String,
}

/// What a probe is once it is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinResponse {
    /// Its name.
    pub probe: ProbeId,
    /// Its region.
    pub region: RegionId,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Every authority that vouches for the fleet, PEM; the one that signed the aggregator's own certificate first.
    pub ca_pem: String,
}

#[cfg(test)]
mod tests;
