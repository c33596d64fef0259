//! PURE: a response × what is expected of it → the first expectation that does not hold.
//!
//! Expectations are judged in the order in which [`each`] lists them, so that a sample always names the
//! same reason for the same response. What lies beyond the body's limit was not seen: an expectation that
//! it could still change is not decided, and that has a reason of its own.

use std::fmt;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use nines_shared::check::{HeaderExpect, HttpExpect, JsonExpect, TextCondition};
use nines_shared::pattern::{Regex, StatusRange};
use nines_shared::sample::{Phase, Reason};

use super::failure::Failure;

/// The longest quotation of what was seen, in characters.
const MAX_QUOTE: usize = 120;

/// One thing that a response must be. Shown as people say it: `status is 2xx`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expectation<'e> {
    /// The status is in one of these.
    Status(&'e [StatusRange]),
    /// A header is so.
    Header(&'e HeaderExpect),
    /// The body has this in it.
    BodyContains(&'e str),
    /// The body does not have this in it.
    BodyLacks(&'e str),
    /// The body matches this.
    BodyMatches(&'e Regex),
    /// The body is JSON and so.
    Json(&'e JsonExpect),
}

/// What `expect` is made of, in the order in which it is judged.
pub(crate) fn each(expect: &HttpExpect) -> impl Iterator<Item = Expectation<'_>> {
    let of_head = std::iter::once(Expectation::Status(&expect.status));
    of_head
        .chain(expect.headers.iter().map(Expectation::Header))
        .chain(expect.body_contains.as_deref().map(Expectation::BodyContains))
        .chain(expect.body_lacks.as_deref().map(Expectation::BodyLacks))
        .chain(expect.body_matches.as_ref().map(Expectation::BodyMatches))
        .chain(expect.json.iter().map(Expectation::Json))
}

impl fmt::Display for Expectation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(ranges) => {
                write!(f, "status is ")?;
                for (index, range) in ranges.iter().enumerate() {
                    write!(f, "{}{range}", if index == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
            Self::Header(header) => {
                write!(f, "header {} ", header.name)?;
                match &header.is {
                    TextCondition::Present => write!(f, "is there"),
                    TextCondition::Absent => write!(f, "is not there"),
                    TextCondition::Equals(text) => write!(f, "is {text:?}"),
                    TextCondition::Contains(text) => write!(f, "contains {text:?}"),
                    TextCondition::Matches(pattern) => write!(f, "matches /{pattern}/"),
                }
            }
            Self::BodyContains(text) => write!(f, "body contains {text:?}"),
            Self::BodyLacks(text) => write!(f, "body lacks {text:?}"),
            Self::BodyMatches(pattern) => write!(f, "body matches /{pattern}/"),
            Self::Json(json) => match &json.equals {
                Some(value) => write!(f, "json {} is {value}", json.path),
                None => write!(f, "json {} is there", json.path),
            },
        }
    }
}

/// Judges what the head decides.
pub(crate) fn judge_head(expect: &HttpExpect, status: u16, headers: &HeaderMap) -> Result<(), Failure> {
    each(expect).try_for_each(|expectation| match expectation {
        Expectation::Status(ranges) if !ranges.iter().any(|range| range.contains(status)) => {
            Err(unmet(expectation, Reason::HttpStatus, Phase::FirstByte, &format!("it is {status}")))
        }
        Expectation::Header(header) => judge_header(header, headers)
            .map_err(|seen| unmet(expectation, Reason::HttpHeader, Phase::FirstByte, &seen)),
        Expectation::Status(_)
        | Expectation::BodyContains(_)
        | Expectation::BodyLacks(_)
        | Expectation::BodyMatches(_)
        | Expectation::Json(_) => Ok(()),
    })
}

fn judge_header(header: &HeaderExpect, headers: &HeaderMap) -> Result<(), String> {
    let mut values = headers.get_all(header.name.as_str()).iter().map(HeaderValue::as_bytes).peekable();
    let first = values.peek().copied();
    let holds = match &header.is {
        TextCondition::Present => first.is_some(),
        TextCondition::Absent => first.is_none(),
        TextCondition::Equals(text) => values.any(|value| value == text.as_bytes()),
        TextCondition::Contains(text) => values.any(|value| contains(value, text.as_bytes())),
        TextCondition::Matches(pattern) => values.any(|value| pattern.is_match(value)),
    };
    match first {
        _ if holds => Ok(()),
        Some(value) => Err(format!("it is {}", quoted(value))),
        None => Err("it is missing".to_owned()),
    }
}

/// A response's decoded body as far as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'r> {
    pub(crate) bytes: &'r [u8],
    /// Whether there was no more.
    pub(crate) whole: bool,
}

/// Judges what the body decides.
pub(crate) fn judge_body(expect: &HttpExpect, body: Body<'_>) -> Result<(), Failure> {
    let mut document = None;
    each(expect).try_for_each(|expectation| {
        let verdict = match expectation {
            Expectation::Status(_) | Expectation::Header(_) => Verdict::Holds,
            Expectation::BodyContains(text) => found(contains(body.bytes, text.as_bytes()), body),
            Expectation::BodyLacks(text) if contains(body.bytes, text.as_bytes()) => {
                Verdict::Fails("it is there".to_owned())
            }
            Expectation::BodyLacks(_) if body.whole => Verdict::Holds,
            Expectation::BodyLacks(_) => Verdict::Undecided,
            Expectation::BodyMatches(pattern) if body.whole => found(pattern.is_match(body.bytes), body),
            Expectation::BodyMatches(pattern) => found(pattern.is_match_before_end(body.bytes), body),
            Expectation::Json(_) if !body.whole => Verdict::Undecided,
            Expectation::Json(json) => {
                judge_json(json, document.get_or_insert_with(|| serde_json::from_slice(body.bytes)))
            }
        };
        match verdict {
            Verdict::Holds => Ok(()),
            Verdict::Fails(seen) => Err(unmet(expectation, reason_of(expectation), Phase::Transfer, &seen)),
            Verdict::Undecided => {
                let seen = format!("the first {} bytes do not decide it, and there are more", body.bytes.len());
                Err(unmet(expectation, Reason::BodyTooLarge, Phase::Transfer, &seen))
            }
        }
    })
}

enum Verdict {
    Holds,
    /// With what was seen instead.
    Fails(String),
    /// What was not read could still change it.
    Undecided,
}

fn found(found: bool, body: Body<'_>) -> Verdict {
    match (found, body.whole) {
        (true, _) => Verdict::Holds,
        (false, true) => Verdict::Fails(format!("the body is {}", quoted(body.bytes))),
        (false, false) => Verdict::Undecided,
    }
}

fn judge_json(json: &JsonExpect, document: &Result<serde_json::Value, serde_json::Error>) -> Verdict {
    let document = match document {
        Ok(document) => document,
        Err(error) => return Verdict::Fails(format!("the body is not JSON: {error}")),
    };
    let nodes = json.path.select(document);
    match (&json.equals, nodes.first()) {
        (_, None) => Verdict::Fails("there is no such node".to_owned()),
        (None, Some(_)) => Verdict::Holds,
        (Some(wanted), Some(_)) if nodes.contains(&wanted) => Verdict::Holds,
        (Some(_), Some(first)) => Verdict::Fails(format!("it is {}", quoted(first.to_string().as_bytes()))),
    }
}

fn reason_of(expectation: Expectation<'_>) -> Reason {
    match expectation {
        Expectation::Status(_) => Reason::HttpStatus,
        Expectation::Header(_) => Reason::HttpHeader,
        Expectation::BodyContains(_) | Expectation::BodyLacks(_) | Expectation::BodyMatches(_) => Reason::HttpBody,
        Expectation::Json(_) => Reason::HttpJson,
    }
}

fn unmet(expectation: Expectation<'_>, reason: Reason, phase: Phase, seen: &str) -> Failure {
    Failure::theirs(reason, phase, format!("expected: {expectation}; {seen}"))
}

/// Whether `needle` lies in `haystack`. An empty needle always does.
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut haystack = haystack;
    while let Some(at) = haystack.iter().position(|byte| byte == first) {
        haystack = &haystack[at + 1..];
        if haystack.starts_with(rest) {
            return true;
        }
    }
    false
}

fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_QUOTE * 4)]).into_owned();
    let short: String = text.chars().take(MAX_QUOTE).collect();
    let more = if short.len() < text.len() || MAX_QUOTE * 4 < bytes.len() { "…" } else { "" };
    format!("{short:?}{more}")
}
