//! PURE: each expectation of a question, and whether it held.

use nines_shared::check::{DnsQuestion, HttpQuestion, Question, TlsQuestion};
use nines_shared::duration::Shown;
use nines_shared::sample::{Outcome, Reason};

use super::page::{Line, MARGIN, Page};
use super::{DIM, GREEN, Look, RED, expectations};
use crate::prober::Observation;

/// Whether an expectation held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Yes,
    No,
    /// Nobody knows: the check did not come so far.
    Unknown,
}

/// An expectation and whether it held.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    held: Held,
    text: String,
}

impl Mark {
    fn line(&self) -> Line {
        match self.held {
            Held::Yes => Line::styled(GREEN, "✓ ").and(&self.text),
            Held::No => Line::styled(RED, "✗ ").and(&self.text),
            Held::Unknown => Line::styled(DIM, format!("? {}", self.text)),
        }
    }
}

/// Draws each expectation with its verdict.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    page.gap();
    for mark in of(look.question, look.seen) {
        page.folded(MARGIN, MARGIN + 2, &mark.line());
    }
}

/// The expectations of `question` in the order in which they are judged.
fn of(question: &Question, seen: &Observation) -> Vec<Mark> {
    let worked = matches!(seen.outcome, Outcome::Up | Outcome::Degraded);
    match question {
        Question::Http(http) => of_http(http, seen, worked),
        Question::Dns(dns) => of_dns(dns, seen, worked),
        Question::Tls(tls) => of_tls(tls, seen, worked),
    }
}

/// Expectations are judged in order, and the detail of a failure names the one that failed: those before
/// it held, those after it were not looked at.
fn of_http(http: &HttpQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let why = seen.detail.as_deref().unwrap_or_default();
    let failed = expectations(http).position(|text| why.starts_with(&format!("expected: {text}; ")));
    let held = |index: usize| match failed {
        _ if worked => Held::Yes,
        Some(failed) if index < failed => Held::Yes,
        Some(failed) if index == failed => Held::No,
        Some(_) | None => Held::Unknown,
    };
    expectations(http).enumerate().map(|(index, text)| Mark { held: held(index), text }).collect()
}

fn of_dns(dns: &DnsQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let wanted = dns.expect.rcode.as_ref().map_or_else(|| "NOERROR".to_owned(), ToString::to_string);
    let expected = |rcode: &str| match &dns.expect.rcode {
        Some(rcodes) => rcodes.contains(rcode),
        None => rcode == "NOERROR",
    };
    let rcode = match &seen.evidence.dns {
        Some(answer) if expected(&answer.rcode) => Held::Yes,
        Some(_) => Held::No,
        None => Held::Unknown,
    };
    let answers = match rcode {
        _ if worked => Held::Yes,
        Held::Yes => Held::No,
        Held::No | Held::Unknown => Held::Unknown,
    };
    let expected = match &dns.expect.answers {
        Some(expected) => format!("answers are exactly {}", expected.join(", ")),
        None => "there is an answer".to_owned(),
    };
    vec![Mark { held: rcode, text: format!("code is {wanted}") }, Mark { held: answers, text: expected }]
}

fn of_tls(tls: &TlsQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let session = seen.evidence.tls.as_ref();
    // A version is known only where the handshake was a success.
    let valid = match session {
        Some(session) if session.version.is_some() => Held::Yes,
        Some(session) if !session.chain.is_empty() => Held::No,
        Some(_) | None => Held::Unknown,
    };
    let after = |reason: &Reason| match seen.reason.as_ref() {
        _ if worked => Held::Yes,
        Some(failed) if failed == reason && valid == Held::Yes => Held::No,
        Some(_) | None => Held::Unknown,
    };
    let name = tls.server_name.clone().unwrap_or_else(|| tls.address.host.to_string());
    let mut marks = vec![Mark { held: valid, text: format!("chain is valid for {name}") }];
    if let Some(version) = tls.expect.min_version {
        let text = format!("version is at least {version}");
        marks.push(Mark { held: after(&Reason::TlsVersion), text });
    }
    if let Some(ms) = tls.expect.valid_for_ms {
        marks.push(Mark {
            held: after(&Reason::TlsExpiresSoon),
            text: format!("chain is valid for {} more", Shown(ms)),
        });
    }
    marks
}
