//! What a target said and showed: kept beside a sample that is not `up`, for whoever has to find the cause. A sample
//! that is `up` has its chain of certificates alone, and that only where its check has not told of it of late.

mod texts;

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Outcome, Phase, Phases, Reason};
use crate::time::Timestamp;

/// The most bytes of evidence as JSON; [`Evidence::bound`] leaves out what is beyond.
pub const MAX_EVIDENCE_BYTES: usize = 32 << 10;
/// The most header fields of a response that are kept.
pub const MAX_EVIDENCE_HEADERS: usize = 50;
/// The longest header value, `what` and `seen` that is kept, in bytes.
pub const MAX_EVIDENCE_VALUE_LEN: usize = 256;
/// The most bytes of a decoded body that are kept.
pub const MAX_EVIDENCE_BODY_LEN: usize = 1 << 10;
/// The most expectations that are kept.
pub const MAX_EVIDENCE_EXPECTATIONS: usize = 100;

/// What the target said and showed. Every part is there only where the check came so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// The address that was connected to, or asked, last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Addresses that were tried in vain, or for longer than another one took, in the order tried; none
    /// where there was only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    /// Each part of a sample that has several; the rest is of the worst of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Each request of an HTTP check, in order; all but the last were redirected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
    /// The TLS session and the chain as the target sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsEvidence>,
    /// The answer of a DNS check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsEvidence>,
    /// The last response of an HTTP check that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Box<ResponseEvidence>>,
    /// Each expectation of an HTTP check that failed after a response came, in the order in which they are judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectationEvidence>,
}

impl Evidence {
    /// Leaves out parts, the least telling first, until the rest is at most [`MAX_EVIDENCE_BYTES`] as JSON.
    pub fn bound(&mut self) {
        let parts: [fn(&mut Self); 7] = [
            |evidence| evidence.tls.iter_mut().flat_map(|tls| &mut tls.chain).for_each(|one| one.names.truncate(10)),
            |evidence| evidence.response.iter_mut().for_each(|response| response.leave_out_headers()),
            |evidence| evidence.expectations.retain(|one| one.verdict != Judged::Met),
            |evidence| evidence.expectations.truncate(10),
            |evidence| evidence.response = None,
            |evidence| evidence.tls.iter_mut().for_each(|tls| tls.chain.truncate(2)),
            |evidence| *evidence = Self { address: evidence.address, ..Self::default() },
        ];
        for leave_out in parts {
            if self.fits() {
                return;
            }
            leave_out(self);
        }
    }

    /// Whether it is at most [`MAX_EVIDENCE_BYTES`] as JSON. What is beyond them is never written.
    fn fits(&self) -> bool {
        serde_json::to_writer(Room(MAX_EVIDENCE_BYTES), self).is_ok()
    }
}

/// So many bytes that may still be written; what is written is kept nowhere.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An HTTP response, cleaned, with secrets hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseEvidence {
    /// Its status.
    pub status: u16,
    /// Such as `HTTP/2`.
    pub version: String,
    /// Header fields in the order received, at most [`MAX_EVIDENCE_HEADERS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// How many further header fields there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub headers_left_out: usize,
    /// The beginning of the decoded body, where it is text: at most [`MAX_EVIDENCE_BODY_LEN`] bytes. Absent
    /// where it was not kept: nothing expected anything of it, and the head was as expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether the body is not text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub binary: bool,
    /// Whether the body goes on after what is here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Its `content-encoding`, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl ResponseEvidence {
    fn leave_out_headers(&mut self) {
        let left_out = self.headers.len().saturating_sub(10);
        self.headers_left_out = self.headers_left_out.saturating_add(left_out);
        self.headers.truncate(10);
    }
}

/// An expectation of a response, and whether it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationEvidence {
    /// As people say it, such as `status is 2xx`.
    pub what: String,
    /// Whether it held.
    pub verdict: Judged,
    /// What was seen instead, or why it could not be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// Whether an expectation held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// It held.
    Met,
    /// It did not.
    Unmet,
    /// What came does not decide it.
    Undecided,
}

/// One part of a sample that asked several addresses or ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What was asked: an address and port, or a host and port.
    pub what: String,
    /// What was seen of it.
    pub outcome: Outcome,
    /// Why, where the outcome is not `up`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// In which phase it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// As [`super::Sample::detail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// µs from the sample's start until it ended.
    pub duration_us: u64,
    /// µs of each phase; the resolution is shared by all.
    #[serde(default, skip_serializing_if = "Phases::is_empty")]
    pub phases_us: Phases,
}

/// An address that took no connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Which.
    pub address: SocketAddr,
    /// Why it took none; absent where it had not answered yet when all was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// µs until it refused; absent as the reason is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us: Option<u64>,
}

/// One request of an HTTP check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// What was asked for, without user and password.
    pub url: String,
    /// The proxy that it went through, without user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Where it was asked: the proxy's address where there is one.
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
    /// The chain as it was verified: whom each certificate names, the target's own first, a trusted root last.
    /// Empty where no path leads to a trusted root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Why the chain would have been refused, where the check does not verify it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
    /// What the stapled OCSP response says, where one is stapled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp: Option<OcspEvidence>,
    /// What the target was asked to take beside the handshake, and what it took.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
}

