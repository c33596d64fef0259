//! A POST of JSON, and what its answer means.

use std::time::UNIX_EPOCH;

use data_encoding::BASE64;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{HeaderMap, Method, StatusCode};
use nines_shared::check::HttpAuth;
use nines_shared::sample::detail;
use nines_shared::time::Timestamp;
use serde::Deserialize;
use url::Url;

use super::Refused;
use super::client::{Answer, Client, Request};
use super::hidden::Hidden;
use crate::definition::channel::{Address, Server};

/// How much of what a server says is told, in characters.
const MAX_SAID: usize = 200;

/// Who runs what is posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A service with documented answers: where it does not know us or the place, it never will.
    Service,
    /// The operator, who may be about to put it in order: a proxy without its server says 404 too.
    Operator,
}

/// One POST.
#[derive(Debug)]
pub(super) struct Post<'a> {
    pub(super) url: &'a Url,
    pub(super) ca_pem: Option<&'a str>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    pub(super) whose: Whose,
    pub(super) hidden: &'a Hidden,
}

impl<'a> Post<'a> {
    /// A post of `body` to a service.
    pub(super) fn to_service(url: &'a Url, body: String, hidden: &'a Hidden) -> Self {
        Self { url, ca_pem: None, headers: Vec::new(), body, whose: Whose::Service, hidden }
    }

    /// Sends it. Any 2xx is an answer that is handed on, and nothing else is; redirects are not followed, or a stranger
    /// could be handed what was meant for another.
    ///
    /// # Errors
    /// [`Refused`], without the secrets of `hidden`.
    pub(super) async fn send(self, client: &Client, now: Timestamp) -> Result<Answer, Refused> {
        let Post { url, ca_pem, mut headers, body, whose, hidden } = self;
        headers.push((CONTENT_TYPE.as_str(), "application/json".to_owned()));
        let request = Request { method: Method::POST, url, headers, body, ca_pem };
        let answer = client.send(request).await;
        let answer = answer.map_err(|error| hidden.mask(Refused::because(error.to_string())))?;
        if answer.status.is_success() { Ok(answer) } else { Err(refusal(&answer, whose, hidden, now)) }
    }
}

/// What a 2xx that is no acceptance comes to: another than the service answered.
pub(super) fn not_accepted(answer: &Answer, wanted: &str, hidden: &Hidden) -> Refused {
    let said = said(answer, hidden);
    Refused::because(format!("answered {}, but not {wanted}: {said}", answer.status))
}

/// Where `server` is.
pub(super) fn address(server: &Address, hidden: &mut Hidden) -> Result<Url, Refused> {
    match server {
        Address::Open(url) => Ok(url.clone()),
        Address::Secret(name) => hidden.read_url(name),
    }
}

/// The header that says who asks, where the server wants one.
pub(super) fn authorization(server: &Server, hidden: &mut Hidden) -> Result<Option<(&'static str, String)>, Refused> {
    let value = match &server.auth {
        None => return Ok(None),
        Some(HttpAuth::Bearer(token)) => format!("Bearer {}", hidden.read(token)?),
        Some(HttpAuth::Basic(basic)) => {
            let pair = BASE64.encode(format!("{}:{}", basic.user, hidden.read(&basic.password)?).as_bytes());
            hidden.add(&pair);
            format!("Basic {pair}")
        }
    };
    Ok(Some((AUTHORIZATION.as_str(), value)))
}

fn refusal(answer: &Answer, whose: Whose, hidden: &Hidden, now: Timestamp) -> Refused {
    let (status, said) = (answer.status, said(answer, hidden));
    let why = match status {
        _ if status.is_redirection() => {
            format!("answered {status}; redirects are not followed, write its target as url")
        }
        _ if said.is_empty() => format!("answered {status}"),
        _ => format!("answered {status}: {said}"),
    };
    let asks = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE;
    let retry_after_ms = if asks { asked_ms(answer, now) } else { None };
    Refused { why, retry_after_ms, permanent: is_permanent(status, whose) }
}

