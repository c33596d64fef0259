//! The certificate that follows ours: asked for at two thirds of a life with a key of its own, or when others vouch for
//! the fleet; written, and then shown by every link from its next request on.
//!
//! The aggregator keeps the one before good until the new one is shown, so nothing is lost wherever this is cut off.
//! It looks at the aggregator's time where that is known; where ours is wrong, the aggregator says that it is too
//! soon, and we come again seldom.

mod plan;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use nines_shared::time::Timestamp;
use nines_shared::wire::{RENEW_PATH, RenewRequest, RenewResponse};
use rcgen::KeyPair;
use tokio::time::{Instant, sleep};
use url::Url;

use super::join::{MAX_JOIN_ANSWER_BYTES, csr, new_key, why};
use super::{Credentials, IDENTITY_FILE, IdentityError, Papers, papers};
use crate::clock_watch::ClockWatch;
use crate::link::{Link, LinkError, Query};
use plan::{Life, Wish};

/// How long the aggregator may take to sign.
const RENEW_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is said that a certificate has ended.
const REMIND: Duration = Duration::from_secs(3_600);

/// Sees to it that this probe has a certificate that is good.
#[derive(Debug)]
pub struct Renewal {
    /// The aggregator.
    pub aggregator: Url,
    /// Where the identity lies.
    pub state: PathBuf,
    /// What it has now.
    pub papers: Papers,
    /// What links show.
    pub tls: Arc<Credentials>,
    /// Knows the aggregator's time.
    pub clock: Arc<ClockWatch>,
}

/// Why there is no other certificate yet.
#[derive(Debug, thiserror::Error)]
enum NotRenewed {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the aggregator refused ({status}): {message}")]
    Refused { status: StatusCode, message: String },
    #[error("the aggregator's answer can't be used: {0}")]
    Answer(String),
    #[error("can't make a key: {0}")]
    Key(#[from] rcgen::Error),
    #[error("can't write the identity: {0}")]
    Write(#[source] std::io::Error),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the writing panicked")]
    Panicked,
}

impl Renewal {
    /// Renews for as long as the agent runs.
    pub async fn run(mut self) {
        let mut life = self.life();
        // At the first look the file is read in any case: it may have changed since we were made.
        let mut written = None;
        let (mut failures, mut not_before) = (0, Instant::now());
        let mut reminded: Option<Instant> = None;
        loop {
            sleep(life.tick()).await;
            let found = self.written().await;
            if written != found {
                written = found;
                self.read_again().await;
                (life, failures, not_before) = (self.life(), 0, Instant::now());
            }
            let wish = life.wish(self.now(), self.tls.told_of_others(&self.papers.authorities_digest()));
            if wish == Wish::Nothing || Instant::now() < not_before {
                continue;
            }
            if wish == Wish::JoinAgain && reminded.is_none_or(|at| REMIND <= at.elapsed()) {
                reminded = Some(Instant::now());
                self.remind();
            }
            match self.renew().await {
                Ok(papers) => {
                    tracing::info!(until = %papers.until, "identity.renewed");
                    self.adopt(papers);
                    (life, failures, written) = (self.life(), 0, self.written().await);
                }
                Err(error) => {
                    tracing::warn!(%error, until = %self.papers.until, "identity.not_renewed");
                    failures += 1;
                }
            }
            not_before = Instant::now() + life.pause(failures, random());
        }
    }

    fn life(&self) -> Life {
        Life::new(self.papers.issued_at, self.papers.until, random())
    }

    /// The aggregator's time, as far as we know it.
    fn now(&self) -> Timestamp {
        let offset_ms = self.clock.offset().map_or(0, |offset| offset.offset_ms);
        self.clock.read().now.plus_ms(-offset_ms)
    }

    async fn renew(&self) -> Result<Papers, NotRenewed> {
        let key = new_key()?;
        let response = self.ask(RenewRequest { csr_pem: csr(&key)? }).await?;
        self.check(&response, &key).map_err(|what| NotRenewed::Answer(what.to_owned()))?;
        let state = self.state.clone();
        let writing = tokio::task::spawn_blocking(move || {
            papers::write(&state, &key, &response.certificate_pem, &response.ca_pem).map_err(NotRenewed::Write)?;
            Ok(Papers::read(&state)?)
        });
        writing.await.unwrap_or(Err(NotRenewed::Panicked))
    }

    async fn ask(&self, request: RenewRequest) -> Result<RenewResponse, NotRenewed> {
        let body = serde_json::to_vec(&request).expect("a request to renew has only text");
        let query = Query {
            method: Method::POST,
            path: RENEW_PATH.to_owned(),
            encoding: None,
            body: Bytes::from(body),
            patience: RENEW_TIMEOUT,
            max_answer: MAX_JOIN_ANSWER_BYTES,
        };
        // A connection of its own, which ends with the answer: the next one is weeks away.
        let answer = Link::new(&self.aggregator, Arc::clone(&self.tls)).ask(query).await?;
        if answer.status != StatusCode::OK {
            return Err(NotRenewed::Refused { status: answer.status, message: why(&answer.body) });
        }
        serde_json::from_slice(&answer.body).map_err(|error| NotRenewed::Answer(error.to_string()))
    }

    /// The certificate is for our new key and names us; of the authorities we know at least one, so that whoever signed
    /// the aggregator's own certificate is still believed.
    fn check(&self, response: &RenewResponse, key: &KeyPair) -> Result<(), &'static str> {
        papers::check(&response.certificate_pem, key, &self.papers.probe, &self.papers.region)?;
        let authorities = papers::authorities(&response.ca_pem)?;
        let known = authorities.iter().any(|authority| self.papers.authorities.contains(authority));
        if known { Ok(()) } else { Err("it names no authority that we know") }
    }

    fn adopt(&mut self, papers: Papers) {
        self.tls.show(&papers);
        self.papers = papers;
    }

    /// When the identity was written, where it can be told.
    async fn written(&self) -> Option<SystemTime> {
        tokio::fs::metadata(self.state.join(IDENTITY_FILE)).await.ok()?.modified().ok()
    }

    /// Somebody has joined anew beside us: we go on as whom they joined as, if that is us.
    async fn read_again(&mut self) {
        let state = self.state.clone();
        match tokio::task::spawn_blocking(move || Papers::read(&state)).await {
            Ok(Ok(papers)) if papers.certificate == self.papers.certificate => {}
            Ok(Ok(papers)) if (&papers.probe, &papers.region) == (&self.papers.probe, &self.papers.region) => {
                tracing::info!(until = %papers.until, "identity.joined_anew");
                self.adopt(papers);
            }
            Ok(Ok(papers)) => {
                tracing::error!(probe = %papers.probe, region = %papers.region, "identity.of_another: start again to be it");
            }
            Ok(Err(error)) => tracing::error!(%error, "identity.unreadable"),
            Err(error) => tracing::error!(%error, "identity.unreadable"),
        }
    }

    fn remind(&self) {
        let (probe, region) = (&self.papers.probe, &self.papers.region);
        tracing::error!(
            %probe, %region, ended_at = %self.papers.until,
            "identity.ended: the aggregator does not let this probe in any more; ask there for the line with \
             `nines probe invite --region {region} --name {probe}` and run it here. What was seen is kept until then"
        );
    }
}

/// Random bits; zero where the system has none, which is as good a number as any.
fn random() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_or(0, |()| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests;
