//! One-time enrolment: a key made here, a certificate for it from the aggregator that the token pins.

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::wire::{JOIN_PATH, JoinRequest, JoinResponse, Refusal};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{AUTHORITY_FILE, CERTIFICATE_FILE, Identity, IdentityError, KEY_FILE, files, names, pin};
use crate::link::{Link, LinkError, Query};

/// How long the aggregator may take to let us in.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of its answer: two certificates and two names.
const MAX_JOIN_ANSWER_BYTES: usize = 64 << 10;

/// Who this machine is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The probe's name.
    pub probe: ProbeId,
    /// Its region.
    pub region: RegionId,
}

/// Why a probe could not join. Nothing is written then, except where writing itself failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The token is not one that `nines probe invite` prints.
    #[error("this is not a join token; copy the whole line that `nines probe invite` printed")]
    Token,
    /// The state directory holds an identity.
    #[error("{0} is there: this machine has joined already; to join anew, move it away")]
    AlreadyJoined(PathBuf),
    /// The aggregator can't be reached, or is not the one that made the token.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The aggregator does not let us in.
    #[error("the aggregator refused ({status}): {message}")]
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// Why, as it says.
        message: String,
    },
    /// Its answer makes no sense, or is a certificate that is not ours.
    #[error("the aggregator's answer can't be used: {0}")]
    Answer(String),
    /// No key could be made.
    #[error("can't make a key: {0}")]
    Key(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("can't set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The state directory can't be written.
    #[error("can't write {path}: {source}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What was written can't be read back.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Joins the fleet of the aggregator at `url` with the one-time `token`: makes a key, gets its
/// certificate and writes both to the directory `state`, where [`crate::agent::run`] finds them.
///
/// # Errors
/// [`JoinError`].
pub async fn join(url: &Url, token: &str, state: &Path) -> Result<Joined, JoinError> {
    let (secret, fingerprint) = parse(token).ok_or(JoinError::Token)?;
    unjoined(state)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr_pem = params.serialize_request(&key)?.pem()?;
    let mut link = Link::new(url, pin::client_config(fingerprint)?.into());
    let response = ask(&mut link, JoinRequest { token: secret.to_owned(), csr_pem }).await?;
    verify(&response, &key, &fingerprint)?;
    write(state, &key, &response)?;
    let identity = Identity::load(state)?;
    Ok(Joined { probe: identity.probe, region: identity.region })
}

/// The secret and the authority's fingerprint of `SECRET.CA_SHA256`.
fn parse(token: &str) -> Option<(&str, [u8; 32])> {
    let (secret, fingerprint) = token.trim().split_once('.')?;
    let fingerprint = HEXLOWER_PERMISSIVE.decode(fingerprint.as_bytes()).ok()?;
    (!secret.is_empty()).then_some(())?;
    Some((secret, fingerprint.try_into().ok()?))
}

fn unjoined(state: &Path) -> Result<(), JoinError> {
    // The certificate is written last: a key without one is what a crash has left, and of no use to anybody.
    let certificate = state.join(CERTIFICATE_FILE);
    if certificate.exists() { Err(JoinError::AlreadyJoined(certificate)) } else { Ok(()) }
}

async fn ask(link: &mut Link, request: JoinRequest) -> Result<JoinResponse, JoinError> {
    let body = serde_json::to_vec(&request).expect("a join request has only text");
    let query = Query {
        method: Method::POST,
        path: JOIN_PATH.to_owned(),
        encoding: None,
        body: Bytes::from(body),
        patience: JOIN_TIMEOUT,
        max_answer: MAX_JOIN_ANSWER_BYTES,
    };
    let answer = link.ask(query).await?;
    if answer.status != StatusCode::OK {
        let refusal = serde_json::from_slice::<Refusal>(&answer.body);
        let message = refusal.map_or_else(|_| "it does not say why".to_owned(), |refusal| refusal.message);
        return Err(JoinError::Refused { status: answer.status, message: nines_shared::sample::detail(&message) });
    }
    serde_json::from_slice(&answer.body).map_err(|error| JoinError::Answer(error.to_string()))
}

/// The certificate is for our key and names who the answer says we are; the authority is the pinned one.
fn verify(response: &JoinResponse, key: &KeyPair, fingerprint: &[u8; 32]) -> Result<(), JoinError> {
    let wrong = |what: &str| Err(JoinError::Answer(what.to_owned()));
    let Ok(certificate) = CertificateDer::from_pem_slice(response.certificate_pem.as_bytes()) else {
        return wrong("its certificate is no PEM");
    };
    let ours = X509Certificate::from_der(&certificate)
        .is_ok_and(|(_rest, parsed)| *parsed.public_key().subject_public_key.data == *key.public_key_raw());
    if !ours {
        return wrong("its certificate is for another key");
    }
    if names(&certificate) != Some((response.probe.clone(), response.region.clone())) {
        return wrong("its certificate names another probe");
    }
    match CertificateDer::from_pem_slice(response.ca_pem.as_bytes()) {
        Ok(authority) if pin::is_pinned(&authority, fingerprint) => Ok(()),
        Ok(_) | Err(_) => wrong("its authority is not the one that made the token"),
    }
}

/// The certificate goes last: with it the identity is whole.
fn write(state: &Path, key: &KeyPair, response: &JoinResponse) -> Result<(), JoinError> {
    files::make_private(state).map_err(|source| JoinError::Write { path: state.to_owned(), source })?;
    let files = [
        (KEY_FILE, key.serialize_pem()),
        (AUTHORITY_FILE, response.ca_pem.clone()),
        (CERTIFICATE_FILE, response.certificate_pem.clone()),
    ];
    for (file, content) in files {
        let path = state.join(file);
        files::write_atomically(&path, content.as_bytes()).map_err(|source| JoinError::Write { path, source })?;
    }
    Ok(())
}
