//! One check, once: one deadline for all of it, and a match over the kinds.
//!
//! Owns the way from a [`Check`] to an [`Observation`]. Knows no slots, stores nothing, reads no file
//! after its making. The deadline covers resolution, connection, handshake, redirects, body and retries;
//! per-phase timeouts would add up. Each protocol is one file; `connect` opens what they speak over.

mod agent;
mod chain;
mod client_certificate;
mod connect;
mod dns;
pub(crate) mod expect;
mod failure;
mod grpc;
mod handshake;
mod http;
mod icmp;
mod must_fail;
mod news;
mod parts;
mod record;
mod redact;
mod resolve;
mod route;
mod secrets;
mod tcp;
mod tls;
mod traceparent;
mod trust;

use std::cell::LazyCell;
use std::net::IpAddr;
use std::slice;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::header::HeaderValue;
use nines_shared::address::AddressRule;
use nines_shared::check::{Addresses, Check, Question};
use nines_shared::sample::{Certificate, Evidence, Outcome, Phase, Phases, Reason, TlsEvidence, TraceId};
use nines_shared::secret::Secrets;
use nines_shared::time::Clock;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use agent::Contact;
pub use connect::Pin;
use failure::Failure;
use news::News;
use record::Record;
use resolve::Resolver;
use trust::Trusts;

/// Whether this build speaks HTTP/3: the cargo feature `http3`.
pub const SPEAKS_HTTP3: bool = cfg!(feature = "http3");

/// How long a retry waits: immediate ones would all meet the same hiccup.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How this machine looks out: from which address, to which addresses.
#[derive(Clone, Debug, Default)]
pub struct Vantage {
    /// Look from this address; the kernel's choice where `None`.
    pub source: Option<IpAddr>,
    /// Which addresses may be contacted.
    pub rule: AddressRule,
    /// Hosts whose addresses are given, not asked for. The rule holds for these too.
    pub pins: Vec<Pin>,
    /// Whom a target can write to about us.
    pub contact: Option<Contact>,
}

/// What one check saw: a sample without its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was seen, and so whose fault it was.
    pub outcome: Outcome,
    /// Why, where it is not `up`.
    pub reason: Option<Reason>,
    /// In which phase it failed.
    pub phase: Option<Phase>,
    /// One line for people, clean (see [`nines_shared::sample::detail`]).
    pub detail: Option<String>,
    /// µs of the last attempt.
    pub duration_us: u64,
    /// µs of each phase of the last attempt.
    pub phases_us: Phases,
    /// The number of the attempt that decided, from 1.
    pub attempt: u8,
    /// What the target said and showed.
    pub evidence: Evidence,
}

/// What every check of a probe shares: the vantage, the resolver, the TLS configurations made so far.
#[derive(Debug)]
pub struct Prober {
    vantage: Vantage,
    /// Made once of the vantage's contact.
    agent: HeaderValue,
    resolver: Resolver,
    trusts: Trusts,
    clock: Clock,
    terse: bool,
    news: News,
    secrets: Mutex<Arc<Secrets>>,
}

impl Prober {
    /// A prober that looks out from `vantage`. Reads the machine's resolver configuration and starts the
    /// crypto library, once: make one prober and keep it.
    pub fn new(vantage: Vantage) -> Self {
        let resolver = Resolver::from_system();
        Self {
            agent: agent::of(vantage.contact.as_ref()),
            vantage,
            resolver,
            trusts: Trusts::warmed(),
            clock: Clock::system(),
            terse: false,
            news: News::default(),
            secrets: Mutex::default(),
        }
    }

    /// A prober for samples, of which only those that are not `up` keep what the target showed: for the others
    /// it is not put into words, but for a chain of certificates that their check has not told of of late.
    #[must_use]
    pub fn terse(self) -> Self {
        Self { terse: true, ..self }
    }

    /// From now on checks find the values of the secrets that they name in `secrets`. One that runs goes on with
    /// those that it began with.
    pub fn know(&self, secrets: Arc<Secrets>) {
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = secrets;
    }

    /// Runs `check` once, with its retries, within its timeout. Never fails: whatever goes wrong is an
    /// outcome. The last attempt decides. `trace` goes out with whatever can carry it.
    pub async fn run(&self, check: &Check, trace: TraceId) -> Observation {
        let look = Look { prober: self, trace, pin: None, secrets: OnceLock::new() };
        let deadline = Instant::now() + millis(check.timeout_ms);
        let mut attempt = 1;
        loop {
            let seen = look.attempt(check, Run { deadline, attempt, whole: true }).await;
            let worked = matches!(seen.outcome, Outcome::Up | Outcome::Degraded);
            let next = Instant::now() + RETRY_PAUSE;
            if worked || check.retries < attempt || deadline <= next {
                return seen;
            }
            sleep_until(next).await;
            attempt += 1;
        }
    }
}

