//! A TLS session as far as it came. What it says for people is made only when somebody wants to read it.

use std::sync::Arc;

use nines_shared::sample::{OcspEvidence, Offer, Phase, Reason, TlsEvidence, detail};
use nines_shared::time::Timestamp;
use rustls::{CipherSuite, ClientConnection, ProtocolVersion};

use crate::prober::chain;
use crate::prober::chain::ocsp::{Issuer, Said, Stapled, Status};
use crate::prober::failure::Failure;
use crate::prober::trust::{Shown, Trust, Witness};

/// What was agreed on, and what was shown.
#[derive(Debug)]
pub(crate) struct Session {
    version: Option<ProtocolVersion>,
    cipher: Option<CipherSuite>,
    alpn: Option<Vec<u8>>,
    witness: Arc<Witness>,
    /// When the handshake was over.
    at: Timestamp,
    /// What the target was asked to take beside it.
    pub(crate) offers: Vec<Offer>,
}

impl Session {
    /// The session of `connection`, whose handshake is done.
    pub(super) fn agreed(connection: &ClientConnection, witness: Arc<Witness>, at: Timestamp) -> Self {
        Self {
            version: connection.protocol_version(),
            cipher: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            witness,
            at,
            offers: Vec::new(),
        }
    }

    /// The session of a QUIC handshake, done or not. Which cipher it agreed on is not told.
    #[cfg(feature = "http3")]
    pub(crate) fn of_quic(done: bool, witness: Arc<Witness>, at: Timestamp) -> Self {
        let (version, alpn) = (ProtocolVersion::TLSv1_3, b"h3".to_vec());
        Self { version: done.then_some(version), alpn: done.then_some(alpn), ..Self::refused(witness, at) }
    }

    /// What a handshake that failed has left.
    pub(super) fn refused(witness: Arc<Witness>, at: Timestamp) -> Self {
        Self { version: None, cipher: None, alpn: None, witness, at, offers: Vec::new() }
    }

    /// What the target showed, where it came so far.
    pub(crate) fn shown(&self) -> Option<&Shown> {
        self.witness.shown()
    }

    /// Whether the target asked for a certificate of ours.
    pub(crate) fn asked_for_ours(&self) -> bool {
        self.witness.asked_for_ours()
    }

    /// Whom the session believes.
    pub(crate) fn trust(&self) -> &Trust {
        &self.witness.trust
    }

    /// What the stapled OCSP response says at `now` of the target's certificate; `None` where none is stapled.
    pub(crate) fn stapled(&self, now: Timestamp) -> Option<Result<Stapled, String>> {
        self.with_staple(|said, issuer| said.believed(issuer, now))
    }

    /// That the authority has revoked the certificate, where it says so and can be believed. Of a response that
    /// says nothing of the kind the signature is not looked at.
    pub(crate) fn revocation(&self) -> Option<Failure> {
        let believed = |said: Said<'_>, issuer: Issuer<'_>| said.is_revoked().then(|| said.believed(issuer, self.at));
        let stapled = self.with_staple(believed)?.ok()??;
        stapled.doubt.is_none().then(|| {
            let own = self.shown().map_or_else(String::new, |shown| chain::place(&shown.chain, 0));
            Failure::theirs(
                Reason::TlsRevoked,
                Phase::Tls,
                format!("{own} was revoked, says the stapled OCSP response"),
            )
        })
    }

    fn with_staple<T>(&self, read: impl FnOnce(Said<'_>, Issuer<'_>) -> T) -> Option<Result<T, String>> {
        let shown = self.shown().filter(|shown| !shown.staple.is_empty())?;
        let own = shown.chain.first()?;
        let root = shown.path.as_ref().and_then(|path| self.trust().root_key(path));
        let between = shown.path.as_ref().and_then(|path| shown.chain.get(*path.places.get(1)?));
        let between = between.and_then(chain::parsed);
        let key = between.as_ref().map(|issuer| issuer.public_key().raw).or(root.as_deref());
        let issuer = Issuer { key, algorithms: self.trust().algorithms };
        Some(chain::ocsp::of(&shown.staple, own, issuer).map(|said| read(said, issuer)))
    }

    /// `TLSv1.2` or `TLSv1.3`, where one was agreed on.
    pub(crate) fn version(&self) -> Option<String> {
        let name = self.version.and_then(|version| version.as_str());
        name.map(|name| name.replace('_', "."))
    }

    /// The protocol agreed on by ALPN.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// What the session says, for people.
    pub(crate) fn describe(&self) -> TlsEvidence {
        let mut evidence = TlsEvidence {
            version: self.version(),
            // rustls names TLS 1.3 suites TLS13_…; the registry of IANA names them TLS_….
            cipher: self.cipher.and_then(|suite| suite.as_str()).map(|name| name.replacen("TLS13_", "TLS_", 1)),
            alpn: self.alpn.as_deref().map(|name| detail(&String::from_utf8_lossy(name))),
            offers: self.offers.clone(),
            ..TlsEvidence::default()
        };
        let Some(shown) = self.shown() else { return evidence };
        evidence.chain = chain::describe(&shown.chain);
        if let Some(path) = &shown.path {
            let certificates = path.places.iter().filter_map(|place| shown.chain.get(*place)).map(chain::subject);
            let root = chain::root_in_words(self.trust().root_subject(path));
            evidence.path = certificates.chain(std::iter::once(root)).collect();
        }
        evidence.ocsp = self.stapled(self.at).map(in_words);
        // A handshake that was done in spite of it was not to be verified.
        let accepted = self.version.and(shown.distrust.as_ref());
        evidence.unverified = accepted.map(|error| detail(&super::refusal::of_tls(error, Some(shown)).1));
        evidence
    }
}

fn in_words(stapled: Result<Stapled, String>) -> OcspEvidence {
    let status = |status| match status {
        Status::Good => "good",
        Status::Revoked => "revoked",
        Status::Unknown => "unknown",
    };
    match stapled {
        Ok(stapled) => OcspEvidence {
            status: status(stapled.status).to_owned(),
            this_update: Some(stapled.this_update),
            next_update: stapled.next_update,
            doubt: stapled.doubt,
        },
        Err(why) => OcspEvidence { status: "unusable".to_owned(), doubt: Some(why), ..OcspEvidence::default() },
    }
}
