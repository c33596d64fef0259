//! Each expectation where it holds, and where it does not.

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::{NS, SOA};
use nines_shared::check::{Bounds, FlagsExpect};
use nines_shared::sample::DnsFlags;

use super::super::answer::tests::{a, message, name};
use super::super::answer::{read, section};
use super::*;

fn question(record_type: RecordType, expect: DnsExpect) -> DnsQuestion {
    DnsQuestion { expect, ..DnsQuestion::new("shop.example", record_type, None) }
}

/// The reason that `expect` gives for two addresses of TTL 30 and 31, with AA set and a name server.
fn of(expect: DnsExpect) -> Option<Reason> {
    let message = message(vec![("shop.example.", a(1)), ("shop.example.", a(2))]);
    let found = read(&message, &name("shop.example."), RecordType::A);
    let mut with_ns = message.clone();
    with_ns.authorities = vec![hickory_proto::rr::Record::from_rdata(
        name("shop.example."),
        60,
        RData::NS(NS(name("ns1.shop.example."))),
    )];
    let evidence = DnsEvidence {
        rcode: "NOERROR".into(),
        answers: found.answers.clone(),
        flags: DnsFlags { aa: true, ..DnsFlags::default() },
        authority: section(&with_ns.authorities),
        ..DnsEvidence::default()
    };
    judge(&question(RecordType::A, expect), &evidence, &found).err().map(|failure| failure.reason)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn each_expectation_holds_or_has_its_reason() {
    let any = |regex: &str| Some(AnswerPattern::Any(regex.parse().unwrap()));
    let every = |regex: &str| Some(AnswerPattern::Every(regex.parse().unwrap()));
    let bounds = |min, max| Some(Bounds { min, max });
    let none = DnsExpect::default;
    let flags = |aa| FlagsExpect { aa: Some(aa), ..FlagsExpect::default() };
    let table = [
        ("nothing", none(), None),
        ("exactly", DnsExpect { answers: Some(texts(&["192.0.2.2", "192.0.2.1"])), ..none() }, None),
        ("exactly, but one", DnsExpect { answers: Some(texts(&["192.0.2.1"])), ..none() }, Some(Reason::DnsAnswers)),
        ("contains", DnsExpect { contains: texts(&["192.0.2.1"]), ..none() }, None),
        ("contains a stranger", DnsExpect { contains: texts(&["192.0.2.9"]), ..none() }, Some(Reason::DnsAnswers)),
        ("any of", DnsExpect { any_of: texts(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]), ..none() }, None),
        (
            "any of, but one",
            DnsExpect { any_of: texts(&["192.0.2.1", "192.0.2.3"]), ..none() },
            Some(Reason::DnsAnswers),
        ),
        ("any matches", DnsExpect { matches: any("2$"), ..none() }, None),
        ("none matches", DnsExpect { matches: any("9$"), ..none() }, Some(Reason::DnsAnswers)),
        ("every matches", DnsExpect { matches: every(r"^192\.0\.2\."), ..none() }, None),
        ("not every matches", DnsExpect { matches: every("2$"), ..none() }, Some(Reason::DnsAnswers)),
        ("two are enough", DnsExpect { count: bounds(Some(2), Some(2)), ..none() }, None),
        ("too few", DnsExpect { count: bounds(Some(3), None), ..none() }, Some(Reason::DnsAnswers)),
        ("too many", DnsExpect { count: bounds(None, Some(1)), ..none() }, Some(Reason::DnsAnswers)),
        ("every TTL", DnsExpect { ttl_s: bounds(Some(30), Some(31)), ..none() }, None),
        ("one TTL is too low", DnsExpect { ttl_s: bounds(Some(31), None), ..none() }, Some(Reason::DnsTtl)),
        ("one TTL is too high", DnsExpect { ttl_s: bounds(None, Some(30)), ..none() }, Some(Reason::DnsTtl)),
        ("AA is set", DnsExpect { flags: flags(true), ..none() }, None),
        ("AA should be clear", DnsExpect { flags: flags(false), ..none() }, Some(Reason::DnsFlags)),
        ("authority", DnsExpect { authority: texts(&["ns NS1.shop.example."]), ..none() }, None),
        ("no authority", DnsExpect { authority: texts(&["NS ns2.shop.example"]), ..none() }, Some(Reason::DnsSections)),
        ("no additional", DnsExpect { additional: texts(&["A 192.0.2.53"]), ..none() }, Some(Reason::DnsSections)),
        ("one of several codes", DnsExpect { rcode: Some("NXDOMAIN|NOERROR".parse().unwrap()), ..none() }, None),
        ("another code", DnsExpect { rcode: Some("NXDOMAIN".parse().unwrap()), ..none() }, Some(Reason::DnsRcode)),
    ];
    for (case, expect, reason) in table {
        assert_eq!(of(expect), reason, "{case}");
    }
}

