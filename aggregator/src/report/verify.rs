//! Whether a report says what it may: its own arithmetic, and its figures made again from the samples. Pure but for
//! the samples, which are read line by line.
//!
//! What is found is named by its path in the JSON. The definitions are those in the report; that nobody put others
//! there is what the signature vouches for.

mod arithmetic;
mod samples;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use samples::{SamplesError, against_samples};

use super::model::Report;

/// Something in a report that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, such as `services[shop].accounts.down_ms`.
    pub path: String,
    /// What the report says.
    pub says: Value,
    /// What it must say.
    pub must: Value,
    /// Why.
    pub why: &'static str,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: the report says {}, {} gives {}", self.path, self.says, self.why, self.must)
    }
}

/// What can be told from the report alone.
pub fn arithmetic(report: &Report) -> Vec<Finding> {
    arithmetic::of(report)
}
