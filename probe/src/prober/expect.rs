//! PURE: a response × what is expected of it → which expectations hold.
//!
//! Expectations are judged in the order in which [`each`] lists them, so that a sample always names the
//! same reason for the same response: that of the first one that does not hold. What lies beyond the body's
//! limit was not seen: an expectation that it could still change is not decided, and that has a reason too.

mod bytes;
mod document;
mod nodes;
mod of_body;

use std::fmt;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use nines_shared::check::{HeaderExpect, HttpExpect, JsonExpect, Range, SpokenVersion, TextCondition, TlsExpect};
use nines_shared::duration::Shown;
use nines_shared::pattern::{Regex, StatusRange};
use nines_shared::sample::{ExpectationEvidence, Judged, Phase, Phases, Reason};
use nines_shared::secret::is_telling;
use nines_shared::time::Clock;

use super::failure::Failure;
use super::handshake::Session;
use super::secrets::REDACTED;
use super::tls;
use bytes::quoted;
pub(crate) use of_body::Body;
use of_body::Document;

/// One thing that a response must be. Shown as people say it: `status is 2xx`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expectation<'e> {
    /// The status is in one of these.
    Status(&'e [StatusRange]),
    /// A header is so.
    Header(&'e HeaderExpect),
    /// The version is one of these.
    Version(&'e [SpokenVersion]),
    /// The body has this in it.
    BodyContains(&'e str),
    /// The body does not have this in it.
    BodyLacks(&'e str),
    /// The body matches this.
    BodyMatches(&'e Regex),
    /// The body does not match this.
    BodyLacksMatch(&'e Regex),
    /// The decoded body has so many bytes.
    BodySize(Range),
    /// The body is JSON and so.
    Json(&'e JsonExpect),
    /// A phase, or all of it, took at most so many ms.
    Within(Option<Phase>, i64),
    /// The TLS session and its chain are so.
    Certificate(&'e TlsExpect),
}

/// What `expect` is made of, in the order in which it is judged.
pub(crate) fn each(expect: &HttpExpect) -> impl Iterator<Item = Expectation<'_>> {
    let version = (!expect.version.is_empty()).then_some(Expectation::Version(&expect.version));
    std::iter::once(Expectation::Status(&expect.status))
        .chain(expect.headers.iter().map(Expectation::Header))
        .chain(version)
        .chain(expect.body_contains.iter().map(|text| Expectation::BodyContains(text)))
        .chain(expect.body_lacks.iter().map(|text| Expectation::BodyLacks(text)))
        .chain(expect.body_matches.as_ref().map(Expectation::BodyMatches))
        .chain(expect.body_lacks_match.as_ref().map(Expectation::BodyLacksMatch))
        .chain(expect.body_size.map(Expectation::BodySize))
        .chain(expect.json.iter().map(Expectation::Json))
        .chain(expect.within.each().map(|(phase, ms)| Expectation::Within(phase, ms)))
        .chain(expect.certificate.as_ref().map(Expectation::Certificate))
}

impl Expectation<'_> {
    /// Whether the head alone decides it.
    const fn is_of_head(self) -> bool {
        matches!(self, Self::Status(_) | Self::Header(_) | Self::Version(_))
    }
}

impl fmt::Display for Expectation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(ranges) => {
                write!(f, "status is ")?;
                either(f, ranges.iter())
            }
            Self::Header(header) => {
                write!(f, "header {} ", header.name)?;
                let shown =
                    |text: &str| if is_telling(&header.name) { REDACTED.to_owned() } else { format!("{text:?}") };
                match &header.is {
                    TextCondition::Present => write!(f, "is there"),
                    TextCondition::Absent => write!(f, "is not there"),
                    TextCondition::Equals(text) => write!(f, "is {}", shown(text)),
                    TextCondition::Contains(text) => write!(f, "contains {}", shown(text)),
                    TextCondition::Matches(pattern) => write!(f, "matches /{pattern}/"),
                }
            }
            Self::Version(versions) => {
                write!(f, "version is ")?;
                either(f, versions.iter().map(|version| version.shown()))
            }
            Self::BodyContains(text) => write!(f, "body contains {text:?}"),
            Self::BodyLacks(text) => write!(f, "body lacks {text:?}"),
            Self::BodyMatches(pattern) => write!(f, "body matches /{pattern}/"),
            Self::BodyLacksMatch(pattern) => write!(f, "body does not match /{pattern}/"),
            Self::BodySize(bounds) => write!(f, "body has {bounds} bytes"),
            Self::Json(json) => json.fmt(f),
            Self::Within(Some(phase), ms) => write!(f, "{phase} takes at most {}", Shown(*ms)),
            Self::Within(None, ms) => write!(f, "all takes at most {}", Shown(*ms)),
            Self::Certificate(_) => write!(f, "certificate is as expected"),
        }
    }
}

/// `a or b or c`.
fn either<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    for (index, item) in items.enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { " or " })?;
    }
    Ok(())
}

