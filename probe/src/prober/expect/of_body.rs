//! What the body decides.

use nines_shared::check::Range;
use nines_shared::sample::{Phase, Reason};

use super::bytes::{contains, quoted};
use super::document::{self, Unread};
use super::nodes;
use super::{Expectation, Judgement, Shortfall};

/// A response's decoded body as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// Those that were kept: all that were read, or none.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes were read.
    pub(crate) size: u64,
    /// Whether there was no more.
    pub(crate) whole: bool,
}

/// The body as JSON, read when the first expectation wants it.
pub(super) type Document = Option<Result<document::Document, Unread>>;

pub(super) fn judge(expectation: Expectation<'_>, body: Option<&Body>, document: &mut Document) -> Judgement {
    let reason = reason_of(expectation);
    let unmet = |seen: String| Judgement::Unmet(Shortfall::new(reason.clone(), Phase::Transfer, seen));
    let Some(body) = body else {
        let seen = "the body was not read";
        return Judgement::Undecided(Shortfall::new(reason, Phase::Transfer, seen));
    };
    let wanted = |found: bool| match (found, body.whole) {
        (true, _) => Judgement::Met,
        (false, true) => unmet(format!("the body is {}", quoted(&body.bytes))),
        (false, false) => beyond(body),
    };
    let unwanted = |found: bool| match (found, body.whole) {
        (true, _) => unmet("it is there".to_owned()),
        (false, true) => Judgement::Met,
        (false, false) => beyond(body),
    };
    // A match at the end of what was read may rest on there being no more.
    let matches = |pattern: &nines_shared::pattern::Regex| {
        if body.whole { pattern.is_match(&body.bytes) } else { pattern.is_match_before_end(&body.bytes) }
    };
    match expectation {
        Expectation::BodyContains(text) => wanted(contains(&body.bytes, text.as_bytes())),
        Expectation::BodyLacks(text) => unwanted(contains(&body.bytes, text.as_bytes())),
        Expectation::BodyMatches(pattern) => wanted(matches(pattern)),
        Expectation::BodyLacksMatch(pattern) => unwanted(matches(pattern)),
        Expectation::BodySize(bounds) => size(bounds, body),
        Expectation::Json(_) if !body.whole => beyond(body),
        Expectation::Json(json) => match document.get_or_insert_with(|| document::Document::read(&body.bytes)) {
            Ok(document) => nodes::judge(json, document),
            Err(Unread::NotJson(why)) => unmet(format!("the body is not JSON: {why}")),
            Err(Unread::TooLarge(why)) => Judgement::Undecided(Shortfall::new(reason, Phase::Transfer, why.clone())),
        },
        Expectation::Status(_)
        | Expectation::Header(_)
        | Expectation::Version(_)
        | Expectation::Within(..)
        | Expectation::Certificate(_) => Judgement::Met,
    }
}

fn size(bounds: Range, body: &Body) -> Judgement {
    let at_least = if body.whole { body.size } else { body.size.saturating_add(1) };
    let too_many = bounds.max.is_some_and(|max| max < at_least);
    if too_many || (body.whole && !bounds.contains(body.size)) {
        let seen = if body.whole { format!("it has {}", body.size) } else { format!("it has more than {}", body.size) };
        return Judgement::Unmet(Shortfall::new(Reason::BodySize, Phase::Transfer, seen));
    }
    let enough = bounds.max.is_none() && bounds.contains(at_least);
    if body.whole || enough { Judgement::Met } else { beyond(body) }
}

/// What lies beyond the bytes that were read could still change it.
fn beyond(body: &Body) -> Judgement {
    let seen = format!("the first {} bytes do not decide it, and there are more", body.size);
    Judgement::Undecided(Shortfall::new(Reason::BodyTooLarge, Phase::Transfer, seen))
}

fn reason_of(expectation: Expectation<'_>) -> Reason {
    match expectation {
        Expectation::BodySize(_) => Reason::BodySize,
        Expectation::Json(_) => Reason::HttpJson,
        Expectation::Status(_)
        | Expectation::Header(_)
        | Expectation::Version(_)
        | Expectation::BodyContains(_)
        | Expectation::BodyLacks(_)
        | Expectation::BodyMatches(_)
        | Expectation::BodyLacksMatch(_)
        | Expectation::Within(..)
        | Expectation::Certificate(_) => Reason::HttpBody,
    }
}