/// Whether the same request will always be answered so.
fn is_permanent(status: StatusCode, whose: Whose) -> bool {
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::GONE
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => true,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            whose == Whose::Service
        }
        _ => false,
    }
}

/// The beginning of what the server said, clean and without secrets.
fn said(answer: &Answer, hidden: &Hidden) -> String {
    let said = hidden.masked(&detail(&hidden.masked(&String::from_utf8_lossy(&answer.body))));
    said.trim().chars().take(MAX_SAID).collect()
}

/// How long the server asks to be left alone, in ms: by `Retry-After`, or in JSON as Discord does; the longer of both.
fn asked_ms(answer: &Answer, now: Timestamp) -> Option<i64> {
    /// What Discord says beside a 429.
    #[derive(Deserialize)]
    struct Limited {
        retry_after: f64,
    }
    let limited = serde_json::from_slice::<Limited>(&answer.body).ok();
    let seconds = limited.map(|limited| limited.retry_after).filter(|seconds| (0.0..=86_400.0).contains(seconds));
    #[expect(clippy::cast_possible_truncation, reason = "at most a day's milliseconds, in a whole number")]
    let in_json = seconds.map(|seconds| (seconds * 1_000.0).ceil() as i64);
    retry_after_ms(&answer.headers, now).max(in_json)
}

/// `Retry-After` in seconds, or until a date of the server's clock, which is taken for ours.
fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<i64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let date = Timestamp::from_ms(i64::try_from(date.as_millis()).ok()?);
    Some(date.since(now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn asked(status: u16, retry_after: Option<&str>, body: &str) -> Refused {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers, body: body.as_bytes().to_vec() };
        refusal(&answer, Whose::Service, &Hidden::default(), NOW)
    }

    #[test]
    fn who_asks_for_time_is_heard_in_seconds_by_date_and_in_json() {
        let wait = |retry_after, body| asked(429, retry_after, body).retry_after_ms;
        assert_eq!(wait(Some("7"), ""), Some(7_000));
        // NOW is 2026-09-21T14:13:20Z, a Monday.
        assert_eq!(wait(Some("Mon, 21 Sep 2026 14:14:00 GMT"), ""), Some(40_000));
        assert_eq!(wait(Some("Monday, 21-Sep-26 14:14:00 GMT"), ""), Some(40_000));
        assert_eq!(wait(Some("Mon, 21 Sep 2026 14:00:00 GMT"), ""), Some(0), "a date that is past");
        assert_eq!(wait(None, r#"{"message":"slow down","retry_after":0.5211,"global":false}"#), Some(522));
        assert_eq!(wait(Some("1"), r#"{"retry_after":64.5}"#), Some(64_500), "the longer of both");
        assert_eq!(wait(Some("soon"), r#"{"retry_after":-1}"#), None);
        assert_eq!(wait(None, r#"{"retry_after":1e300}"#), None);
        assert_eq!(asked(500, Some("7"), "").retry_after_ms, None, "only who is busy may ask");
        assert_eq!(asked(503, Some("7"), "").retry_after_ms, Some(7_000));
    }

    #[test]
    fn what_can_never_succeed_is_told_from_what_may() {
        for status in [400, 401, 403, 404, 405, 410, 413, 415, 422] {
            assert!(asked(status, None, "").permanent, "{status}");
        }
        for status in [302, 408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(!asked(status, None, "").permanent, "{status}");
        }
        for status in [401, 403, 404, 405] {
            assert!(!is_permanent(StatusCode::from_u16(status).unwrap(), Whose::Operator), "{status}");
        }
        assert!(is_permanent(StatusCode::GONE, Whose::Operator));
    }

    #[test]
    fn what_a_server_says_is_told_in_part_and_can_not_draw() {
        let told = asked(500, None, &format!("\u{1b}[31m no\r\n{}", "x".repeat(1_000))).why;
        assert!(told.starts_with("answered 500 Internal Server Error: [31m no  xxx"), "{told}");
        assert!(told.chars().count() < 260 && !told.contains('\u{1b}'));
        assert!(asked(302, None, "").why.contains("write its target as url"));
    }
}
