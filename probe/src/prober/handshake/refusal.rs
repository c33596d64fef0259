//! Why a handshake failed: from what rustls says to a reason, and to words that name the certificate at fault.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::io::{self, ErrorKind};

use nines_shared::sample::{Phase, Reason};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error};

use crate::prober::chain;
use crate::prober::failure::{self, Failure};
use crate::prober::trust::Shown;

const DAY_S: u64 = 86_400;

/// `failure` of a handshake in which the target asked for a certificate of ours. A server of TLS 1.2 that gets none
/// says only that the handshake failed.
pub(super) fn with_ours(failure: Failure) -> Failure {
    match failure.reason {
        Reason::TlsVersion | Reason::TlsAlert | Reason::TlsClosed => Failure {
            reason: Reason::TlsClientCertificate,
            detail: format!("{}, after it asked for a certificate of ours", failure.detail),
            ..failure
        },
        _ => failure,
    }
}

/// Why a handshake failed; `shown` is what the target had shown by then.
pub(super) fn of_handshake(error: &io::Error, shown: Option<&Shown>) -> Failure {
    if let Some(tls) = tls_error(error) {
        let (reason, detail) = of_tls(tls, shown);
        return Failure::theirs(reason, Phase::Tls, detail);
    }
    of_io(error)
}

/// Why the connection under a handshake failed.
pub(super) fn of_io(error: &io::Error) -> Failure {
    let theirs = |reason| Failure::theirs(reason, Phase::Tls, error.to_string());
    match error.kind() {
        ErrorKind::TimedOut => theirs(Reason::TlsTimeout),
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => theirs(Reason::TlsClosed),
        ErrorKind::InvalidData => theirs(Reason::TlsMalformed),
        _ => failure::our_own(error, Phase::Tls).unwrap_or_else(|| theirs(Reason::TlsClosed)),
    }
}

/// The TLS error inside an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The reason for a TLS error after the handshake.
pub(crate) fn reason_of(error: &Error) -> Reason {
    of_tls(error, None).0
}

/// The reason for a TLS error, and what went wrong, for people.
pub(crate) fn of_tls(error: &Error, shown: Option<&Shown>) -> (Reason, String) {
    let reason = match error {
        Error::InvalidCertificate(refusal) => {
            let chain = shown.map_or(&[][..], |shown| &shown.chain);
            return of_certificate(refusal, chain).unwrap_or_else(|| (Reason::TlsBadCertificate, error.to_string()));
        }
        Error::NoCertificatesPresented => Reason::TlsBadCertificate,
        Error::PeerIncompatible(_) => Reason::TlsVersion,
        Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            Reason::HttpVersion
        }
        // RFC 8446 §6.2: no acceptable set of security parameters.
        Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => Reason::TlsVersion,
        // RFC 8446 §6.2: what a server says of a client's certificate.
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => Reason::TlsClientCertificate,
        Error::AlertReceived(_) => Reason::TlsAlert,
        _ => Reason::TlsMalformed,
    };
    (reason, error.to_string())
}

/// The faults that have a reason of their own; `None` for all others.
fn of_certificate(error: &CertificateError, chain: &[CertificateDer<'_>]) -> Option<(Reason, String)> {
    let told = match error {
        CertificateError::ExpiredContext { time, not_after } => {
            let days = days(*not_after, *time);
            let place = guilty(chain, |validity| at(validity.not_after) == *not_after);
            (Reason::TlsExpired, format!("{place} expired {days} ago"))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let days = days(*time, *not_before);
            let place = guilty(chain, |validity| at(validity.not_before) == *not_before);
            (Reason::TlsNotYetValid, format!("{place} will be valid only in {days}"))
        }
        CertificateError::Expired => {
            let place = guilty(chain, |validity| validity.not_after < validity.not_before);
            (Reason::TlsExpired, format!("{place} ends before it begins"))
        }
        CertificateError::NotValidForNameContext { expected, .. } => {
            let names = chain.first().map_or_else(String::new, chain::names_in_words);
            (Reason::TlsWrongName, format!("the certificate is for {names}, not for {}", name(expected)))
        }
        CertificateError::Revoked => (Reason::TlsRevoked, "the certificate was revoked".to_owned()),
        // A self-signed authority shown as a server's own certificate comes as the latter.
        CertificateError::UnknownIssuer | CertificateError::Other(_)
            if chain.first().is_some_and(chain::is_self_signed) =>
        {
            (Reason::TlsSelfSigned, format!("{} signed itself", chain::place(chain, 0)))
        }
        CertificateError::UnknownIssuer => (Reason::TlsUnknownIssuer, of_unknown_issuer(chain)),
        CertificateError::BadEncoding => {
            let place = chain.iter().position(|der| webpki::EndEntityCert::try_from(der).is_err())?;
            (Reason::TlsBadCertificate, format!("{} is not well formed", chain::place(chain, place)))
        }
        // Signatures by what nobody should trust any more come as one of these.
        _ => weak(chain)?,
    };
    Some(told)
}

/// The first certificate of `chain` whose signature or key is too weak. The signature of one that signed
/// itself says nothing, whatever it is made with.
fn weak(chain: &[CertificateDer<'_>]) -> Option<(Reason, String)> {
    let weakness = |der| chain::parsed(der).and_then(|parsed| chain::weakness(&parsed));
    let mut foreign = chain.iter().enumerate().filter(|(place, der)| *place == 0 || !chain::is_self_signed(der));
    let (place, what) = foreign.find_map(|(place, der)| Some((place, weakness(der)?)))?;
    Some((Reason::TlsWeakSignature, format!("{} {what}, too weak to be trusted", chain::place(chain, place))))
}

fn of_unknown_issuer(chain: &[CertificateDer<'_>]) -> String {
    let end = chain::end(chain);
    let Some(last) = chain.get(end) else { return "no trusted authority vouches for the chain".to_owned() };
    let place = chain::place(chain, end);
    if chain::is_self_signed(last) {
        return format!("{place} signed itself and is not trusted");
    }
    let issuer = chain::issuer(last);
    let missing = format!("{place} was issued by {issuer}, who is not trusted and whose certificate was not sent");
    if end == 0 { format!("{missing}; an intermediate may be missing") } else { missing }
}

/// The place of the certificate whose validity is at fault.
fn guilty(chain: &[CertificateDer<'_>], fault: impl Fn(&x509_parser::certificate::Validity) -> bool) -> String {
    let faulty = |der| chain::parsed(der).is_some_and(|parsed| fault(parsed.validity()));
    match chain.iter().position(faulty) {
        Some(place) => chain::place(chain, place),
        None => "a certificate of the chain".to_owned(),
    }
}

fn at(time: x509_parser::time::ASN1Time) -> UnixTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

fn days(from: UnixTime, to: UnixTime) -> String {
    match to.as_secs().saturating_sub(from.as_secs()) / DAY_S {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn name(expected: &ServerName<'_>) -> String {
    expected.to_str().into_owned()
}
