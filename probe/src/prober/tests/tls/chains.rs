//! Chains of every kind: each fault has its reason, names the certificate at fault, and all are described.

use nines_shared::sample::{Phase, Reason};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_RSA_SHA256, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::super::{LONG_MS, UP, down, verdict};
use super::fixture::{Authority, Shown, ask, leaf, question, self_signed, showing, signed};

#[tokio::test]
async fn an_invalid_certificate_has_its_reason_and_is_still_described() {
    let (ca, stranger) = (Authority::new("ours"), Authority::new("stranger"));
    let changed = |change: fn(&mut CertificateParams)| {
        let mut params = leaf();
        change(&mut params);
        params
    };
    let expired = changed(|params| params.not_after = date_time_ymd(2021, 1, 1));
    let early = changed(|params| params.not_before = date_time_ymd(2099, 1, 1));
    let other = changed(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example".try_into().unwrap())];
    });
    let authority = changed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let table = [
        ("certificate 1 of 2, CN=shop, expired ", signed(&expired, &ca), Reason::TlsExpired),
        ("certificate 1 of 2, CN=shop, will be valid only in ", signed(&early, &ca), Reason::TlsNotYetValid),
        ("the certificate is for other.example, not for localhost", signed(&other, &ca), Reason::TlsWrongName),
        ("certificate 1 of 1, CN=shop, signed itself", self_signed(&leaf()), Reason::TlsSelfSigned),
        ("certificate 1 of 1, CN=shop, signed itself", self_signed(&authority), Reason::TlsSelfSigned),
        (
            "certificate 2 of 2, CN=stranger, signed itself and is not trusted",
            signed(&leaf(), &stranger),
            Reason::TlsUnknownIssuer,
        ),
        ("invalid peer certificate", signed(&authority, &ca), Reason::TlsBadCertificate),
    ];
    for (fault, shown, reason) in table {
        let sent = shown.chain.len();
        let seen = ask(question(showing(shown).await, &ca), LONG_MS).await;
        assert_eq!(verdict(&seen), down(reason, Phase::Tls), "{fault}: {seen:?}");
        assert!(seen.detail.as_deref().unwrap().starts_with(fault), "{fault}: {seen:?}");
        let tls = seen.evidence.tls.unwrap();
        assert_eq!(tls.chain.len(), sent, "{fault}");
        assert_eq!(tls.chain[0].subject, "CN=shop", "{fault}");
        assert!(!tls.chain[0].names.is_empty() && tls.chain[0].sha256.len() == 64, "{fault}");
    }
}

#[tokio::test]
async fn a_missing_intermediate_without_an_address_may_be_missing_and_is_an_unknown_issuer() {
    let ca = Authority::new("ours");
    let mut shown = signed(&leaf(), &Authority::between("between", &ca, 2100));
    shown.chain.truncate(1);
    let seen = ask(question(showing(shown).await, &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::TlsUnknownIssuer, Phase::Tls));
    let detail = seen.detail.unwrap();
    assert!(detail.contains("CN=shop, was issued by CN=between,") && detail.contains("may be missing"), "{detail}");
}

#[tokio::test]
async fn the_certificate_at_fault_is_named_wherever_it_is() {
    let ca = Authority::new("ours");
    let seen = ask(question(showing(signed(&leaf(), &Authority::between("between", &ca, 2021))).await, &ca), LONG_MS);
    let seen = seen.await;
    assert_eq!(verdict(&seen), down(Reason::TlsExpired, Phase::Tls));
    let detail = seen.detail.unwrap();
    assert!(detail.starts_with("certificate 2 of 2, CN=between, expired "), "{detail}");
}

/// `shown` as if it were signed by RSA and SHA-1: an identifier of the same length.
fn as_if_by_sha_1(der: &CertificateDer<'_>) -> CertificateDer<'static> {
    const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    let mut bytes = der.to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(RSA_SHA256)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + 8] = 5;
    }
    CertificateDer::from(bytes)
}

#[tokio::test]
async fn a_signature_by_sha_1_is_weak_but_not_that_of_one_who_signed_itself() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "rsa");
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let good = leaf().signed_by(&own, &issuer).unwrap().der().clone();
    let weak_root = as_if_by_sha_1(root.der());
    for (chain, wanted) in [
        (vec![as_if_by_sha_1(&good), root.der().clone()], down(Reason::TlsWeakSignature, Phase::Tls)),
        (vec![good, weak_root], UP),
    ] {
        let key = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
        let mut asked = question(showing(Shown { chain, key }).await, &Authority::new("ours"));
        asked.ca_pem = Some(root.pem());
        let seen = ask(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{seen:?}");
        if let Some(detail) = seen.detail {
            assert_eq!(detail, "certificate 1 of 2, CN=shop, is signed by RSA-SHA1, too weak to be trusted");
            assert_eq!(seen.evidence.tls.unwrap().chain[0].signature, "RSA-SHA1");
        }
    }
}

#[tokio::test]
async fn a_chain_is_described_as_it_was_sent_and_as_it_was_verified() {
    let (ca, stray) = (Authority::new("ours"), Authority::new("stray"));
    let between = Authority::between("between", &ca, 2100);
    let mut shown = signed(&leaf(), &between);
    shown.chain.insert(1, stray.der.clone());
    let seen = ask(question(showing(shown).await, &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let tls = seen.evidence.tls.unwrap();
    let sent: Vec<&str> = tls.chain.iter().map(|certificate| certificate.subject.as_str()).collect();
    assert_eq!(sent, ["CN=shop", "CN=stray", "CN=between"]);
    assert_eq!(tls.path, ["CN=shop", "CN=between", "CN=ours"]);
    assert_eq!((tls.chain[0].key.as_str(), tls.chain[0].signature.as_str()), ("EC P-256", "ECDSA-SHA256"));
    assert_eq!((tls.chain[0].serial.as_str(), tls.chain[0].is_ca, tls.chain[2].is_ca), ("07", false, true));
    assert!(tls.chain[0].pin.parse::<nines_shared::check::Pin>().is_ok());
}
