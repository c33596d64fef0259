//! Where nobody known vouches for a chain: whether only a certificate between is missing.
//!
//! Browsers fetch what a target forgot to send, from the address that the last certificate names (RFC 5280
//! §4.2.2.1, `caIssuers`), and so hide the fault from everyone who has one. Here it is fetched only once a
//! handshake has failed, to say why. It changes the reason, never the outcome. The address is contacted only
//! where the vantage's rule allows it; over HTTP, without redirects.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use nines_shared::check::Reach;
use nines_shared::sample::{Phase, Reason, detail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use url::Url;

use super::Session;
use crate::prober::failure::Failure;
use crate::prober::http::beside;
use crate::prober::record::Record;
use crate::prober::{Look, chain, connect};

/// The most certificates that are fetched.
const MAX_FETCHES: usize = 3;
/// The largest file that is fetched, in bytes.
const MAX_FILE: usize = 64 << 10;
/// The largest response head that is read, in bytes. hyper wants no less.
const MAX_HEAD: usize = 8 << 10;

/// `failure`, or that a certificate is missing, where with it the chain of `session` leads to a trusted root.
pub(crate) async fn explain(look: &Look<'_>, session: &Session, failure: Failure) -> Failure {
    let Some(shown) = session.shown() else { return failure };
    let mut chain = shown.chain.clone();
    let mut found = Vec::new();
    for _fetch in 0..MAX_FETCHES {
        let Some(last) = chain.get(chain::end(&chain)).filter(|last| !chain::is_self_signed(last)) else { break };
        let Some(address) = chain::issuer_address(last) else { break };
        let file = match fetch(look, &address).await {
            Ok(file) => file,
            Err(why) => {
                let detail = format!("{}; it can't be had from {}: {why}", failure.detail, detail(address.as_str()));
                return Failure { detail, ..failure };
            }
        };
        found.push(format!("{} (at {})", chain::subject(&file), detail(address.as_str())));
        chain.push(file);
        if session.trust().path(&chain, UnixTime::now()).is_ok() {
            let detail = format!("the target does not send {}, with which its chain is valid", found.join(" and "));
            return Failure::theirs(Reason::TlsMissingIntermediate, Phase::Tls, detail);
        }
    }
    failure
}

/// The certificate at `address`.
async fn fetch(look: &Look<'_>, address: &Url) -> Result<CertificateDer<'static>, String> {
    let (Some(host), Some(port)) = (address.host(), address.port_or_known_default()) else {
        return Err("it names no host".to_owned());
    };
    // Notes of its own: the sample's are about the target.
    let mut aside = Record::start();
    let stream = connect::open(look, &host, port, Reach::default(), &mut aside).await;
    let stream = stream.map_err(|failure| failure.detail)?;
    let in_words = |error: hyper::Error| error.to_string();
    let opened = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(in_words)?;
    let asked = Request::get(&address[url::Position::BeforePath..url::Position::AfterQuery])
        .header(HOST, &address[url::Position::BeforeHost..url::Position::AfterPort])
        .header(USER_AGENT, look.prober.agent.clone())
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(asked).await.map_err(in_words)?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}", response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_FILE).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| error.to_string())
    };
    certificate(&beside(connection, exchange).await?)
}

/// The certificate in `file`, DER or PEM.
fn certificate(file: &[u8]) -> Result<CertificateDer<'static>, String> {
    let der = CertificateDer::from(file);
    if chain::parsed(&der).is_some() {
        return Ok(der.into_owned());
    }
    CertificateDer::from_pem_slice(file).map_err(|_other| "what is there is no certificate".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_no_file_is_taken_for_a_certificate_that_can_not_be_described() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|file| {
            if let Ok(der) = certificate(file) {
                assert!(!chain::subject(&der).is_empty());
                // The rest of the way that a fetched file goes.
                let chain = [der.clone(), der];
                assert!(chain::end(&chain) < 2 && chain::describe(&chain).len() <= 2);
            }
        });
    }
}
