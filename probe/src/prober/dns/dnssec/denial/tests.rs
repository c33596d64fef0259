//! A small zone, denied by NSEC and by NSEC3, and the proofs that must not hold.

use super::*;

const TYPES: [RecordType; 5] = [RecordType::A, RecordType::MX, RecordType::DS, RecordType::NS, RecordType::CNAME];

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// What there is in the zone: `sub` is delegated unsigned, `safe` signed, `a.ent` makes `ent` an empty name, and
/// `wild` has a wildcard below it.
const ZONE: &[(&str, &[RecordType])] = &[
    ("shop.example.", &[RecordType::SOA, RecordType::NS, RecordType::A]),
    ("a.ent.shop.example.", &[RecordType::A]),
    ("safe.shop.example.", &[RecordType::NS, RecordType::DS]),
    ("sub.shop.example.", &[RecordType::NS]),
    ("*.wild.shop.example.", &[RecordType::A]),
    ("www.shop.example.", &[RecordType::CNAME]),
];

fn nsec() -> Vec<Record> {
    let mut names: Vec<(Name, &[RecordType])> = ZONE.iter().map(|(owner, types)| (name(owner), *types)).collect();
    names.sort();
    let next = names.iter().cycle().skip(1).map(|(next, _)| next.clone());
    let records = names.iter().zip(next).map(|((owner, types), next)| {
        let nsec = NSEC::new(next, types.iter().copied());
        Record::from_rdata(owner.clone(), 60, RData::DNSSEC(DNSSECRData::NSEC(nsec)))
    });
    records.collect()
}

fn nsec3(opt_out: bool, iterations: u16) -> Vec<Record> {
    let (apex, salt) = (name("shop.example."), vec![0xab]);
    let empty: &[(&str, &[RecordType])] = &[("ent.shop.example.", &[]), ("wild.shop.example.", &[])];
    let hash = |owner: &str| Nsec3HashAlgorithm::SHA1.hash(&salt, &name(owner), iterations).unwrap().as_ref().to_vec();
    let mut hashes: Vec<(Vec<u8>, &[RecordType])> =
        ZONE.iter().chain(empty).map(|(owner, types)| (hash(owner), *types)).collect();
    hashes.sort();
    let next = hashes.iter().cycle().skip(1).map(|(next, _)| next.clone());
    let records = hashes.iter().zip(next).map(|((hash, types), next)| {
        let nsec3 =
            NSEC3::new(Nsec3HashAlgorithm::SHA1, opt_out, iterations, salt.clone(), next, types.iter().copied());
        let owner = apex.prepend_label(BASE32_DNSSEC.encode(hash)).unwrap();
        Record::from_rdata(owner, 60, RData::DNSSEC(DNSSECRData::NSEC3(nsec3)))
    });
    records.collect()
}

