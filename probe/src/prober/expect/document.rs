//! A body as a JSON document, bounded in depth and memory before it is built.

use nines_shared::pattern::{Census, MAX_JSON_DEPTH};
use serde_json::Value;

/// About how many bytes a document may take in memory. An object of seven bytes takes six hundred.
pub(super) const MAX_DOCUMENT_BYTES: usize = 32 << 20;
/// Bytes of a value beside others in a growing array.
const VALUE_BYTES: usize = 64;
/// Bytes of an object's first node.
const OBJECT_BYTES: usize = 640;

/// A document, and how many values it has at each depth.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Value,
    pub(super) census: Census,
}

/// Why there is no document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// With what is wrong with it.
    NotJson(String),
    /// It may be JSON, and is beyond the limit that is told.
    TooLarge(String),
}

impl Document {
    /// The document that `bytes` are.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unread> {
        let census = survey(bytes)?;
        let root = serde_json::from_slice(bytes).map_err(|error| Unread::NotJson(error.to_string()))?;
        Ok(Self { root, census })
    }
}

/// Counts the values of a document without building it: never too few of what is JSON.
fn survey(bytes: &[u8]) -> Result<Census, Unread> {
    let mut census = Census::default();
    census.0[1] = 1;
    let (mut depth, mut memory) = (0, 0_usize);
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => skip_text(&mut rest),
            b'[' | b'{' if depth == MAX_JSON_DEPTH => {
                return Err(Unread::TooLarge(format!("the document is nested deeper than {MAX_JSON_DEPTH} levels")));
            }
            b'[' | b'{' => {
                depth += 1;
                census.0[depth + 1] += 1;
                memory += VALUE_BYTES + if *byte == b'{' { OBJECT_BYTES } else { 0 };
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                census.0[depth + 1] += 1;
                memory += VALUE_BYTES;
            }
            _ => {}
        }
        if MAX_DOCUMENT_BYTES < memory {
            let seen =
                format!("the document has too many values: they would take {MAX_DOCUMENT_BYTES} bytes of memory");
            return Err(Unread::TooLarge(seen));
        }
    }
    Ok(census)
}

fn skip_text(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => drop(rest.next()),
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_where_they_lie() {
        let document = Document::read(br#" {"a,[{": [1, 2, []], "b\"[": {"c": null}} "#).unwrap();
        // The root; two entries; three items and one entry; the empty array counts as if it had an item.
        assert_eq!(document.census.0[..6], [0, 1, 2, 4, 1, 0]);
    }

    #[test]
    fn inv_9_a_document_is_refused_before_it_takes_memory() {
        let bodies = ["[".repeat(1 << 20), format!("[{}]", "{\"\":0},".repeat(150_000)), "[0,0".repeat(400_000)];
        for body in bodies {
            let mut read = None;
            let used = allocation_counter::measure(|| read = Some(Document::read(body.as_bytes())));
            assert!(matches!(read, Some(Err(Unread::TooLarge(_)))), "{}", &body[..10]);
            assert!(used.bytes_max < 4_096, "{} bytes", used.bytes_max);
        }
    }

    #[test]
    fn a_document_within_the_limit_takes_no_more_memory_than_it_says() {
        let objects = format!("[{}0]", "{\"\":0},".repeat(40_000));
        let numbers = format!("[{}0]", "0,".repeat(400_000));
        for body in [objects, numbers] {
            let used = allocation_counter::measure(|| drop(Document::read(body.as_bytes()).unwrap()));
            assert!(used.bytes_max <= MAX_DOCUMENT_BYTES as u64, "{} bytes", used.bytes_max);
        }
    }

    #[test]
    fn as_deep_as_may_be_is_read() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Document::read(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert!(matches!(Document::read(nested(MAX_JSON_DEPTH + 1).as_bytes()), Err(Unread::TooLarge(_))));
        assert!(matches!(Document::read(b"<html>"), Err(Unread::NotJson(_))));
        assert!(matches!(Document::read(b"]]]],,,"), Err(Unread::NotJson(_))));
    }
}
