//! What a TLS check may expect beside a valid chain.

use nines_shared::check::{OcspExpect, Pin};
use nines_shared::time::{Clock, Timestamp};
use rcgen::date_time_ymd;

use super::super::*;
use super::fixture::{Authority, Shown, ask, leaf, question, secured, self_signed, server, showing, signed, stapling};
use crate::prober::chain;

const DAY_MS: i64 = 86_400_000;

fn pin(der: &rustls::pki_types::CertificateDer<'_>) -> Pin {
    chain::pin(chain::parsed(der).unwrap().public_key().raw)
}

/// A chain of ours over `between`, with `stray` beside it.
fn with_stray(between: &Authority, stray: &Authority) -> Shown {
    let mut shown = signed(&leaf(), between);
    shown.chain.push(stray.der.clone());
    shown
}

#[tokio::test]
async fn the_earliest_end_of_the_verified_path_counts_and_no_stray_certificate_does() {
    let ca = Authority::new("ours");
    let (between, stray) = (Authority::between("between", &ca, 2050), Authority::between("stray", &ca, 2040));
    let mut asked = question(showing(with_stray(&between, &stray)).await, &ca);
    asked.expect.valid_for_ms = Some(14 * DAY_MS);
    let soon = down(Reason::TlsExpiresSoon, Phase::Tls);
    let ends = |year| date_time_ymd(year, 1, 1).unix_timestamp() * 1_000;
    // Only the judgement is told another time; the handshake itself goes by the machine's.
    for (now, wanted) in [(ends(2040), UP), (ends(2050) - 15 * DAY_MS, UP), (ends(2050) - 13 * DAY_MS, soon)] {
        let mut prober = prober();
        prober.clock = Clock::manual(Timestamp::from_ms(now));
        let seen = prober.run(&check(Question::Tls(Box::new(asked.clone())), LONG_MS), TRACE).await;
        assert_eq!(verdict(&seen), wanted, "{seen:?}");
        assert!(seen.detail.is_none_or(|detail| detail.starts_with("CN=between is valid for 13d more")));
    }
}

#[tokio::test]
async fn a_pin_holds_for_any_key_of_the_verified_path_and_no_other() {
    let ca = Authority::new("ours");
    let (between, stray) = (Authority::between("between", &ca, 2100), Authority::between("stray", &ca, 2100));
    let shown = with_stray(&between, &stray);
    let own = shown.chain[0].clone();
    let target = showing(shown).await;
    let missed = down(Reason::TlsPin, Phase::Tls);
    for (whose, der, verified, unverified) in [
        ("the target's own", &own, UP, UP),
        ("the authority's between", &between.der, UP, missed.clone()),
        ("the root's", &ca.der, UP, missed.clone()),
        ("a stray one's", &stray.der, missed.clone(), missed),
    ] {
        let mut asked = question(target, &ca);
        asked.expect.pins = vec![Pin([0; 32]), pin(der)];
        assert_eq!(verdict(&ask(asked.clone(), LONG_MS).await), verified, "{whose}");
        // Without a path nothing but the target's own key is proven.
        (asked.ca_pem, asked.verify) = (None, false);
        let seen = ask(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), unverified, "{whose}");
        assert!(seen.evidence.tls.unwrap().unverified.unwrap().contains("was not sent"), "{whose}");
    }
}