#[test]
fn both_kinds_of_records_prove_the_same() {
    let apex = name("shop.example.");
    for records in [nsec(), nsec3(false, 5)] {
        let records: Vec<&Record> = records.iter().collect();
        let proofs = Proofs::of(&apex, &records);
        for (owner, shown) in [
            ("nothing.shop.example.", Shown::Absent),
            ("zzz.shop.example.", Shown::Absent),
            ("deep.nothing.shop.example.", Shown::Absent),
            ("shop.example.", Shown::Nothing),
            ("ent.shop.example.", Shown::Nothing),
            ("www.shop.example.", Shown::Nothing),
            // A wildcard stands for it.
            ("any.wild.shop.example.", Shown::Nothing),
            // What is below a cut is for the child to deny.
            ("x.sub.shop.example.", Shown::Nothing),
            ("other.example.", Shown::Nothing),
        ] {
            assert_eq!(proofs.no_name(&name(owner)), shown, "no name: {owner} {proofs:?}");
        }
        for (owner, kind, shown) in [
            ("shop.example.", RecordType::MX, Shown::Absent),
            ("shop.example.", RecordType::A, Shown::Nothing),
            ("ent.shop.example.", RecordType::A, Shown::Absent),
            ("any.wild.shop.example.", RecordType::MX, Shown::Absent),
            ("any.wild.shop.example.", RecordType::A, Shown::Nothing),
            // It has an alias, so that it may have anything.
            ("www.shop.example.", RecordType::A, Shown::Nothing),
            // The parent's record says nothing of what the child has at the cut.
            ("sub.shop.example.", RecordType::A, Shown::Nothing),
            ("sub.shop.example.", RecordType::DS, Shown::Absent),
            ("safe.shop.example.", RecordType::DS, Shown::Nothing),
            // The child's record says nothing of the DS.
            ("shop.example.", RecordType::DS, Shown::Nothing),
            ("nothing.shop.example.", RecordType::A, Shown::Nothing),
        ] {
            assert_eq!(proofs.no_data(&name(owner), kind), shown, "no data: {owner} {kind}");
        }
        for (owner, place) in [
            ("sub.shop.example.", NoDs::Unsigned),
            ("safe.shop.example.", NoDs::Nothing),
            ("ent.shop.example.", NoDs::NoCut),
            ("a.ent.shop.example.", NoDs::NoCut),
            ("nothing.shop.example.", NoDs::NoName),
            ("shop.example.", NoDs::Nothing),
            ("other.example.", NoDs::Nothing),
        ] {
            assert_eq!(proofs.no_ds(&name(owner)), place, "no DS: {owner}");
        }
        let wild = name("any.wild.shop.example.");
        assert_eq!(proofs.no_nearer(&wild, 3), Shown::Absent);
        assert_eq!(proofs.no_nearer(&name("a.ent.shop.example."), 3), Shown::Nothing);
    }
}

#[test]
fn opt_out_and_too_many_iterations_prove_no_more_than_that_it_may_be_unsigned() {
    let apex = name("shop.example.");
    let (open, slow) = (nsec3(true, 0), nsec3(false, MAX_ITERATIONS + 1));
    for records in [&open, &slow] {
        let records: Vec<&Record> = records.iter().collect();
        let proofs = Proofs::of(&apex, &records);
        assert_eq!(proofs.no_name(&name("nothing.shop.example.")), Shown::Unsigned);
        assert_eq!(proofs.no_ds(&name("nothing.shop.example.")), NoDs::Unsigned);
    }
    // What has a record of its own is not in an open span.
    let records: Vec<&Record> = open.iter().collect();
    assert_eq!(Proofs::of(&apex, &records).no_ds(&name("a.ent.shop.example.")), NoDs::NoCut);
}

#[test]
fn without_records_nothing_is_proven() {
    let apex = name("shop.example.");
    let proofs = Proofs::of(&apex, &[]);
    assert_eq!(proofs.no_name(&name("nothing.shop.example.")), Shown::Nothing);
    assert_eq!(proofs.no_data(&apex, RecordType::MX), Shown::Nothing);
    assert_eq!(proofs.no_ds(&name("sub.shop.example.")), NoDs::Nothing);
    assert_eq!(proofs.no_nearer(&apex, 1), Shown::Nothing);
}

/// Whichever of a true zone's records a server shows, and whatever it is asked: nothing that is there is denied.
#[test]
fn fuzz_what_is_there_is_never_denied() {
    let apex = name("shop.example.");
    let zones = [nsec(), nsec3(false, 1)];
    bolero::check!().with_type::<(bool, u16, u8, u8)>().for_each(|(hashed, chosen, owner, kind)| {
        let all = &zones[usize::from(*hashed)];
        let shown: Vec<&Record> =
            all.iter().enumerate().filter(|(index, _)| chosen & (1 << index) != 0).map(|(_, record)| record).collect();
        let proofs = Proofs::of(&apex, &shown);
        let (owner, types) = ZONE[usize::from(*owner) % ZONE.len()];
        let (owner, kind) = (name(owner), TYPES[usize::from(*kind) % TYPES.len()]);
        assert_ne!(proofs.no_name(&owner), Shown::Absent, "{owner}");
        if types.contains(&kind) {
            assert_ne!(proofs.no_data(&owner, kind), Shown::Absent, "{owner} {kind}");
        }
        if types.contains(&RecordType::DS) {
            assert_eq!(proofs.no_ds(&owner), NoDs::Nothing, "{owner}");
        }
    });
}
