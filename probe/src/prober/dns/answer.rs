//! PURE: a DNS message → what it answers, and whether that is what is expected.
//!
//! Answers are in presentation form: addresses as usual, names in lower case without the last dot, `10
//! mail.example` for MX, the strings of a TXT record joined. They are sorted, so that an order that means
//! nothing changes nothing.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::net::Ipv6Addr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType as ProtoType};
use nines_shared::check::{DnsQuestion, RecordType};
use nines_shared::sample::{DnsEvidence, Phase, Reason, detail};

use super::super::failure::Failure;

/// The most aliases followed within one answer.
const MAX_ALIASES: usize = 16;
/// The most answers that are kept.
const MAX_ANSWERS: usize = 256;

/// What a message says of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) answers: Vec<String>,
    pub(super) ttl_s: Option<u32>,
}

pub(super) const fn proto_type(record_type: RecordType) -> ProtoType {
    match record_type {
        RecordType::A => ProtoType::A,
        RecordType::Aaaa => ProtoType::AAAA,
        RecordType::Cname => ProtoType::CNAME,
        RecordType::Mx => ProtoType::MX,
        RecordType::Txt => ProtoType::TXT,
        RecordType::Ns => ProtoType::NS,
    }
}

/// The records of `record_type` that `message` has for `name`, or for what its aliases lead to.
pub(super) fn read(message: &Message, name: &Name, record_type: RecordType) -> Found {
    let wanted = proto_type(record_type);
    let mut owner = name;
    for _alias in 0..=MAX_ALIASES {
        let own = || message.answers.iter().filter(|record| record.name == *owner);
        let records = || own().filter(|record| record.record_type() == wanted);
        if records().next().is_some() {
            let mut answers: Vec<String> =
                records().take(MAX_ANSWERS).filter_map(|record| shown(&record.data)).collect();
            answers.sort();
            answers.dedup();
            return Found { answers, ttl_s: records().map(|record| record.ttl).min() };
        }
        let alias = own().find_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        match alias {
            Some(target) => owner = target,
            None => break,
        }
    }
    Found { answers: Vec::new(), ttl_s: None }
}

fn shown(data: &RData) -> Option<String> {
    match data {
        RData::A(a) => Some(a.0.to_string()),
        RData::AAAA(aaaa) => Some(aaaa.0.to_string()),
        RData::CNAME(name) => Some(shown_name(&name.0)),
        RData::NS(name) => Some(shown_name(&name.0)),
        RData::MX(mx) => Some(format!("{} {}", mx.preference, shown_name(&mx.exchange))),
        RData::TXT(txt) => Some(detail(&String::from_utf8_lossy(&txt.txt_data.concat()))),
        _ => None,
    }
}

fn shown_name(name: &Name) -> String {
    bare_name(&name.to_ascii())
}

fn bare_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.strip_suffix('.') {
        Some("") | None => lower,
        Some(bare) => bare.to_owned(),
    }
}

