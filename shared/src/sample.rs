//! Samples: what one region saw of one check, once.
//!
//! A sample is what is written, shipped, stored, exported and counted; its JSON form is the NDJSON
//! of `docs/METHOD.md`. Identity is (check, region, kind, scheduled_at).

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::hash::fnv1a128;
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

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        /// Why a sample is not `up`: a stable code that alerts group by and reports print.
        ///
        /// The set is closed on the side that writes; the side that reads keeps a code it does not know
        /// as [`Reason::Other`], so that a newer probe keeps shipping to an older aggregator.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Reason {
            $($(#[$doc])* $name,)+
            /// A code of another version or another product; `[a-z0-9_]{1,64}`.
            Other(Box<str>),
        }

        impl Reason {
            /// Every reason this version writes.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its stable code.
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$name => $code,)+
                    Self::Other(code) => code,
                }
            }

            fn known(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    // Slow, but right.
    /// Right, but slower than `degraded_after`.
    Slow = "slow",

    // The target's fault: outcome `down`.
    /// The name does not exist.
    DnsNxdomain = "dns_nxdomain",
    /// The name exists but has no record of the type.
    DnsNoData = "dns_no_data",
    /// The server answered that it failed.
    DnsServfail = "dns_servfail",
    /// The server refused the question.
    DnsRefused = "dns_refused",
    /// Another response code than the one expected.
    DnsRcode = "dns_rcode",
    /// No answer within the deadline.
    DnsTimeout = "dns_timeout",
    /// An answer that can't be read, or that is not an answer to our question.
    DnsMalformed = "dns_malformed",
    /// The answers are not the expected ones.
    DnsAnswers = "dns_answers",
    /// The server's address did not take the question (refused or reset).
    DnsUnreachable = "dns_unreachable",
    /// The target refused the connection.
    ConnectRefused = "connect_refused",
    /// The target reset the connection while it was being made.
    ConnectReset = "connect_reset",
    /// No connection within the deadline.
    ConnectTimeout = "connect_timeout",
    /// A router on the way says that the target can't be reached.
    ConnectUnreachable = "connect_unreachable",
    /// No TLS handshake within the deadline.
    TlsTimeout = "tls_timeout",
    /// The target ended or reset the connection within the handshake.
    TlsClosed = "tls_closed",
    /// What the target speaks is not TLS, or breaks its rules.
    TlsMalformed = "tls_malformed",
    /// The target sent an alert.
    TlsAlert = "tls_alert",
    /// No protocol version or cipher in common.
    TlsVersion = "tls_version",
    /// A certificate of the chain has expired.
    TlsExpired = "tls_expired",
    /// A certificate of the chain is not valid yet.
    TlsNotYetValid = "tls_not_yet_valid",
    /// The certificate is for other names.
    TlsWrongName = "tls_wrong_name",
    /// The certificate signed itself.
    TlsSelfSigned = "tls_self_signed",
    /// No known authority vouches for the chain.
    TlsUnknownIssuer = "tls_unknown_issuer",
    /// The certificate was revoked.
    TlsRevoked = "tls_revoked",
    /// The certificate can't be used for another reason, which the detail gives.
    TlsBadCertificate = "tls_bad_certificate",
    /// Valid, but for fewer days than the check wants.
    TlsExpiresSoon = "tls_expires_soon",
    /// The target closed or reset the connection before its response was complete.
    HttpClosed = "http_closed",
    /// The response breaks the rules of HTTP.
    HttpMalformed = "http_malformed",
    /// The response's head is larger than the limit.
    HttpHeadersTooLarge = "http_headers_too_large",
    /// No response head within the deadline.
    HttpTimeout = "http_timeout",
    /// The response's body did not end within the deadline.
    BodyTimeout = "body_timeout",
    /// The body is larger than the limit, and what came within it does not decide the expectation.
    BodyTooLarge = "body_too_large",
    /// The body can't be decoded as its `content-encoding` says.
    BodyEncoding = "body_encoding",
    /// Another status than the expected ones.
    HttpStatus = "http_status",
    /// A header is missing or different.
    HttpHeader = "http_header",
    /// The body does not say what is expected, or says what is not.
    HttpBody = "http_body",
    /// The body is not JSON, or its values are not the expected ones.
    HttpJson = "http_json",
    /// Another version of HTTP than the one asked for.
    HttpVersion = "http_version",
    /// More redirects than the limit.
    RedirectLimit = "redirect_limit",
    /// A redirect without a usable location.
    RedirectInvalid = "redirect_invalid",

    // Our fault: outcome `inconclusive`.
    /// The probe has no route to the target.
    NoRoute = "no_route",
    /// The probe's own file does not allow the address.
    AddressForbidden = "address_forbidden",
    /// The probe's `source_address` can't be used.
    SourceAddress = "source_address",
    /// The probe ran out of descriptors, ports or memory.
    Resources = "resources",
    /// The probe had no permit to run the check before its latest start.
    Saturated = "saturated",
    /// The probe woke later than half an interval after the slot was due.
    Overrun = "overrun",
    /// The probe's clock stepped or is more than a second off.
    Clock = "clock",
    /// The probe can't reach its own canaries.
    Canary = "canary",
    /// The probe can't run a check of this kind.
    Unsupported = "unsupported",
    /// The probe stopped while the check ran.
    Stopped = "stopped",
    /// A fault in the probe itself.
    Internal = "internal",
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        if let Some(known) = Self::known(&code) {
            return Ok(known);
        }
        let clean = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if clean && (1..=64).contains(&code.len()) {
            Ok(Self::Other(code.into()))
        } else {
            Err("a reason is 1 to 64 of the characters a-z, 0-9 and _")
        }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.code().to_owned()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// 128 bits that follow a sample everywhere; 32 hex digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(pub u128);

impl TraceId {
    /// The trace id of the sample with this identity. Derived, not drawn: a replay has the same one.
    pub fn of(check: &CheckId, region: &RegionId, kind: SampleKind, scheduled_at: Timestamp) -> Self {
        Self(fnv1a128(format!("{check}/{region}/{}/{scheduled_at}", kind.code()).as_bytes()))
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

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

/// What the target said and showed. Every part is there only where the check came so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// The address that was connected to, or asked, last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Each request of an HTTP check, in order; all but the last were redirected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
    /// The TLS session and the chain as the target sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsEvidence>,
    /// The answer of a DNS check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsEvidence>,
}

/// One request of an HTTP check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// What was asked for, without user and password.
    pub url: String,
    /// Where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// The response's status, where one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `HTTP/1.1` or `HTTP/2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// µs of each phase of this hop.
    #[serde(default, skip_serializing_if = "Phases::is_empty")]
    pub phases_us: Phases,
}

/// A TLS session as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsEvidence {
    /// `TLSv1.2` or `TLSv1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The cipher suite, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The protocol agreed on by ALPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The certificates as the target sent them, its own first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Certificate>,
}

