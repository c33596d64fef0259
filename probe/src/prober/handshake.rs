//! The TLS handshake: timed, its chain kept, its failures told apart.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::io::{self, ErrorKind};
use std::sync::Arc;

use nines_shared::sample::{Phase, Reason, TlsEvidence};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConnection, Error};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::failure::{self, Failure};
use super::record::Record;
use super::trust::Alpn;
use super::{Look, chain};

const DAY_S: u64 = 86_400;

/// Whom a handshake asks for and what it offers.
pub(crate) struct Terms<'t> {
    /// The name to send and to verify.
    pub(crate) name: &'t Host<&'t str>,
    /// Roots to trust instead of Mozilla's, PEM.
    pub(crate) ca_pem: Option<&'t str>,
    pub(crate) alpn: Alpn,
}

/// A TLS session over `stream`. Whatever the target showed is in `record`, whether or not it was enough.
pub(crate) async fn secure(
    look: &Look<'_>,
    stream: TcpStream,
    terms: Terms<'_>,
    record: &mut Record,
) -> Result<TlsStream<TcpStream>, Failure> {
    let unsupported = |why| Failure::ours(Reason::Unsupported, Phase::Tls, why);
    let name = server_name(terms.name).map_err(unsupported)?;
    let trust = look.prober.trusts.of(terms.ca_pem).map_err(unsupported)?;
    let (config, refused) = trust.config(terms.alpn);
    record.enter(Phase::Tls);
    let ended = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    record.leave();
    match ended {
        Ok(secured) => {
            record.evidence.tls = Some(session(secured.get_ref().1));
            Ok(secured)
        }
        Err(error) => {
            let shown = refused.chain();
            record.evidence.tls = Some(TlsEvidence { chain: chain::describe(shown), ..TlsEvidence::default() });
            Err(of_handshake(&error, shown))
        }
    }
}

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, String> {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).map_err(|error| format!("{name} can't be a server's name: {error}"))
        }
        Host::Ipv4(v4) => Ok(ServerName::from(std::net::IpAddr::V4(*v4))),
        Host::Ipv6(v6) => Ok(ServerName::from(std::net::IpAddr::V6(*v6))),
    }
}

fn session(connection: &ClientConnection) -> TlsEvidence {
    let version = connection.protocol_version().and_then(|version| version.as_str());
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    TlsEvidence {
        version: version.map(|name| name.replace('_', ".")),
        // rustls names TLS 1.3 suites TLS13_…; the registry of IANA names them TLS_….
        cipher: cipher.map(|name| name.replacen("TLS13_", "TLS_", 1)),
        alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        chain: chain::describe(connection.peer_certificates().unwrap_or_default()),
    }
}

/// Why a handshake failed; `shown` is the chain that was refused, if one was.
fn of_handshake(error: &io::Error, shown: &[CertificateDer<'_>]) -> Failure {
    let theirs = |reason| Failure::theirs(reason, Phase::Tls, error.to_string());
    if let Some(tls) = tls_error(error) {
        let reason = reason_of(tls, shown);
        let detail = in_words(tls, &reason);
        return Failure::theirs(reason, Phase::Tls, detail);
    }
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

/// The reason for a TLS error of any moment of a connection.
pub(crate) fn reason_of(error: &Error, shown: &[CertificateDer<'_>]) -> Reason {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error, shown),
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
        Error::AlertReceived(_) => Reason::TlsAlert,
        _ => Reason::TlsMalformed,
    }
}

/// What went wrong, for people.
fn in_words(error: &Error, reason: &Reason) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / DAY_S;
            format!("a certificate of the chain expired {days} days ago")
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            let days = not_before.as_secs().saturating_sub(time.as_secs()) / DAY_S;
            format!("a certificate of the chain will be valid only in {days} days")
        }
        _ if *reason == Reason::TlsSelfSigned => "the certificate signed itself".to_owned(),
        _ if *reason == Reason::TlsUnknownIssuer => {
            "no trusted authority vouches for the chain as it was sent".to_owned()
        }
        other => other.to_string(),
    }
}

fn of_certificate(error: &CertificateError, shown: &[CertificateDer<'_>]) -> Reason {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Reason::TlsNotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Reason::TlsWrongName,
        CertificateError::Revoked => Reason::TlsRevoked,
        CertificateError::UnknownIssuer if chain::is_self_signed(shown) => Reason::TlsSelfSigned,
        CertificateError::UnknownIssuer => Reason::TlsUnknownIssuer,
        // A self-signed authority shown as a server's own certificate comes as this.
        CertificateError::Other(_) if chain::is_self_signed(shown) => Reason::TlsSelfSigned,
        _ => Reason::TlsBadCertificate,
    }
}
