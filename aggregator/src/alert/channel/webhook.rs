//! Webhooks: a signed POST of the letter's body.
//!
//! `Nines-Signature: t=<unix seconds>,v1=<hex hmac-sha256 of "t.body">`. Any 2xx is an acceptance, and nothing else is;
//! redirects are not followed, or a stranger could be handed what was signed for another.

use std::str::FromStr;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::{HeaderMap, Method, StatusCode};
use nines_shared::sample::detail;
use nines_shared::secret::Secret;
use nines_shared::time::Timestamp;
use url::Url;

use super::Refused;
use super::client::{Answer, Client, Request};
use crate::secret_values;
use crate::store::outbox::Letter;

/// The header of the signature.
pub const SIGNATURE: &str = "nines-signature";
/// The header of the key that is the same for every attempt to tell of one change.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A webhook as the fleet file defines it.
#[derive(Clone, Copy, Debug)]
pub struct Hook<'a> {
    /// To where.
    pub url: &'a Url,
    /// The key of the signature; unsigned where there is none.
    pub secret: Option<&'a Secret>,
}

/// Posts `letter` to `hook`.
///
/// # Errors
/// [`Refused`] for whatever is not a 2xx.
pub async fn deliver(client: &Client, hook: &Hook<'_>, letter: &Letter, now: Timestamp) -> Result<(), Refused> {
    let mut headers =
        vec![(CONTENT_TYPE.as_str(), "application/json".to_owned()), (IDEMPOTENCY_KEY, letter.idempotency_key())];
    if let Some(secret) = hook.secret {
        // Read at every attempt, so that a new one counts without a restart.
        let key = secret_values::read(secret);
        let key = key.map_err(|error| Refused::because(format!("the channel's secret can't be had: {error}")))?;
        headers.push((SIGNATURE, signature(key.reveal().as_bytes(), now, &letter.body)));
    }
    let request = Request { method: Method::POST, url: hook.url, headers, body: letter.body.clone() };
    let answer = client.send(request).await.map_err(|error| Refused::because(error.to_string()))?;
    if answer.status.is_success() { Ok(()) } else { Err(refusal(&answer)) }
}

/// The value of [`SIGNATURE`] for `body`, signed with `key` at `now`.
pub fn signature(key: &[u8], now: Timestamp, body: &str) -> String {
    let seconds = now.as_ms().div_euclid(1_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", HEXLOWER.encode(tag.as_ref()))
}

fn refusal(answer: &Answer) -> Refused {
    let said = detail(&String::from_utf8_lossy(&answer.body));
    let said: String = said.chars().take(200).collect();
    let status = answer.status;
    let why = match status {
        _ if status.is_redirection() => {
            format!("answered {status}; redirects are not followed, write its target as url")
        }
        _ if said.trim().is_empty() => format!("answered {status}"),
        _ => format!("answered {status}: {}", said.trim()),
    };
    let asks = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE;
    Refused { why, retry_after_ms: if asks { retry_after_ms(&answer.headers) } else { None } }
}

/// `Retry-After` in seconds. Its other form, a date, is read by nobody's clock but the sender's and is left alone.
fn retry_after_ms(headers: &HeaderMap) -> Option<i64> {
    let seconds = i64::from_str(headers.get(RETRY_AFTER)?.to_str().ok()?.trim()).ok()?;
    Some(seconds.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_time_and_body() {
        // printf '1790000040.{"a":1}' | openssl dgst -sha256 -hmac 'secret'
        let signed = signature(b"secret", Timestamp::from_ms(1_790_000_040_999), r#"{"a":1}"#);
        assert_eq!(signed, "t=1790000040,v1=35ca1e92b5f0e2676724e7fd803972e4fb6d18a240a818bdc2ee6b9a5714131b");
    }

    #[test]
    fn only_who_is_too_busy_may_ask_for_time() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, "7".parse().unwrap())]);
        let answer = |status| Answer { status, headers: headers.clone(), body: Vec::new() };
        assert_eq!(refusal(&answer(StatusCode::TOO_MANY_REQUESTS)).retry_after_ms, Some(7_000));
        assert_eq!(refusal(&answer(StatusCode::BAD_REQUEST)).retry_after_ms, None);
    }
}
