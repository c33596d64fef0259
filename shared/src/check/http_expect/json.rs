//! Conditions on the nodes that a JSONPath selects.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::pattern::{JsonPath, Regex};

/// What the nodes that a JSONPath selects must be. With no condition there must be one.
///
/// Conditions are joined by *and*: one node must meet all of them, or every node where `every` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonExpect {
    /// Which nodes.
    pub path: JsonPath,
    /// It is this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// It is another value than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Value>,
    /// It is a number above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Number>,
    /// It is this number or one above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Number>,
    /// It is a number below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Number>,
    /// It is this number or one below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Number>,
    /// It is a text with this in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// It is a text that matches this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Regex>,
    /// Every node must meet the conditions, and not only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every: bool,
    /// How many nodes there must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Range>,
    /// `false`: there must be none.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub exists: bool,
}

const fn yes() -> bool {
    true
}

impl JsonExpect {
    /// That there is a node at `path`.
    pub fn exists(path: JsonPath) -> Self {
        Self {
            path,
            equals: None,
            not_equals: None,
            above: None,
            at_least: None,
            below: None,
            at_most: None,
            contains: None,
            matches: None,
            every: false,
            count: None,
            exists: true,
        }
    }

    /// Whether there is a condition that a node can meet or not.
    pub fn is_of_values(&self) -> bool {
        let values = self.equals.is_some() || self.not_equals.is_some();
        let numbers = [&self.above, &self.at_least, &self.below, &self.at_most].iter().any(|bound| bound.is_some());
        values || numbers || self.contains.is_some() || self.matches.is_some()
    }

    /// Whether `node` meets every condition on a value.
    pub fn is_met_by(&self, node: &Value) -> bool {
        let order = |bound: &Option<Number>, wanted: fn(Ordering) -> bool| {
            bound.as_ref().is_none_or(|bound| match node {
                Value::Number(number) => exact_order(number, bound).is_some_and(wanted),
                Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => false,
            })
        };
        self.equals.as_ref().is_none_or(|wanted| same_json(wanted, node))
            && self.not_equals.as_ref().is_none_or(|unwanted| !same_json(unwanted, node))
            && order(&self.above, Ordering::is_gt)
            && order(&self.at_least, Ordering::is_ge)
            && order(&self.below, Ordering::is_lt)
            && order(&self.at_most, Ordering::is_le)
            && self.contains.as_ref().is_none_or(|part| node.as_str().is_some_and(|text| text.contains(part)))
            && self
                .matches
                .as_ref()
                .is_none_or(|pattern| node.as_str().is_some_and(|text| pattern.is_match(text.as_bytes())))
    }

    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        const KEY: &str = "http.expect.json";
        if let Some(count) = self.count {
            count.errors(KEY, push);
        }
        if !self.exists && (self.is_of_values() || self.every || self.count.is_some()) {
            push(KEY, format!("exists = false says that nothing is at {}; leave out the other conditions", self.path));
        }
        if self.every && !self.is_of_values() {
            push(KEY, format!("every node at {} must meet a condition, and there is none; add one", self.path));
        }
    }
}

impl fmt::Display for JsonExpect {
    /// `json $.items[*] is above 3 and at most 9, every one`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "json {}", self.path)?;
        let mut word = "";
        let mut say = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            let said = write!(f, "{word} {text}");
            word = " and";
            said
        };
        if !self.exists {
            say(f, format_args!("is not there"))?;
        } else if !self.is_of_values() && self.count.is_none() {
            say(f, format_args!("is there"))?;
        }
        if let Some(count) = self.count {
            say(f, format_args!("selects {count}"))?;
        }
        if let Some(value) = &self.equals {
            say(f, format_args!("is {value}"))?;
        }
        if let Some(value) = &self.not_equals {
            say(f, format_args!("is not {value}"))?;
        }
        for (bound, words) in [
            (&self.above, "is above"),
            (&self.at_least, "is at least"),
            (&self.below, "is below"),
            (&self.at_most, "is at most"),
        ] {
            if let Some(bound) = bound {
                say(f, format_args!("{words} {bound}"))?;
            }
        }
        if let Some(part) = &self.contains {
            say(f, format_args!("contains {part:?}"))?;
        }
        if let Some(pattern) = &self.matches {
            say(f, format_args!("matches /{pattern}/"))?;
        }
        if self.every { write!(f, ", every one") } else { Ok(()) }
    }
}

/// A whole number's range, both ends in it. On the wire and in files one number, or `min` and `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Not less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// Not more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

impl Range {
    /// Exactly `number`.
    pub const fn exactly(number: u64) -> Self {
        Self { min: Some(number), max: Some(number) }
    }

    /// Whether `number` is within.
    pub fn contains(self, number: u64) -> bool {
        self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max)
    }

    pub(super) fn errors(self, key: &'static str, push: &mut impl FnMut(&'static str, String)) {
        match (self.min, self.max) {
            (None, None) => push(key, "has no bound; write min, max or both".to_owned()),
            (Some(min), Some(max)) if max < min => push(key, format!("min {min} is above max {max}")),
            _ => {}
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => write!(f, "{min}"),
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => write!(f, "any number"),
        }
    }
}

/// Whether two JSON values are the same. Numbers are the same where their values are: 1 is 1.0.
pub fn same_json(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => exact_order(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_json(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same_json(one, other)))
        }
        (one, other) => one == other,
    }
}

