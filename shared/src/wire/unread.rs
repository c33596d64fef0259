//! The checks that a probe names as not understood, as they are read: no more of them than anybody looks at.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

use super::MAX_UNREAD;
use crate::id::CheckId;

/// The first [`MAX_UNREAD`] of them. What follows is passed over: a list that packs into next to nothing must not
/// become one that fills the memory.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CheckId>, D::Error> {
    deserializer.deserialize_seq(First)
}

struct First;

impl<'de> Visitor<'de> for First {
    type Value = Vec<CheckId>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of ids of checks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut first = Vec::new();
        while first.len() < MAX_UNREAD {
            match list.next_element()? {
                Some(id) => first.push(id),
                None => return Ok(first),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn inv_9_of_checks_not_understood_no_more_are_read_than_a_probe_may_name() {
        let health = |ids: usize| {
            let ids = (0..ids).map(|no| format!("\"check-{no}\"")).collect::<Vec<_>>().join(",");
            serde_json::from_str::<Health>(&format!("{{\"unread\":[{ids}],\"held\":7}}")).unwrap()
        };
        assert_eq!(health(2).unread, ["check-0".parse().unwrap(), "check-1".parse().unwrap()]);
        assert_eq!(health(MAX_UNREAD).unread.len(), MAX_UNREAD);
        let many = health(200_000);
        assert_eq!((many.unread.len(), many.held), (MAX_UNREAD, 7), "and what comes after them is read");
        assert_eq!(serde_json::from_str::<Health>("{}").unwrap().unread, []);
    }
}
