//! A signature at the end of a JSON object, over the very bytes before it.
//!
//! ```text
//! {"digest":…,"now":1790000000000}                         the object
//! {"digest":…,"now":1790000000000,"signature":"3045…"}     sealed
//! ```
//!
//! What is signed is [`PURPOSE`] and then the object. So what is sealed stays JSON that whoever knows of no seals reads
//! as before, one file or answer holds all of it, and nobody has to agree on how JSON is written. Owns the form; who
//! signs and who is believed is for the two sides.

use data_encoding::HEXLOWER;

/// What comes before the object where it is signed: a signature of an assignment is one of nothing else. No certificate
/// begins like this.
pub const PURPOSE: &[u8] = b"nines assignment\n";
/// The longest signature, in bytes. ECDSA over P-256 has at most 72.
pub const MAX_SIGNATURE_LEN: usize = 128;

const BEFORE: &[u8] = b",\"signature\":\"";
const AFTER: &[u8] = b"\"}";

/// What was sealed, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What is signed.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// What is to be signed of `object`.
pub fn message(object: &[u8]) -> Vec<u8> {
    [PURPOSE, object].concat()
}

/// `object`, which is a JSON object with at least one key, with its signature.
pub fn seal(mut object: Vec<u8>, signature: &[u8]) -> Vec<u8> {
    object.truncate(object.len().saturating_sub(1));
    object.extend_from_slice(BEFORE);
    object.extend_from_slice(HEXLOWER.encode(signature).as_bytes());
    object.extend_from_slice(AFTER);
    object
}

/// Takes apart what [`seal`] put together; `None` for anything else.
pub fn open(sealed: &[u8]) -> Option<Opened> {
    let inner = sealed.strip_suffix(AFTER)?;
    // From the back, and no further than a signature is long: what comes before may be large, and say anything.
    let longest = BEFORE.len() + 2 * MAX_SIGNATURE_LEN;
    let end = &inner[inner.len().saturating_sub(longest)..];
    let place = inner.len() - end.len() + end.windows(BEFORE.len()).rposition(|bytes| bytes == BEFORE)?;
    let signature = HEXLOWER.decode(&inner[place + BEFORE.len()..]).ok()?;
    let message = [PURPOSE, &inner[..place], b"}"].concat();
    (!signature.is_empty()).then_some(Opened { message, signature })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_sealed_is_json_as_before_with_one_more_key() {
        let sealed = seal(b"{\"now\":1}".to_vec(), &[0x30, 0x45]);
        assert_eq!(sealed, b"{\"now\":1,\"signature\":\"3045\"}");
        let opened = open(&sealed).unwrap();
        assert_eq!(opened, Opened { message: message(b"{\"now\":1}"), signature: vec![0x30, 0x45] });
    }

    #[test]
    fn what_has_no_signature_at_its_end_is_not_sealed() {
        for body in ["", "\"}", "{\"now\":1}", "{\"now\":1,\"signature\":\"30\"} ", "{\"now\":1,\"signature\":\"3\"}"] {
            assert_eq!(open(body.as_bytes()), None, "{body}");
        }
        assert_eq!(open(b"{\"now\":1,\"signature\":\"\"}"), None);
        let long = seal(b"{\"now\":1}".to_vec(), &[7; MAX_SIGNATURE_LEN + 1]);
        assert_eq!(open(&long), None);
    }

    proptest! {
        #[test]
        fn no_byte_can_be_changed_without_the_message_or_the_signature(
            words in "[ -~]{0,40}", signature in proptest::collection::vec(any::<u8>(), 1..72), place in any::<usize>(), bit in 0_u8..8,
        ) {
            let object = serde_json::to_vec(&serde_json::json!({ "words": words, "now": 1 })).unwrap();
            let mut sealed = seal(object.clone(), &signature);
            let opened = open(&sealed).unwrap();
            prop_assert_eq!(&opened.message, &message(&object));
            let place = place % sealed.len();
            sealed[place] ^= 1 << bit;
            prop_assert_ne!(open(&sealed), Some(opened));
        }

        #[test]
        fn anything_can_be_opened_or_not_but_never_breaks(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _opened = open(&body);
        }
    }
}
