//! What is kept of a response that was not as expected.
//!
//! Gathered only once an attempt has failed: the head lies in the record, where receiving it put it.

use std::time::Duration;

use hyper::header::CONTENT_ENCODING;
use nines_shared::check::HttpQuestion;
use nines_shared::sample::{MAX_EVIDENCE_BODY_LEN, MAX_EVIDENCE_EXPECTATIONS, MAX_EVIDENCE_HEADERS, ResponseEvidence};

use super::super::Look;
use super::super::expect::{self, Body, Head, Seen};
use super::super::record::Record;
use super::super::redact::RAW_VALUE_BYTES;

/// How long the beginning of a body may take that is only wanted as evidence.
pub(super) const MAX_EVIDENCE_WAIT: Duration = Duration::from_secs(1);
/// What is read of such a body. More than is kept: what a limit of the reader cuts is not taken for an end.
pub(super) const EXCERPT_BYTES: usize = 2 * MAX_EVIDENCE_BODY_LEN;

/// What the expectations are judged by, where a response came.
pub(super) fn seen<'r>(look: &'r Look<'_>, record: &'r Record) -> Option<Seen<'r>> {
    let over_tls = record.evidence.hops.last().is_some_and(|hop| hop.url.starts_with("https:"));
    Some(Seen {
        head: record.head.as_ref()?,
        body: record.body.as_ref(),
        took: record.is_read.then(|| record.took()),
        session: record.session.as_ref().filter(|_| over_tls),
        clock: &look.prober.clock,
    })
}

/// Notes the last response and what each expectation came to.
pub(crate) fn gather(look: &Look<'_>, question: &HttpQuestion, record: &mut Record) {
    let Some(seen) = seen(look, record) else { return };
    let response = response(seen.head, seen.body);
    let mut expectations = expect::judge_all(&question.expect, seen);
    expectations.truncate(MAX_EVIDENCE_EXPECTATIONS);
    record.evidence.response = Some(Box::new(response));
    record.evidence.expectations = expectations;
}

fn response(head: &Head, body: Option<&Body>) -> ResponseEvidence {
    let shown = |bytes: &[u8]| {
        let end = bytes.len().min(RAW_VALUE_BYTES);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let headers = head.headers.iter().take(MAX_EVIDENCE_HEADERS);
    let mut response = ResponseEvidence {
        status: head.status,
        version: head.version.to_owned(),
        headers: headers.map(|(name, value)| (shown(name.as_str().as_bytes()), shown(value.as_bytes()))).collect(),
        headers_left_out: head.headers.len().saturating_sub(MAX_EVIDENCE_HEADERS),
        encoding: head.headers.get(CONTENT_ENCODING).map(|value| shown(value.as_bytes())),
        ..ResponseEvidence::default()
    };
    let Some(body) = body.filter(|body| !body.bytes.is_empty()) else { return response };
    let excerpt = &body.bytes[..body.bytes.len().min(MAX_EVIDENCE_BODY_LEN)];
    response.truncated = !body.whole || excerpt.len() < body.bytes.len();
    match as_text(excerpt, response.truncated) {
        Some(text) => response.body = Some(text.to_owned()),
        None => response.binary = true,
    }
    response
}

/// `bytes` as text, where they are; what the end of a cut text has of a character is left out.
fn as_text(bytes: &[u8], cut: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if cut && error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
        Err(_not_utf8) => return None,
    };
    (!text.contains('\0')).then_some(text)
}