/// The head of a response.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Such as `HTTP/2`.
    pub(crate) version: &'static str,
    pub(crate) headers: HeaderMap,
}

/// What is known of a response when it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'r> {
    pub(crate) head: &'r Head,
    /// The decoded body as far as it was read; `None` where it was not, or could not be.
    pub(crate) body: Option<&'r Body>,
    /// µs of each phase and of all together; `None` where the body was not read as it should be.
    pub(crate) took: Option<(Phases, u64)>,
    /// The TLS session that the response came over.
    pub(crate) session: Option<&'r Session>,
    pub(crate) clock: &'r Clock,
}

/// What an expectation came to.
enum Judgement {
    Met,
    Unmet(Shortfall),
    /// What was not seen could still change it.
    Undecided(Shortfall),
}

/// Why an expectation does not hold, or is not decided.
struct Shortfall {
    reason: Reason,
    phase: Phase,
    seen: String,
}

impl Shortfall {
    fn new(reason: Reason, phase: Phase, seen: impl Into<String>) -> Self {
        Self { reason, phase, seen: seen.into() }
    }
}

/// Judges what the head decides.
///
/// # Errors
/// The first expectation that does not hold.
pub(crate) fn judge_head(expect: &HttpExpect, head: &Head) -> Result<(), Failure> {
    each(expect)
        .filter(|expectation| expectation.is_of_head())
        .try_for_each(|expectation| settled(expectation, judge_by_head(expectation, head)))
}

/// Judges what the head does not decide.
///
/// # Errors
/// The first expectation that does not hold, or is not decided.
pub(crate) fn judge_rest(expect: &HttpExpect, seen: Seen<'_>) -> Result<(), Failure> {
    let mut document = None;
    each(expect)
        .filter(|expectation| !expectation.is_of_head())
        .try_for_each(|expectation| settled(expectation, judge(expectation, seen, &mut document)))
}

/// Judges every expectation, whether or not those before it hold, for people.
pub(crate) fn judge_all(expect: &HttpExpect, seen: Seen<'_>) -> Vec<ExpectationEvidence> {
    let mut document = None;
    let judged = each(expect).map(|expectation| {
        let (verdict, seen) = match judge(expectation, seen, &mut document) {
            Judgement::Met => (Judged::Met, None),
            Judgement::Unmet(shortfall) => (Judged::Unmet, Some(shortfall.seen)),
            Judgement::Undecided(shortfall) => (Judged::Undecided, Some(shortfall.seen)),
        };
        ExpectationEvidence { what: expectation.to_string(), verdict, seen }
    });
    judged.collect()
}

fn settled(expectation: Expectation<'_>, judgement: Judgement) -> Result<(), Failure> {
    match judgement {
        Judgement::Met => Ok(()),
        Judgement::Unmet(Shortfall { reason, phase, seen })
        | Judgement::Undecided(Shortfall { reason, phase, seen }) => {
            Err(Failure::theirs(reason, phase, format!("expected: {expectation}; {seen}")))
        }
    }
}

