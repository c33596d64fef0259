//! Each type as zone files and people write it, and as servers send it.

use hickory_proto::op::Message;

use super::*;

/// How each type may be written, and the one form that it has.
const WRITTEN: &[(RecordType, &[&str], &str)] = &[
    (RecordType::A, &["192.0.2.1", " 192.0.2.1 "], "192.0.2.1"),
    (RecordType::Aaaa, &["2001:DB8:0:0::1"], "2001:db8::1"),
    (RecordType::Cname, &["Edge.Example.", "edge.example"], "edge.example"),
    (RecordType::Ns, &["NS1.example."], "ns1.example"),
    (RecordType::Ptr, &["host.Example."], "host.example"),
    (RecordType::Mx, &["10 mail.example", "10  MAIL.example."], "10 mail.example"),
    (RecordType::Srv, &["0 5 5060 SIP.example."], "0 5 5060 sip.example"),
    (
        RecordType::Soa,
        &["NS1.example. Admin.example. 2026112301  3600 600 86400 300"],
        "ns1.example admin.example 2026112301 3600 600 86400 300",
    ),
    (RecordType::Txt, &["v=spf1 -all", "\"v=spf1 -all\"", "\"v=spf1 \" \"-all\""], "v=spf1 -all"),
    (RecordType::Caa, &["0 issue letsencrypt.org", "0 ISSUE \"letsencrypt.org\""], "0 issue \"letsencrypt.org\""),
    (
        RecordType::Naptr,
        &[
            r#"100 10 u E2U+sip "!^.*$!sip:info@shop.example!" ."#,
            r#"100 10 "u" "E2U+sip" "!^.*$!sip:info@shop.example!" ."#,
        ],
        r#"100 10 "u" "E2U+sip" "!^.*$!sip:info@shop.example!" ."#,
    ),
    (RecordType::Ds, &["20326 8 2 e06d 44b8", "20326 8 2 E06D44B8"], "20326 8 2 E06D44B8"),
    (RecordType::Dnskey, &["257 3 13 mdss wUyr+A=="], "257 3 13 mdsswUyr+A=="),
    (RecordType::Tlsa, &["3 1 1 0a 0b"], "3 1 1 0A0B"),
    (RecordType::Https, &["1 . port=443 alpn=\"h2,h3\"", "1 . alpn=h2,h3 key3=443"], "1 . alpn=h2,h3 port=443"),
    (RecordType::Svcb, &["0 Svc.example."], "0 svc.example"),
];

#[test]
fn expected_answers_may_be_written_as_people_and_zone_files_do() {
    for (record_type, written, form) in WRITTEN {
        for text in *written {
            assert_eq!(&normal(text, *record_type), form, "{record_type}: {text}");
        }
        assert_eq!(&normal(form, *record_type), form, "{record_type}: it is the one form");
    }
    assert_eq!(WRITTEN.len(), RecordType::ALL.len(), "each type is here");
}

#[test]
fn what_is_too_much_or_different_is_equal_to_nothing() {
    for (record_type, written, form) in [
        (RecordType::Mx, "10 mail.example extra", "10 mail.example"),
        (RecordType::Dnskey, "257 3 13 MDSS", "257 3 13 mdss"),
        (RecordType::Txt, "V=SPF1 -all", "v=spf1 -all"),
        (RecordType::Https, "1 . alpn=h3,h2", "1 . alpn=h2,h3"),
    ] {
        assert_ne!(normal(written, record_type), form);
    }
}

/// Whatever data a server sends, its text is one clean line in the form that an expected answer has.
#[test]
fn fuzz_every_record_is_shown_in_its_normal_form() {
    bolero::check!().for_each(|bytes: &[u8]| {
        // A message whose only answer has data of the fuzzer's choice.
        let Some((&kind, data)) = bytes.split_first() else { return };
        let record_type = RecordType::ALL[usize::from(kind) % RecordType::ALL.len()];
        let Ok(length) = u16::try_from(data.len()) else { return };
        let kind = u16::from(proto_type(record_type)).to_be_bytes();
        let head = [0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, kind[0], kind[1], 0, 1, 0, 0, 0, 60];
        let message = [&head[..], &length.to_be_bytes(), data].concat();
        let Ok(message) = Message::from_vec(&message) else { return };
        for record in &message.answers {
            let Some(shown) = shown(&record.data) else { continue };
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            assert_eq!(normal(&shown, record_type), shown);
        }
    });
}
