//! PURE: a DNS message → what it answers, through its aliases.
//!
//! Answers are sorted, so that an order that means nothing changes nothing. Limits: [`MAX_ALIASES`],
//! [`MAX_ANSWERS`].

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::ops::RangeInclusive;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record};
use nines_shared::check::RecordType;

use super::present::{proto_type, shown, shown_name};

/// The most aliases followed within one answer.
pub(super) const MAX_ALIASES: usize = 16;
/// The most answers that are kept, and the most records of any other section.
const MAX_ANSWERS: usize = 256;

/// What a message says of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) answers: Vec<String>,
    /// The lowest and the highest TTL among them.
    pub(super) ttl_s: Option<RangeInclusive<u32>>,
    /// The serial of an SOA record among them.
    pub(super) serial: Option<u32>,
    /// Why the aliases lead nowhere.
    pub(super) astray: Option<Astray>,
}

/// Why aliases lead nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Astray {
    /// Back to this name.
    Loop(String),
    /// Further than [`MAX_ALIASES`].
    TooFar,
}

/// The records of `record_type` that `message` has for `name`, or for what its aliases lead to.
pub(super) fn read(message: &Message, name: &Name, record_type: RecordType) -> Found {
    let wanted = proto_type(record_type);
    let mut passed: Vec<&Name> = Vec::new();
    let mut owner = name;
    let astray = loop {
        let own = || message.answers.iter().filter(|record| record.name == *owner);
        let records = || own().filter(|record| record.record_type() == wanted);
        if let Some(first) = records().next() {
            let mut answers: Vec<String> =
                records().take(MAX_ANSWERS).filter_map(|record| shown(&record.data)).collect();
            answers.sort();
            answers.dedup();
            let (low, high) = records()
                .fold((first.ttl, first.ttl), |(low, high), record| (low.min(record.ttl), high.max(record.ttl)));
            return Found { answers, ttl_s: Some(low..=high), serial: serial(&first.data), astray: None };
        }
        let alias = own().find_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        let Some(target) = alias else { break None };
        passed.push(owner);
        if passed.contains(&target) {
            break Some(Astray::Loop(shown_name(target)));
        }
        if MAX_ALIASES < passed.len() {
            break Some(Astray::TooFar);
        }
        owner = target;
    };
    Found { answers: Vec::new(), ttl_s: None, serial: None, astray }
}

fn serial(data: &RData) -> Option<u32> {
    match data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    }
}

/// The records of a section: type and data, sorted.
pub(super) fn section(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| Some(format!("{} {}", record.record_type(), shown(&record.data)?));
    let mut lines: Vec<String> = records.iter().take(MAX_ANSWERS).filter_map(line).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// The IANA name of `code`.
pub(super) fn rcode_name(code: ResponseCode) -> String {
    let known = match u16::from(code) {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        other => return format!("RCODE{other}"),
    };
    known.to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use hickory_proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    pub(in super::super) fn message(records: Vec<(&str, RData)>) -> Message {
        let mut message = Message::error_msg(1, hickory_proto::op::OpCode::Query, ResponseCode::NoError);
        for (ttl, (owner, data)) in (30..).zip(records) {
            message.add_answer(Record::from_rdata(name(owner), ttl, data));
        }
        message
    }

    pub(in super::super) fn a(last: u8) -> RData {
        RData::A(A::new(192, 0, 2, last))
    }

    fn alias(target: &str) -> RData {
        RData::CNAME(CNAME(name(target)))
    }

    #[test]
    fn aliases_are_followed_in_whatever_order_they_stand_and_strangers_are_not_answers() {
        let message = message(vec![
            ("edge.example.", a(2)),
            ("stranger.example.", a(9)),
            ("EDGE.example.", a(1)),
            ("Shop.Example.", alias("edge.example.")),
        ]);
        let found = read(&message, &name("shop.example."), RecordType::A);
        assert_eq!((found.answers, found.ttl_s), (vec!["192.0.2.1".into(), "192.0.2.2".into()], Some(30..=32)));
        assert_eq!(read(&message, &name("shop.example."), RecordType::Cname).answers, ["edge.example"]);
    }

    #[test]
    fn a_loop_of_aliases_is_told_from_a_chain_that_is_too_long_and_from_one_that_ends() {
        let of = |records| read(&message(records), &name("a.example."), RecordType::A).astray;
        let (to_a, to_b) = (alias("A.example."), alias("b.example."));
        assert_eq!(
            of(vec![("a.example.", to_b.clone()), ("b.example.", to_a.clone())]),
            Some(Astray::Loop("a.example".into()))
        );
        assert_eq!(of(vec![("a.example.", to_a)]), Some(Astray::Loop("a.example".into())));
        assert_eq!(of(vec![("a.example.", to_b)]), None);
        let names: Vec<String> = (0..=MAX_ALIASES + 1).map(|n| format!("n{n}.example.")).collect();
        let chain = |length: usize| {
            let links = names.windows(2).take(length).map(|pair| (pair[0].as_str(), alias(&pair[1]))).collect();
            let mut message = message(links);
            message.add_answer(Record::from_rdata(name(&names[length]), 60, a(1)));
            read(&message, &name("n0.example."), RecordType::A)
        };
        assert_eq!(chain(MAX_ALIASES).answers, ["192.0.2.1"]);
        assert_eq!(chain(MAX_ALIASES + 1).astray, Some(Astray::TooFar));
    }

    proptest! {
        #[test]
        fn the_order_of_answers_never_matters(lasts in proptest::collection::vec(any::<u8>(), 1..9), turn in 0_usize..9) {
            let mut turned = lasts.clone();
            turned.rotate_left(turn % lasts.len());
            let of = |lasts: &[u8]| {
                let message = message(lasts.iter().map(|&last| ("shop.example.", a(last))).collect());
                read(&message, &name("shop.example."), RecordType::A).answers
            };
            prop_assert_eq!(of(&lasts), of(&turned));
        }
    }

    /// Whatever bytes a server sends: if they can be read at all, what is found is bounded and in order.
    #[test]
    fn fuzz_any_message_is_read_within_its_bounds() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(message) = Message::from_vec(bytes) else { return };
            let names = message.queries.iter().map(|asked| &asked.name).chain(message.answers.iter().map(|a| &a.name));
            for name in names.take(4) {
                for record_type in [RecordType::A, RecordType::Soa, RecordType::Txt] {
                    let found = read(&message, name, record_type);
                    assert!(found.answers.len() <= MAX_ANSWERS && found.answers.is_sorted());
                    assert!(found.astray.is_none() || found.answers.is_empty());
                    assert_eq!(
                        found.ttl_s.is_some(),
                        message
                            .answers
                            .iter()
                            .any(|a| !found.answers.is_empty() && a.record_type() == proto_type(record_type))
                    );
                }
            }
            assert!(section(&message.authorities).is_sorted());
        });
    }
}
