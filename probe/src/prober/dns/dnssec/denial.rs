//! PURE: what NSEC and NSEC3 records prove not to be there (RFC 4035 §5.4, RFC 5155 §8, RFC 6840 §4).
//!
//! The records given are already verified, and of one zone. Limits: [`MAX_ITERATIONS`]; the caller bounds
//! their number.

#![expect(clippy::wildcard_enum_match_arm, reason = "other crates' enums are open; what they add proves nothing")]

use data_encoding::BASE32_DNSSEC;
use hickory_proto::dnssec::Nsec3HashAlgorithm;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, NSEC3};
use hickory_proto::rr::{Name, RData, Record, RecordType, RecordTypeSet};

/// The most iterations of an NSEC3 hash: beyond it a zone counts as not signed (RFC 9276 §3.2).
const MAX_ITERATIONS: u16 = 150;

/// What a proof shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// That it is not there.
    Absent,
    /// That it may be there unsigned: the span has opt-out, or its hashes have too many iterations.
    Unsigned,
    /// Nothing.
    Nothing,
}

/// What is known of a name that has no DS record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoDs {
    /// A zone that is not signed begins there, or may.
    Unsigned,
    /// No zone begins there.
    NoCut,
    /// The name is not there, and so none below it.
    NoName,
    /// Nothing.
    Nothing,
}

/// The verified NSEC or NSEC3 records of one answer.
#[derive(Debug)]
pub(super) enum Proofs<'m> {
    Nsec { zone: &'m Name, records: Vec<(&'m Name, &'m NSEC)> },
    Nsec3 { zone: &'m Name, records: Vec<(Vec<u8>, &'m NSEC3)> },
}

impl<'m> Proofs<'m> {
    /// Those of `records`, all of `zone`. NSEC3 where there are both, which only a zone in transition has.
    pub(super) fn of(zone: &'m Name, records: &[&'m Record]) -> Self {
        let hashed: Vec<(Vec<u8>, &NSEC3)> = records.iter().filter_map(|record| hashed(record, zone)).collect();
        if !hashed.is_empty() {
            return Self::Nsec3 { zone, records: hashed };
        }
        let plain = records.iter().filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
            _ => None,
        });
        Self::Nsec { zone, records: plain.collect() }
    }

    /// Whether `name` is not there, nor a wildcard that stands for it.
    pub(super) fn no_name(&self, name: &Name) -> Shown {
        match self {
            Self::Nsec { zone, records } => {
                let Some((owner, nsec)) = covering(records, zone, name) else { return Shown::Nothing };
                if name.zone_of(nsec.next_domain_name()) {
                    // There is something below it: it is there, if empty.
                    return Shown::Nothing;
                }
                let wildcard = under(&encloser(name, owner, nsec.next_domain_name()));
                let absent = wildcard.is_some_and(|wildcard| covering(records, zone, &wildcard).is_some());
                if absent { Shown::Absent } else { Shown::Nothing }
            }
            Self::Nsec3 { zone, records } => {
                let Some(hashes) = Hashes::of(zone, records) else { return Shown::Unsigned };
                let Some((encloser, span)) = hashes.closest(name) else { return Shown::Nothing };
                let absent = under(&encloser).is_some_and(|wildcard| hashes.covering(&wildcard).is_some());
                match (absent, span.opt_out()) {
                    (true, false) => Shown::Absent,
                    (true, true) => Shown::Unsigned,
                    (false, _) => Shown::Nothing,
                }
            }
        }
    }

    /// Whether `name`, or the wildcard that stands for it, has no record of `kind` and no alias.
    pub(super) fn no_data(&self, name: &Name, kind: RecordType) -> Shown {
        let lacks = |types: &RecordTypeSet| {
            // At a cut the parent's record says nothing but of the DS, and the child's nothing of it.
            let parents = types.contains(RecordType::NS) && !types.contains(RecordType::SOA);
            let childs = types.contains(RecordType::SOA) && !name.is_root();
            let right_side = if kind == RecordType::DS { !childs } else { !parents };
            right_side && !types.contains(kind) && !types.contains(RecordType::CNAME)
        };
        let shown = |absent: bool| if absent { Shown::Absent } else { Shown::Nothing };
        match self {
            Self::Nsec { zone, records } => {
                if let Some(nsec) = matching(records, name) {
                    return shown(lacks(nsec.type_set()));
                }
                let Some((owner, nsec)) = covering(records, zone, name) else { return Shown::Nothing };
                if name.zone_of(nsec.next_domain_name()) {
                    return Shown::Absent;
                }
                let wildcard = under(&encloser(name, owner, nsec.next_domain_name()));
                let wild = wildcard.and_then(|wildcard| matching(records, &wildcard));
                shown(wild.is_some_and(|wild| lacks(wild.type_set())))
            }
            Self::Nsec3 { zone, records } => {
                let Some(hashes) = Hashes::of(zone, records) else { return Shown::Unsigned };
                if let Some(nsec3) = hashes.matching(name) {
                    return shown(lacks(nsec3.type_set()));
                }
                let Some((encloser, span)) = hashes.closest(name) else { return Shown::Nothing };
                if kind == RecordType::DS && span.opt_out() {
                    return Shown::Unsigned;
                }
                let wild = under(&encloser).and_then(|wildcard| hashes.matching(&wildcard));
                shown(wild.is_some_and(|wild| lacks(wild.type_set())))
            }
        }
    }

    /// Whether no name stands between `name` and the wildcard of `labels` labels that was expanded for it.
    pub(super) fn no_nearer(&self, name: &Name, labels: u8) -> Shown {
        match self {
            Self::Nsec { zone, records } => {
                if covering(records, zone, name).is_some() {
                    Shown::Absent
                } else {
                    Shown::Nothing
                }
            }
            Self::Nsec3 { zone, records } => {
                let Some(hashes) = Hashes::of(zone, records) else { return Shown::Unsigned };
                match hashes.covering(&name.trim_to(usize::from(labels) + 1)) {
                    Some(span) if span.opt_out() => Shown::Unsigned,
                    Some(_) => Shown::Absent,
                    None => Shown::Nothing,
                }
            }
        }
    }

    /// What `name` is, which has no DS record.
    pub(super) fn no_ds(&self, name: &Name) -> NoDs {
        let at = |types: &RecordTypeSet| {
            if types.contains(RecordType::DS) || types.contains(RecordType::SOA) {
                NoDs::Nothing
            } else if types.contains(RecordType::NS) {
                NoDs::Unsigned
            } else {
                NoDs::NoCut
            }
        };
        match self {
            Self::Nsec { zone, records } => {
                if let Some(nsec) = matching(records, name) {
                    return at(nsec.type_set());
                }
                match covering(records, zone, name) {
                    Some((_, nsec)) if name.zone_of(nsec.next_domain_name()) => NoDs::NoCut,
                    Some(_) => NoDs::NoName,
                    None => NoDs::Nothing,
                }
            }
            Self::Nsec3 { zone, records } => {
                let Some(hashes) = Hashes::of(zone, records) else { return NoDs::Unsigned };
                if let Some(nsec3) = hashes.matching(name) {
                    return at(nsec3.type_set());
                }
                match hashes.closest(name) {
                    Some((_, span)) if span.opt_out() => NoDs::Unsigned,
                    Some(_) => NoDs::NoName,
                    None => NoDs::Nothing,
                }
            }
        }
    }
}

