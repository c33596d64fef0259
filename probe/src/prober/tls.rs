//! The TLS check: a full handshake, a chain that is valid for the name, and what else is expected of it.

mod judge;
mod offers;

use nines_shared::check::TlsQuestion;
use nines_shared::sample::Reason;
use tokio::io::AsyncWriteExt;
use url::Host;

use super::failure::Failure;
use super::handshake::{self, Terms};
use super::record::Record;
use super::{Look, client_certificate, connect};

pub(crate) use judge::judge;

/// Asks `question` once.
pub(crate) async fn ask(look: &Look<'_>, question: &TlsQuestion, record: &mut Record) -> Result<(), Failure> {
    let (host, port) = question.address.endpoint();
    let name = match &question.server_name {
        Some(name) => Host::Domain(name.as_str()),
        None => host.clone(),
    };
    // Before anybody is contacted: a missing secret says nothing about the target.
    let client = question.client_certificate.as_ref().map(|shown| client_certificate::of(look, shown)).transpose()?;
    let stream = connect::open(look, &host, port, question.reach, record).await?;
    let terms = Terms {
        ca_pem: question.ca_pem.as_deref(),
        protocol: question.expect.alpn.as_deref(),
        starttls: question.starttls,
        verify: question.verify,
        client: client.as_ref(),
        ..Terms::with(&name)
    };
    let mut secured = handshake::secure(look, stream, terms, record).await.map_err(without_http)?;
    // A farewell, so that the target's log does not show a reset. It need not arrive.
    let _gone_already = secured.shutdown().await;
    if let Some(session) = &record.session {
        handshake::verdict(&mut secured, session).await?;
        judge(&question.expect, session, look.prober.clock.now())?;
    }
    offers::judge(look, &question.expect, &terms, record).await
}

/// Where no HTTP is spoken, a protocol that the target does not agree on is not a version of HTTP.
fn without_http(failure: Failure) -> Failure {
    if failure.reason == Reason::HttpVersion { Failure { reason: Reason::TlsAlpn, ..failure } } else { failure }
}
