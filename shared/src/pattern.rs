//! Patterns that expectations are made of, compiled once: a value of these types always works.

mod json_path;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::json_path::{Census, JsonPath, MAX_JSON_DEPTH, MAX_JSON_STEPS, TooCostly};

/// The largest compiled regex, in bytes. The engine is linear in the text; this bounds the factor.
pub const MAX_REGEX_BYTES: usize = 1 << 20;
/// The longest pattern text, in bytes.
pub const MAX_PATTERN_LEN: usize = 4_096;

/// Why a text is not a pattern of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Longer than [`MAX_PATTERN_LEN`].
    #[error("the pattern is {0} bytes long; at most {MAX_PATTERN_LEN} are allowed")]
    TooLong(usize),
    /// Not a regular expression of the `regex` crate's syntax, or too large when compiled.
    #[error("not a regular expression: {0}")]
    Regex(String),
    /// Not a JSONPath of RFC 9535.
    #[error("not a JSONPath (RFC 9535): {0}")]
    JsonPath(String),
    /// Not a status, a range or a class.
    #[error("{0:?} is not a status; write one such as 200, a range such as 200-299 or a class such as 2xx")]
    Status(String),
}

macro_rules! text_serde {
    ($name:ident) => {
        crate::text::by_text!($name);

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.to_string() == other.to_string()
            }
        }

        impl Eq for $name {}
    };
}

use text_serde;

fn bounded(text: &str) -> Result<&str, PatternError> {
    if text.len() <= MAX_PATTERN_LEN { Ok(text) } else { Err(PatternError::TooLong(text.len())) }
}

/// A regular expression, matched in time linear in the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Regex(regex::bytes::Regex);

text_serde!(Regex);

impl Regex {
    /// Whether it matches anywhere in `bytes`, which need not be UTF-8.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }

    /// Whether it matches somewhere that ends before the last of `bytes`: whatever follows them can't undo
    /// such a match, while one at their end may rest on there being no more.
    pub fn is_match_before_end(&self, bytes: &[u8]) -> bool {
        self.0.find_iter(bytes).any(|found| found.end() < bytes.len())
    }
}

impl FromStr for Regex {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        regex::bytes::RegexBuilder::new(bounded(text)?)
            .size_limit(MAX_REGEX_BYTES)
            .build()
            .map(Self)
            .map_err(|error| PatternError::Regex(error.to_string()))
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// HTTP statuses that are wanted: one, a range, or a class such as `2xx`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusRange(RangeInclusive<u16>);

text_serde!(StatusRange);

impl StatusRange {
    /// Whether `status` is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl FromStr for StatusRange {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        status_range(text).map(Self).ok_or_else(|| PatternError::Status(text.chars().take(64).collect()))
    }
}

fn status_range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| -> Option<u16> {
        let number = text.parse().ok()?;
        (text.len() == 3 && (100..=599).contains(&number)).then_some(number)
    };
    if let Some(class) = text.strip_suffix("xx") {
        let first = status(&format!("{class}00"))?;
        return Some(first..=first + 99);
    }
    match text.split_once('-') {
        Some((from, to)) => {
            let range = status(from)?..=status(to)?;
            (!range.is_empty()).then_some(range)
        }
        None => status(text).map(|one| one..=one),
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (*self.0.start(), *self.0.end());
        if from == to {
            write!(f, "{from}")
        } else if from % 100 == 0 && to == from + 99 {
            write!(f, "{}xx", from / 100)
        } else {
            write!(f, "{from}-{to}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_one_a_range_or_a_class() {
        for (text, inside, outside) in [("200", 200, 201), ("2xx", 299, 300), ("301-303", 302, 304)] {
            let range: StatusRange = text.parse().unwrap();
            assert!(range.contains(inside) && !range.contains(outside), "{text}");
            assert_eq!(range.to_string(), text);
        }
        for text in ["", "20", "2000", "xx", "9xx", "303-301", "+20", "2x", "ok"] {
            assert!(text.parse::<StatusRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_regex_that_would_explode_is_refused() {
        assert!("(a{1000}){1000}".parse::<Regex>().is_err());
        assert!("(".parse::<Regex>().unwrap_err().to_string().contains("regular expression"));
    }
}
