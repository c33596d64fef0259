//! PURE: each expectation of a question, and whether it held.
//!
//! Where the prober has judged each one, its word is drawn. Else the order in which they are judged tells: those before
//! the one that failed held, those after it were not looked at.

mod listed;
mod small;

use nines_shared::check::{MustFail, Question};
use nines_shared::sample::{ExpectationEvidence, Judged, Outcome, Reason, detail};

use super::page::{Line, MARGIN, Page};
use super::{DIM, GREEN, Look, RED, YELLOW};
use crate::prober::expect;

/// An expectation and whether it held; `None` where nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    held: Option<bool>,
    what: String,
    /// What was seen instead, or why it is not known.
    seen: Option<String>,
}

impl Mark {
    fn new(held: Option<bool>, what: impl Into<String>) -> Self {
        Self { held, what: what.into(), seen: None }
    }

    fn line(&self) -> Line {
        let seen =
            |style| self.seen.iter().fold(Line::default(), |line, seen| line.and_styled(style, format!("; {seen}")));
        match self.held {
            Some(true) => Line::styled(GREEN, "✓ ").and(&self.what).and_all(seen(DIM)),
            Some(false) => Line::styled(RED, "✗ ").and(&self.what).and_all(seen(RED)),
            None => Line::styled(YELLOW, "? ").and_styled(DIM, &self.what).and_all(seen(DIM)),
        }
    }
}

/// Draws each expectation with its verdict.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    page.gap();
    for mark in of(look) {
        page.folded(MARGIN, MARGIN + 2, &mark.line());
    }
}

/// The expectations of a question in the order in which they are judged.
fn of(look: Look<'_>) -> Vec<Mark> {
    let seen = look.seen;
    let judged: Vec<Mark> = seen.evidence.expectations.iter().map(of_judged).collect();
    let Some(must_fail) = look.must_fail else {
        let worked = matches!(seen.outcome, Outcome::Up | Outcome::Degraded);
        return if judged.is_empty() { by_order(look, worked) } else { judged };
    };
    let reason = seen.reason.as_ref();
    let held = match seen.outcome {
        Outcome::Up | Outcome::Degraded => Some(true),
        Outcome::Down => Some(false),
        Outcome::Inconclusive => None,
    };
    let what = match must_fail {
        MustFail::Anyhow => "it fails".to_owned(),
        MustFail::With(reasons) => {
            format!("it fails with {}", reasons.iter().map(Reason::code).collect::<Vec<_>>().join(" or "))
        }
    };
    let own = Mark::new(held, what);
    let others = if reason == Some(&Reason::UnexpectedSuccess) { by_order(look, true) } else { judged };
    std::iter::once(own).chain(others).collect()
}

fn of_judged(one: &ExpectationEvidence) -> Mark {
    let held = match one.verdict {
        Judged::Met => Some(true),
        Judged::Unmet => Some(false),
        Judged::Undecided => None,
    };
    Mark { held, what: one.what.clone(), seen: one.seen.clone() }
}

fn by_order(look: Look<'_>, worked: bool) -> Vec<Mark> {
    match look.question {
        Question::Http(http) => {
            let each = expect::each(&http.expect).map(|one| detail(&one.to_string()));
            each.map(|what| Mark::new(worked.then_some(true), what)).collect()
        }
        Question::Dns(dns) => listed::of_dns(dns, look.seen, worked),
        Question::Tls(tls) => listed::of_tls(tls, look.seen, worked),
        Question::Tcp(tcp) => small::of_tcp(tcp, look.seen, worked),
        Question::Icmp(icmp) => small::of_icmp(icmp, look.seen, worked),
        Question::Grpc(grpc) => small::of_grpc(grpc, look.seen, worked),
    }
}

#[cfg(test)]
mod tests;
