//! What is expected of an HTTP response.

use serde::{Deserialize, Serialize};

use crate::pattern::{JsonPath, Regex, StatusRange};

/// What an HTTP response must be; every part that is there must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpExpect {
    /// The status must be in one of them.
    pub status: Vec<StatusRange>,
    /// Each must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderExpect>,
    /// The body must contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// The body must not contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_lacks: Option<String>,
    /// The body must match it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<Regex>,
    /// Each must hold of the body as JSON.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<JsonExpect>,
}

impl Default for HttpExpect {
    fn default() -> Self {
        let success = "2xx".parse().expect("2xx is a status class");
        Self {
            status: vec![success],
            headers: Vec::new(),
            body_contains: None,
            body_lacks: None,
            body_matches: None,
            json: Vec::new(),
        }
    }
}

impl HttpExpect {
    /// Whether the body must be looked at.
    pub fn wants_body(&self) -> bool {
        self.body_contains.is_some()
            || self.body_lacks.is_some()
            || self.body_matches.is_some()
            || !self.json.is_empty()
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

/// What the nodes that a JSONPath selects must be. With no condition there must be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonExpect {
    /// Which nodes.
    pub path: JsonPath,
    /// The value that at least one of them must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<serde_json::Value>,
}
