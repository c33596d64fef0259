//! The authorities that are believed at one time: the oldest signs the aggregator's certificate, since every
//! probe knows it, and the newest the probes'.

use data_encoding::HEXLOWER;
use nines_probe::identity::authorities_digest;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::seal;
use nines_shared::time::Timestamp;
use nines_shared::wire::AGGREGATOR_NAME;
use rcgen::{
    CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType, SigningKey as _,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{AuthorityError, Request, params, sha256, until};
use crate::store::authorities::AuthorityRow;
use crate::store::certificates::CertificateRow;

/// One authority that can sign.
#[derive(Debug)]
struct Signer {
    no: u32,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    until: Timestamp,
}

/// Those who vouch at one time, by number.
#[derive(Debug)]
pub struct Circle {
    oldest: Signer,
    /// `None` where the oldest is the only one.
    newest: Option<Signer>,
    /// All of them.
    certificates: Vec<CertificateDer<'static>>,
    bundle_pem: String,
    digest: String,
}

/// A certificate that was signed for a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// What is kept of it.
    pub row: CertificateRow,
}

impl Circle {
    /// Those of `rows` that are not retired.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] where there is none, or a key or certificate makes no sense.
    pub(super) fn of(rows: &[AuthorityRow]) -> Result<Self, AuthorityError> {
        let there: Vec<&AuthorityRow> = rows.iter().filter(|row| row.retired_at.is_none()).collect();
        let (Some(oldest), Some(newest)) = (there.first(), there.last()) else {
            return Err(AuthorityError::Certificate(rcgen::Error::CouldNotParseCertificate));
        };
        let certificates: Vec<_> = there.iter().map(|row| der_of(&row.certificate_pem)).collect::<Result<_, _>>()?;
        Ok(Self {
            oldest: Signer::of(oldest)?,
            newest: if oldest.no == newest.no { None } else { Some(Signer::of(newest)?) },
            digest: authorities_digest(&certificates),
            certificates,
            bundle_pem: there.iter().map(|row| row.certificate_pem.as_str()).collect(),
        })
    }

    /// The certificates of all of them, the oldest first.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The same, PEM: what a probe is told.
    pub fn bundle_pem(&self) -> &str {
        &self.bundle_pem
    }

    /// Names them: SHA-256 of their certificates one after the other, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The certificate of the one that signs the gateway's.
    pub fn presented(&self) -> &CertificateDer<'static> {
        &self.oldest.certificate
    }

    /// The number of the one that signs the gateway's certificate.
    pub fn presenting(&self) -> u32 {
        self.oldest.no
    }

    /// The number of the one that signs the probes' certificates.
    pub fn signing(&self) -> u32 {
        self.signer().no
    }

    /// SHA-256 of the presented certificate's DER, in hex: what a join token pins.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.oldest.certificate)
    }

    /// `object`, JSON, with the signature of the one whom every probe knows: the one that signs the gateway's
    /// certificate.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] where it can't be signed.
    pub fn seal(&self, object: Vec<u8>) -> Result<Vec<u8>, AuthorityError> {
        let signature = self.oldest.issuer.key().sign(&seal::message(&object))?;
        Ok(seal::seal(object, &signature))
    }

    fn signer(&self) -> &Signer {
        self.newest.as_ref().unwrap_or(&self.oldest)
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
        let mut params = params(now, self.oldest.until);
        params.subject_alt_names = vec![SanType::DnsName(AGGREGATOR_NAME.try_into()?)];
        params.distinguished_name.push(DnType::CommonName, AGGREGATOR_NAME);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.oldest.issuer)?;
        let chain = vec![leaf.der().clone(), self.oldest.certificate.clone()];
        Ok((chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }

    /// Signs a certificate of the key in `request` for `probe` in `region`, whatever else the request asks. It is
    /// good for `life_ms` from `now` on.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] where none can be made.
    pub fn sign(
        &self,
        request: Request,
        (probe, region): (&ProbeId, &RegionId),
        now: Timestamp,
        life_ms: i64,
    ) -> Result<Issued, AuthorityError> {
        let signer = self.signer();
        let until = now.plus_ms(life_ms).min(signer.until);
        let mut params = params(now, until);
        params.distinguished_name.push(DnType::CommonName, probe.as_str());
        params.distinguished_name.push(DnType::OrganizationalUnitName, region.as_str());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let request = CertificateSigningRequestParams { params, public_key: request.0.public_key };
        let certificate = request.signed_by(&signer.issuer)?;
        let row = CertificateRow {
            sha256: sha256(certificate.der()),
            authority: signer.no,
            told: self.digest.clone(),
            issued_at: now,
            until,
            shown_at: None,
        };
        Ok(Issued { certificate_pem: certificate.pem(), row })
    }
}

impl Signer {
    fn of(row: &AuthorityRow) -> Result<Self, AuthorityError> {
        let key_pem = row.key_pem.as_ref().ok_or(rcgen::Error::CouldNotParseKeyPair)?;
        let key = KeyPair::from_pem(&key_pem.0)?;
        let issuer = Issuer::from_ca_cert_pem(&row.certificate_pem, key)?;
        let certificate = der_of(&row.certificate_pem)?;
        Ok(Self { no: row.no, issuer, certificate, until: until(row.made_at) })
    }
}

pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    HEXLOWER.encode(&sha256(certificate))
}

pub(super) fn der_of(pem: &str) -> Result<CertificateDer<'static>, AuthorityError> {
    let not_pem = |_error| AuthorityError::Certificate(rcgen::Error::CouldNotParseCertificate);
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(not_pem)
}
