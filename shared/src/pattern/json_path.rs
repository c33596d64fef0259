//! JSONPath (RFC 9535) with a bound on its work.
//!
//! A path is the operator's, a document is the target's: nested arrays under `$..*..*` would select billions
//! of nodes. The evaluator can't be stopped midway, so the work is bounded before it starts, by what the path
//! is made of and how the document is shaped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{PatternError, bounded, text_serde};

/// How deep arrays and objects may be nested.
pub const MAX_JSON_DEPTH: usize = 127;
/// The most steps that a path may take over a document. A step is some nanoseconds, and at most one pointer.
pub const MAX_JSON_STEPS: u64 = 1 << 23;

/// How many values of a document, at most, lie at each depth; the document itself is at depth 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census(pub [u32; MAX_JSON_DEPTH + 2]);

impl Default for Census {
    fn default() -> Self {
        Self([0; MAX_JSON_DEPTH + 2])
    }
}

impl Census {
    /// How many values there are, at most.
    pub fn values(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }
}

/// A path that could take more than [`MAX_JSON_STEPS`] over a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path could take {0} steps over this document; at most {MAX_JSON_STEPS} are taken")]
pub struct TooCostly(pub u64);

/// A JSONPath of RFC 9535.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPath {
    text: String,
    shape: Shape,
    path: serde_json_path::JsonPath,
}

text_serde!(JsonPath);

impl JsonPath {
    /// The nodes of `document`, whose values `census` counts, that the path selects, in document order.
    ///
    /// # Errors
    /// [`TooCostly`] where the path could take too many steps; none is taken then.
    pub fn select<'d>(
        &self,
        document: &'d serde_json::Value,
        census: &Census,
    ) -> Result<Vec<&'d serde_json::Value>, TooCostly> {
        let steps = self.shape.steps(census);
        if MAX_JSON_STEPS < steps { Err(TooCostly(steps)) } else { Ok(self.path.query(document).all()) }
    }
}

impl FromStr for JsonPath {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let path = serde_json_path::JsonPath::parse(bounded(text)?)
            .map_err(|error| PatternError::JsonPath(error.to_string()))?;
        Ok(Self { text: text.to_owned(), shape: Shape::of(text), path })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What makes a path cost more than one look at each value.
///
/// A value is met once for each chain of ancestors through which a path can come to it. A descent (`..`) and
/// a filter (`?`, whose queries look below each candidate) each try every ancestor: at depth d that is a
/// factor of d. Each of a bracket's selectors may select the same value again. A query from the root (`$`)
/// inside a filter looks at the whole document for each candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// `..` and `?` together.
    descents: u32,
    /// The product of how many selectors each bracket has.
    selectors: u64,
    /// `$` beyond the first.
    roots: u32,
}

impl Shape {
    /// The shape of a text that is a JSONPath.
    fn of(text: &str) -> Self {
        let mut shape = Self { descents: 0, selectors: 1, roots: 0 };
        let mut open: Vec<Option<u64>> = Vec::new();
        let mut bytes = text.bytes().skip(1).peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\'' | b'"' => {
                    while let Some(inside) = bytes.next() {
                        match inside {
                            b'\\' => drop(bytes.next()),
                            _ if inside == byte => break,
                            _ => {}
                        }
                    }
                }
                b'.' if bytes.peek() == Some(&b'.') => {
                    bytes.next();
                    shape.descents += 1;
                }
                b'?' => shape.descents += 1,
                b'$' => shape.roots += 1,
                b'[' => open.push(Some(1)),
                b'(' => open.push(None),
                b',' => {
                    if let Some(Some(selectors)) = open.last_mut() {
                        *selectors += 1;
                    }
                }
                b']' | b')' => {
                    if let Some(Some(selectors)) = open.pop() {
                        shape.selectors = shape.selectors.saturating_mul(selectors);
                    }
                }
                _ => {}
            }
        }
        shape
    }

    /// The most steps over a document of this census.
    fn steps(self, census: &Census) -> u64 {
        let mut steps = 0_u64;
        for (depth, count) in (0_u64..).zip(census.0) {
            steps = steps.saturating_add(depth.saturating_pow(self.descents).saturating_mul(u64::from(count)));
        }
        let each_root = census.values().max(1).saturating_pow(self.roots);
        steps.saturating_mul(self.selectors).saturating_mul(each_root)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn census_of(value: &Value) -> Census {
        fn count(value: &Value, depth: usize, census: &mut Census) {
            census.0[depth] += 1;
            match value {
                Value::Array(items) => items.iter().for_each(|item| count(item, depth + 1, census)),
                Value::Object(entries) => entries.values().for_each(|value| count(value, depth + 1, census)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let mut census = Census::default();
        count(value, 1, &mut census);
        census
    }

    fn path(text: &str) -> JsonPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_json_path_selects_and_prints_as_written() {
        let path = path("$.a[?@.b == 1].c");
        let document = json!({"a": [{"b": 1, "c": 7}, {"b": 2, "c": 8}]});
        assert_eq!(path.select(&document, &census_of(&document)).unwrap(), [&json!(7)]);
        assert_eq!(path.to_string(), "$.a[?@.b == 1].c");
        assert!("a.b".parse::<JsonPath>().is_err());
    }

    #[test]
    fn what_a_path_is_made_of_is_read_outside_of_its_texts() {
        let of = |text: &str| Shape::of(&path(text).to_string());
        assert_eq!(of("$.a[0]"), Shape { descents: 0, selectors: 1, roots: 0 });
        assert_eq!(of("$..a..*"), Shape { descents: 2, selectors: 1, roots: 0 });
        assert_eq!(of("$['..?$,\\'',\"[]\"][1,2,3]"), Shape { descents: 0, selectors: 6, roots: 0 });
        assert_eq!(of("$.a[?@.b == $.c, 7]"), Shape { descents: 1, selectors: 2, roots: 1 });
    }

    #[test]
    fn the_steps_are_never_fewer_than_the_nodes_selected() {
        let mut deep = json!([1, {"a": 2}]);
        for _ in 0..6 {
            deep = json!([deep, {"a": deep.clone()}]);
        }
        let census = census_of(&deep);
        for text in ["$", "$..*", "$..a", "$..*..*", "$..*..*..a", "$..[0, 1, *]", "$..[?@.a]", "$..[?@..a]..*"] {
            let path = path(text);
            let steps = path.shape.steps(&census);
            let selected = path.path.query(&deep).len();
            assert!(selected as u64 <= steps, "{text}: {selected} of {steps}");
        }
    }

    #[test]
    fn inv_9_a_path_that_would_never_end_is_not_begun() {
        let mut nested = json!(0);
        for _ in 0..100 {
            nested = json!([nested]);
        }
        let census = census_of(&nested);
        assert_eq!(path("$..*").select(&nested, &census).unwrap().len(), 100);
        for text in ["$..*..*..*..*..*", "$..[?@..[?@..[?@..*]]]", &format!("${}", "[*,*]".repeat(40))] {
            assert!(path(text).select(&nested, &census).is_err(), "{text}");
        }
        let wide = Value::from(vec![0; 5_000]);
        let whole_for_each = path("$[?@ == $[-1]]");
        assert!(whole_for_each.select(&wide, &census_of(&wide)).is_err());
    }
}
