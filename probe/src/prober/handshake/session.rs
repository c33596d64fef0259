//! A TLS session as far as it came. What it says for people is made only when somebody wants to read it.

use std::sync::Arc;

use nines_shared::sample::{Offer, TlsEvidence, detail};
use rustls::{CipherSuite, ClientConnection, ProtocolVersion};

use crate::prober::chain;
use crate::prober::trust::{Shown, Trust, Witness};

/// What was agreed on, and what was shown.
#[derive(Debug)]
pub(crate) struct Session {
    version: Option<ProtocolVersion>,
    cipher: Option<CipherSuite>,
    alpn: Option<Vec<u8>>,
    witness: Arc<Witness>,
    /// What the target was asked to take beside it.
    pub(crate) offers: Vec<Offer>,
}

impl Session {
    /// The session of `connection`, whose handshake is done.
    pub(super) fn agreed(connection: &ClientConnection, witness: Arc<Witness>) -> Self {
        Self {
            version: connection.protocol_version(),
            cipher: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            witness,
            offers: Vec::new(),
        }
    }

    /// What a handshake that failed has left.
    pub(super) fn refused(witness: Arc<Witness>) -> Self {
        Self { version: None, cipher: None, alpn: None, witness, offers: Vec::new() }
    }

    /// What the target showed, where it came so far.
    pub(crate) fn shown(&self) -> Option<&Shown> {
        self.witness.shown()
    }

    /// Whom the session believes.
    pub(crate) fn trust(&self) -> &Trust {
        &self.witness.trust
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
        // A handshake that was done in spite of it was not to be verified.
        let accepted = self.version.and(shown.distrust.as_ref());
        evidence.unverified = accepted.map(|error| detail(&super::refusal::of_tls(error, Some(shown)).1));
        evidence
    }
}
