use std::os::unix::fs::PermissionsExt;

use nines_shared::wire::{JoinRequest, JoinResponse};

use super::*;
use crate::stand_in::{Authority, Reply, Seen, StandIn};

/// Lets in whoever knows "secret", as probe `eu-west-1`.
fn lets_in(seen: &Seen, authority: &Authority) -> Reply {
    let request: JoinRequest = serde_json::from_slice(&seen.body).unwrap();
    if request.token != "secret" {
        return Reply::refusal(403, None);
    }
    let certificate_pem = authority.sign(&request.csr_pem, "eu-west-1", "eu-west");
    let (probe, region) = ("eu-west-1".parse().unwrap(), "eu-west".parse().unwrap());
    Reply::json(200, &JoinResponse { probe, region, certificate_pem, ca_pem: authority.pem.clone() })
}

#[tokio::test]
async fn joining_leaves_an_identity_that_only_its_owner_can_read() {
    let aggregator = StandIn::start(lets_in).await;
    let state = tempfile::tempdir().unwrap();
    let inside = state.path().join("deeper");
    let joined = join(&aggregator.url, &aggregator.authority.token(), &inside).await.unwrap();
    assert_eq!(joined, Joined { probe: "eu-west-1".parse().unwrap(), region: "eu-west".parse().unwrap() });
    assert_eq!(std::fs::metadata(inside.join(IDENTITY_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    let sent = &aggregator.seen()[0];
    assert!(!String::from_utf8_lossy(&sent.body).contains("PRIVATE KEY"), "the key never leaves");
}

#[tokio::test]
async fn a_machine_that_is_a_probe_joins_again_as_that_one_and_says_so() {
    let aggregator = StandIn::start(lets_in).await;
    let state = tempfile::tempdir().unwrap();
    join(&aggregator.url, &aggregator.authority.token(), state.path()).await.unwrap();
    let first = std::fs::read(state.path().join(IDENTITY_FILE)).unwrap();
    join(&aggregator.url, &aggregator.authority.token(), state.path()).await.unwrap();
    assert_ne!(std::fs::read(state.path().join(IDENTITY_FILE)).unwrap(), first);
    let asked: Vec<JoinRequest> =
        aggregator.seen().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect();
    assert_eq!((asked[0].probe.as_ref(), asked[1].probe.as_ref()), (None, Some(&"eu-west-1".parse().unwrap())));

    // An aggregator that does not heed it changes nothing here.
    aggregator.enrol(state.path(), "eu-west-2", "eu-west");
    let other = std::fs::read(state.path().join(IDENTITY_FILE)).unwrap();
    let error = join(&aggregator.url, &aggregator.authority.token(), state.path()).await.unwrap_err();
    assert!(matches!(error, JoinError::Answer(_)), "{error}");
    assert_eq!(std::fs::read(state.path().join(IDENTITY_FILE)).unwrap(), other);
}

#[tokio::test]
async fn where_the_answer_is_lost_we_ask_again_with_the_same_key_and_not_for_ever() {
    let lost = std::sync::atomic::AtomicUsize::new(0);
    let aggregator = StandIn::start(move |seen, authority| {
        if lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            Reply::Drop
        } else {
            lets_in(seen, authority)
        }
    })
    .await;
    let state = tempfile::tempdir().unwrap();
    join(&aggregator.url, &aggregator.authority.token(), state.path()).await.unwrap();
    let keys: Vec<Vec<u8>> = aggregator.seen().iter().map(|seen| key_of(&seen.body)).collect();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));

    let silent = StandIn::start(|_, _| Reply::Drop).await;
    let error = join(&silent.url, &silent.authority.token(), state.path()).await.unwrap_err();
    assert!(matches!(error, JoinError::Link(_)), "{error}");
    assert!(!aggregator.seen().is_empty() && (2..10).contains(&silent.seen().len()));
}

/// The public key that a request to join is for.
fn key_of(body: &[u8]) -> Vec<u8> {
    let request: JoinRequest = serde_json::from_slice(body).unwrap();
    let request = rcgen::CertificateSigningRequestParams::from_pem(&request.csr_pem).unwrap();
    rcgen::PublicKeyData::subject_public_key_info(&request.public_key)
}

#[tokio::test]
async fn an_aggregator_with_another_authority_learns_no_secret() {
    let (aggregator, impostor) = (StandIn::start(lets_in).await, StandIn::start(lets_in).await);
    let state = tempfile::tempdir().unwrap();
    let error = join(&impostor.url, &aggregator.authority.token(), state.path()).await.unwrap_err();
    assert!(error.to_string().contains("another fingerprint"), "{error}");
    assert!(impostor.seen().is_empty());
    assert!(!state.path().join(IDENTITY_FILE).exists());
}

#[tokio::test]
async fn a_refusal_says_why_and_writes_nothing() {
    let aggregator = StandIn::start(|_, _| Reply::refusal(403, None)).await;
    let state = tempfile::tempdir().unwrap();
    let error = join(&aggregator.url, &aggregator.authority.token(), state.path()).await.unwrap_err();
    assert_eq!(error.to_string(), "the aggregator refused (403 Forbidden): no");
    assert!(!state.path().join(IDENTITY_FILE).exists());
}

#[tokio::test]
async fn a_certificate_for_another_key_is_not_kept() {
    let aggregator = StandIn::start(|seen, authority| {
        let mut response: JoinResponse = match lets_in(seen, authority) {
            Reply::Says(_, body) => serde_json::from_slice(&body).unwrap(),
            Reply::Later(_) | Reply::Drop | Reply::Hang => unreachable!(),
        };
        let other = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&other).unwrap().pem().unwrap();
        response.certificate_pem = authority.sign(&csr, "eu-west-1", "eu-west");
        Reply::json(200, &response)
    })
    .await;
    let state = tempfile::tempdir().unwrap();
    let error = join(&aggregator.url, &aggregator.authority.token(), state.path()).await.unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
}

#[tokio::test]
async fn what_is_no_token_is_refused_before_anything_is_sent() {
    let url = "https://127.0.0.1:1".parse().unwrap();
    for token in ["", "secret", "secret.", ".ab", "secret.abcd", "secret.zz"] {
        let error = join(&url, token, Path::new("/nonexistent")).await.unwrap_err();
        assert!(matches!(error, JoinError::Token), "{token}: {error}");
    }
}

#[test]
fn a_machine_that_has_not_joined_is_told_how() {
    let state = tempfile::tempdir().unwrap();
    let error = Identity::load(state.path()).unwrap_err().to_string();
    assert!(error.contains("nines probe invite"), "{error}");
}

#[test]
fn a_file_is_replaced_whole_and_a_torn_one_beside_it_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    std::fs::write(directory.path().join("a.json.new"), "torn").unwrap();
    write_atomically(&path, b"one").unwrap();
    write_atomically(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert!(!directory.path().join("a.json.new").exists());
}
