//! What a check shows of who it is: secrets by name, never by value.

use serde::{Deserialize, Serialize};

use super::http::{HttpQuestion, has_control, is_token};
use crate::secret::Secret;

/// A request header whose value is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    /// The header's name.
    pub name: String,
    /// What stands before the secret, such as `Token `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Which secret.
    pub secret: Secret,
}

/// What goes out as `authorization`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HttpAuth {
    /// A bearer token, RFC 6750.
    Bearer(Secret),
    /// A user and a password, RFC 7617.
    Basic(BasicAuth),
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// Without a colon.
    pub user: String,
    /// Which secret.
    pub password: Secret,
}

impl BasicAuth {
    /// Whether the user can be told from the password.
    pub(super) fn is_sendable(&self) -> bool {
        !self.user.contains(':') && !has_control(&self.user)
    }
}

/// A certificate that the client shows where the target wants one, and its key: of HTTPS checks, and of any other
/// that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate, then those between it and its authority; PEM. It is no secret.
    pub certificate_pem: String,
    /// The key, PEM.
    pub key: Secret,
}

impl HttpAuth {
    /// The secret that it needs.
    pub const fn secret(&self) -> &Secret {
        match self {
            Self::Bearer(secret) => secret,
            Self::Basic(basic) => &basic.password,
        }
    }

    /// The user and password, where it is these.
    pub const fn basic(&self) -> Option<&BasicAuth> {
        match self {
            Self::Basic(basic) => Some(basic),
            Self::Bearer(_) => None,
        }
    }

    /// The key that it is written with.
    const fn key(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "http.bearer",
            Self::Basic(_) => "http.basic_auth",
        }
    }
}

/// The rules that `question`'s credentials break.
pub(super) fn errors(question: &HttpQuestion, push: &mut impl FnMut(&'static str, String)) {
    for SecretHeader { name, prefix, .. } in &question.secret_headers {
        if !is_token(name) {
            push("http.headers", format!("{name:?} is not a header name"));
        }
        if has_control(prefix) {
            push("http.headers", format!("the prefix of header {name} has control characters"));
        }
    }
    if let Some(auth) = &question.auth {
        let user = !question.url.username().is_empty() || question.url.password().is_some();
        let literal = question.headers.iter().map(|(name, _)| name.as_str());
        let mut names = literal.chain(question.secret_headers.iter().map(|header| header.name.as_str()));
        if names.any(|name| name.eq_ignore_ascii_case("authorization")) {
            push(auth.key(), "the headers name an authorization too; leave one of them out".to_owned());
        }
        if user {
            push(auth.key(), "the URL names a user too; leave one of them out".to_owned());
        }
        if let HttpAuth::Basic(basic) = auth
            && !basic.is_sendable()
        {
            push(auth.key(), "a user has no colon and no control characters".to_owned());
        }
    }
    if question.client_certificate.is_some() && question.url.scheme() != "https" {
        let mend = "a client's certificate is shown over TLS only; write https://… or leave it out";
        push("http.client_certificate", mend.to_owned());
    }
}