/// What one attempt looks with: what all checks share, and what is its own.
#[derive(Debug)]
pub(crate) struct Look<'p> {
    prober: &'p Prober,
    trace: TraceId,
    /// The one address that the question's host stands for here.
    pin: Option<&'p Pin>,
    /// As they were when the check first needed one.
    secrets: OnceLock<Arc<Secrets>>,
}

/// One attempt: the deadline, and its number from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    deadline: Instant,
    attempt: u8,
    /// Whether it is the sample itself, and not one of several parts: those may each show another chain.
    whole: bool,
}

impl Look<'_> {
    async fn attempt(&self, check: &Check, run: Run) -> Observation {
        let question = &check.question;
        if let Question::Tls(tls) = question
            && !tls.ports.is_empty()
        {
            let questions: Vec<Question> = tls.by_port().into_iter().map(|tls| Question::Tls(Box::new(tls))).collect();
            return Box::pin(async move { self.parts(check, &questions, run).await }).await;
        }
        if question.reach().addresses == Addresses::Every {
            return Box::pin(self.parts(check, slice::from_ref(question), run)).await;
        }
        self.one(check, question, Record::start(), run).await
    }

    /// Asks one `question` of those that `check` is made of.
    async fn one(&self, check: &Check, question: &Question, mut record: Record, run: Run) -> Observation {
        let failure = match timeout_at(run.deadline, self.ask(question, run.deadline, &mut record)).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_elapsed) => Some(record.timed_out(question)),
        };
        let failure = match failure {
            Some(failure) if Resolver::may_be_to_blame(question, &failure) => {
                record.settle(failure.clone());
                Some(self.prober.resolver.or_to_blame(failure).await)
            }
            failure => failure,
        };
        let mut failure = must_fail::turned(check.must_fail.as_ref(), failure, record.last_phase());
        // Only a sample that is not up pays for them.
        let secrets = LazyCell::new(|| redact::Forms::of(self, question));
        if let Some(failure) = &mut failure {
            if let Question::Http(question) = question {
                http::gather(self, question, &mut record);
            }
            // Here, since what is too long of it is cut later, and with it perhaps a secret.
            failure.detail = secrets.hidden(&failure.detail);
        }
        let degraded_after_us = check.degraded_after_ms.map(|ms| ms.unsigned_abs().saturating_mul(1_000));
        let news = self.prober.terse && run.whole && failure.is_none() && self.shows_news(check, &record);
        let mut seen = record.conclude(failure, run.attempt, degraded_after_us, news || !self.prober.terse);
        if seen.outcome != Outcome::Up {
            secrets.hide(&mut seen.evidence);
            seen.evidence.bound();
        } else if news {
            seen.evidence = Evidence { tls: seen.evidence.tls.take().map(who_is_shown), ..Evidence::default() };
            secrets.hide(&mut seen.evidence);
            seen.evidence.bound();
        }
        seen
    }

    /// Whether the target showed a chain that is to be told of although all is well.
    fn shows_news(&self, check: &Check, record: &Record) -> bool {
        let shown = record.session.as_ref().and_then(|session| session.shown());
        shown.is_some_and(|shown| self.prober.news.is_news(&check.id, &shown.chain, self.prober.clock.now()))
    }

    async fn ask(&self, question: &Question, deadline: Instant, record: &mut Record) -> Result<(), Failure> {
        match question {
            Question::Http(question) => http::ask(self, question, record).await,
            Question::Dns(question) => dns::ask(self, question, record).await,
            Question::Tls(question) => tls::ask(self, question, record).await,
            Question::Tcp(question) => tcp::ask(self, question, record).await,
            Question::Icmp(question) => icmp::ask(self, question, record).await,
            Question::Grpc(question) => grpc::ask(self, question, deadline, record).await,
        }
    }
}

/// Whom the chain names and when it ends, and nothing else of the session.
fn who_is_shown(tls: TlsEvidence) -> TlsEvidence {
    let bare = |one| Certificate { names: Vec::new(), ..one };
    let chain = tls.chain.into_iter().map(bare).collect();
    TlsEvidence { chain, path: tls.path, unverified: tls.unverified, ..TlsEvidence::default() }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests;