/// The wildcard below `encloser`.
fn under(encloser: &Name) -> Option<Name> {
    encloser.prepend_label("*").ok()
}

/// The NSEC record of `name` itself.
fn matching<'m>(records: &[(&'m Name, &'m NSEC)], name: &Name) -> Option<&'m NSEC> {
    records.iter().find(|(owner, _)| *owner == name).map(|(_, nsec)| *nsec)
}

/// The NSEC record in whose span `name` would stand. One at a cut above it, or at a DNAME, speaks for nothing below.
fn covering<'m>(records: &[(&'m Name, &'m NSEC)], zone: &Name, name: &Name) -> Option<(&'m Name, &'m NSEC)> {
    records.iter().copied().find(|(owner, nsec)| {
        let next = nsec.next_domain_name();
        let within = *owner < name && (name < next || next == zone);
        within && zone.zone_of(name) && !(owner.zone_of(name) && nsec.is_ancestor_delegation())
    })
}

/// The longest name above `name` that is there, since one of the ends of the span is at or below it.
fn encloser(name: &Name, owner: &Name, next: &Name) -> Name {
    let mut above = name.base_name();
    while !above.is_root() && !above.zone_of(owner) && !above.zone_of(next) {
        above = above.base_name();
    }
    above
}

fn hashed<'m>(record: &'m Record, zone: &Name) -> Option<(Vec<u8>, &'m NSEC3)> {
    let RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) = &record.data else { return None };
    let label = record.name.iter().next()?.to_ascii_lowercase();
    let hash = BASE32_DNSSEC.decode(&label).ok()?;
    (record.name.base_name() == *zone).then_some((hash, nsec3))
}

/// NSEC3 records of the same parameters.
struct Hashes<'p, 'm> {
    zone: &'p Name,
    records: &'p [(Vec<u8>, &'m NSEC3)],
    salt: &'m [u8],
    iterations: u16,
}

impl<'p, 'm> Hashes<'p, 'm> {
    /// `None` where there are too many iterations.
    fn of(zone: &'p Name, records: &'p [(Vec<u8>, &'m NSEC3)]) -> Option<Self> {
        let (_, first) = records.first()?;
        let (salt, iterations) = (first.salt(), first.iterations());
        (iterations <= MAX_ITERATIONS).then_some(Self { zone, records, salt, iterations })
    }

    fn own(&self) -> impl Iterator<Item = &(Vec<u8>, &'m NSEC3)> {
        self.records.iter().filter(|(_, nsec3)| nsec3.salt() == self.salt && nsec3.iterations() == self.iterations)
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        let digest = Nsec3HashAlgorithm::SHA1.hash(self.salt, name, self.iterations).ok()?;
        Some(digest.as_ref().to_vec())
    }

    fn matching(&self, name: &Name) -> Option<&'m NSEC3> {
        let hash = self.hash(name)?;
        self.own().find(|(owner, _)| *owner == hash).map(|(_, nsec3)| *nsec3)
    }

    fn covering(&self, name: &Name) -> Option<&'m NSEC3> {
        let hash = self.hash(name)?;
        let covers = |owner: &Vec<u8>, next: &[u8]| {
            let (after, before) = (*owner < hash, hash.as_slice() < next);
            // The last span of a zone ends at its first hash.
            if owner.as_slice() < next { after && before } else { after || before }
        };
        self.own().find(|(owner, nsec3)| covers(owner, nsec3.next_hashed_owner_name())).map(|(_, nsec3)| *nsec3)
    }

    /// The closest name above `name` that is there, and the span that the next nearer name is not in.
    fn closest(&self, name: &Name) -> Option<(Name, &'m NSEC3)> {
        let mut nearer = name.clone();
        while nearer != *self.zone && self.zone.zone_of(&nearer) {
            let above = nearer.base_name();
            if let Some(nsec3) = self.matching(&above) {
                if nsec3.is_ancestor_delegation() {
                    return None;
                }
                return Some((above, self.covering(&nearer)?));
            }
            nearer = above;
        }
        None
    }
}

#[cfg(test)]
mod tests;
