//! Who is at the other end: read from the certificate and from nothing else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use nines_probe::identity::names;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Gateway;
use super::answer::Refused;
use super::authority::sha256;
use crate::running::Running;
use crate::store::certificates::{self, Standing};

/// The probe that a certificate of our authority names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id: the certificate's CN.
    pub probe: ProbeId,
    /// Its region: the certificate's OU.
    pub region: RegionId,
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
    /// The first instant at which the certificate is not good any more.
    pub until: Timestamp,
}

impl Peer {
    /// Reads a certificate that the handshake has verified; `None` where it names no probe.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (probe, region) = names(certificate)?;
        let (_rest, parsed) = X509Certificate::from_der(certificate).ok()?;
        // The second that a certificate names is its last.
        let until = Timestamp::from_ms(parsed.validity().not_after.timestamp().saturating_add(1).saturating_mul(1_000));
        Some(Self { probe, region, sha256: sha256(certificate), until })
    }

    /// Whether the certificate is still good: a connection may outlive it.
    ///
    /// # Errors
    /// What to answer one whose certificate has ended.
    pub(super) fn in_time(&self, now: Timestamp) -> Result<(), Refused> {
        if now < self.until {
            return Ok(());
        }
        let message = format!("the certificate of {} has ended; ask for an invitation and join again", self.probe);
        Err(Refused::new(StatusCode::FORBIDDEN, "certificate_ended", message))
    }

    /// The peer as the database has it now.
    ///
    /// # Errors
    /// What to answer one who is not a probe of the fleet any more.
    pub(super) async fn stands(&self, running: &Running) -> Result<(), Refused> {
        let (asking, now) = (self.clone(), running.clock.now());
        let standing = running.store.read(move |conn| certificates::standing(conn, &asking.probe, &asking.sha256, now));
        self.admitted(standing.await?)
    }

    /// The peer as it was found to stand.
    ///
    /// # Errors
    /// What to answer one who is not a probe of the fleet any more.
    pub(super) fn admitted(&self, standing: Standing) -> Result<(), Refused> {
        match standing {
            Standing::Good => Ok(()),
            Standing::Revoked => Err(Refused::new(
                StatusCode::FORBIDDEN,
                "revoked",
                format!("{} was revoked; ask for an invitation and join again", self.probe),
            )),
            Standing::Replaced => Err(Refused::new(
                StatusCode::FORBIDDEN,
                "replaced",
                format!(
                    "this is not the certificate that {} has now; ask for an invitation and join again",
                    self.probe
                ),
            )),
            Standing::Retired => Err(Refused::new(
                StatusCode::FORBIDDEN,
                "retired",
                format!(
                    "the authority that signed the certificate of {} was retired; ask for an invitation and join again",
                    self.probe
                ),
            )),
        }
    }
}

/// Whoever asks, as the certificate says. The handler must look up its standing before it believes it.
impl FromRequestParts<Arc<Gateway>> for Peer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _gateway: &Arc<Gateway>) -> Result<Self, Refused> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Refused::new(
                StatusCode::UNAUTHORIZED,
                "no_certificate",
                "this path wants a certificate of this fleet's authority; join first",
            )
        })
    }
}
