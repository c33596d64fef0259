//! What the nodes decide that a JSONPath selects.

use nines_shared::check::JsonExpect;
use nines_shared::sample::{Phase, Reason};
use serde_json::Value;

use super::bytes::quoted;
use super::document::Document;
use super::{Judgement, Shortfall};

/// Whether `document` is as `json` says.
pub(super) fn judge(json: &JsonExpect, document: &Document) -> Judgement {
    let shortfall = |seen: String| Shortfall::new(Reason::HttpJson, Phase::Transfer, seen);
    match json.path.select(&document.root, &document.census) {
        Ok(nodes) => match shortcoming(json, &nodes) {
            None => Judgement::Met,
            Some(seen) => Judgement::Unmet(shortfall(seen)),
        },
        Err(too_costly) => Judgement::Undecided(shortfall(too_costly.to_string())),
    }
}

/// What is wrong with `nodes`.
fn shortcoming(json: &JsonExpect, nodes: &[&Value]) -> Option<String> {
    if !json.exists {
        return nodes.first().map(|node| format!("it is {}", shown(node)));
    }
    if let Some(count) = json.count
        && !count.contains(nodes.len() as u64)
    {
        return Some(format!("it selects {}", nodes.len()));
    }
    let of_values = json.is_of_values();
    if nodes.is_empty() && (of_values || json.count.is_none()) {
        return Some("there is no such node".to_owned());
    }
    if !of_values {
        return None;
    }
    if json.every {
        let failing = nodes.iter().find(|node| !json.is_met_by(node));
        return failing.map(|node| format!("one is {}", shown(node)));
    }
    match nodes {
        _ if nodes.iter().any(|node| json.is_met_by(node)) => None,
        [first, _, ..] => Some(format!("none of {} is; the first is {}", nodes.len(), shown(first))),
        [only] => Some(format!("it is {}", shown(only))),
        [] => None,
    }
}

/// Values beyond what is shown are not written out.
fn shown(node: &Value) -> String {
    match node {
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(entries) => format!("an object of {}", entries.len()),
        Value::String(text) => quoted(text.as_bytes()),
        Value::Null | Value::Bool(_) | Value::Number(_) => node.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use nines_shared::check::Range;

    use super::*;

    fn seen(path: &str, change: impl FnOnce(&mut JsonExpect)) -> Option<String> {
        let document = Document::read(br#"{"a": [1, 5, 9], "id": 9007199254740993, "none": []}"#).unwrap();
        let mut json = JsonExpect::exists(path.parse().unwrap());
        change(&mut json);
        match judge(&json, &document) {
            Judgement::Met => None,
            Judgement::Unmet(shortfall) => Some(shortfall.seen),
            Judgement::Undecided(shortfall) => Some(format!("undecided: {}", shortfall.seen)),
        }
    }

    #[test]
    fn one_node_must_meet_all_conditions_or_every_one_must() {
        let between = |json: &mut JsonExpect| (json.above, json.below) = (Some(3.into()), Some(8.into()));
        assert_eq!(seen("$.a[*]", between), None);
        // 9 is above and 1 is below, but none is both.
        let outside = |json: &mut JsonExpect| (json.above, json.below) = (Some(5.into()), Some(9.into()));
        assert_eq!(seen("$.a[*]", outside).unwrap(), "none of 3 is; the first is 1");
        let every = |json: &mut JsonExpect| (json.at_most, json.every) = (Some(5.into()), true);
        assert_eq!(seen("$.a[*]", every).unwrap(), "one is 9");
        assert_eq!(seen("$.none[*]", every).unwrap(), "there is no such node");
    }

    #[test]
    fn nodes_are_counted_and_may_have_to_be_none() {
        let count = |min, max| move |json: &mut JsonExpect| json.count = Some(Range { min, max });
        assert_eq!(seen("$.a[*]", count(Some(3), Some(3))), None);
        assert_eq!(seen("$.a[*]", count(None, Some(2))).unwrap(), "it selects 3");
        assert_eq!(seen("$.none[*]", count(None, Some(2))), None);
        assert_eq!(seen("$.b", |json| json.exists = false), None);
        assert_eq!(seen("$.a", |json| json.exists = false).unwrap(), "it is an array of 3");
        assert_eq!(seen("$.b", |_| {}).unwrap(), "there is no such node");
    }

    #[test]
    fn a_large_integer_is_not_the_one_beside_it() {
        let is = |text: &str| {
            let number = serde_json::from_str(text).unwrap();
            seen("$.id", |json| json.equals = Some(number))
        };
        assert_eq!(is("9007199254740993"), None);
        assert_eq!(is("9007199254740992").unwrap(), "it is 9007199254740993");
    }

    #[test]
    fn inv_9_a_hostile_document_does_not_make_a_path_run_for_ever() {
        let inner = format!("{}0{}", "[0,".repeat(120), "]".repeat(120));
        let document = Document::read(format!("[{}0]", format!("{inner},").repeat(2_000)).as_bytes()).unwrap();
        for path in ["$..*..*", "$..[?@..*]", "$..*..*..*"] {
            let json = JsonExpect::exists(path.parse().unwrap());
            let mut judged = None;
            let used = allocation_counter::measure(|| judged = Some(judge(&json, &document)));
            assert!(matches!(judged, Some(Judgement::Undecided(_))), "{path}");
            assert!(used.bytes_max < 1_024, "{path}: {} bytes", used.bytes_max);
        }
    }
}
