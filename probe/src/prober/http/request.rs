//! The request of one hop.
//!
//! A credential given for one origin is never sent to another, wherever a redirect leads: neither what
//! [`super::credentials`] made of the check's secrets nor what stands in the open among its headers.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::{Method, Request, Uri};
use nines_shared::check::HttpQuestion;
use nines_shared::sample::{Phase, Reason};
use url::Url;

use super::super::failure::Failure;
use super::super::traceparent::TRACEPARENT;
use super::exchange::Protocol;
use super::proxy::Via;
use super::{credentials, redirect};

const CODINGS: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");

/// What a hop asks for.
#[derive(Clone, Debug)]
pub(super) struct Target<'q> {
    pub(super) url: Url,
    method: Option<Method>,
    /// `None` once a redirect turned the request into a GET.
    body: Option<&'q str>,
    /// Headers for the check's own origin alone.
    credentials: &'q [(HeaderName, HeaderValue)],
    /// Who asks, where the check does not say.
    agent: &'q HeaderValue,
    /// What it goes through.
    pub(super) via: Option<&'q Via<'q>>,
    /// Whether this is still the origin that the check names.
    home: bool,
}

impl<'q> Target<'q> {
    /// The first hop of `question`, to whose origin `credentials` go; all its hops are asked by `agent` and go
    /// through `via`.
    pub(super) fn first(
        question: &'q HttpQuestion,
        credentials: &'q [(HeaderName, HeaderValue)],
        agent: &'q HeaderValue,
        via: Option<&'q Via<'q>>,
    ) -> Self {
        let method = Method::from_bytes(question.method.as_bytes()).ok();
        Self { url: question.url.clone(), method, body: question.body.as_deref(), credentials, agent, via, home: true }
    }

    /// Whether this is the check's own origin still: nothing secret goes anywhere else.
    pub(super) const fn is_home(&self) -> bool {
        self.home
    }

    /// The hop after this one, where its response redirects to `url`.
    pub(super) fn redirected(&self, status: u16, url: Url) -> Self {
        let method = self.method.as_ref().map(|method| redirect::method_after(status, method));
        let body = if method == self.method { self.body } else { None };
        let home = self.home && self.url.origin() == url.origin();
        Self { url, method, body, home, ..*self }
    }

    /// The request, as `protocol` wants it, with `traceparent` where the check names none.
    pub(super) fn request(
        &self,
        question: &HttpQuestion,
        protocol: Protocol,
        traceparent: HeaderValue,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let unsupported = |why: String| Failure::ours(Reason::Unsupported, Phase::FirstByte, why);
        let method = self.method.clone().ok_or_else(|| unsupported(format!("{:?} is no method", question.method)))?;
        let mut headers = self.own_headers(question).map_err(unsupported)?;
        headers.entry(TRACEPARENT).or_insert(traceparent);
        let authority = match headers.get(HOST) {
            Some(given) => given.clone(),
            None => HeaderValue::try_from(authority(&self.url)).map_err(|error| unsupported(error.to_string()))?,
        };
        let uri = match protocol {
            Protocol::Http1 => {
                headers.insert(HOST, authority);
                match self.via {
                    // Within a tunnel the proxy is not there.
                    Some(via) if self.url.scheme() == "http" => {
                        headers.extend(via.authorization().map(|value| (PROXY_AUTHORIZATION, value)));
                        Uri::try_from(absolute_form(&self.url))
                    }
                    Some(_) | None => Uri::try_from(origin_form(&self.url)),
                }
            }
            Protocol::Http2 => {
                // HTTP/2 has :authority in its place (RFC 9113 §8.3.1).
                headers.remove(HOST);
                let authority = authority.to_str().unwrap_or_default();
                Uri::try_from(format!("{}://{authority}{}", self.url.scheme(), origin_form(&self.url)))
            }
        };
        let uri = uri.map_err(|error| unsupported(format!("{} can't be asked for: {error}", self.url.path())))?;
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(self.body.unwrap_or_default().as_bytes())));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The check's headers, less those that are only for the check's own origin, plus our own where it
    /// names none.
    fn own_headers(&self, question: &HttpQuestion) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::with_capacity(8);
        for (name, value) in &question.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|error| format!("header {name}: {error}"))?;
            let only_home = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST].contains(&parsed);
            let about_body = [CONTENT_LENGTH, CONTENT_TYPE].contains(&parsed);
            if (only_home && !self.home) || (about_body && self.body.is_none()) {
                continue;
            }
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| format!("header {name}: {error}"))?;
            headers.append(parsed, value);
        }
        if self.home {
            headers.extend(self.credentials.iter().cloned());
        }
        headers.entry(USER_AGENT).or_insert_with(|| self.agent.clone());
        headers.entry(ACCEPT).or_insert(ANYTHING);
        headers.entry(ACCEPT_ENCODING).or_insert(CODINGS);
        if self.home && !headers.contains_key(AUTHORIZATION) {
            headers.extend(basic(&self.url).map(|value| (AUTHORIZATION, value)));
        }
        Ok(headers)
    }
}