#[tokio::test]
async fn a_check_that_does_not_verify_still_says_what_is_wrong_and_judges_the_rest() {
    let ca = Authority::new("ours");
    let mut asked = question(showing(self_signed(&leaf())).await, &ca);
    asked.verify = false;
    let seen = ask(asked.clone(), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let tls = seen.evidence.tls.unwrap();
    assert_eq!(tls.unverified.as_deref(), Some("certificate 1 of 1, CN=shop, signed itself"));
    assert!(tls.path.is_empty() && tls.version.is_some());
    asked.expect.names = vec!["elsewhere.example".to_owned()];
    assert_eq!(verdict(&ask(asked, LONG_MS).await), down(Reason::TlsWrongName, Phase::Tls));
}

#[tokio::test]
async fn every_expected_name_must_be_covered_and_the_issuer_be_the_expected_one() {
    let ca = Authority::new("ours");
    let mut params = leaf();
    params.subject_alt_names.push(rcgen::SanType::DnsName("*.shop.example".try_into().unwrap()));
    let target = showing(signed(&params, &ca)).await;
    for (names, wanted) in [
        (vec!["localhost", "127.0.0.1", "www.shop.example"], UP),
        (vec!["localhost", "shop.example"], down(Reason::TlsWrongName, Phase::Tls)),
        (vec!["a.b.shop.example"], down(Reason::TlsWrongName, Phase::Tls)),
        (vec!["127.0.0.2"], down(Reason::TlsWrongName, Phase::Tls)),
    ] {
        let mut asked = question(target, &ca);
        asked.expect.names = names.into_iter().map(str::to_owned).collect();
        let seen = ask(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{seen:?}");
    }
    for (issuer, wanted) in [("our", UP), ("Let's Encrypt", down(Reason::TlsIssuer, Phase::Tls))] {
        let mut asked = question(target, &ca);
        asked.expect.issuer = Some(issuer.to_owned());
        let seen = ask(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{seen:?}");
    }
}

#[tokio::test]
async fn an_application_protocol_is_offered_and_must_be_agreed_on() {
    let ca = Authority::new("ours");
    let missed = down(Reason::TlsAlpn, Phase::Tls);
    for (offered, wanted) in [(&["h2", "imap"][..], UP), (&["h2"], missed.clone()), (&[], missed)] {
        let target = secured(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, offered)).await;
        let mut asked = question(target, &ca);
        asked.expect.alpn = Some("imap".to_owned());
        let seen = ask(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{offered:?}: {seen:?}");
    }
}

#[tokio::test]
async fn a_terse_prober_puts_into_words_only_what_a_sample_keeps_and_tells_of_a_chain_once() {
    let ca = Authority::new("ours");
    let target = showing(signed(&leaf(), &ca)).await;
    let mut asked = question(target, &ca);
    let prober = prober().terse();
    let seen = prober.run(&check(Question::Tls(Box::new(asked.clone())), LONG_MS), TRACE).await;
    let told = seen.evidence.tls.as_ref().unwrap();
    assert_eq!((verdict(&seen), told.chain[0].subject.as_str(), told.cipher.as_ref()), (UP, "CN=shop", None));
    let seen = prober.run(&check(Question::Tls(Box::new(asked.clone())), LONG_MS), TRACE).await;
    assert_eq!((verdict(&seen), seen.evidence.tls), (UP, None));
    asked.expect.issuer = Some("nobody".to_owned());
    let seen = prober.run(&check(Question::Tls(Box::new(asked)), LONG_MS), TRACE).await;
    assert_eq!(verdict(&seen), down(Reason::TlsIssuer, Phase::Tls));
    assert_eq!(seen.evidence.tls.unwrap().path, ["CN=shop", "CN=ours"]);
}

#[tokio::test]
async fn a_stapled_response_is_described_judged_where_expected_and_believed_where_it_revokes() {
    use crate::prober::chain::ocsp::{Status, tests::Draft};
    let (ca, stranger) = (Authority::new("ours"), Authority::new("stranger"));
    let good = Draft { next_update: None, ..Draft::default() };
    let revoked = Draft { status: Status::Revoked, ..good.clone() };
    let past = Draft { next_update: Some("20260102000000Z"), ..good.clone() };
    let (missed, gone) = (down(Reason::TlsOcsp, Phase::Tls), down(Reason::TlsRevoked, Phase::Tls));
    let unknown = Draft { status: Status::Unknown, ..good.clone() };
    for (what, draft, by, plain, stapled, wanted_good) in [
        ("good", Some(&good), &ca, UP, UP, UP),
        ("unknown", Some(&unknown), &ca, UP, UP, missed.clone()),
        ("revoked", Some(&revoked), &ca, gone.clone(), gone.clone(), gone),
        ("revoked by a stranger", Some(&revoked), &stranger, UP, missed.clone(), missed.clone()),
        ("out of date", Some(&past), &ca, UP, missed.clone(), missed.clone()),
        ("none", None, &ca, UP, missed.clone(), missed),
    ] {
        let shown = signed(&leaf(), &ca);
        let key = chain::parsed(&ca.der).unwrap().public_key().raw.to_vec();
        let staple = draft.map(|draft| draft.signed(&shown.chain[0], &key, by.issuer.key(), &[])).unwrap_or_default();
        let target = secured(stapling(shown, staple)).await;
        for (expected, wanted) in
            [(None, plain), (Some(OcspExpect::Stapled), stapled), (Some(OcspExpect::Good), wanted_good)]
        {
            let mut asked = question(target, &ca);
            asked.expect.ocsp = expected;
            let seen = ask(asked, LONG_MS).await;
            assert_eq!(verdict(&seen), wanted, "{what}, {expected:?}: {seen:?}");
            let told = seen.evidence.tls.unwrap().ocsp;
            assert_eq!(
                told.map(|told| told.doubt.is_none()),
                draft.map(|_| what == "good" || what == "unknown" || what == "revoked")
            );
        }
    }
}