#[test]
fn without_answers_what_wants_one_has_no_data() {
    let found = read(&message(Vec::new()), &name("shop.example."), RecordType::A);
    let evidence = DnsEvidence { rcode: "NOERROR".into(), ..DnsEvidence::default() };
    let of = |expect| judge(&question(RecordType::A, expect), &evidence, &found).err().map(|failure| failure.reason);
    let none = DnsExpect::default;
    let zero = Some(Bounds { min: None, max: Some(0) });
    assert_eq!(of(none()), Some(Reason::DnsNoData));
    assert_eq!(of(DnsExpect { contains: texts(&["192.0.2.1"]), ..none() }), Some(Reason::DnsNoData));
    assert_eq!(of(DnsExpect { any_of: texts(&["192.0.2.1"]), ..none() }), Some(Reason::DnsNoData));
    assert_eq!(of(DnsExpect { answers: Some(Vec::new()), ..none() }), None);
    assert_eq!(of(DnsExpect { count: zero, ..none() }), None);
    assert_eq!(of(DnsExpect { authority: texts(&["NS ns1.example"]), ..none() }), Some(Reason::DnsSections));
}

#[test]
fn an_expected_refusal_is_a_success_and_an_unexpected_one_has_its_own_reason() {
    let found = read(&message(Vec::new()), &name("shop.example."), RecordType::A);
    let expect = DnsExpect { rcode: Some("nxdomain".parse().unwrap()), ..DnsExpect::default() };
    for (rcode, reason) in [
        ("NXDOMAIN", None),
        ("NOERROR", Some(Reason::DnsRcode)),
        ("SERVFAIL", Some(Reason::DnsServfail)),
        ("REFUSED", Some(Reason::DnsRefused)),
    ] {
        let evidence = DnsEvidence { rcode: rcode.into(), ..DnsEvidence::default() };
        let seen = judge(&question(RecordType::A, expect.clone()), &evidence, &found).err();
        assert_eq!(seen.map(|failure| failure.reason), reason, "{rcode}");
    }
}

#[test]
fn serials_are_compared_as_zones_count_them() {
    let soa = |serial| RData::SOA(SOA::new(name("ns1.example."), name("admin.example."), serial, 1, 1, 1, 1));
    let of = |serial, wanted| {
        let found = read(&message(vec![("shop.example.", soa(serial))]), &name("shop.example."), RecordType::Soa);
        let evidence =
            DnsEvidence { rcode: "NOERROR".into(), answers: found.answers.clone(), ..DnsEvidence::default() };
        let expect = DnsExpect { serial_at_least: Some(wanted), ..DnsExpect::default() };
        judge(&question(RecordType::Soa, expect), &evidence, &found).err().map(|failure| failure.reason)
    };
    assert_eq!(of(2_026_112_301, 2_026_112_301), None);
    assert_eq!(of(2_026_112_300, 2_026_112_301), Some(Reason::DnsAnswers));
    // A serial that went round is later than those before it.
    assert_eq!(of(5, u32::MAX - 5), None);
}

#[test]
fn aliases_that_lead_nowhere_are_told_apart_from_no_data() {
    let found =
        Found { answers: Vec::new(), ttl_s: None, serial: None, astray: Some(Astray::Loop("a.example".into())) };
    let evidence = DnsEvidence { rcode: "NOERROR".into(), ..DnsEvidence::default() };
    let failure = judge(&question(RecordType::A, DnsExpect::default()), &evidence, &found).unwrap_err();
    assert_eq!(failure.reason, Reason::DnsCnameLoop);
    assert!(failure.detail.contains("a.example"), "{}", failure.detail);
}

#[test]
fn a_long_list_of_answers_is_cut_and_says_by_how_much() {
    let many: Vec<String> = (0..100).map(|n| format!("192.0.2.{n}")).collect();
    let text = list(&many);
    assert!(text.len() < 300 && text.ends_with("more"), "{text}");
    assert_eq!(list(&many[..2]), "192.0.2.0, 192.0.2.1");
}
