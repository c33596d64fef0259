//! PURE: whether a set of records is signed by a zone's key.
//!
//! Limit: [`MAX_SIGNATURES`] verifications a check, since a hostile zone may have many keys of one tag
//! (CVE-2023-50387).

#![expect(clippy::wildcard_enum_match_arm, reason = "other crates' enums are open; what they add is not signed data")]

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, RRSIG};
use hickory_proto::dnssec::{PublicKey, Verifier};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use nines_shared::time::Timestamp;
use x509_parser::time::ASN1Time;

use super::super::present::shown_name;

/// The most signatures that are verified in one check.
const MAX_SIGNATURES: u32 = 64;

const DAY_S: i64 = 86_400;

/// How many more signatures may be verified, and the time that they must hold at.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) now: Timestamp,
    left: u32,
}

impl Bench {
    pub(super) const fn at(now: Timestamp) -> Self {
        Self { now, left: MAX_SIGNATURES }
    }
}

/// All records of one owner and type within a section, and their signatures.
#[derive(Debug)]
pub(super) struct Set<'m> {
    pub(super) owner: &'m Name,
    pub(super) kind: RecordType,
    pub(super) records: Vec<&'m Record>,
    pub(super) signatures: Vec<&'m RRSIG>,
}

impl<'m> Set<'m> {
    pub(super) fn of(section: &'m [Record], owner: &'m Name, kind: RecordType) -> Self {
        let own = || section.iter().filter(|record| record.name == *owner && record.dns_class == DNSClass::IN);
        let mut records: Vec<&Record> = Vec::new();
        for record in own().filter(|record| record.record_type() == kind) {
            // Of equal records only one is signed (RFC 4034 §6.3).
            if records.iter().all(|known| known.data != record.data) {
                records.push(record);
            }
        }
        let signatures = own().filter_map(signature).filter(|signature| signature.input().type_covered == kind);
        Self { owner, kind, records, signatures: signatures.collect() }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.kind, shown_name(self.owner))
    }

    /// The zone that says that it signed this, where one does that can have.
    pub(super) fn signer(&self) -> Option<&'m Name> {
        self.signatures.iter().map(|signature| &signature.input().signer_name).find(|signer| signer.zone_of(self.owner))
    }
}

pub(super) fn signature(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature),
        _ => None,
    }
}

/// How many labels a name has, a leading `*` not counted, as signatures count them.
pub(super) fn labels(name: &Name) -> u8 {
    name.num_labels()
}

/// That one of `keys`, which are those of `zone`, signed `set`. The labels that the signature counts: fewer
/// than the owner's where a wildcard was expanded.
///
/// # Errors
/// What is wrong with the signatures, for people.
pub(super) fn verify(set: &Set<'_>, zone: &Name, keys: &[DNSKEY], bench: &mut Bench) -> Result<u8, String> {
    let shown = set.shown();
    let mut why = format!("{shown} has no signature (RRSIG) of {}", shown_name(zone));
    for signature in set.signatures.iter().filter(|signature| signature.input().signer_name == *zone) {
        let input = signature.input();
        if let Err(wrong) = in_time(signature, bench.now) {
            why = format!("the signature of {shown} {wrong}");
            continue;
        }
        if labels(set.owner) < input.num_labels {
            why = format!("the signature of {shown} is for a longer name");
            continue;
        }
        if !input.algorithm.is_supported() {
            why = format!("the signature of {shown} is by algorithm {}, which is not known", u8::from(input.algorithm));
            continue;
        }
        why = format!(
            "the signature of {shown} is by a key (tag {}) that {} does not have",
            input.key_tag,
            shown_name(zone)
        );
        let fits = |key: &&DNSKEY| {
            key.zone_key()
                && !key.revoke()
                && key.public_key().algorithm() == input.algorithm
                && key.calculate_key_tag().is_ok_and(|tag| tag == input.key_tag)
        };
        for key in keys.iter().filter(fits) {
            bench.left = bench
                .left
                .checked_sub(1)
                .ok_or_else(|| format!("more than {MAX_SIGNATURES} signatures would have to be verified"))?;
            match key.verify_rrsig(set.owner, DNSClass::IN, signature, set.records.iter().copied()) {
                Ok(()) => return Ok(input.num_labels),
                Err(_not_by_it) => {
                    why = format!("the signature of {shown} is not that of its key (tag {})", input.key_tag)
                }
            }
        }
    }
    Err(why)
}

/// Whether `signature` holds at `now`. Its times are counted as serials are (RFC 4034 §3.1.5).
fn in_time(signature: &RRSIG, now: Timestamp) -> Result<(), String> {
    let now_s = now.as_ms().div_euclid(1_000);
    let full = |serial: u32| {
        let low = now_s.rem_euclid(1 << 32);
        let ahead = (i64::from(serial) - low).rem_euclid(1 << 32);
        now_s + if ahead < 1 << 31 { ahead } else { ahead - (1 << 32) }
    };
    let (from, until) = (full(signature.input().sig_inception.get()), full(signature.input().sig_expiration.get()));
    let at =
        |seconds: i64| ASN1Time::from_timestamp(seconds).map_or_else(|_far| seconds.to_string(), |at| at.to_string());
    if until < now_s {
        return Err(format!("expired {} days ago, at {}", (now_s - until) / DAY_S, at(until)));
    }
    if now_s < from {
        return Err(format!("is valid only from {}", at(from)));
    }
    Ok(())
}
