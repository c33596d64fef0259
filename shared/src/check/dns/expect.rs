//! What is expected of a DNS answer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::RecordType;
use crate::duration::Shown;
use crate::pattern::Regex;
use crate::text::by_text;

/// The most texts in one list of expected answers.
pub const MAX_EXPECTED: usize = 256;

/// What a DNS answer must be; every part that is there must hold. Answers are written as zone files write
/// them; case, spaces, quotes and the last dot do not matter where they mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsExpect {
    /// The response code is one of these; `NOERROR` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<Rcodes>,
    /// Exactly these answers, in any order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<String>>,
    /// Each of these is among the answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// There is an answer, and every answer is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<String>,
    /// What the answers look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<AnswerPattern>,
    /// How many answers there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Bounds>,
    /// The TTL of every answer, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<Bounds>,
    /// The serial of the SOA record is this or a later one (RFC 1982).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_at_least: Option<u32>,
    /// Flags of the answer.
    #[serde(skip_serializing_if = "FlagsExpect::is_empty")]
    pub flags: FlagsExpect,
    /// Each of these is in the authority section: type and data, such as `NS ns1.shop.example`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authority: Vec<String>,
    /// Each of these is in the additional section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<String>,
}

impl DnsExpect {
    /// Whether there must be an answer, where no part says how many or which.
    pub fn wants_an_answer(&self) -> bool {
        self.answers.is_none() && self.count.is_none() && self.authority.is_empty()
    }

    pub(super) fn errors(&self, record_type: RecordType, push: &mut impl FnMut(&'static str, String)) {
        for (key, bounds) in [("dns.expect.count", self.count), ("dns.expect.ttl", self.ttl_s)] {
            if let Some(Bounds { min: Some(min), max: Some(max) }) = bounds
                && max < min
            {
                push(key, format!("no number is at least {min} and at most {max}; swap them"));
            }
        }
        if self.serial_at_least.is_some() && record_type != RecordType::Soa {
            push(
                "dns.expect.serial",
                format!("only an SOA record has a serial, not {record_type}; use type = \"SOA\""),
            );
        }
        for (key, list) in [("dns.expect.authority", &self.authority), ("dns.expect.additional", &self.additional)] {
            for text in list {
                let data = text.split_once(' ').filter(|(kind, _)| kind.parse::<RecordType>().is_ok());
                if data.is_none_or(|(_, data)| data.trim().is_empty()) {
                    push(key, format!("{text:?} is not a type and its data, such as \"NS ns1.shop.example\""));
                }
            }
        }
        for (key, list) in [
            ("dns.expect.answers", self.answers.as_deref().unwrap_or_default()),
            ("dns.expect.contains", &self.contains),
            ("dns.expect.any_of", &self.any_of),
            ("dns.expect.authority", &self.authority),
            ("dns.expect.additional", &self.additional),
        ] {
            if MAX_EXPECTED < list.len() {
                push(key, format!("{} are too many; at most {MAX_EXPECTED}", list.len()));
            }
        }
    }
}

/// Response codes by their IANA names, one at least. As text they are joined by `|`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rcodes(Vec<String>);

impl Rcodes {
    /// Whether `rcode` is one of them, in any case.
    pub fn contains(&self, rcode: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(rcode))
    }
}

impl FromStr for Rcodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let codes: Vec<String> = text.split('|').map(|code| code.trim().to_owned()).collect();
        let good = |code: &String| (1..=32).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
        if codes.len() <= 16 && codes.iter().all(good) {
            Ok(Self(codes))
        } else {
            Err(format!("{text:?} is not a list of response codes, such as NOERROR|NXDOMAIN"))
        }
    }
}

impl fmt::Display for Rcodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("|"))
    }
}

by_text!(Rcodes);

/// A regex, and of how many answers it must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerPattern {
    /// At least one answer matches.
    Any(Regex),
    /// There is an answer, and each matches.
    Every(Regex),
}

/// At least, at most, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// The lowest that is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// The highest that is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

impl Bounds {
    /// Whether `number` is within them.
    pub fn contains(self, number: u32) -> bool {
        self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max)
    }

    /// As people read them, each number shown by `show`.
    pub fn shown(self, show: impl Fn(u32) -> String) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{} to {}", show(min), show(max)),
            (Some(min), None) => format!("at least {}", show(min)),
            (None, Some(max)) => format!("at most {}", show(max)),
            (None, None) => "any".to_owned(),
        }
    }
}

/// `seconds` as people write a duration.
pub fn shown_seconds(seconds: u32) -> String {
    Shown(i64::from(seconds) * 1_000).to_string()
}

/// Which flags must be set or clear; what is `None` does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlagsExpect {
    /// The server speaks for the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aa: Option<bool>,
    /// The server says that it validated the answer (DNSSEC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad: Option<bool>,
    /// The server recurses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ra: Option<bool>,
    /// The answer over UDP was cut short, and came over TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tc: Option<bool>,
}

impl FlagsExpect {
    /// Whether no flag matters.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