/// What a certificate says, valid or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// SHA-256 of the certificate, hex.
    pub sha256: String,
}

/// The answer of a DNS check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsEvidence {
    /// `udp` or `tcp`: how the answer came.
    pub transport: String,
    /// The response code, by its IANA name, such as `NOERROR`.
    pub rcode: String,
    /// The answers of the asked type in presentation form, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// The lowest TTL among them, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

/// A `detail` from a text that a target may have written: one line, no control characters, at most
/// [`MAX_DETAIL_LEN`] bytes, so that it can't draw on a terminal or break a log line.
pub fn detail(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MAX_DETAIL_LEN));
    for c in text.chars() {
        let c = if c.is_control() || is_format(c) { ' ' } else { c };
        if MAX_DETAIL_LEN < clean.len() + c.len_utf8() {
            break;
        }
        clean.push(c);
    }
    clean
}

/// Characters that change how others are shown: line separators, bidirectional marks, byte-order mark.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
        let clean = detail("a\u{1b}[31mb\nc\u{202e}d\u{2028}e");
        assert_eq!(clean, "a [31mb c d e");
        assert!(detail(&"ü".repeat(1_000)).len() <= MAX_DETAIL_LEN);
    }

    #[test]
    fn a_trace_id_is_the_same_for_a_replay_and_another_for_another_slot() {
        let id =
            |at| TraceId::of(&"c".parse().unwrap(), &"r".parse().unwrap(), SampleKind::Planned, Timestamp::from_ms(at));
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
        assert_eq!(TraceId::try_from(id(1).to_string()), Ok(id(1)));
        assert!(TraceId::try_from("+bf92f3577b34da6a3ce929d0e0e4736".to_owned()).is_err());
    }
}
