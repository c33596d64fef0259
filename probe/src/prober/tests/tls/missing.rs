//! Chains that lack a certificate, which the target's own says where to get.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, RecordType};
use nines_shared::address::AddressRule;
use rcgen::CustomExtension;

use super::super::*;
use super::fixture::{Authority, leaf, question, showing, signed};

/// A certificate that says that its issuer's can be had at `address`, shown alone.
fn alone(by: &Authority, address: &str) -> super::fixture::Shown {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let location = [&[0x86, length(address.as_bytes())], address.as_bytes()].concat();
    let ca_issuers = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let inner = [&[0x30, length(&location) + 10][..], &ca_issuers, &location].concat();
    let content = [&[0x30, length(&inner)], inner.as_slice()].concat();
    let mut params = leaf();
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)];
    let mut shown = signed(&params, by);
    shown.chain.truncate(1);
    shown
}

async fn file(bytes: &[u8]) -> String {
    let response = targets::response_with("200 OK", "", bytes);
    format!("http://{}/ca.der", targets::saying(response).await)
}

async fn look(by: &Authority, ca: &Authority, address: &str, timeout_ms: i64) -> Observation {
    let asked = question(showing(alone(by, address)).await, ca);
    prober().run(&check(Question::Tls(Box::new(asked)), timeout_ms), TRACE).await
}

#[tokio::test]
async fn a_missing_intermediate_is_certain_where_with_it_the_chain_is_valid() {
    let ca = Authority::new("ours");
    let between = Authority::between("between", &ca, 2100);
    for bytes in [between.der.as_ref(), between.pem.as_bytes()] {
        let address = file(bytes).await;
        let seen = look(&between, &ca, &address, LONG_MS).await;
        assert_eq!(verdict(&seen), down(Reason::TlsMissingIntermediate, Phase::Tls), "{seen:?}");
        let detail = seen.detail.unwrap();
        assert!(detail.contains("does not send CN=between (at ") && detail.contains(&address), "{detail}");
        assert_ne!(seen.evidence.address.unwrap().to_string(), address, "the target's address stays on record");
    }
}

#[tokio::test]
async fn whatever_else_is_fetched_leaves_the_issuer_unknown() {
    let ca = Authority::new("ours");
    let (between, stranger) = (Authority::between("between", &ca, 2100), Authority::new("stranger"));
    let huge = vec![0x30; 100 << 10];
    let table = [
        ("a stranger's", file(&stranger.der).await, ""),
        ("noise", file(b"not a certificate").await, "no certificate"),
        ("too large", file(&huge).await, "length limit exceeded"),
        ("gone", format!("http://{}/x", targets::saying(targets::response("404 Gone", "")).await), "404"),
        ("nobody", format!("http://{}/x", targets::nobody().await), "refused"),
        ("forbidden", "http://169.254.169.254/latest".to_owned(), "169.254.169.254"),
        ("not HTTP", "ldap://127.0.0.1/x".to_owned(), "may be missing"),
        ("itself", "http://127.0.0.1:1/x".to_owned(), "refused"),
    ];
    for (what, address, words) in table {
        let seen = look(&between, &ca, &address, LONG_MS).await;
        assert_eq!(verdict(&seen), down(Reason::TlsUnknownIssuer, Phase::Tls), "{what}: {seen:?}");
        assert!(seen.detail.as_deref().unwrap().contains(words), "{what}: {seen:?}");
    }
}

#[tokio::test]
async fn a_file_that_does_not_come_changes_nothing() {
    let ca = Authority::new("ours");
    let between = Authority::between("between", &ca, 2100);
    let address = format!("http://{}/x", targets::silent().await);
    let seen = look(&between, &ca, &address, 1_500).await;
    assert_eq!(verdict(&seen), down(Reason::TlsUnknownIssuer, Phase::Tls), "{seen:?}");
}

#[tokio::test]
async fn inv_10_an_address_that_the_rule_forbids_is_never_asked_for_a_certificate() {
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    let target = targets::serving_at("127.0.0.2:0", move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { drop(stream) }
    })
    .await;
    let ca = Authority::new("ours");
    let between = Authority::between("between", &ca, 2100);
    // The target is at 127.0.0.1, which is all that may be contacted.
    let rule = AddressRule::new(vec!["127.0.0.1/32".parse().unwrap()], Vec::new());
    let elsewhere = dns::udp(|question| {
        let own = question.queries[0].query_type == RecordType::A;
        vec![dns::with(question, if own { vec![RData::A(A::new(127, 0, 0, 2))] } else { Vec::new() })]
    })
    .await;
    let mut prober = names::resolving_at(elsewhere);
    prober.vantage.rule = rule;
    for host in ["127.0.0.2", "ca.example"] {
        let address = format!("http://{host}:{}/x", target.port());
        let asked = question(showing(alone(&between, &address)).await, &ca);
        let seen = prober.run(&check(Question::Tls(Box::new(asked)), LONG_MS), TRACE).await;
        assert_eq!(verdict(&seen), down(Reason::TlsUnknownIssuer, Phase::Tls), "{seen:?}");
        assert!(seen.detail.as_ref().unwrap().contains("127.0.0.2 is not a public address"), "{seen:?}");
        assert_eq!(came.load(Ordering::SeqCst), 0, "{host}");
    }
}