/// The order of two JSON numbers, exactly: an integer is never rounded to a float to be compared. Integers
/// beyond 64 bits were rounded when they were read. `None` only where one is not a number at all.
pub fn exact_order(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(whole), None) => against_float(whole, other.as_f64()?),
        (None, Some(whole)) => against_float(whole, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// The order of an integer of at most 65 bits and a float.
fn against_float(whole: i128, float: f64) -> Option<Ordering> {
    const BEYOND: f64 = 36_893_488_147_419_103_232.0; // 2^65
    if float.is_nan() {
        return None;
    }
    if BEYOND <= float {
        return Some(Ordering::Less);
    }
    if float <= -BEYOND {
        return Some(Ordering::Greater);
    }
    let floor = float.floor();
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^65")]
    let order = whole.cmp(&(floor as i128));
    Some(order.then(if floor < float { Ordering::Less } else { Ordering::Equal }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_compared_without_rounding() {
        for (one, order, other) in [
            ("9007199254740993", Ordering::Greater, "9007199254740992.0"),
            ("9007199254740992", Ordering::Equal, "9007199254740992.0"),
            ("18446744073709551615", Ordering::Less, "18446744073709551616.0"),
            ("-9223372036854775808", Ordering::Equal, "-9223372036854775808.0"),
            ("1", Ordering::Equal, "1.0"),
            ("1", Ordering::Less, "1.5"),
            ("-1", Ordering::Greater, "-1.5"),
            ("0", Ordering::Equal, "-0.0"),
            ("3", Ordering::Less, "1e300"),
            ("3", Ordering::Greater, "-1e300"),
            ("0.1", Ordering::Equal, "0.1"),
        ] {
            assert_eq!(exact_order(&number(one), &number(other)), Some(order), "{one} and {other}");
            assert_eq!(exact_order(&number(other), &number(one)), Some(order.reverse()), "{other} and {one}");
        }
    }

    proptest! {
        #[test]
        fn integers_are_ordered_as_integers_are(one: i64, other: u64) {
            let order = i128::from(one).cmp(&i128::from(other));
            prop_assert_eq!(exact_order(&one.into(), &other.into()), Some(order));
        }

        #[test]
        fn an_integer_is_between_its_neighbours_as_floats(whole in -(1_i64 << 50)..(1 << 50)) {
            #[expect(clippy::cast_precision_loss, reason = "50 bits fit")]
            let float = whole as f64;
            let number = |float| Number::from_f64(float).unwrap();
            prop_assert_eq!(exact_order(&whole.into(), &number(float)), Some(Ordering::Equal));
            prop_assert_eq!(exact_order(&whole.into(), &number(float + 0.25)), Some(Ordering::Less));
            prop_assert_eq!(exact_order(&whole.into(), &number(float - 0.25)), Some(Ordering::Greater));
        }
    }

    #[test]
    fn the_same_value_is_the_same_however_its_numbers_are_written() {
        assert!(same_json(&json!({"a": [1, 2.0]}), &json!({"a": [1.0, 2]})));
        assert!(!same_json(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(!same_json(&json!("1"), &json!(1)));
    }

    #[test]
    fn conditions_are_joined_by_and() {
        let mut expect = JsonExpect::exists("$.a".parse().unwrap());
        assert!(!expect.is_of_values());
        expect.at_least = Some(3.into());
        expect.below = Some(5.into());
        let met: Vec<i32> = (0..9).filter(|n| expect.is_met_by(&json!(n))).collect();
        assert_eq!(met, [3, 4]);
        assert!(!expect.is_met_by(&json!("4")));
        assert_eq!(expect.to_string(), "json $.a is at least 3 and is below 5");
        expect.every = true;
        assert_eq!(expect.to_string(), "json $.a is at least 3 and is below 5, every one");
        expect.count = Some(Range { min: Some(1), max: None });
        assert!(expect.to_string().starts_with("json $.a selects at least 1 and is at least 3"));
    }

    #[test]
    fn texts_are_found_in_texts_only() {
        let mut expect = JsonExpect::exists("$.a".parse().unwrap());
        expect.contains = Some("1".to_owned());
        assert!(expect.is_met_by(&json!("a1b")) && !expect.is_met_by(&json!(1)));
        expect.matches = Some("^b".parse().unwrap());
        assert!(!expect.is_met_by(&json!("a1b")) && expect.is_met_by(&json!("b1")));
        expect.not_equals = Some(json!("b1"));
        assert!(!expect.is_met_by(&json!("b1")));
    }

    #[test]
    fn conditions_that_contradict_are_refused() {
        let errors = |change: fn(&mut JsonExpect)| {
            let mut expect = JsonExpect::exists("$.a".parse().unwrap());
            change(&mut expect);
            let mut count = 0;
            expect.errors(&mut |_key, _mend| count += 1);
            count
        };
        assert_eq!(errors(|_| {}), 0);
        assert_eq!(errors(|e| e.exists = false), 0);
        assert_eq!(errors(|e| (e.exists, e.contains) = (false, Some(String::new()))), 1);
        assert_eq!(errors(|e| e.every = true), 1);
        assert_eq!(errors(|e| e.count = Some(Range { min: Some(2), max: Some(1) })), 1);
    }

    #[test]
    fn what_uses_nothing_new_is_written_as_before() {
        let mut expect = JsonExpect::exists("$.a".parse().unwrap());
        assert_eq!(serde_json::to_string(&expect).unwrap(), r#"{"path":"$.a"}"#);
        expect.exists = false;
        let written = serde_json::to_string(&expect).unwrap();
        assert_eq!(serde_json::from_str::<JsonExpect>(&written).unwrap(), expect);
    }
}