fn origin_form(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}

/// For a proxy: the URL without user and fragment, whatever `host` the check names.
fn absolute_form(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), authority(url), origin_form(url))
}

fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

/// The user and password of `url` as RFC 7617 sends them.
fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    credentials::basic(&unescaped(url.username()), &unescaped(url.password().unwrap_or_default())).ok()
}

/// `text` with its percent escapes undone. What only looks like one stays as it is.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    static AGENT: HeaderValue = HeaderValue::from_static("me");

    fn question(url: &str) -> HttpQuestion {
        let mut question = HttpQuestion::get(url.parse().unwrap());
        question.method = "POST".to_owned();
        question.body = Some("a=b".to_owned());
        question.headers =
            vec![("Cookie".to_owned(), "c=d".to_owned()), ("Content-Type".to_owned(), "text/plain".to_owned())];
        question
    }

    #[test]
    fn credentials_stay_at_home() {
        let question = question("https://me:p%3Aw@shop.example/a");
        let first = Target::first(&question, &[], &AGENT, None);
        let headers = first.own_headers(&question).unwrap();
        assert_eq!(headers[AUTHORIZATION], "Basic bWU6cDp3");
        assert_eq!(headers[COOKIE], "c=d");
        let same = first.redirected(307, "https://shop.example/b".parse().unwrap());
        assert!(same.own_headers(&question).unwrap().contains_key(COOKIE));
        for away in ["https://shop.example:444/", "http://shop.example/", "https://me:p%3Aw@other.example/"] {
            let other = first.redirected(307, away.parse().unwrap());
            let headers = other.own_headers(&question).unwrap();
            assert!(!headers.contains_key(COOKIE) && !headers.contains_key(AUTHORIZATION), "{away}");
            // Back home by another's word is not home.
            let back = other.redirected(307, question.url.clone());
            assert!(!back.own_headers(&question).unwrap().contains_key(COOKIE));
        }
    }

    #[test]
    fn a_body_goes_where_its_method_goes() {
        let question = question("http://shop.example/a?b#c");
        let first = Target::first(&question, &[], &AGENT, None);
        let kept = first
            .redirected(308, question.url.clone())
            .request(&question, Protocol::Http1, HeaderValue::from_static("t"))
            .unwrap();
        assert_eq!((kept.method(), kept.headers().contains_key(CONTENT_TYPE)), (&Method::POST, true));
        let got = first
            .redirected(303, question.url.clone())
            .request(&question, Protocol::Http1, HeaderValue::from_static("t"))
            .unwrap();
        assert_eq!((got.method(), got.headers().contains_key(CONTENT_TYPE)), (&Method::GET, false));
        assert_eq!(got.uri(), "/a?b");
        assert_eq!(got.headers()[HOST], "shop.example");
        let second = first.request(&question, Protocol::Http2, HeaderValue::from_static("t")).unwrap();
        assert_eq!(second.uri(), "http://shop.example/a?b");
    }
}