/// What a stapled OCSP response says of the target's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OcspEvidence {
    /// `good`, `revoked` or `unknown`; `unusable` where it says nothing of this certificate.
    pub status: String,
    /// Since when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_update: Option<Timestamp>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<Timestamp>,
    /// Why it can't be believed, where it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// A version or cipher suite that a target was asked to take, alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// `TLSv1.0`, or the suite's IANA name.
    pub asked: String,
    /// What the target chose, or that it did not: `TLSv1.0 TLS_RSA_WITH_AES_128_CBC_SHA`, `alert 70`, `closed`.
    pub answer: String,
    /// Whether it took what was asked.
    pub taken: bool,
}

/// What a certificate says, valid or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// SHA-256 of its public key, as `pins` writes it: `sha256/BASE64`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pin: String,
    /// Its number among its issuer's, hex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// The kind and size of its key, such as `RSA 2048` or `EC P-256`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// How it is signed, such as `RSA-SHA256`; the OID where it has no name here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// Whether it is an authority's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ca: bool,
}

/// The answer of a DNS check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsEvidence {
    /// How the answer came: `udp`, `tcp`, `tls` or `https`.
    pub transport: String,
    /// The response code, by its IANA name, such as `NOERROR`.
    pub rcode: String,
    /// The answers of the asked type in presentation form, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// The lowest TTL among them, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
    /// The flags that are set.
    #[serde(default, skip_serializing_if = "DnsFlags::is_empty")]
    pub flags: DnsFlags,
    /// The serial of the SOA record among the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// What is in the authority section, where the check expects something of it: type and data, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authority: Vec<String>,
    /// The additional section likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<String>,
    /// What DNSSEC proves of the answer, where the check wants a proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<DnssecEvidence>,
    /// What each server said, where the check asks several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<DnsServerEvidence>,
}

/// What one of several DNS servers said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsServerEvidence {
    /// Which: its URL, after its name where it speaks for a zone.
    pub server: String,
    /// The response code, where one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// Its answers, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// The serial of its SOA record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// µs that it took.
    pub duration_us: u64,
    /// What is wrong with it, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// What DNSSEC proves of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnssecEvidence {
    /// What the answer is worth.
    pub proof: DnssecProof,
    /// Why it is not secure, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How many questions the proof took.
    pub questions: u16,
}

/// What an answer is worth (RFC 4033 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnssecProof {
    /// Signed, from the trust anchor down.
    Secure,
    /// Of a zone that is provably not signed.
    Insecure,
    /// It should be signed, and is not, or wrongly.
    Bogus,
}

/// The flags of a DNS answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsFlags {
    /// The server speaks for the zone.
    pub aa: bool,
    /// The server says that it validated the answer (DNSSEC).
    pub ad: bool,
    /// The server recurses.
    pub ra: bool,
    /// The answer over UDP was cut short, and came over TCP.
    pub tc: bool,
}

impl DnsFlags {
    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_len(evidence: &Evidence) -> usize {
        serde_json::to_vec(evidence).unwrap().len()
    }

    #[test]
    fn inv_9_evidence_is_bounded_and_loses_the_least_telling_first() {
        let text = "\"".repeat(MAX_EVIDENCE_VALUE_LEN);
        let hop = Hop {
            url: text.clone(),
            proxy: None,
            address: None,
            status: None,
            version: None,
            phases_us: Phases::default(),
        };
        let unmet = ExpectationEvidence { what: text.clone(), verdict: Judged::Unmet, seen: Some(text.clone()) };
        let met = ExpectationEvidence { verdict: Judged::Met, ..unmet.clone() };
        let response = ResponseEvidence {
            headers: vec![(text.clone(), text); MAX_EVIDENCE_HEADERS],
            body: Some("\n".repeat(MAX_EVIDENCE_BODY_LEN)),
            ..ResponseEvidence::default()
        };
        let mut evidence = Evidence {
            hops: vec![hop; 2],
            response: Some(Box::new(response)),
            expectations: vec![met; 4].into_iter().chain([unmet]).collect(),
            ..Evidence::default()
        };
        assert!(!evidence.fits());
        evidence.bound();
        assert!(json_len(&evidence) <= MAX_EVIDENCE_BYTES);
        let response = evidence.response.as_ref().unwrap();
        assert_eq!((response.headers.len(), response.headers_left_out), (10, MAX_EVIDENCE_HEADERS - 10));
        assert!(response.body.is_some() && evidence.expectations.len() == 5);
        evidence.hops = vec![evidence.hops[0].clone(); 500];
        evidence.bound();
        assert!(json_len(&evidence) <= MAX_EVIDENCE_BYTES);
    }

    #[test]
    fn evidence_of_exactly_the_limit_is_kept_as_it_is() {
        let of = |len: usize| Evidence {
            response: Some(Box::new(ResponseEvidence { body: Some("a".repeat(len)), ..ResponseEvidence::default() })),
            ..Evidence::default()
        };
        let room = MAX_EVIDENCE_BYTES - json_len(&of(0));
        let (mut just, mut more) = (of(room), of(room + 1));
        just.bound();
        more.bound();
        assert_eq!((just, more), (of(room), Evidence::default()));
    }
}
