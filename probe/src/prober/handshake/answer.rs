//! PURE: the answer to a hello of our own: a ServerHello or an alert, however it is cut into records and reads.
//!
//! At most [`MAX_ANSWER`] bytes are looked at, and of a ServerHello no more than [`MAX_HELLO`] are kept.

use nines_shared::check::CipherSuite;

/// The most bytes of an answer, with all that comes before its ServerHello.
pub(super) const MAX_ANSWER: usize = 64 << 10;
/// The largest ServerHello. Real ones have some hundred bytes.
const MAX_HELLO: usize = 16 << 10;
/// The largest record (RFC 8446 §5.1).
const MAX_RECORD: usize = 1 << 14;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;

/// What a target answers to a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It would go on with this version and cipher suite.
    Takes {
        /// The version's number.
        version: u16,
        /// The cipher suite chosen.
        cipher: CipherSuite,
    },
    /// It refuses with this alert.
    Alert(u8),
    /// It ends the connection without a word.
    Closed,
}

/// Reads an answer as it comes.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// What came and is not a whole record yet.
    pending: Vec<u8>,
    /// The handshake messages so far, out of their records.
    handshake: Vec<u8>,
    /// The alert so far.
    alert: Vec<u8>,
    taken: usize,
}

impl Reader {
    /// Takes what came next. The answer, where that was the end of it.
    ///
    /// # Errors
    /// How it breaks the rules of TLS.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Option<Answer>, &'static str> {
        self.taken = self.taken.saturating_add(bytes.len());
        if MAX_ANSWER < self.taken {
            return Err("the answer to a hello does not end");
        }
        self.pending.extend_from_slice(bytes);
        loop {
            let Some(Record { kind, fragment, length }) = record(&self.pending)? else { return Ok(None) };
            let answer = match kind {
                ALERT => {
                    self.alert.extend_from_slice(fragment);
                    alerts(&mut self.alert)
                }
                HANDSHAKE => {
                    self.handshake.extend_from_slice(fragment);
                    server_hello(&self.handshake)?
                }
                _ => return Err("a record before the ServerHello that is neither of the handshake nor an alert"),
            };
            if answer.is_some() {
                return Ok(answer);
            }
            self.pending.drain(..length);
        }
    }
}

/// A whole record; its length is that of all of it.
struct Record<'b> {
    kind: u8,
    fragment: &'b [u8],
    length: usize,
}

