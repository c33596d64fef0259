//! What differs between two reports, path by path. Pure.
//!
//! Reports are compared as JSON, so that one of an earlier version of the program can be: what its objects do not
//! have, since nobody wrote it then, is no difference. Items of a list are told by what names them (service,
//! check, region, or where they begin), not by their place.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most differences that are told one by one.
pub const MAX_CHANGES: usize = 200;
/// The most bytes of a value that is told; of a longer one its beginning is.
pub const MAX_VALUE_BYTES: usize = 1_000;
/// What names an item of a list, the first of these that it has.
const NAMES: [&str; 5] = ["service", "check", "region", "name", "from"];

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where, such as `services[shop].accounts.down_ms`.
    pub path: String,
    /// What stood there; null where nothing did.
    pub before: Value,
    /// What stands there now; null where nothing does.
    pub after: Value,
}

/// The differences of two reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// At most [`MAX_CHANGES`]: those of services first, then of their days, then of their checks.
    pub changes: Vec<Change>,
    /// How many there are beyond those.
    pub further: usize,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// What differs between `before` and `after`, the keys `except` of the outermost object apart.
pub fn between(before: &Value, after: &Value, except: &[&str]) -> Difference {
    let mut changes = Vec::new();
    if let (Value::Object(before), Value::Object(after)) = (before, after) {
        let kept = |object: &Map<String, Value>| {
            let items = object.iter().filter(|(key, _)| !except.contains(&key.as_str()));
            items.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        walk("", &Value::Object(kept(before)), &Value::Object(kept(after)), &mut changes);
    }
    changes.sort_by_key(|change| rank(&change.path));
    let further = changes.len().saturating_sub(MAX_CHANGES);
    changes.truncate(MAX_CHANGES);
    Difference { changes, further }
}

fn rank(path: &str) -> u8 {
    match path {
        _ if path.contains(".checks[") => 2,
        _ if path.contains(".days[") => 1,
        _ => 0,
    }
}

fn walk(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, before) in before {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, before, after.get(key).unwrap_or(&Value::Null), changes);
            }
        }
        (Value::Array(before), Value::Array(after)) if named(before) && named(after) => {
            items(path, before, after, changes);
        }
        _ if before == after => {}
        _ => changes.push(Change { path: path.to_owned(), before: told(before), after: told(after) }),
    }
}

/// Items that both lists have are compared, and so is what only one of them has.
fn items(path: &str, before: &[Value], after: &[Value], changes: &mut Vec<Change>) {
    for item in before {
        let name = name(item).unwrap_or_default();
        let other = after.iter().find(|other| self::name(other).as_deref() == Some(&name));
        walk(&format!("{path}[{name}]"), item, other.unwrap_or(&Value::Null), changes);
    }
    for item in after {
        let name = name(item).unwrap_or_default();
        if !before.iter().any(|other| self::name(other).as_deref() == Some(&name)) {
            changes.push(Change { path: format!("{path}[{name}]"), before: Value::Null, after: told(item) });
        }
    }
}

/// Whether every item has a name, and none the same.
fn named(list: &[Value]) -> bool {
    let mut names: Vec<Option<String>> = list.iter().map(name).collect();
    names.sort();
    names.iter().all(Option::is_some) && names.windows(2).all(|pair| pair[0] != pair[1])
}

fn name(item: &Value) -> Option<String> {
    let named = NAMES.iter().find_map(|key| item.get(key))?;
    Some(named.as_str().map_or_else(|| named.to_string(), str::to_owned))
}

fn told(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= MAX_VALUE_BYTES {
        return value.clone();
    }
    let end = (0..=MAX_VALUE_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Value::String(format!("{}…", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(difference: &Difference) -> Vec<&str> {
        difference.changes.iter().map(|change| change.path.as_str()).collect()
    }

    #[test]
    fn a_difference_is_told_by_its_path_with_both_values() {
        let before =
            json!({"services": [{"service": "a", "down_ms": 1}, {"service": "shop", "down_ms": 5}], "revision": 1});
        let after = json!({"services": [{"service": "shop", "down_ms": 7}], "revision": 2});
        let found = between(&before, &after, &["revision"]);
        assert_eq!(paths(&found), ["services[a]", "services[shop].down_ms"]);
        assert_eq!((&found.changes[0].after, &found.changes[1].before), (&Value::Null, &json!(5)));
        assert!(between(&before, &before, &[]).is_empty());
    }

    #[test]
    fn an_outage_that_came_or_went_is_told_whole_and_one_that_grew_by_what_grew() {
        let outage = |from: i64, to: i64| json!({"from": from, "to": to});
        let found =
            between(&json!({"outages": [outage(1, 2)]}), &json!({"outages": [outage(1, 3), outage(5, 6)]}), &[]);
        assert_eq!(paths(&found), ["outages[1].to", "outages[5]"]);
        assert_eq!(found.changes[1].after, outage(5, 6));
    }

    #[test]
    fn what_an_earlier_version_did_not_write_is_no_difference() {
        let found = between(
            &json!({"a": 1, "list": [{"from": 1}]}),
            &json!({"a": 1, "b": 2, "list": [{"from": 1, "new": 3}]}),
            &[],
        );
        assert!(found.is_empty(), "{found:?}");
        assert!(!between(&json!({"a": 1, "b": 2}), &json!({"a": 1}), &[]).is_empty(), "but what is gone is one");
    }

    #[test]
    fn lists_without_names_are_told_whole() {
        assert_eq!(paths(&between(&json!({"a": ["x"]}), &json!({"a": ["x", "y"]}), &[])), ["a"]);
        let twice = json!({"a": [{"from": 1}, {"from": 1}]});
        assert_eq!(paths(&between(&twice, &json!({"a": [{"from": 1}]}), &[])), ["a"]);
    }

    #[test]
    fn differences_are_bounded_in_number_and_size_and_those_of_services_come_first() {
        let many = |n: i64| {
            let days: Vec<Value> = (0..500).map(|day| json!({"from": day, "down_ms": n})).collect();
            json!({"services": [{"service": "shop", "days": days, "reason": "ß".repeat(usize::try_from(n).unwrap()), "z": n}]})
        };
        let found = between(&many(1), &many(2_000), &[]);
        assert_eq!((found.changes.len(), found.further), (MAX_CHANGES, 502 - MAX_CHANGES));
        assert_eq!(paths(&found)[..2], ["services[shop].reason", "services[shop].z"]);
        assert!(found.changes[0].after.as_str().unwrap().len() <= MAX_VALUE_BYTES + 3);
    }
}
