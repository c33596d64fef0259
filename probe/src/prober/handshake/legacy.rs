//! Where nothing is in common: whether the target speaks only what this prober does not.
//!
//! Old software still serves somebody. That a strict prober can't shake hands with it says nothing of whether it
//! is up, so the sample is `inconclusive`; a target that takes nothing at all is `down`.

use std::io;

use nines_shared::check::{CipherSuite, TlsVersion};
use nines_shared::sample::{Phase, Reason};
use rustls::{AlertDescription, Error};

use super::answer::Answer;
use super::hello::Asked;
use super::learn::learn;
use super::{Terms, refusal};
use crate::prober::Look;
use crate::prober::failure::Failure;
use crate::prober::record::Record;

/// The cipher suites of TLS 1.2 that this prober speaks.
const SPOKEN: [u16; 6] = [0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8];

/// Whether `error` says that the two have no version or cipher suite in common.
pub(super) fn is_suspected(error: &io::Error) -> bool {
    match refusal::tls_error(error) {
        Some(Error::AlertReceived(alert)) => matches!(
            alert,
            AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity
        ),
        Some(Error::PeerIncompatible(_)) => true,
        _ => false,
    }
}

/// `failure`, or what it comes from: the target is asked what it would take.
pub(super) async fn explain(look: &Look<'_>, terms: &Terms<'_>, failure: Failure, record: &Record) -> Failure {
    let Some(to) = record.evidence.address else { return failure };
    match learn(look, to, terms, Asked::Anything).await {
        Ok(Answer::Takes { version, cipher }) if !is_spoken(version, cipher) => {
            Failure::ours(Reason::TlsLegacy, Phase::Tls, in_words(version, cipher))
        }
        // What went wrong with the second question says nothing of the first.
        Ok(_) | Err(_) => failure,
    }
}

fn is_spoken(version: u16, cipher: CipherSuite) -> bool {
    TlsVersion::Tls12.number() <= version && SPOKEN.contains(&cipher.0)
}

fn in_words(version: u16, cipher: CipherSuite) -> String {
    let name = super::version_name(version);
    // Browsers took TLS 1.0 and 1.1 out in 2020 (RFC 8996).
    let browsers = if version < TlsVersion::Tls12.number() { "; neither do browsers" } else { "" };
    format!("the target speaks {name} with {cipher}, which this prober does not{browsers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_prober_speaks_is_what_its_crypto_has() {
        let of_12 = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_none();
        let suites = crate::prober::trust::provider().cipher_suites;
        let mut spoken: Vec<u16> =
            suites.iter().filter(|suite| of_12(suite)).map(|suite| suite.suite().into()).collect();
        let mut listed = SPOKEN.to_vec();
        spoken.sort_unstable();
        listed.sort_unstable();
        assert_eq!(spoken, listed);
    }
}