fn judge(expectation: Expectation<'_>, seen: Seen<'_>, document: &mut Document) -> Judgement {
    match expectation {
        Expectation::Status(_) | Expectation::Header(_) | Expectation::Version(_) => {
            judge_by_head(expectation, seen.head)
        }
        Expectation::BodyContains(_)
        | Expectation::BodyLacks(_)
        | Expectation::BodyMatches(_)
        | Expectation::BodyLacksMatch(_)
        | Expectation::BodySize(_)
        | Expectation::Json(_) => of_body::judge(expectation, seen.body, document),
        Expectation::Within(phase, ms) => judge_within(phase, ms, seen.took),
        Expectation::Certificate(expect) => judge_certificate(expect, seen),
    }
}

fn judge_by_head(expectation: Expectation<'_>, head: &Head) -> Judgement {
    let unmet = |reason, seen: String| Judgement::Unmet(Shortfall::new(reason, Phase::FirstByte, seen));
    match expectation {
        Expectation::Status(ranges) if !ranges.iter().any(|range| range.contains(head.status)) => {
            unmet(Reason::HttpStatus, format!("it is {}", head.status))
        }
        Expectation::Header(header) => match judge_header(header, &head.headers) {
            Ok(()) => Judgement::Met,
            Err(seen) => unmet(Reason::HttpHeader, seen),
        },
        Expectation::Version(versions) if !versions.iter().any(|version| version.shown() == head.version) => {
            unmet(Reason::HttpVersion, format!("it is {}", head.version))
        }
        Expectation::Status(_)
        | Expectation::Version(_)
        | Expectation::BodyContains(_)
        | Expectation::BodyLacks(_)
        | Expectation::BodyMatches(_)
        | Expectation::BodyLacksMatch(_)
        | Expectation::BodySize(_)
        | Expectation::Json(_)
        | Expectation::Within(..)
        | Expectation::Certificate(_) => Judgement::Met,
    }
}

fn judge_header(header: &HeaderExpect, headers: &HeaderMap) -> Result<(), String> {
    let mut values = headers.get_all(header.name.as_str()).iter().map(HeaderValue::as_bytes).peekable();
    let first = values.peek().copied();
    let holds = match &header.is {
        TextCondition::Present => first.is_some(),
        TextCondition::Absent => first.is_none(),
        TextCondition::Equals(text) => values.any(|value| value == text.as_bytes()),
        TextCondition::Contains(text) => values.any(|value| bytes::contains(value, text.as_bytes())),
        TextCondition::Matches(pattern) => values.any(|value| pattern.is_match(value)),
    };
    match first {
        _ if holds => Ok(()),
        Some(_) if is_telling(&header.name) => Err(format!("it is {REDACTED}")),
        Some(value) => Err(format!("it is {}", quoted(value))),
        None => Err("it is missing".to_owned()),
    }
}

fn judge_within(phase: Option<Phase>, ms: i64, took: Option<(Phases, u64)>) -> Judgement {
    let Some((phases, total_us)) = took else {
        let seen = "the response was not read to its end";
        return Judgement::Undecided(Shortfall::new(Reason::Latency, phase.unwrap_or(Phase::Transfer), seen));
    };
    let us = phase.map_or(total_us, |phase| phases.get(phase).unwrap_or(0));
    if us <= ms.unsigned_abs().saturating_mul(1_000) {
        return Judgement::Met;
    }
    let slowest = || phases.longest().map_or(Phase::FirstByte, |(phase, _us)| phase);
    let seen = format!("it took {}.{:03} ms", us / 1_000, us % 1_000);
    Judgement::Unmet(Shortfall::new(Reason::Latency, phase.unwrap_or_else(slowest), seen))
}

fn judge_certificate(expect: &TlsExpect, seen: Seen<'_>) -> Judgement {
    let Some(session) = seen.session else {
        let seen = "the response did not come over TLS";
        return Judgement::Unmet(Shortfall::new(Reason::TlsBadCertificate, Phase::Tls, seen));
    };
    match tls::judge(expect, session, seen.clock.now()) {
        Ok(()) => Judgement::Met,
        Err(failure) => Judgement::Unmet(Shortfall::new(failure.reason, failure.phase, failure.detail)),
    }
}

#[cfg(test)]
mod tests;
