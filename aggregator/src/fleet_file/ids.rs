//! The ids that a file defines: each once, and every reference to one that is there.
//!
//! Known before any element is read, so that a reference to an element with an error of its own is good.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use nines_shared::spelling;

use super::reader::{Table, Value};

/// The ids of everything that others refer to.
#[derive(Debug)]
pub(super) struct Declared<'a> {
    pub(super) regions: Ids<'a>,
    pub(super) customers: Ids<'a>,
    pub(super) services: Ids<'a>,
    pub(super) checks: Ids<'a>,
    pub(super) channels: Ids<'a>,
}

/// The id of `table`'s own element. What is wrong with it was noted when the ids were gathered.
pub(super) fn own_id<T: FromStr>(table: &Table<'_>) -> Option<T> {
    table.get("id")?.peek()?.parse().ok()
}

/// The ids of one kind of element, with where each is defined.
#[derive(Debug)]
pub(super) struct Ids<'a> {
    element: &'static str,
    defined: BTreeMap<&'a str, Range<usize>>,
}

impl<'a> Ids<'a> {
    /// The ids of `elements`, all `[[element]]`; one that is missing, wrong or taken is noted.
    pub(super) fn of<T: FromStr<Err: Display>>(element: &'static str, elements: &[Table<'a>]) -> Self {
        let mut ids = Self { element, defined: BTreeMap::new() };
        for table in elements {
            let Some(value) = table.need("id", "write id = \"…\" of a-z, 0-9 and -; history hangs on it") else {
                continue;
            };
            let (Some(text), Some(_)) = (value.text(), value.parse::<T>()) else { continue };
            if let Some(first) = ids.defined.get(text) {
                let line = table.notes.line_of(first.start);
                let mend = "an id names one thing for ever; give this one another".to_owned();
                table.notes.error(
                    &value.spot,
                    format!("{element} {text} is defined already, in line {line}"),
                    Some(mend),
                );
            } else {
                ids.defined.insert(text, value.spot.span.clone());
            }
        }
        ids
    }

    /// The id that `value` refers to.
    pub(super) fn find<T: FromStr<Err: Display>>(&self, value: &Value<'a>) -> Option<T> {
        let id = value.parse::<T>()?;
        let text = value.text()?;
        if self.defined.contains_key(text) {
            return Some(id);
        }
        let mend = match spelling::closest(text, self.defined.keys().copied()) {
            Some(known) => format!("did you mean {known}?"),
            None => format!("define it: [[{}]] id = {text:?}", self.element),
        };
        value.notes.error(&value.spot, format!("there is no {} {text}", self.element), Some(mend));
        None
    }

    /// All of them, sorted.
    pub(super) fn all<T: FromStr>(&self) -> Vec<T> {
        self.defined.keys().filter_map(|id| id.parse().ok()).collect()
    }
}
