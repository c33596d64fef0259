//! Neighbours in version understand each other. `frozen/DATE/` holds what programs of that day wrote, byte for byte.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::*;
use crate::sample::{Outcome, Reason};

const DAYS: [&str; 2] = ["2026-11-22", "2026-11-23"];

macro_rules! frozen {
    ($day:literal, $name:literal) => {
        include_str!(concat!("frozen/", $day, "/", $name, ".json"))
    };
}

/// What was said on a day, by the message's name.
fn said(day: &str) -> Vec<(&'static str, &'static str)> {
    match day {
        "2026-11-22" => vec![
            ("assignment", frozen!("2026-11-22", "assignment")),
            ("batch", frozen!("2026-11-22", "batch")),
            ("ack", frozen!("2026-11-22", "ack")),
            ("refusal", frozen!("2026-11-22", "refusal")),
            ("join_request", frozen!("2026-11-22", "join_request")),
            ("join_response", frozen!("2026-11-22", "join_response")),
        ],
        "2026-11-23" => vec![
            ("assignment", frozen!("2026-11-23", "assignment")),
            ("batch", frozen!("2026-11-23", "batch")),
            ("ack", frozen!("2026-11-23", "ack")),
            ("refusal", frozen!("2026-11-23", "refusal")),
            ("join_request", frozen!("2026-11-23", "join_request")),
            ("join_response", frozen!("2026-11-23", "join_response")),
            ("asks", frozen!("2026-11-23", "asks")),
            ("renew_request", frozen!("2026-11-23", "renew_request")),
            ("renew_response", frozen!("2026-11-23", "renew_response")),
        ],
        other => panic!("nothing was kept of {other}"),
    }
}

/// Reads `text` as the message called `name`, and says it again.
fn again(name: &str, text: &str) -> Value {
    fn of<T: DeserializeOwned + Serialize>(text: &str) -> Value {
        serde_json::to_value(serde_json::from_str::<T>(text).unwrap_or_else(|error| panic!("{error}: {text}"))).unwrap()
    }
    match name {
        "assignment" => of::<Assignment>(text),
        "batch" => of::<Batch>(text),
        "ack" => of::<Ack>(text),
        "refusal" => of::<Refusal>(text),
        "join_request" => of::<JoinRequest>(text),
        "join_response" => of::<JoinResponse>(text),
        "asks" => of::<Asks>(text),
        "renew_request" => of::<RenewRequest>(text),
        "renew_response" => of::<RenewResponse>(text),
        other => panic!("there is no message {other}"),
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What `old` has and `new` has not, or has with another value.
fn missing(old: &Value, new: &Value, place: &str, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, old) in old {
                missing(old, new.get(key).unwrap_or(&Value::Null), &format!("{place}.{key}"), found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                missing(old, new, &format!("{place}[{index}]"), found);
            }
        }
        (old, new) if old == new => {}
        (_, _) => found.push(place.to_owned()),
    }
}

#[test]
fn what_was_ever_said_is_read_and_an_older_reader_finds_all_of_it_in_what_is_said_now() {
    for day in DAYS {
        for (name, text) in said(day) {
            let mut gone = Vec::new();
            missing(&value(text), &again(name, text), name, &mut gone);
            assert_eq!(gone, [""; 0], "of {day}");
        }
    }
}

/// Readers of checks refuse what they do not know, so that no expectation is ever passed over; those of before must be
/// able to read every check that asks for nothing new.
#[test]
fn a_check_and_a_sample_that_use_nothing_new_are_written_as_ever() {
    for day in DAYS {
        for (name, list) in [("assignment", "checks"), ("batch", "samples")] {
            let text = said(day).into_iter().find(|(said, _)| *said == name).unwrap().1;
            let now = again(name, text);
            assert!(!value(text)[list].as_array().unwrap().is_empty());
            assert_eq!(value(text)[list], now[list], "of {day}");
        }
    }
}

#[test]
fn the_last_version_but_this_one_reads_every_message_that_has_nothing_new_byte_for_byte() {
    let health = |text: &str| {
        let mut batch: Batch = serde_json::from_str(text).unwrap();
        (batch.health.assignment, batch.health.checks, batch.health.unread) = (0, None, Vec::new());
        serde_json::to_string(&batch).unwrap()
    };
    let text = frozen!("2026-11-23", "batch");
    assert_eq!(health(text), text);
    let text = frozen!("2026-11-23", "assignment");
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Assignment>(text).unwrap()).unwrap(), text);
}

/// Puts a key that nobody knows into `object` and every object in it, except in checks, samples and their evidence.
fn with_something_new(object: &mut Map<String, Value>) {
    for (key, inner) in object.iter_mut().filter(|(key, _)| *key != "checks" && *key != "secrets") {
        if let Value::Object(inner) = inner {
            with_something_new(inner);
        } else if let Value::Array(list) = inner
            && key != "hops"
        {
            list.iter_mut().filter_map(Value::as_object_mut).for_each(with_something_new);
        }
    }
    object.insert("something_new".to_owned(), serde_json::json!({ "of": ["tomorrow"] }));
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    for (name, text) in said(DAYS[1]) {
        let mut later = value(text);
        with_something_new(later.as_object_mut().unwrap());
        assert_ne!(later, value(text));
        assert_eq!(again(name, &later.to_string()), again(name, text), "{name}");
    }
}

#[test]
fn a_reason_of_a_later_version_is_kept_as_it_is() {
    let mut later = value(frozen!("2026-11-23", "batch"));
    later["samples"][1]["reason"] = "struck_by_lightning".into();
    let batch: Batch = serde_json::from_value(later).unwrap();
    assert_eq!(batch.samples[1].outcome, Outcome::Down);
    assert_eq!(batch.samples[1].reason.as_ref().map(Reason::code), Some("struck_by_lightning"));
}

#[test]
fn what_the_first_version_did_not_say_has_a_meaning() {
    let assignment: Assignment = serde_json::from_str(frozen!("2026-11-22", "assignment")).unwrap();
    assert_eq!((assignment.version, assignment.probe, assignment.secrets.is_empty()), (0, None, true));
    let batch: Batch = serde_json::from_str(frozen!("2026-11-22", "batch")).unwrap();
    assert_eq!((batch.health.held, batch.health.checks, batch.health.unread), (0, None, Vec::new()));
}
