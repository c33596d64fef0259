//! The request headers that a check's secrets make.

use data_encoding::BASE64;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use nines_shared::check::{BasicAuth, HttpAuth, HttpQuestion};
use nines_shared::sample::{Phase, Reason};
use nines_shared::secret::Secret;

use super::super::Look;
use super::super::failure::Failure;

/// The headers with `question`'s secrets in them, for its own origin alone. None, and nothing made, where it names
/// no secrets.
///
/// # Errors
/// `secret_missing` where a secret can't be had, or can't be sent: it never smuggles another header.
pub(super) fn headers(look: &Look<'_>, question: &HttpQuestion) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let mut headers = Vec::new();
    for header in &question.secret_headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| {
            Failure::ours(Reason::Unsupported, Phase::Resolve, format!("header {}: {error}", header.name))
        })?;
        let value = secret(&format!("{}{}", header.prefix, look.secret(&header.secret)?));
        headers.push((name, value.map_err(|_invalid| unsendable(&header.secret))?));
    }
    if let Some(auth) = &question.auth {
        let value = match auth {
            HttpAuth::Bearer(token) => {
                secret(&format!("Bearer {}", look.secret(token)?)).map_err(|_invalid| unsendable(token))?
            }
            HttpAuth::Basic(auth) => basic_of(look, auth)?,
        };
        headers.push((AUTHORIZATION, value));
    }
    Ok(headers)
}

/// What `auth` is sent as.
pub(super) fn basic_of(look: &Look<'_>, auth: &BasicAuth) -> Result<HeaderValue, Failure> {
    let value = basic(auth.user.as_bytes(), look.secret(&auth.password)?.as_bytes());
    value.map_err(|_invalid| unsendable(&auth.password))
}

/// `user` and `password` as RFC 7617 sends them.
pub(super) fn basic(user: &[u8], password: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    secret(&format!("Basic {}", BASE64.encode(&[user, b":", password].concat())))
}

/// A value that no log shows and HTTP/2 never indexes.
fn secret(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn unsendable(name: &Secret) -> Failure {
    let detail = format!("the secret in {name} has a control character, which no header can have");
    Failure::ours(Reason::SecretMissing, Phase::Resolve, detail)
}
