//! DNSSEC: the chain of trust from an anchor down to an answer, asked of the very server that answered.
//!
//! Asks for DS label by label and for DNSKEY at each cut, with DO and CD, and believes only what is signed.
//! Nothing is kept from check to check. An answer is secure, insecure (a zone on the way is provably not
//! signed) or bogus, and the reason is told. Limits: [`MAX_QUESTIONS`], [`MAX_PROOFS`], those of `signature` and
//! `denial`, and the check's deadline. Aliases by DNAME are not followed.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add is no link of the chain"
)]

mod anchor;
mod denial;
mod signature;

use std::sync::Arc;

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record as Data, RecordType};
use nines_shared::check::Dnssec;
use nines_shared::sample::{DnssecEvidence, DnssecProof, Phase, Reason, detail};

use super::super::failure::Failure;
use super::super::record::Record;
use super::answer::{MAX_ALIASES, rcode_name};
use super::exchange::{Peer, Query, exchange};
use super::judge::reason_of;
use super::present::shown_name;
use anchor::Trusted;
use denial::{NoDs, Proofs, Shown};
use signature::{Bench, Set, labels, signature, verify};

/// The most questions that one validation asks: the name of an IPv6 address has 34 labels.
const MAX_QUESTIONS: u16 = 64;
/// The most NSEC and NSEC3 records of one answer that are looked at.
const MAX_PROOFS: usize = 16;

/// Why there is no proof.
enum Broken {
    /// What should be signed is not, or wrongly.
    Bogus(String),
    /// A link could not be asked for.
    Failed(Failure),
}

/// What `reply` to `query` is worth, and whether that is what `dnssec` wants.
pub(super) async fn validate(
    (query, message): (&Query, &Message),
    dnssec: &Dnssec,
    peer: Peer<'_>,
    record: &mut Record,
) -> Result<(DnssecEvidence, Result<(), Failure>), Failure> {
    let trusted = Trusted::of(dnssec).map_err(|why| Failure::ours(Reason::Unsupported, Phase::Resolve, why))?;
    let bench = Bench::at(peer.look.prober.clock.now());
    let mut chain = Chain { peer, record, bench, questions: 0, recursion: query.recursion, trusted, known: Vec::new() };
    let ended = chain.prove(message, query).await;
    let theirs = |reason, why: String| Err(Failure::theirs(reason, Phase::Resolve, why));
    let (proof, why, verdict) = match ended {
        Ok(None) => (DnssecProof::Secure, None, Ok(())),
        Ok(Some(why)) if dnssec.allow_insecure => (DnssecProof::Insecure, Some(why), Ok(())),
        Ok(Some(why)) => (DnssecProof::Insecure, Some(why.clone()), theirs(Reason::DnssecInsecure, why)),
        Err(Broken::Bogus(why)) => (DnssecProof::Bogus, Some(why.clone()), theirs(Reason::DnssecBogus, why)),
        Err(Broken::Failed(failure)) => return Err(failure),
    };
    Ok((DnssecEvidence { proof, why: why.map(|why| detail(&why)), questions: chain.questions }, verdict))
}

/// A signed zone, with the keys that were proven to be its own.
struct Zone {
    name: Name,
    keys: Vec<DNSKEY>,
}

/// What a name is to the zone above it.
#[derive(Clone)]
enum Place {
    /// A signed zone begins there.
    Cut(Arc<Zone>),
    /// A zone begins there that is not signed, or may; why, for people.
    Unsigned(String),
    NoCut,
    NoName,
}

/// How far the chain of trust reaches.
enum Reach {
    Zone(Arc<Zone>),
    Unsigned(String),
}

struct Chain<'c> {
    peer: Peer<'c>,
    record: &'c mut Record,
    bench: Bench,
    questions: u16,
    recursion: bool,
    trusted: Trusted,
    /// The places found so far in this check.
    known: Vec<(Name, Place)>,
}

