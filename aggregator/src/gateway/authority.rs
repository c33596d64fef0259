//! The private authority: P-256 keys that say who is a probe of this fleet and who its aggregator.
//!
//! The first one is made at the first start; they are kept in the database, which is its owner's alone. While one
//! follows another both are believed. They sign two kinds of certificates and no others: the gateway's, for the one
//! fixed name that probes verify, and a probe's, which carries its id (CN) and its region (OU) and nothing that
//! the probe asked for; and assignments, which begin like no certificate. A key never leaves the machine that made it.

mod circle;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use nines_shared::time::Timestamp;
use nines_shared::wire::BACKDATED_MS;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use tokio::sync::watch;

use crate::store::authorities::{self, AuthorityRow, NewAuthority, SigningKey};
use crate::store::{Store, StoreError};

pub use circle::{Circle, Issued};

/// How long an authority lives, in days. It outlives machines, and is followed by another before it ends.
const AUTHORITY_DAYS: i64 = 20 * 365;
const DAY_MS: i64 = 86_400_000;

/// Who vouches for the fleet now. Changes when an authority is made or retired.
#[derive(Debug)]
pub struct Authority {
    circle: watch::Sender<Arc<Circle>>,
}

/// Why the authority could not do something.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key or a certificate can't be made, or what the database holds is none.
    #[error("the private authority: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS does not take the authority or its certificates.
    #[error("the private authority is of no use for TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A request for a certificate that can't be read or was not signed by its own key.
    #[error("the request for a certificate is of no use: {0}; send PKCS #10 as PEM, signed by the key it is for")]
    Request(#[source] rcgen::Error),
}

/// A probe's request for a certificate, known to be signed by the key it is for.
#[derive(Debug)]
pub struct Request(CertificateSigningRequestParams);

impl Request {
    /// Reads a request (PKCS #10, PEM). Only its public key will be used.
    ///
    /// # Errors
    /// [`AuthorityError::Request`] where it can't be read or its signature is wrong.
    pub fn read(pem: &str) -> Result<Self, AuthorityError> {
        CertificateSigningRequestParams::from_pem(pem).map(Self).map_err(AuthorityError::Request)
    }

    /// SHA-256 of the public key that it is for.
    pub fn key_sha256(&self) -> [u8; 32] {
        sha256(&self.0.public_key.subject_public_key_info())
    }
}

impl Authority {
    /// Who vouches by `store`; the first authority is made now where there is none.
    ///
    /// # Errors
    /// [`AuthorityError`] where the store fails or holds something else.
    pub async fn open(store: &Store, now: Timestamp) -> Result<Self, AuthorityError> {
        let store = store.clone();
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(&store, now));
        opening.await.unwrap_or(Err(AuthorityError::Store(StoreError::Panicked)))
    }

    /// [`Authority::open`] for threads that may wait.
    ///
    /// # Errors
    /// As [`Authority::open`].
    pub fn open_blocking(store: &Store, now: Timestamp) -> Result<Self, AuthorityError> {
        let mut rows = store.read_blocking(authorities::all)?;
        if rows.is_empty() {
            let first = make(1, now)?;
            tracing::info!("authority.made");
            rows = store.write_blocking(move |tx| {
                authorities::add(tx, &first, now)?;
                authorities::all(tx)
            })?;
        }
        Ok(Self { circle: watch::Sender::new(Arc::new(Circle::of(&rows)?)) })
    }

    /// Reads anew who vouches, and has whoever waits for an answer looked at anew.
    ///
    /// # Errors
    /// [`AuthorityError`] where the store fails; then those before go on.
    pub async fn refresh(&self, store: &Store) -> Result<(), AuthorityError> {
        let rows = store.read(authorities::all).await?;
        self.circle.send_replace(Arc::new(Circle::of(&rows)?));
        Ok(())
    }

    /// Those who vouch now.
    pub fn circle(&self) -> Arc<Circle> {
        self.circle.borrow().clone()
    }

    /// To wait for [`Authority::refresh`].
    pub fn changes(&self) -> watch::Receiver<Arc<Circle>> {
        self.circle.subscribe()
    }
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A new authority, which will have the number `no`.
///
/// # Errors
/// [`AuthorityError::Certificate`] where none can be made.
pub fn make(no: u32, now: Timestamp) -> Result<NewAuthority, AuthorityError> {
    let key = KeyPair::generate()?;
    let mut params = params(now, until(now));
    params.distinguished_name.push(DnType::CommonName, format!("Nines private authority {no}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    Ok(NewAuthority { certificate_pem: certificate.pem(), key_pem: SigningKey(key.serialize_pem()) })
}

/// Until when an authority is good that was made at `made_at`.
pub fn until(made_at: Timestamp) -> Timestamp {
    made_at.plus_ms(AUTHORITY_DAYS * DAY_MS)
}

/// SHA-256 of an authority's certificate, in hex: what a join token pins.
///
/// # Errors
/// [`AuthorityError::Certificate`] where the row holds no certificate.
pub fn fingerprint(row: &AuthorityRow) -> Result<String, AuthorityError> {
    Ok(circle::fingerprint(&circle::der_of(&row.certificate_pem)?))
}

/// A certificate that names nobody and may do nothing but sign its own handshakes.
fn params(now: Timestamp, until: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let after_epoch = |at: Timestamp| Duration::from_millis(u64::try_from(at.as_ms()).unwrap_or(0));
    params.not_before = epoch + after_epoch(now.plus_ms(-BACKDATED_MS));
    params.not_after = epoch + after_epoch(until);
    params
}
