//! The TLS handshake: timed, what was shown kept, its failures told apart.

mod answer;
mod hello;
mod learn;
mod legacy;
mod missing;
mod refusal;
mod session;
mod starttls;

use std::sync::Arc;
use std::time::Duration;

use nines_shared::check::{StartTls, TlsVersion};
use nines_shared::sample::{Phase, Reason};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::Look;
use super::failure::Failure;
use super::record::Record;
use super::trust::Alpn;

pub(crate) use answer::Answer;
pub(crate) use hello::Asked;
pub(crate) use learn::learn;
#[cfg(feature = "http3")]
pub(crate) use missing::explain as explain_missing;
#[cfg(feature = "http3")]
pub(crate) use refusal::of_tls;
pub(crate) use refusal::{reason_of, tls_error};
pub(crate) use session::Session;

/// How long a target's word on our certificate is waited for.
const VERDICT: Duration = Duration::from_secs(1);

/// Whom a handshake asks for and what it offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'t> {
    /// The name to send and to verify.
    pub(crate) name: &'t Host<&'t str>,
    /// Roots to trust instead of Mozilla's, PEM.
    pub(crate) ca_pem: Option<&'t str>,
    pub(crate) alpn: Alpn,
    /// The one protocol to offer by ALPN, instead of those of `alpn`.
    pub(crate) protocol: Option<&'t str>,
    /// The protocol that is spoken before TLS, where one is.
    pub(crate) starttls: Option<StartTls>,
    /// Whether a chain that is not valid for the name fails the handshake.
    pub(crate) verify: bool,
    /// Whether this goes through a tunnel: then no second connection leads to the target from here.
    pub(crate) tunnelled: bool,
    /// What to show where the target wants a certificate of ours; nothing where `None`.
    pub(crate) client: Option<&'t Arc<dyn ResolvesClientCert>>,
}

impl<'t> Terms<'t> {
    /// A handshake with `name` that Mozilla's roots must vouch for, without ALPN.
    pub(crate) const fn with(name: &'t Host<&'t str>) -> Self {
        let (ca_pem, protocol, starttls, client) = (None, None, None, None);
        Self { name, ca_pem, alpn: Alpn::None, protocol, starttls, verify: true, tunnelled: false, client }
    }
}

/// A TLS session over `stream`. Whatever the target showed is in `record`, whether or not it was enough.
pub(crate) async fn secure(
    look: &Look<'_>,
    mut stream: TcpStream,
    terms: Terms<'_>,
    record: &mut Record,
) -> Result<TlsStream<TcpStream>, Failure> {
    let unsupported = |why| Failure::ours(Reason::Unsupported, Phase::Tls, why);
    let name = server_name(terms.name).map_err(unsupported)?;
    let trust = look.prober.trusts.of(terms.ca_pem).map_err(unsupported)?;
    let (mut config, witness) = trust.config(terms.alpn, terms.verify, terms.client);
    if let Some(protocol) = terms.protocol {
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    }
    record.enter(Phase::Tls);
    if let Some(protocol) = terms.starttls {
        starttls::agree(&mut stream, protocol).await?;
    }
    let ended = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    record.leave();
    let now = look.prober.clock.now();
    match ended {
        Ok(secured) => {
            let session = Session::agreed(secured.get_ref().1, witness, now);
            let revoked = if terms.verify { session.revocation() } else { None };
            record.session = Some(session);
            revoked.map_or(Ok(secured), Err)
        }
        Err(error) => {
            let session = record.session.insert(Session::refused(witness, now));
            let failure = refusal::of_handshake(&error, session.shown());
            if session.asked_for_ours() {
                return Err(refusal::with_ours(failure));
            }
            let missing = failure.reason == Reason::TlsUnknownIssuer;
            if terms.tunnelled || !missing && !legacy::is_suspected(&error) {
                return Err(failure);
            }
            record.foregone = Some(failure.clone());
            let explained = match &record.session {
                Some(session) if missing => missing::explain(look, session, failure).await,
                Some(_) | None => legacy::explain(look, &terms, failure, record).await,
            };
            Err(explained)
        }
    }
}

/// What a target says of our certificate, or of its absence, once it asked for one and the handshake is done here:
/// in TLS 1.3 its verdict comes after that.
pub(crate) async fn verdict(secured: &mut TlsStream<TcpStream>, session: &Session) -> Result<(), Failure> {
    if !session.asked_for_ours() {
        return Ok(());
    }
    let mut buffer = [0; 1_024];
    let ended = timeout(VERDICT, async {
        loop {
            match secured.read(&mut buffer).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    });
    match ended.await {
        Ok(Err(error)) if tls_error(&error).is_some() => {
            Err(refusal::with_ours(refusal::of_handshake(&error, session.shown())))
        }
        // The connection is over, or goes on: nothing was said against us.
        Ok(Ok(()) | Err(_)) | Err(_) => Ok(()),
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

/// The name of a protocol version by its number, known or not.
pub(crate) fn version_name(number: u16) -> String {
    let known = [TlsVersion::Tls10, TlsVersion::Tls11, TlsVersion::Tls12, TlsVersion::Tls13];
    match known.into_iter().find(|version| version.number() == number) {
        Some(version) => version.to_string(),
        None if number == 0x0300 => "SSLv3".to_owned(),
        None => format!("TLS 0x{number:04x}"),
    }
}