impl Chain<'_> {
    /// Why `message` is insecure, `None` where it is secure.
    async fn prove(&mut self, message: &Message, query: &Query) -> Result<Option<String>, Broken> {
        let mut owner = &query.name;
        for _alias in 0..=MAX_ALIASES {
            let set = Set::of(&message.answers, owner, query.record_type);
            if !set.records.is_empty() {
                return self.prove_set(message, &set).await;
            }
            let alias = Set::of(&message.answers, owner, RecordType::CNAME);
            let target = alias.records.first().and_then(|record| match &record.data {
                RData::CNAME(target) => Some(&target.0),
                _ => None,
            });
            let Some(target) = target else {
                return self.prove_absence(message, owner, query.record_type).await;
            };
            if let Some(why) = self.prove_set(message, &alias).await? {
                return Ok(Some(why));
            }
            owner = target;
        }
        Err(Broken::Bogus(format!("more than {MAX_ALIASES} aliases (CNAME)")))
    }

    async fn prove_set(&mut self, message: &Message, set: &Set<'_>) -> Result<Option<String>, Broken> {
        let rewritten = |record: &Data| record.record_type() == RecordType::DNAME && record.name.zone_of(set.owner);
        if set.signatures.is_empty() && message.answers.iter().any(rewritten) {
            let why = format!("{} is made by a DNAME, which is not validated", set.shown());
            return Err(Broken::Failed(Failure::ours(Reason::Unsupported, Phase::Resolve, why)));
        }
        let signer = set.signer();
        let zone = match self.reach(set.owner, signer).await? {
            Reach::Unsigned(why) => return Ok(Some(why)),
            Reach::Zone(zone) => zone,
        };
        if signer.is_none() {
            let why = format!("{} has no signature (RRSIG), and {} is signed", set.shown(), shown_name(&zone.name));
            return Err(Broken::Bogus(why));
        }
        let counted = verify(set, &zone.name, &zone.keys, &mut self.bench).map_err(Broken::Bogus)?;
        if labels(set.owner) <= counted {
            return Ok(None);
        }
        let proofs = self.proofs(message, &zone)?;
        match Proofs::of(&zone.name, &proofs).no_nearer(set.owner, counted) {
            Shown::Absent => Ok(None),
            Shown::Unsigned => Ok(Some(opt_out(&zone))),
            Shown::Nothing => {
                let why =
                    format!("{} comes from a wildcard, and nothing proves that no nearer name is there", set.shown());
                Err(Broken::Bogus(why))
            }
        }
    }

    /// That `owner` has no record of `kind`, or is not there, as the response code says.
    async fn prove_absence(
        &mut self,
        message: &Message,
        owner: &Name,
        kind: RecordType,
    ) -> Result<Option<String>, Broken> {
        let signers = message.authorities.iter().filter_map(signature).map(|signature| &signature.input().signer_name);
        let signer = signers.clone().find(|signer| signer.zone_of(owner));
        let zone = match self.reach(owner, signer).await? {
            Reach::Unsigned(why) => return Ok(Some(why)),
            Reach::Zone(zone) => zone,
        };
        let records = self.proofs(message, &zone)?;
        let proofs = Proofs::of(&zone.name, &records);
        let (shown, what) = if message.metadata.response_code == ResponseCode::NXDomain {
            (proofs.no_name(owner), format!("{} does not exist", shown_name(owner)))
        } else {
            (proofs.no_data(owner, kind), format!("{} has no {kind} record", shown_name(owner)))
        };
        match shown {
            Shown::Absent => Ok(None),
            Shown::Unsigned => Ok(Some(opt_out(&zone))),
            Shown::Nothing if records.is_empty() => {
                Err(Broken::Bogus(format!("no signed NSEC or NSEC3 record proves that {what}")))
            }
            Shown::Nothing => Err(Broken::Bogus(format!("the NSEC or NSEC3 records do not prove that {what}"))),
        }
    }

    /// The zone whose keys are to sign what `name` owns: that of `signer` where the chain comes by it, else the
    /// last one on the way to `name`.
    async fn reach(&mut self, name: &Name, signer: Option<&Name>) -> Result<Reach, Broken> {
        let mut zone = match self.place(&self.trusted.zone.clone(), None).await? {
            Place::Cut(zone) if zone.name.zone_of(name) => zone,
            Place::Cut(_) | Place::Unsigned(_) | Place::NoCut | Place::NoName => {
                let why = format!(
                    "the trust anchor is of {}, which {} is not below",
                    shown_name(&self.trusted.zone),
                    shown_name(name)
                );
                return Err(Broken::Failed(Failure::ours(Reason::Unsupported, Phase::Resolve, why)));
            }
        };
        for count in zone.name.iter().count() + 1..=name.iter().count() {
            if signer.is_some_and(|signer| *signer == zone.name) {
                break;
            }
            match self.place(&name.trim_to(count), Some(&zone)).await? {
                Place::Cut(below) => zone = below,
                Place::Unsigned(why) => return Ok(Reach::Unsigned(why)),
                Place::NoCut => {}
                Place::NoName => break,
            }
        }
        Ok(Reach::Zone(zone))
    }

    /// What `name` is to the zone `above`; the anchor's own zone where there is none.
    async fn place(&mut self, name: &Name, above: Option<&Zone>) -> Result<Place, Broken> {
        if let Some((_, place)) = self.known.iter().find(|(known, _)| known == name) {
            return Ok(place.clone());
        }
        let place = match above {
            None => self.top(name).await?,
            Some(above) => self.below(name, above).await?,
        };
        self.known.push((name.clone(), place.clone()));
        Ok(place)
    }

    async fn top(&mut self, name: &Name) -> Result<Place, Broken> {
        let message = self.ask(name, RecordType::DNSKEY).await?;
        let vouched = keys(&message, name).filter(|key| self.trusted.vouches_for(key)).cloned().collect();
        self.apex(name, &message, vouched, "the trust anchor")
    }

    async fn below(&mut self, name: &Name, above: &Zone) -> Result<Place, Broken> {
        let message = self.ask(name, RecordType::DS).await?;
        let set = Set::of(&message.answers, name, RecordType::DS);
        if set.records.is_empty() {
            return self.no_ds(name, above, &message);
        }
        verify(&set, &above.name, &above.keys, &mut self.bench).map_err(Broken::Bogus)?;
        let digests: Vec<&DS> = set.records.iter().filter_map(|record| digest(record)).collect();
        let digests: Vec<&DS> =
            digests.into_iter().filter(|ds| ds.algorithm().is_supported() && ds.digest_type().is_supported()).collect();
        if digests.is_empty() {
            return Ok(Place::Unsigned(format!("{} is signed by algorithms that are not known", shown_name(name))));
        }
        let message = self.ask(name, RecordType::DNSKEY).await?;
        let covered = |key: &&DNSKEY| digests.iter().any(|ds| ds.covers(name, key).unwrap_or(false));
        let vouched = keys(&message, name).filter(covered).cloned().collect();
        self.apex(name, &message, vouched, "the DS record that the zone above has")
    }

    fn no_ds(&mut self, name: &Name, above: &Zone, message: &Message) -> Result<Place, Broken> {
        let alias = Set::of(&message.answers, name, RecordType::CNAME);
        if !alias.records.is_empty() {
            verify(&alias, &above.name, &above.keys, &mut self.bench).map_err(Broken::Bogus)?;
            return Ok(Place::NoCut);
        }
        let proofs = self.proofs(message, above)?;
        match Proofs::of(&above.name, &proofs).no_ds(name) {
            NoDs::Unsigned => Ok(Place::Unsigned(format!(
                "{} is not signed: {} has no DS record for it",
                shown_name(name),
                shown_name(&above.name)
            ))),
            NoDs::NoCut => Ok(Place::NoCut),
            NoDs::NoName => Ok(Place::NoName),
            NoDs::Nothing => {
                Err(Broken::Bogus(format!("nothing signed proves that {} has no DS record", shown_name(name))))
            }
        }
    }

    /// The zone `name` with the keys of `message`, which one of those `vouched` for must have signed.
    fn apex(&mut self, name: &Name, message: &Message, vouched: Vec<DNSKEY>, by: &str) -> Result<Place, Broken> {
        let set = Set::of(&message.answers, name, RecordType::DNSKEY);
        if set.records.is_empty() {
            return Err(Broken::Bogus(format!("{} has no key (DNSKEY), and should", shown_name(name))));
        }
        if vouched.is_empty() {
            return Err(Broken::Bogus(format!("no key of {} is that of {by}", shown_name(name))));
        }
        verify(&set, name, &vouched, &mut self.bench).map_err(Broken::Bogus)?;
        Ok(Place::Cut(Arc::new(Zone { name: name.clone(), keys: keys(message, name).cloned().collect() })))
    }

    /// The NSEC and NSEC3 records of `message` that `zone` signed.
    fn proofs<'m>(&mut self, message: &'m Message, zone: &Zone) -> Result<Vec<&'m Data>, Broken> {
        let denials = message
            .authorities
            .iter()
            .filter(|record| matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3));
        let mut proven = Vec::new();
        for record in denials.take(MAX_PROOFS) {
            let set = Set::of(&message.authorities, &record.name, record.record_type());
            if set.signer() != Some(&zone.name) {
                continue;
            }
            let counted = verify(&set, &zone.name, &zone.keys, &mut self.bench).map_err(Broken::Bogus)?;
            // One that a wildcard was expanded to proves nothing.
            if counted == labels(&record.name) {
                proven.push(record);
            }
        }
        Ok(proven)
    }

    async fn ask(&mut self, name: &Name, kind: RecordType) -> Result<Message, Broken> {
        let failed = |reason, why: String| Broken::Failed(Failure::theirs(reason, Phase::Resolve, why));
        let what = format!("the chain of trust needs {kind} {}", shown_name(name));
        if self.questions == MAX_QUESTIONS {
            let why = format!("{what}, and {MAX_QUESTIONS} questions were asked already");
            return Err(Broken::Failed(Failure::ours(Reason::Unsupported, Phase::Resolve, why)));
        }
        self.questions += 1;
        self.record.remark = Some(what.clone());
        let query = Query { name: name.clone(), record_type: kind, recursion: self.recursion, dnssec: true, ad: false };
        let reply = exchange(&query, self.peer, self.record).await.map_err(|failure| {
            let detail = format!("{what}: {}", failure.detail);
            Broken::Failed(Failure { detail, ..failure })
        })?;
        match reply.message.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(reply.message),
            other => {
                let rcode = rcode_name(other);
                Err(failed(reason_of(&rcode), format!("{what}, and the server answers {rcode}")))
            }
        }
    }
}

fn opt_out(zone: &Zone) -> String {
    format!("the NSEC3 records of {} leave room for names that are not signed", shown_name(&zone.name))
}

fn keys<'m>(message: &'m Message, name: &Name) -> impl Iterator<Item = &'m DNSKEY> {
    let own = message.answers.iter().filter(move |record| record.name == *name);
    own.filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
        _ => None,
    })
}

fn digest(record: &Data) -> Option<&DS> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds),
        _ => None,
    }
}
