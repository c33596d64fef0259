//! An HTTP proxy between the probe and the target.

use serde::{Deserialize, Serialize};
use url::Url;

use super::credentials::BasicAuth;
use super::http::{HttpQuestion, HttpVersion};

/// An HTTP proxy that a request goes through: by CONNECT where the target speaks TLS, else in absolute form.
///
/// The proxy resolves the target's name, so the probe's rule on addresses holds for the proxy and for targets that
/// are addresses, and not for what a name stands for there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProxy {
    /// `http://host:port`, without user and path.
    pub url: Url,
    /// Who asks, where the proxy wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<BasicAuth>,
}

impl HttpProxy {
    /// It as people write it: `http://proxy.example:3128`.
    pub fn shown(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// The rules that `question` breaks by going through `proxy`.
pub(super) fn errors(question: &HttpQuestion, proxy: &HttpProxy, push: &mut impl FnMut(&'static str, String)) {
    let mut error = |mend: &str| push("http.proxy", mend.to_owned());
    let url = &proxy.url;
    if url.scheme() != "http" || url.host().is_none() {
        error("is not a proxy that can be used; write http://proxy.example:3128");
    } else if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        error("a proxy has no path; write http://proxy.example:3128");
    }
    if !url.username().is_empty() || url.password().is_some() {
        error("the URL names a user; write user = … and password = { env = … } beside url");
    }
    if let Some(auth) = &proxy.auth
        && !auth.is_sendable()
    {
        error("a user has no colon and no control characters");
    }
    if question.version == HttpVersion::Http2 && question.url.scheme() == "http" {
        error("HTTP/2 without TLS does not go through a proxy; leave one of them out");
    }
    if question.version == HttpVersion::Http3 {
        error("HTTP/3 does not go through a proxy; leave one of them out");
    }
    if !question.reach.is_default() {
        error("the proxy chooses the target's address; leave family and addresses out");
    }
}
