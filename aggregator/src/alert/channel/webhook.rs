//! Webhooks: a signed POST of the letter's body.
//!
//! `Nines-Signature: t=<unix seconds>,v1=<hex hmac-sha256 of "t.body">`. Any 2xx is an acceptance, and nothing else is;
//! redirects are not followed, or a stranger could be handed what was signed for another.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use nines_shared::secret::Secret;
use nines_shared::time::Timestamp;

use super::Refused;
use super::client::Client;
use super::hidden::Hidden;
use super::post::{Post, Whose, address};
use crate::definition::channel::Address;
use crate::store::outbox::Letter;

/// The header of the signature.
pub const SIGNATURE: &str = "nines-signature";
/// The header of the key that is the same for every attempt to tell of one change.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A webhook as the fleet file defines it.
#[derive(Clone, Copy, Debug)]
pub struct Hook<'a> {
    /// To where.
    pub url: &'a Address,
    /// The key of the signature; unsigned where there is none.
    pub secret: Option<&'a Secret>,
}

/// Posts `letter` to `hook`.
///
/// # Errors
/// [`Refused`] for whatever is not a 2xx.
pub async fn deliver(client: &Client, hook: &Hook<'_>, letter: &Letter, now: Timestamp) -> Result<(), Refused> {
    let mut hidden = Hidden::default();
    let url = address(hook.url, &mut hidden)?;
    let mut headers = vec![(IDEMPOTENCY_KEY, letter.idempotency_key())];
    if let Some(secret) = hook.secret {
        let key = hidden.read(secret)?;
        headers.push((SIGNATURE, signature(key.as_bytes(), now, &letter.body)));
    }
    let body = letter.body.clone();
    let post = Post { url: &url, ca_pem: None, headers, body, whose: Whose::Operator, hidden: &hidden };
    post.send(client, now).await.map(|_accepted| ())
}

/// The value of [`SIGNATURE`] for `body`, signed with `key` at `now`.
pub fn signature(key: &[u8], now: Timestamp, body: &str) -> String {
    let seconds = now.as_ms().div_euclid(1_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", HEXLOWER.encode(tag.as_ref()))
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
}
