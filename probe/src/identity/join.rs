//! One-time enrolment: a key made here, a certificate for it from the aggregator that the token pins.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::sample::detail;
use nines_shared::wire::{JOIN_PATH, JoinRequest, JoinResponse, Refusal};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use url::Url;

use super::{Credentials, IDENTITY_FILE, IdentityError, Papers, files, papers, pin};
use crate::link::{Link, LinkError, Query};

/// How long the aggregator may take to let us in.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How often we ask where the answer is lost. By then we may be in: with the same key we are told again.
const MAX_TRIES: usize = 4;
/// How long we wait before we ask again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The most bytes of its answer: a few certificates and two names.
pub(super) const MAX_JOIN_ANSWER_BYTES: usize = 64 << 10;

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
    /// What the state directory holds can't be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Joins the fleet of the aggregator at `url` with the one-time `token`: makes a key, gets its
/// certificate and writes both to the directory `state`, where [`crate::agent::run`] finds them. A machine that is a
/// probe already joins again as that one; all else in `state` stays, and an agent that runs there goes on with it.
///
/// # Errors
/// [`JoinError`].
pub async fn join(url: &Url, token: &str, state: &Path) -> Result<Joined, JoinError> {
    let (secret, fingerprint) = parse(token).ok_or(JoinError::Token)?;
    let was = match Papers::read(state) {
        Ok(papers) => Some(papers.probe),
        Err(IdentityError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let key = new_key()?;
    let tls = Credentials::from(Arc::new(pin::client_config(fingerprint)?));
    let mut link = Link::new(url, Arc::new(tls));
    let request = JoinRequest { token: secret.to_owned(), csr_pem: csr(&key)?, probe: was.clone() };
    let response = asked(&mut link, &request).await?;
    if was.is_some_and(|was| was != response.probe) {
        return Err(JoinError::Answer(format!("it is for {}, and this machine is another", response.probe)));
    }
    verify(&response, &key, &fingerprint).map_err(|what| JoinError::Answer(what.to_owned()))?;
    files::make_private(state).map_err(|source| JoinError::Write { path: state.to_owned(), source })?;
    papers::write(state, &key, &response.certificate_pem, &response.ca_pem)
        .map_err(|source| JoinError::Write { path: state.join(IDENTITY_FILE), source })?;
    let papers = Papers::read(state)?;
    Ok(Joined { probe: papers.probe, region: papers.region })
}

/// A key, made here to stay here.
pub(super) fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// A request for a certificate of `key` that says nothing else: who we are the aggregator knows.
pub(super) fn csr(key: &KeyPair) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key)?.pem()
}

/// The secret and the authority's fingerprint of `SECRET.CA_SHA256`.
fn parse(token: &str) -> Option<(&str, [u8; 32])> {
    let (secret, fingerprint) = token.trim().split_once('.')?;
    let fingerprint = HEXLOWER_PERMISSIVE.decode(fingerprint.as_bytes()).ok()?;
    (!secret.is_empty()).then_some(())?;
    Some((secret, fingerprint.try_into().ok()?))
}

async fn asked(link: &mut Link, request: &JoinRequest) -> Result<JoinResponse, JoinError> {
    for _lost in 1..MAX_TRIES {
        match ask(link, request).await {
            Err(JoinError::Link(LinkError::Timeout(_) | LinkError::Broken(_) | LinkError::Body(_))) => {}
            answered => return answered,
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    ask(link, request).await
}

async fn ask(link: &mut Link, request: &JoinRequest) -> Result<JoinResponse, JoinError> {
    let body = serde_json::to_vec(request).expect("a join request has only text");
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
        return Err(JoinError::Refused { status: answer.status, message: why(&answer.body) });
    }
    serde_json::from_slice(&answer.body).map_err(|error| JoinError::Answer(error.to_string()))
}

/// What a refusal's `body` says, for people.
pub(super) fn why(body: &[u8]) -> String {
    let refusal = serde_json::from_slice::<Refusal>(body);
    refusal.map_or_else(|_| "it does not say why".to_owned(), |refusal| detail(&refusal.message))
}

/// The certificate is for our key and names who the answer says we are; the first authority is the pinned one.
fn verify(response: &JoinResponse, key: &KeyPair, fingerprint: &[u8; 32]) -> Result<(), &'static str> {
    papers::check(&response.certificate_pem, key, &response.probe, &response.region)?;
    let authorities = papers::authorities(&response.ca_pem)?;
    let pinned = authorities.first().is_some_and(|authority| pin::is_pinned(authority, fingerprint));
    if pinned { Ok(()) } else { Err("its authority is not the one that made the token") }
}
