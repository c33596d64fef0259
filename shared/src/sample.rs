//! Samples: what one region saw of one check, once.
//!
//! A sample is what is written, shipped, stored, exported and counted; its JSON form is the NDJSON
//! of `docs/METHOD.md`. Identity is (check, region, kind, scheduled_at).

mod evidence;
mod reason;

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

pub use self::evidence::{
    Certificate, DnsEvidence, DnsFlags, DnsServerEvidence, DnssecEvidence, DnssecProof, Evidence, ExpectationEvidence,
    Hop, Judged, MAX_EVIDENCE_BODY_LEN, MAX_EVIDENCE_BYTES, MAX_EVIDENCE_EXPECTATIONS, MAX_EVIDENCE_HEADERS,
    MAX_EVIDENCE_VALUE_LEN, OcspEvidence, Offer, Part, ResponseEvidence, TlsEvidence, Tried,
};
pub use self::reason::{Fault, Reason};
use crate::hash::{fnv1a128, fnv1a128_after};
use crate::id::{CheckId, ProbeId, RegionId};
use crate::time::Timestamp;

/// The longest `detail`, in bytes; [`detail`] cuts there.
pub const MAX_DETAIL_LEN: usize = 512;

/// One observation from one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Of which check.
    pub check: CheckId,
    /// From which region.
    pub region: RegionId,
    /// By which probe; unknown for imported history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeId>,
    /// Whether it fills a slot.
    pub kind: SampleKind,
    /// When it was to start: the slot's due time, or when an extra sample was asked for.
    pub scheduled_at: Timestamp,
    /// When it did start, by the probe's wall clock.
    pub started_at: Timestamp,
    /// What was seen, and so whose fault it was.
    pub outcome: Outcome,
    /// Why, where the outcome is not `up`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// In which phase it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What a person would want to know, in one line without control characters; at most
    /// [`MAX_DETAIL_LEN`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long the last attempt took, in µs of the monotonic clock; absent where nothing was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How long each phase of it took, summed over redirect hops.
    #[serde(default, skip_serializing_if = "Phases::is_empty")]
    pub phases_us: Phases,
    /// The number of the attempt that decided, from 1.
    #[serde(default = "first_attempt")]
    pub attempt: u8,
    /// Follows the sample from slot to report; see [`TraceId::of`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// What the target said and showed; kept for samples that are not `up`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
}

fn first_attempt() -> u8 {
    1
}

impl Sample {
    /// How late it started, in ms: `started_at − scheduled_at`. Kept apart from its latency.
    pub fn lateness_ms(&self) -> i64 {
        self.started_at.since(self.scheduled_at)
    }

    /// Its identity as an ordered key: samples sort by check, region, scheduled time, kind.
    pub fn identity(&self) -> (&CheckId, &RegionId, Timestamp, SampleKind) {
        (&self.check, &self.region, self.scheduled_at, self.kind)
    }
}

/// Whether a sample fills a slot or was taken beside the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// It fills a slot.
    Planned,
    /// A confirmation or a re-check.
    Extra,
}

impl SampleKind {
    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Extra => "extra",
        }
    }
}

/// What a sample says, and whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target did what was expected.
    Up,
    /// It did, but slower than `degraded_after`.
    Degraded,
    /// The target's fault.
    Down,
    /// Our fault: it says nothing about the target.
    Inconclusive,
}

impl Outcome {
    /// All of them, in the order of their codes in the store.
    pub const ALL: [Self; 4] = [Self::Up, Self::Degraded, Self::Down, Self::Inconclusive];

    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A part of a check that takes time and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// From the name to addresses; for a DNS check the whole exchange.
    Resolve,
    /// The TCP handshake.
    Connect,
    /// The TLS handshake.
    Tls,
    /// From the request's first byte out to the response's head in.
    FirstByte,
    /// The response's body.
    Transfer,
}

impl Phase {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 5] = [Self::Resolve, Self::Connect, Self::Tls, Self::FirstByte, Self::Transfer];

    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::FirstByte => "first_byte",
            Self::Transfer => "transfer",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// µs spent in each phase; `None` for a phase that did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// See [`Phase::Resolve`].
    pub resolve: Option<u64>,
    /// See [`Phase::Connect`].
    pub connect: Option<u64>,
    /// See [`Phase::Tls`].
    pub tls: Option<u64>,
    /// See [`Phase::FirstByte`].
    pub first_byte: Option<u64>,
    /// See [`Phase::Transfer`].
    pub transfer: Option<u64>,
}

impl Phases {
    /// Whether no phase happened.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// µs spent in `phase`.
    pub fn get(&self, phase: Phase) -> Option<u64> {
        match phase {
            Phase::Resolve => self.resolve,
            Phase::Connect => self.connect,
            Phase::Tls => self.tls,
            Phase::FirstByte => self.first_byte,
            Phase::Transfer => self.transfer,
        }
    }

    /// The phase that took longest, and its µs.
    pub fn longest(&self) -> Option<(Phase, u64)> {
        let took = Phase::ALL.into_iter().filter_map(|phase| Some((self.get(phase)?, phase)));
        took.max().map(|(us, phase)| (phase, us))
    }

    /// Adds `us` to `phase`: the phases of redirect hops add up.
    pub fn add(&mut self, phase: Phase, us: u64) {
        let slot = match phase {
            Phase::Resolve => &mut self.resolve,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::FirstByte => &mut self.first_byte,
            Phase::Transfer => &mut self.transfer,
        };
        *slot = Some(slot.unwrap_or(0).saturating_add(us));
    }
}

