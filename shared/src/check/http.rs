//! The HTTP question: a request. What is expected of its response is [`HttpExpect`].

use serde::{Deserialize, Serialize};
use url::Url;

use super::credentials::{self, ClientCertificate, HttpAuth, SecretHeader};
use super::http_expect::HttpExpect;
use super::proxy::{self, HttpProxy};
use super::reach::Reach;
use crate::secret::Secret;

/// The most redirects followed where a check names no limit.
pub const DEFAULT_REDIRECTS: u8 = 10;
/// The most redirects that a check may ask for.
pub const MAX_REDIRECTS: u8 = 20;
/// The most decoded body bytes read where a check names no limit.
pub const DEFAULT_BODY_BYTES: u32 = 1 << 20;
/// The most decoded body bytes that a check may ask for.
pub const MAX_BODY_BYTES: u32 = 8 << 20;

/// An HTTP(S) request and what is expected of the response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpQuestion {
    /// `http://` or `https://`.
    pub url: Url,
    /// Over which of its host's addresses; a redirect's host is held to the family too.
    #[serde(default, skip_serializing_if = "Reach::is_default")]
    pub reach: Reach,
    /// The method, in upper case.
    #[serde(default = "get")]
    pub method: String,
    /// Request headers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Request headers whose values are secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_headers: Vec<SecretHeader>,
    /// What goes out as `authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HttpAuth>,
    /// What is shown to a target that wants a certificate of the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// What the request goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<HttpProxy>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Which version of HTTP is spoken.
    #[serde(default)]
    pub version: HttpVersion,
    /// The most redirects to follow; 0 judges the first response.
    #[serde(default = "default_redirects")]
    pub redirects: u8,
    /// The most decoded body bytes to read.
    #[serde(default = "default_body_bytes")]
    pub max_body_bytes: u32,
    /// Trust these roots (PEM) instead of Mozilla's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// What the response must be.
    #[serde(default)]
    pub expect: HttpExpect,
}

fn get() -> String {
    "GET".to_owned()
}

const fn default_redirects() -> u8 {
    DEFAULT_REDIRECTS
}

const fn default_body_bytes() -> u32 {
    DEFAULT_BODY_BYTES
}

impl HttpQuestion {
    /// A GET of `url` with every default.
    pub fn get(url: Url) -> Self {
        Self {
            url,
            reach: Reach::default(),
            method: get(),
            headers: Vec::new(),
            secret_headers: Vec::new(),
            auth: None,
            client_certificate: None,
            proxy: None,
            body: None,
            version: HttpVersion::default(),
            redirects: DEFAULT_REDIRECTS,
            max_body_bytes: DEFAULT_BODY_BYTES,
            ca_pem: None,
            expect: HttpExpect::default(),
        }
    }

    /// The secrets that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let headers = self.secret_headers.iter().map(|header| &header.secret);
        let auth = self.auth.iter().map(HttpAuth::secret);
        let proxy = self.proxy.iter().filter_map(|proxy| proxy.auth.as_ref()).map(|auth| &auth.password);
        headers.chain(auth).chain(proxy).chain(self.client_certificate.iter().map(|shown| &shown.key))
    }

    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        if !matches!(self.url.scheme(), "http" | "https") || self.url.host_str().is_none() {
            push("http.url", format!("{} is not a web address; write http://host/… or https://host/…", self.url));
        }
        self.reach.errors(self.url.host().as_ref(), "http.family", push);
        if let Some(certificate) = &self.expect.certificate {
            certificate.errors(&mut |_key, mend| push("http.expect.certificate", mend));
            if certificate.offers() != 0 {
                let mend = "what else a target takes is asked by a check of its own; make a tls check of it";
                push("http.expect.certificate", mend.to_owned());
            }
        }
        if !is_token(&self.method) {
            push("http.method", format!("{:?} is not an HTTP method; write GET, HEAD, POST …", self.method));
        }
        for (name, value) in &self.headers {
            if !is_token(name) {
                push("http.headers", format!("{name:?} is not a header name"));
            }
            if has_control(value) {
                push("http.headers", format!("the value of header {name} has control characters"));
            }
        }
        if MAX_REDIRECTS < self.redirects {
            push("http.redirects", format!("{} redirects are too many; at most {MAX_REDIRECTS}", self.redirects));
        }
        if !(1..=MAX_BODY_BYTES).contains(&self.max_body_bytes) {
            push("http.max_body", format!("a body limit is 1 to {MAX_BODY_BYTES} bytes, not {}", self.max_body_bytes));
        }
        if self.version == HttpVersion::Http3 && self.url.scheme() == "http" {
            push("http.version", "HTTP/3 is spoken over TLS only; write https://… or leave version out".to_owned());
        }
        credentials::errors(self, push);
        if let Some(through) = &self.proxy {
            proxy::errors(self, through, push);
        }
        self.expect.errors(self, push);
    }
}

/// Whether `text` is a token of RFC 9110 §5.6.2: a method or a header name.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether `text` has a character that would end a header or is not allowed in one.
pub(super) fn has_control(text: &str) -> bool {
    text.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f)
}

/// Which version of HTTP a check speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpVersion {
    /// HTTP/2 where the target agrees by ALPN, else HTTP/1.1.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 only: by ALPN over TLS, by prior knowledge without.
    #[serde(rename = "2")]
    Http2,
    /// HTTP/3 only, over QUIC. A probe speaks it where it was built with the cargo feature `http3`.
    #[serde(rename = "3")]
    Http3,
}

/// `url` without user, password and fragment.
pub fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that can have no user, and then there is nothing to hide.
    let _no_user = url.set_username("");
    let _no_password = url.set_password(None);
    url.set_fragment(None);
    url.into()
}
