//! The TLS check: a full handshake, a chain that is valid for the name, and for how long.

use nines_shared::check::{TlsExpect, TlsQuestion, TlsVersion};
use nines_shared::duration::Shown;
use nines_shared::sample::{Phase, Reason, TlsEvidence};
use nines_shared::time::Timestamp;
use tokio::io::AsyncWriteExt;
use url::Host;

use super::failure::Failure;
use super::handshake::{self, Terms};
use super::record::Record;
use super::trust::Alpn;
use super::{Look, connect};

/// Asks `question` once.
pub(crate) async fn ask(look: &Look<'_>, question: &TlsQuestion, record: &mut Record) -> Result<(), Failure> {
    let host = borrowed(&question.address.host);
    let name = match &question.server_name {
        Some(name) => Host::Domain(name.as_str()),
        None => host.clone(),
    };
    let stream = connect::open(look, &host, question.address.port, question.reach, record).await?;
    let terms = Terms { name: &name, ca_pem: question.ca_pem.as_deref(), alpn: Alpn::None };
    let mut secured = handshake::secure(look, stream, terms, record).await?;
    // A farewell, so that the target's log does not show a reset. It need not arrive.
    let _gone_already = secured.shutdown().await;
    match &record.evidence.tls {
        Some(session) => judge(&question.expect, session, look.prober.clock.now()),
        None => Ok(()),
    }
}

fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name.as_str()),
        Host::Ipv4(v4) => Host::Ipv4(*v4),
        Host::Ipv6(v6) => Host::Ipv6(*v6),
    }
}

/// Whether `session`, whose chain is valid `now`, is what `expect` says.
fn judge(expect: &TlsExpect, session: &TlsEvidence, now: Timestamp) -> Result<(), Failure> {
    if let (Some(wanted), Some(version)) = (expect.min_version, session.version.as_deref())
        && version < name_of(wanted)
    {
        let detail = format!("{version} was agreed on; at least {} is wanted", name_of(wanted));
        return Err(Failure::theirs(Reason::TlsVersion, Phase::Tls, detail));
    }
    let first_to_end = session.chain.iter().min_by_key(|certificate| certificate.not_after);
    if let (Some(wanted), Some(certificate)) = (expect.valid_for_ms, first_to_end) {
        let left = certificate.not_after.since(now);
        if left < wanted {
            let left = Shown(left - left % 1_000);
            let detail = format!("{} is valid for {left} more; {} is wanted", certificate.subject, Shown(wanted));
            return Err(Failure::theirs(Reason::TlsExpiresSoon, Phase::Tls, detail));
        }
    }
    Ok(())
}

/// The name of `version` in evidence. Names sort as versions do.
pub(crate) const fn name_of(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::Tls12 => "TLSv1.2",
        TlsVersion::Tls13 => "TLSv1.3",
    }
}
