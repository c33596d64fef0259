//! The private authority: one P-256 key that says who is a probe of this fleet and who its aggregator.
//!
//! Made at the first start and kept in the database, which is its owner's alone. It signs two kinds of
//! certificates and no others: the gateway's, for the one fixed name that probes verify, and a probe's,
//! which carries its id (CN) and its region (OU) and nothing that the probe asked for. A key never leaves
//! the machine that made it.

use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::Timestamp;
use nines_shared::wire::AGGREGATOR_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::store::{Store, StoreError, probes};

/// How long the authority lives. It outlives machines, since every probe must be enrolled anew when it ends.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// How long a probe's certificate is good.
pub const PROBE_DAYS: i64 = 365;
/// Certificates are good from this long before they were made: a probe whose clock is behind gets in, and
/// is told how far off it is.
const BACKDATED_MS: i64 = DAY_MS;
const DAY_MS: i64 = 86_400_000;

/// The fleet's private authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    until: Timestamp,
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

/// A certificate that the authority has signed for a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
    /// Good until.
    pub until: Timestamp,
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
}

impl Authority {
    /// The authority that `store` holds, made now where it holds none.
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
        if let Some(row) = store.read_blocking(probes::authority)? {
            return Self::of(&row);
        }
        let row = make(now)?;
        tracing::info!("authority.made");
        Self::of(&store.write_blocking(move |tx| probes::keep_authority(tx, &row))?)
    }

    fn of(row: &probes::AuthorityRow) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(&row.key_pem)?;
        let issuer = Issuer::from_ca_cert_pem(&row.certificate_pem, key)?;
        let certificate = der_of(&row.certificate_pem)?;
        let until = row.made_at.plus_ms(AUTHORITY_DAYS * DAY_MS);
        Ok(Self { issuer, certificate, certificate_pem: row.certificate_pem.clone(), until })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// SHA-256 of its certificate's DER, in hex: what a join token pins.
    pub fn fingerprint(&self) -> String {
        HEXLOWER.encode(&sha256(&self.certificate))
    }

    /// A fresh certificate for the gateway, with the authority's behind it, and its key. Good for as long
    /// as the authority is: an aggregator that is never restarted must not lose its probes.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] where none can be made.
    pub fn gateway(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let mut params = params(now, self.until);
        params.subject_alt_names = vec![SanType::DnsName(AGGREGATOR_NAME.try_into()?)];
        params.distinguished_name.push(DnType::CommonName, AGGREGATOR_NAME);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        Ok((chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }

    /// Signs a certificate of the key in `request` for `probe` in `region`, whatever else the request asks.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] where none can be made.
    pub fn sign(
        &self,
        request: Request,
        probe: &ProbeId,
        region: &RegionId,
        now: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        let until = now.plus_ms(PROBE_DAYS * DAY_MS).min(self.until);
        let mut params = params(now, until);
        params.distinguished_name.push(DnType::CommonName, probe.as_str());
        params.distinguished_name.push(DnType::OrganizationalUnitName, region.as_str());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let request = CertificateSigningRequestParams { params, public_key: request.0.public_key };
        let certificate = request.signed_by(&self.issuer)?;
        Ok(Issued { certificate_pem: certificate.pem(), sha256: sha256(certificate.der()), until })
    }
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn make(now: Timestamp) -> Result<probes::AuthorityRow, AuthorityError> {
    let key = KeyPair::generate()?;
    let mut params = params(now, now.plus_ms(AUTHORITY_DAYS * DAY_MS));
    params.distinguished_name.push(DnType::CommonName, "Nines private authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    Ok(probes::AuthorityRow { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), made_at: now })
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

fn der_of(pem: &str) -> Result<CertificateDer<'static>, AuthorityError> {
    use rustls::pki_types::pem::PemObject as _;
    let not_pem = |_error| AuthorityError::Certificate(rcgen::Error::CouldNotParseCertificate);
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(not_pem)
}