/// The first record of `bytes`, where it is whole.
fn record(bytes: &[u8]) -> Result<Option<Record<'_>>, &'static str> {
    if let [kind, ..] = bytes
        && !(20..=24).contains(kind)
    {
        return Err("the answer to a hello is not TLS");
    }
    let [kind, major, _minor, high, low, rest @ ..] = bytes else { return Ok(None) };
    if *major != 3 {
        return Err("the answer to a hello is not TLS");
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if MAX_RECORD < length {
        return Err("a record larger than TLS allows");
    }
    if length == 0 {
        return Err("an empty record in the handshake");
    }
    Ok(rest.get(..length).map(|fragment| Record { kind: *kind, fragment, length: 5 + length }))
}

/// The refusal in `alerts`, if there is one: warnings, but for the end, are not.
fn alerts(alerts: &mut Vec<u8>) -> Option<Answer> {
    const WARNING: u8 = 1;
    const CLOSE_NOTIFY: u8 = 0;
    while let [level, description, ..] = alerts[..] {
        match (level, description) {
            (WARNING, CLOSE_NOTIFY) => return Some(Answer::Closed),
            (WARNING, _) => drop(alerts.drain(..2)),
            _ => return Some(Answer::Alert(description)),
        }
    }
    None
}

/// What the ServerHello says that `message` begins with, where it is whole.
fn server_hello(message: &[u8]) -> Result<Option<Answer>, &'static str> {
    const BROKEN: &str = "a ServerHello whose lengths do not add up";
    let [kind, high, middle, low, body @ ..] = message else { return Ok(None) };
    if *kind != SERVER_HELLO {
        return Err("another message where the ServerHello should be");
    }
    let length = usize::try_from(u32::from_be_bytes([0, *high, *middle, *low])).unwrap_or(usize::MAX);
    if MAX_HELLO < length {
        return Err("a ServerHello larger than any");
    }
    let Some(body) = body.get(..length) else { return Ok(None) };
    let mut rest = body;
    let mut version = number(&mut rest).ok_or(BROKEN)?;
    let _random = cut(&mut rest, 32).ok_or(BROKEN)?;
    let session = cut(&mut rest, 1).and_then(|length| cut(&mut rest, usize::from(length[0]))).ok_or(BROKEN)?;
    let cipher = CipherSuite(number(&mut rest).ok_or(BROKEN)?);
    let compression = cut(&mut rest, 1).ok_or(BROKEN)?;
    if 32 < session.len() || compression != [0] || version >> 8 != 3 {
        return Err("a ServerHello with values that were not offered");
    }
    if !rest.is_empty() {
        let mut extensions = number(&mut rest).and_then(|length| cut(&mut rest, usize::from(length))).ok_or(BROKEN)?;
        if !rest.is_empty() {
            return Err(BROKEN);
        }
        while !extensions.is_empty() {
            let kind = number(&mut extensions).ok_or(BROKEN)?;
            let length = number(&mut extensions).ok_or(BROKEN)?;
            let mut value = cut(&mut extensions, usize::from(length)).ok_or(BROKEN)?;
            if kind == SUPPORTED_VERSIONS {
                version = number(&mut value).ok_or(BROKEN)?;
            }
        }
    }
    Ok(Some(Answer::Takes { version, cipher }))
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    cut(rest, 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn cut<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (first, others) = rest.split_at_checked(length)?;
    *rest = others;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ServerHello of `version` with `cipher`, as handshake bytes.
    fn message(version: u16, cipher: u16, extensions: &[u8]) -> Vec<u8> {
        let mut body = version.min(0x0303).to_be_bytes().to_vec();
        body.extend_from_slice(&[9; 32]);
        body.push(0);
        body.extend_from_slice(&cipher.to_be_bytes());
        body.push(0);
        if !extensions.is_empty() {
            body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
            body.extend_from_slice(extensions);
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[SERVER_HELLO], &length[1..], &body].concat()
    }

    fn records(kind: u8, bytes: &[u8], size: usize) -> Vec<u8> {
        let wrap = |part: &[u8]| [&[kind, 3, 3][..], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
        bytes.chunks(size).flat_map(wrap).collect()
    }

    fn whole(bytes: &[u8]) -> Result<Option<Answer>, &'static str> {
        Reader::default().take(bytes)
    }

    #[test]
    fn a_server_hello_is_read_however_it_is_cut() {
        let tls13 = message(0x0303, 0x1301, &[0, 43, 0, 2, 3, 4]);
        let wanted = Some(Answer::Takes { version: 0x0304, cipher: CipherSuite(0x1301) });
        for size in 1..tls13.len() {
            let sent = records(HANDSHAKE, &tls13, size);
            assert_eq!(whole(&sent), Ok(wanted), "records of {size}");
            let mut reader = Reader::default();
            let read: Vec<_> = sent.iter().map(|byte| reader.take(&[*byte]).unwrap()).collect();
            assert_eq!(read.last(), Some(&wanted), "byte by byte");
            assert!(read[..read.len() - 1].iter().all(Option::is_none));
        }
        let with_more = [message(0x0301, 0x002f, &[]), vec![11, 0, 0, 0]].concat();
        let wanted = Ok(Some(Answer::Takes { version: 0x0301, cipher: CipherSuite(0x002f) }));
        assert_eq!(whole(&records(HANDSHAKE, &with_more, 16_384)), wanted, "coalesced with what follows");
    }

    #[test]
    fn a_fatal_alert_refuses_and_a_warning_before_the_hello_does_not() {
        assert_eq!(whole(&records(ALERT, &[2, 70], 2)), Ok(Some(Answer::Alert(70))));
        assert_eq!(whole(&records(ALERT, &[2, 40], 1)), Ok(Some(Answer::Alert(40))), "in two records");
        assert_eq!(whole(&records(ALERT, &[1, 0], 2)), Ok(Some(Answer::Closed)));
        let warned = [records(ALERT, &[1, 112], 2), records(HANDSHAKE, &message(0x0303, 10, &[]), 99)].concat();
        assert!(matches!(whole(&warned), Ok(Some(Answer::Takes { .. }))));
    }

    #[test]
    fn what_breaks_the_rules_is_said_and_never_waited_for() {
        let mut lying = message(0x0303, 10, &[]);
        lying[4 + 34] = 200;
        let table = [
            ("HTTP", b"HTTP/1.1 400 Bad Request\r\n".to_vec()),
            ("SSL 2", vec![22, 2, 0, 0, 1, 0]),
            ("a record too large", vec![22, 3, 3, 0x40, 1]),
            ("an empty record", vec![22, 3, 3, 0, 0]),
            ("a ServerHello of 1 MiB", vec![22, 3, 3, 0, 4, 2, 0x10, 0, 0]),
            ("a certificate first", vec![22, 3, 3, 0, 4, 11, 0, 0, 0]),
            ("data first", vec![23, 3, 3, 0, 1, 0]),
            ("a session id that overlaps", records(HANDSHAKE, &lying, 999)),
            ("extensions that lie", records(HANDSHAKE, &message(0x0303, 10, &[0, 43, 0, 9, 3, 4]), 999)),
        ];
        for (fault, bytes) in table {
            assert!(whole(&bytes).is_err(), "{fault}");
        }
        let warnings = records(ALERT, &[1, 112].repeat(10_000), 2);
        assert_eq!(whole(&warnings), Err("the answer to a hello does not end"));
    }

    #[test]
    fn fuzz_an_answer_reads_the_same_in_whatever_pieces_and_never_grows() {
        bolero::check!().with_type::<(Vec<u8>, u8)>().for_each(|(bytes, size)| {
            let at_once = whole(bytes);
            let mut reader = Reader::default();
            let mut piecewise = Ok(None);
            for piece in bytes.chunks(usize::from(*size).max(1)) {
                piecewise = reader.take(piece);
                assert!(reader.pending.len() + reader.handshake.len() <= 2 * MAX_ANSWER);
                if piecewise != Ok(None) {
                    break;
                }
            }
            assert_eq!(piecewise, at_once);
        });
    }

    #[test]
    fn fuzz_a_server_hello_of_whatever_values_is_read_back_from_whatever_records() {
        let input = bolero::check!().with_type::<(bool, u16, Vec<u8>, u8)>();
        input.for_each(|(new, cipher, extra, size)| {
            let mut extensions = vec![0xfa, 0xfa];
            let extra = &extra[..extra.len().min(200)];
            extensions.extend_from_slice(&u16::try_from(extra.len()).unwrap().to_be_bytes());
            extensions.extend_from_slice(extra);
            if *new {
                extensions.extend_from_slice(&[0, 43, 0, 2, 3, 4]);
            }
            let sent = records(HANDSHAKE, &message(0x0303, *cipher, &extensions), usize::from(*size).max(1));
            let version = if *new { 0x0304 } else { 0x0303 };
            assert_eq!(whole(&sent), Ok(Some(Answer::Takes { version, cipher: CipherSuite(*cipher) })));
        });
    }
}
