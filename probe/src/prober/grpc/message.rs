//! PURE: the two messages of the health protocol, framed as gRPC frames them.
//!
//! `HealthCheckRequest { string service = 1 }` and `HealthCheckResponse { ServingStatus status = 1 }`. What a
//! target sends is read to the last byte or not at all; fields that we do not know are passed over.

use std::fmt;

/// The most bytes of an answer, with its frame: the message that we know has two.
pub(super) const MAX_ANSWER_BYTES: usize = 4 << 10;
/// The bytes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// What a service says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
    /// A number that the protocol does not have yet.
    Other(u64),
}

impl Status {
    const fn of(number: u64) -> Self {
        match number {
            0 => Self::Unknown,
            1 => Self::Serving,
            2 => Self::NotServing,
            3 => Self::ServiceUnknown,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("UNKNOWN"),
            Self::Serving => f.write_str("SERVING"),
            Self::NotServing => f.write_str("NOT_SERVING"),
            Self::ServiceUnknown => f.write_str("SERVICE_UNKNOWN"),
            Self::Other(number) => write!(f, "status {number}"),
        }
    }
}

/// The framed question for the health of `service`.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 4);
    if !service.is_empty() {
        message.push(0x0a);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(0);
    framed.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend(message);
    framed
}

/// What `framed`, all that the target sent, says.
///
/// # Errors
/// Why it is not one answer of the health protocol.
pub(super) fn answer(framed: &[u8]) -> Result<Status, &'static str> {
    let [compressed, a, b, c, d, message @ ..] = framed else {
        return Err(if framed.is_empty() { "there is no message" } else { "the message is cut short" });
    };
    if *compressed != 0 {
        return Err("the message is compressed, which was not offered");
    }
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    match message.len().cmp(&length) {
        std::cmp::Ordering::Less => Err("the message is cut short"),
        std::cmp::Ordering::Greater => Err("there is more than one message"),
        std::cmp::Ordering::Equal => status(message),
    }
}

fn status(mut message: &[u8]) -> Result<Status, &'static str> {
    let mut status = Status::Unknown;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let (field, kind) = (key >> 3, key & 7);
        match kind {
            _ if field == 0 => return Err("a field has no number"),
            0 => {
                let value = varint(&mut message)?;
                if field == 1 {
                    status = Status::of(value);
                }
            }
            _ if field == 1 => return Err("the status is not a number"),
            1 => skip(&mut message, 8)?,
            2 => {
                let length = varint(&mut message)?;
                skip(&mut message, usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            5 => skip(&mut message, 4)?,
            _ => return Err("a field is of no known type"),
        }
    }
    Ok(status)
}

fn skip(message: &mut &[u8], bytes: usize) -> Result<(), &'static str> {
    *message = message.get(bytes..).ok_or("a field is cut short")?;
    Ok(())
}

fn varint(message: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte, rest @ ..] = message else { return Err("a number is cut short") };
        *message = rest;
        // Of the tenth byte only one bit has room.
        if shift == 63 && 1 < *byte {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too large")
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while 0x7f < value {
        message.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    message.push(value.to_le_bytes()[0]);
}

/// `grpc-message` as people read it: percent-encoded UTF-8, and what is not stands as it is.
pub(super) fn unescaped(text: &[u8]) -> String {
    let digit = |at: usize| text.get(at).and_then(|byte| u8::try_from(char::from(*byte).to_digit(16)?).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                at += 3;
            }
            _ => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    }

    #[test]
    fn a_question_is_framed_and_names_its_service() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("shop"), [0, 0, 0, 0, 6, 0x0a, 4, b's', b'h', b'o', b'p']);
        let long = request(&"x".repeat(200));
        assert_eq!(long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
    }

    #[test]
    fn answers_and_what_is_none() {
        let table: [(&[u8], Result<Status, &str>); 12] = [
            (&[], Ok(Status::Unknown)),
            (&[8, 1], Ok(Status::Serving)),
            (&[8, 2], Ok(Status::NotServing)),
            (&[8, 3], Ok(Status::ServiceUnknown)),
            (&[8, 9], Ok(Status::Other(9))),
            (&[8, 2, 8, 1], Ok(Status::Serving)),
            (&[0x12, 2, 8, 2, 8, 1, 0x1d, 1, 2, 3, 4], Ok(Status::Serving)),
            (&[8], Err("a number is cut short")),
            (&[0x12, 200, 1, 0], Err("a field is cut short")),
            (&[0x0a, 1, 1], Err("the status is not a number")),
            (&[0x13], Err("a field is of no known type")),
            (&[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], Err("a number is too large")),
        ];
        for (message, wanted) in table {
            assert_eq!(answer(&framed(message)), wanted, "{message:?}");
        }
        assert_eq!(answer(&[]), Err("there is no message"));
        assert_eq!(answer(&[0, 0, 0]), Err("the message is cut short"));
        assert_eq!(answer(&[1, 0, 0, 0, 0]), Err("the message is compressed, which was not offered"));
        assert_eq!(answer(&[framed(&[8, 1]), framed(&[8, 1])].concat()), Err("there is more than one message"));
    }

    #[test]
    fn a_message_of_the_target_is_unescaped_where_it_is_escaped() {
        for (escaped, text) in
            [("no%20way", "no way"), ("%C3%BC", "ü"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(unescaped(escaped.as_bytes()), text);
        }
    }

    /// A field that is not the status, well formed.
    fn stranger(field: u8, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let (field, bytes) = (u64::from(field) + 2, &bytes[..bytes.len().min(300)]);
        let mut message = Vec::new();
        let mut key = |kind| put_varint(&mut message, field << 3 | kind);
        match kind % 4 {
            0 => {
                key(0);
                put_varint(&mut message, bytes.len() as u64 * 1_000_003);
            }
            1 => {
                key(1);
                message.extend([7; 8]);
            }
            2 => {
                key(2);
                put_varint(&mut message, bytes.len() as u64);
                message.extend(bytes);
            }
            _ => {
                key(5);
                message.extend([7; 4]);
            }
        }
        message
    }

    #[test]
    fn fuzz_an_answer_is_read_whole_or_refused_whatever_surrounds_the_status() {
        bolero::check!().with_type::<(Vec<u8>, u64, Vec<(u8, u8, Vec<u8>)>, u16)>().for_each(
            |(noise, number, strangers, cut)| {
                // Whatever comes: no more than a verdict, and nothing of what is cut off is missed.
                if answer(noise).is_ok() {
                    assert!((0..noise.len()).all(|end| answer(&noise[..end]).is_err()), "{noise:?}");
                }
                let mut message = vec![8];
                put_varint(&mut message, *number);
                for (index, (field, kind, bytes)) in strangers.iter().take(8).enumerate() {
                    let stranger = stranger(*field, *kind, bytes);
                    message = if index % 2 == 0 { [stranger, message].concat() } else { [message, stranger].concat() };
                }
                let whole = framed(&message);
                assert_eq!(answer(&whole), Ok(Status::of(*number)));
                let cut = usize::from(*cut) % whole.len();
                assert!(answer(&whole[..cut]).is_err());
            },
        );
    }

    #[test]
    fn fuzz_what_is_escaped_comes_back() {
        bolero::check!().with_type::<(String, Vec<u8>)>().for_each(|(text, noise)| {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            assert_eq!(&unescaped(escaped.as_bytes()), text);
            let _any_bytes_are_some_text = unescaped(noise);
        });
    }
}
