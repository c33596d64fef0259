//! What is expected of an HTTP response.
//!
//! Expectations have an order, in which they are judged, shown and blamed: status, headers, version, body,
//! JSON, times, certificate; it is the order of the fields here.

mod json;
mod within;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::json::{JsonExpect, Range, exact_order, same_json};
pub use self::within::Within;
use super::http::{HttpQuestion, HttpVersion};
use super::tls::TlsExpect;
use crate::pattern::{Regex, StatusRange};

/// The most expectations of one kind in a check.
pub const MAX_EXPECTATIONS: usize = 64;

/// What an HTTP response must be; every part that is there must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpExpect {
    /// The status must be in one of them.
    pub status: Vec<StatusRange>,
    /// Each must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderExpect>,
    /// The version spoken must be one of them; any where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub version: Vec<SpokenVersion>,
    /// The body must contain each.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "one_or_many", deserialize_with = "many_or_one")]
    pub body_contains: Vec<String>,
    /// The body must contain none.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "one_or_many", deserialize_with = "many_or_one")]
    pub body_lacks: Vec<String>,
    /// The body must match it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<Regex>,
    /// The body must not match it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_lacks_match: Option<Regex>,
    /// How many bytes the decoded body must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_size: Option<Range>,
    /// Each must hold of the body as JSON.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<JsonExpect>,
    /// How long the phases may take.
    #[serde(skip_serializing_if = "Within::is_empty")]
    pub within: Within,
    /// What the TLS session and chain of the last response must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<TlsExpect>,
}

impl Default for HttpExpect {
    fn default() -> Self {
        let success = "2xx".parse().expect("2xx is a status class");
        Self {
            status: vec![success],
            headers: Vec::new(),
            version: Vec::new(),
            body_contains: Vec::new(),
            body_lacks: Vec::new(),
            body_matches: None,
            body_lacks_match: None,
            body_size: None,
            json: Vec::new(),
            within: Within::default(),
            certificate: None,
        }
    }
}

impl HttpExpect {
    /// Whether the body's bytes must be kept to judge it.
    pub fn wants_body(&self) -> bool {
        !self.body_contains.is_empty()
            || !self.body_lacks.is_empty()
            || self.body_matches.is_some()
            || self.body_lacks_match.is_some()
            || !self.json.is_empty()
    }

    pub(super) fn errors(&self, asked: &HttpQuestion, push: &mut impl FnMut(&'static str, String)) {
        for (key, count) in [
            ("http.expect.headers", self.headers.len()),
            ("http.expect.body_contains", self.body_contains.len()),
            ("http.expect.body_lacks", self.body_lacks.len()),
            ("http.expect.json", self.json.len()),
        ] {
            if MAX_EXPECTATIONS < count {
                push(key, format!("{count} expectations are too many; at most {MAX_EXPECTATIONS}"));
            }
        }
        if !self.version.is_empty() && asked.version != HttpVersion::Any {
            let mend = "the request allows only one version, and fails where it is not spoken; leave this out";
            push("http.expect.version", mend.to_owned());
        }
        if let Some(size) = self.body_size {
            size.errors("http.expect.body_size", push);
            let limit = u64::from(asked.max_body_bytes);
            if let Some(beyond) = size.max.or(size.min).filter(|bytes| limit < *bytes) {
                let mend = format!("max_body ends at {limit} bytes, before {beyond}; raise it");
                push("http.expect.body_size", mend);
            }
        }
        self.json.iter().for_each(|json| json.errors(push));
        self.within.errors(push);
    }
}

/// One text is written as it was before there could be several.
fn one_or_many<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match texts {
        [one] => one.serialize(serializer),
        many => many.serialize(serializer),
    }
}

fn many_or_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    })
}

/// A version of HTTP that a response came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SpokenVersion {
    /// HTTP/1.0.
    #[serde(rename = "1.0")]
    Http10,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    Http11,
    /// HTTP/2.
    #[serde(rename = "2")]
    Http2,
    /// HTTP/3.
    #[serde(rename = "3")]
    Http3,
}

impl SpokenVersion {
    /// As evidence and pages write it, such as `HTTP/2`.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http3 => "HTTP/3",
        }
    }
}

/// What one response header must be. With no condition it must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderExpect {
    /// Its name, in any case.
    pub name: String,
    /// The condition on one of its values.
    #[serde(default)]
    pub is: TextCondition,
}

/// A condition on a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextCondition {
    /// It is there.
    #[default]
    Present,
    /// It is not there.
    Absent,
    /// It is exactly this.
    Equals(String),
    /// It has this in it.
    Contains(String),
    /// It matches this.
    Matches(Regex),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uses_nothing_new_is_written_as_before() {
        let mut expect = HttpExpect::default();
        assert_eq!(serde_json::to_string(&expect).unwrap(), r#"{"status":["2xx"]}"#);
        expect.body_contains = vec!["Cart".to_owned()];
        let written = serde_json::to_string(&expect).unwrap();
        assert_eq!(written, r#"{"status":["2xx"],"body_contains":"Cart"}"#);
        assert_eq!(serde_json::from_str::<HttpExpect>(&written).unwrap(), expect);
        expect.body_contains.push("Sale".to_owned());
        let written = serde_json::to_string(&expect).unwrap();
        assert_eq!(serde_json::from_str::<HttpExpect>(&written).unwrap(), expect);
    }

    fn broken(change: impl FnOnce(&mut HttpQuestion)) -> Vec<&'static str> {
        let mut question = HttpQuestion::get("https://shop.example/".parse().unwrap());
        change(&mut question);
        let mut keys = Vec::new();
        question.expect.errors(&question, &mut |key, _mend| keys.push(key));
        keys
    }

    #[test]
    fn expectations_that_no_response_could_decide_are_refused() {
        let bounds = |min, max| Some(Range { min, max });
        assert_eq!(broken(|_| {}), [""; 0]);
        assert_eq!(broken(|q| q.expect.body_size = bounds(Some(2), Some(1))), ["http.expect.body_size"]);
        assert_eq!(broken(|q| q.expect.body_size = bounds(None, None)), ["http.expect.body_size"]);
        assert_eq!(broken(|q| q.expect.body_size = bounds(None, Some(2 << 20))), ["http.expect.body_size"]);
        let both = |q: &mut HttpQuestion| {
            q.version = HttpVersion::Http2;
            q.expect.version = vec![SpokenVersion::Http2];
        };
        assert_eq!(broken(both), ["http.expect.version"]);
        assert_eq!(broken(|q| q.expect.body_lacks = vec![String::new(); 65]), ["http.expect.body_lacks"]);
    }
}