/// `answer` as someone wrote it, in the form of [`read`].
fn normal(answer: &str, record_type: RecordType) -> String {
    let answer = answer.trim();
    match record_type {
        RecordType::A => answer.to_owned(),
        RecordType::Aaaa => answer.parse::<Ipv6Addr>().map_or_else(|_other| answer.to_owned(), |v6| v6.to_string()),
        RecordType::Cname | RecordType::Ns => bare_name(answer),
        RecordType::Mx => match answer.split_once(char::is_whitespace) {
            Some((preference, exchange)) => format!("{preference} {}", bare_name(exchange.trim())),
            None => bare_name(answer),
        },
        RecordType::Txt => detail(answer.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(answer)),
    }
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

/// Whether `evidence` is what `question` expects.
pub(super) fn judge(question: &DnsQuestion, evidence: &DnsEvidence) -> Result<(), Failure> {
    let theirs = |reason, detail: String| Err(Failure::theirs(reason, Phase::Resolve, detail));
    let wanted = question.expect.rcode.as_deref().unwrap_or("NOERROR");
    if !evidence.rcode.eq_ignore_ascii_case(wanted) {
        let detail = format!("the server answers {}; {wanted} is expected", evidence.rcode);
        return theirs(reason_of(&evidence.rcode), detail);
    }
    let Some(expected) = &question.expect.answers else {
        if evidence.answers.is_empty() && wanted.eq_ignore_ascii_case("NOERROR") {
            return theirs(Reason::DnsNoData, format!("the name exists but has no {} record", question.record_type));
        }
        return Ok(());
    };
    let mut expected: Vec<String> = expected.iter().map(|answer| normal(answer, question.record_type)).collect();
    expected.sort();
    expected.dedup();
    if evidence.answers == expected {
        return Ok(());
    }
    let reason = if evidence.answers.is_empty() { Reason::DnsNoData } else { Reason::DnsAnswers };
    theirs(reason, format!("expected {}; the answer is {}", list(&expected), list(&evidence.answers)))
}

/// The reason for a response code that is not the expected one.
fn reason_of(rcode: &str) -> Reason {
    match rcode {
        "NXDOMAIN" => Reason::DnsNxdomain,
        "SERVFAIL" => Reason::DnsServfail,
        "REFUSED" => Reason::DnsRefused,
        _ => Reason::DnsRcode,
    }
}

fn list(answers: &[String]) -> String {
    if answers.is_empty() { "nothing".to_owned() } else { answers.join(", ") }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, CNAME, MX, TXT};
    use nines_shared::check::DnsExpect;
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn message(records: Vec<(&str, RData)>) -> Message {
        let mut message = Message::error_msg(1, hickory_proto::op::OpCode::Query, ResponseCode::NoError);
        for (ttl, (owner, data)) in (30..).zip(records) {
            message.add_answer(Record::from_rdata(name(owner), ttl, data));
        }
        message
    }

    fn a(last: u8) -> RData {
        RData::A(A::new(192, 0, 2, last))
    }

    #[test]
    fn aliases_are_followed_in_whatever_order_they_stand_and_strangers_are_not_answers() {
        let message = message(vec![
            ("edge.example.", a(2)),
            ("stranger.example.", a(9)),
            ("EDGE.example.", a(1)),
            ("Shop.Example.", RData::CNAME(CNAME(name("edge.example.")))),
        ]);
        let found = read(&message, &name("shop.example."), RecordType::A);
        assert_eq!(found, Found { answers: vec!["192.0.2.1".into(), "192.0.2.2".into()], ttl_s: Some(30) });
        assert_eq!(read(&message, &name("shop.example."), RecordType::Cname).answers, ["edge.example"]);
    }

    #[test]
    fn a_loop_of_aliases_ends() {
        let message = message(vec![
            ("a.example.", RData::CNAME(CNAME(name("b.example.")))),
            ("b.example.", RData::CNAME(CNAME(name("a.example.")))),
        ]);
        assert!(read(&message, &name("a.example."), RecordType::A).answers.is_empty());
    }

    fn question(record_type: RecordType, answers: &[&str]) -> DnsQuestion {
        let answers = Some(answers.iter().map(|&answer| answer.to_owned()).collect());
        let expect = DnsExpect { rcode: None, answers };
        DnsQuestion { name: "shop.example".into(), record_type, server: None, expect }
    }

    fn evidence(found: Found) -> DnsEvidence {
        DnsEvidence { transport: "udp".into(), rcode: "NOERROR".into(), answers: found.answers, ttl_s: found.ttl_s }
    }

    #[test]
    fn expected_answers_may_be_written_as_people_and_zone_files_do() {
        let shop = name("shop.example.");
        let mail = message(vec![("shop.example.", RData::MX(MX::new(10, name("Mail.Example."))))]);
        let text = message(vec![("shop.example.", RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()])))]);
        let v6 = message(vec![("shop.example.", RData::AAAA("2001:db8::1".parse::<Ipv6Addr>().unwrap().into()))]);
        for (message, record_type, written) in [
            (&mail, RecordType::Mx, ["10 mail.example", "10  MAIL.example."]),
            (&text, RecordType::Txt, ["v=spf1 -all", "\"v=spf1 -all\""]),
            (&v6, RecordType::Aaaa, ["2001:db8::1", "2001:DB8:0:0::1"]),
        ] {
            let evidence = evidence(read(message, &shop, record_type));
            for expected in written {
                assert_eq!(judge(&question(record_type, &[expected]), &evidence), Ok(()), "{expected}");
            }
            assert_eq!(judge(&question(record_type, &["x"]), &evidence).unwrap_err().reason, Reason::DnsAnswers);
        }
    }

    #[test]
    fn an_expected_refusal_is_a_success_and_an_unexpected_answer_is_not() {
        let mut question = question(RecordType::A, &[]);
        question.expect = DnsExpect { rcode: Some("nxdomain".into()), answers: None };
        let mut evidence = evidence(Found { answers: Vec::new(), ttl_s: None });
        evidence.rcode = "NXDOMAIN".into();
        assert_eq!(judge(&question, &evidence), Ok(()));
        evidence.rcode = "NOERROR".into();
        assert_eq!(judge(&question, &evidence).unwrap_err().reason, Reason::DnsRcode);
        evidence.rcode = "SERVFAIL".into();
        assert_eq!(judge(&question, &evidence).unwrap_err().reason, Reason::DnsServfail);
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
}