/// 128 bits that follow a sample everywhere; 32 hex digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TraceId(pub u128);

impl TraceId {
    /// The trace id of the sample with this identity. Derived, not drawn: a replay has the same one.
    pub fn of(check: &CheckId, region: &RegionId, kind: SampleKind, scheduled_at: Timestamp) -> Self {
        TraceIds::of(check, region, kind).at(scheduled_at)
    }
}

/// The trace ids of the samples of one check, region and kind: what they share is hashed once.
#[derive(Clone, Copy, Debug)]
pub struct TraceIds(u128);

impl TraceIds {
    /// Of samples of `kind` of `check` from `region`.
    pub fn of(check: &CheckId, region: &RegionId, kind: SampleKind) -> Self {
        Self(fnv1a128(format!("{check}/{region}/{}/", kind.code()).as_bytes()))
    }

    /// That of the one scheduled at `scheduled_at`.
    pub fn at(self, scheduled_at: Timestamp) -> TraceId {
        TraceId(fnv1a128_after(self.0, scheduled_at.to_string().as_bytes()))
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; 32];
        for (digit, shift) in digits.iter_mut().rev().zip((0..).step_by(4)) {
            *digit = b"0123456789abcdef"[usize::try_from(self.0 >> shift & 0xf).expect("below 16")];
        }
        serializer.serialize_str(std::str::from_utf8(&digits).expect("hex digits"))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TryFrom<String> for TraceId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WANTED: &str = "a trace id is 32 hex digits";
        let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex {
            return Err(WANTED);
        }
        u128::from_str_radix(&text, 16).map(Self).map_err(|_not_hex| WANTED)
    }
}

/// A `detail` from a text that a target may have written: one line, no control characters, at most
/// [`MAX_DETAIL_LEN`] bytes, so that it can't draw on a terminal or break a log line.
pub fn detail(text: &str) -> String {
    clean(text, MAX_DETAIL_LEN)
}

/// `text` as [`detail`] cleans it, cut after `limit` bytes.
pub fn clean(text: &str, limit: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        let c = if c.is_control() || is_format(c) { ' ' } else { c };
        if limit < clean.len() + c.len_utf8() {
            break;
        }
        clean.push(c);
    }
    clean
}

/// Characters that change how others are shown, or are not shown at all: line separators, bidirectional marks, joiners,
/// annotations, tags, byte-order mark.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"check":"shop-home","region":"eu-west","probe":"eu-west-1","kind":"planned","scheduled_at":1790000040000,"started_at":1790000040003,"outcome":"down","reason":"connect_refused","phase":"connect","detail":"port 443","duration_us":1234,"phases_us":{"resolve":210,"connect":900,"tls":null,"first_byte":null,"transfer":null},"attempt":1,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}"#;

    #[test]
    fn a_sample_is_written_exactly_as_it_was_read() {
        let sample: Sample = serde_json::from_str(LINE).unwrap();
        assert_eq!(sample.lateness_ms(), 3);
        assert_eq!(serde_json::to_string(&sample).unwrap(), LINE);
    }

    #[test]
    fn only_six_fields_are_required() {
        let line = r#"{"check":"a","region":"b","kind":"extra","scheduled_at":1,"started_at":2,"outcome":"up"}"#;
        let sample: Sample = serde_json::from_str(line).unwrap();
        assert_eq!(sample.attempt, 1);
        let without = line.replace(r#","outcome":"up""#, "");
        assert!(serde_json::from_str::<Sample>(&without).unwrap_err().to_string().contains("outcome"));
    }

    #[test]
    fn every_reason_survives_the_wire_and_strangers_do_too() {
        for reason in Reason::ALL {
            let text = serde_json::to_string(reason).unwrap();
            assert_eq!(&serde_json::from_str::<Reason>(&text).unwrap(), reason);
        }
        let stranger: Reason = serde_json::from_str("\"quic_blocked\"").unwrap();
        assert_eq!(stranger, Reason::Other("quic_blocked".into()));
        assert!(serde_json::from_str::<Reason>("\"<b>\"").is_err());
    }

    #[test]
    fn a_detail_can_neither_draw_nor_break_lines_nor_grow() {
        let clean = detail("a\u{1b}[31mb\nc\u{202e}d\u{2028}e\u{61c}f\u{2069}g\u{e0041}h");
        assert_eq!(clean, "a [31mb c d e f g h");
        assert!(detail(&"ü".repeat(1_000)).len() <= MAX_DETAIL_LEN);
    }

    #[test]
    fn a_trace_id_is_the_same_for_a_replay_and_another_for_another_slot() {
        let id =
            |at| TraceId::of(&"c".parse().unwrap(), &"r".parse().unwrap(), SampleKind::Planned, Timestamp::from_ms(at));
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
        assert_eq!(TraceId::try_from(id(1).to_string()), Ok(id(1)));
        assert_eq!(id(1), TraceId(fnv1a128(b"c/r/planned/1")));
        for id in [id(1), TraceId(0), TraceId(u128::MAX), TraceId(0x1234)] {
            assert_eq!(serde_json::to_value(id).unwrap(), id.to_string());
        }
        assert!(TraceId::try_from("+bf92f3577b34da6a3ce929d0e0e4736".to_owned()).is_err());
    }
}
