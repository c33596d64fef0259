//! Who gets in.

use axum::http::{Method, StatusCode};
use nines_shared::wire::{ASSIGNMENT_PATH, BATCHES_PATH, JOIN_PATH, JoinRequest};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::fixture::{Door, Identity, SOON};
use crate::control::Command;
use crate::store::probes::{self, INVITATION_MS};

#[tokio::test]
async fn whoever_knows_the_secret_joins_once_under_the_name_that_was_invited() {
    let door = Door::open().await;
    door.invite("eu-west", "eu-west-1", "open sesame").await;
    let (status, joined) = door.join("open sesame").await;
    assert_eq!(status, StatusCode::OK);
    let probe = joined.unwrap();
    assert_eq!((probe.joined.probe.as_str(), probe.joined.region.as_str()), ("eu-west-1", "eu-west"));
    assert_eq!(probe.joined.ca_pem, door.authority.circle().bundle_pem());

    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let ack = connection.post(&probe.batch(vec![door.sample("eu-west", 0)])).await.ack();
    assert_eq!((ack.samples, ack.stored), (1, 1));

    let (status, refused) = door.join("open sesame").await;
    assert_eq!((status, refused.err().unwrap().error.as_str()), (StatusCode::FORBIDDEN, "token_used"));
}

#[tokio::test]
async fn whoever_did_not_get_the_answer_asks_again_with_the_same_key_and_nobody_else_does() {
    let door = Door::open().await;
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    door.invite("eu-west", "eu-west-1", "secret").await;
    let lost = door.join_with("secret", &key).await.1.unwrap();
    assert_eq!(door.join_with("secret", &other).await.1.err().unwrap().error, "token_used");
    door.pass(INVITATION_MS - 1);
    let found = door.join_with("secret", &key).await.1.unwrap();
    let mut void = door.connect(Some(&lost.identity)).await.unwrap();
    assert_eq!(void.get(ASSIGNMENT_PATH).await.refusal(), "replaced", "one certificate at a time");
    let mut connection = door.connect(Some(&found.identity)).await.unwrap();
    connection.post(&found.batch(Vec::new())).await.ack();
    assert_eq!(door.join_with("secret", &key).await.1.err().unwrap().error, "token_used", "it has got the answer");
}

#[tokio::test]
async fn a_spent_invitation_brings_nobody_back_who_was_shut_out_or_replaced_or_is_late() {
    let door = Door::open().await;
    for (name, what) in [("eu-west-1", "revoked"), ("eu-west-2", "replaced"), ("eu-west-3", "late")] {
        let key = KeyPair::generate().unwrap();
        door.invite("eu-west", name, name).await;
        let probe = door.join_with(name, &key).await.1.unwrap();
        match what {
            "revoked" => drop(door.command(Command::Revoke { probe: probe.joined.probe }).await.unwrap()),
            "replaced" => {
                door.pass(1);
                door.invite("eu-west", name, "anew").await;
                door.join("anew").await.1.unwrap();
            }
            _ => door.pass(INVITATION_MS),
        }
        assert_eq!(door.join_with(name, &key).await.1.err().unwrap().error, "token_used", "{what}");
    }
}

#[tokio::test]
async fn a_stranger_is_refused_before_its_request_is_looked_at_and_without_the_writer() {
    let door = Door::open().await;
    let (release, holding) = door.hold_the_writer();
    let mut stranger = door.connect(None).await.unwrap();
    let bad = JoinRequest { token: "guessed".to_owned(), csr_pem: "no PEM".to_owned(), probe: None };
    let asking = stranger.send(Method::POST, JOIN_PATH, &[], serde_json::to_vec(&bad).unwrap());
    let answer = tokio::time::timeout(SOON, asking).await.expect("nobody waits for the writer").unwrap();
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::FORBIDDEN, "token_unknown"));
    release.send(()).unwrap();
    holding.await.unwrap();
}

#[tokio::test]
async fn a_wrong_an_expired_and_a_revoked_invitation_let_nobody_in() {
    let door = Door::open().await;
    for (name, secret) in [("eu-west-1", "one"), ("eu-west-2", "two")] {
        door.invite("eu-west", name, secret).await;
    }
    assert_eq!(door.join("three").await.1.err().unwrap().error, "token_unknown");
    let (revoked, now) = ("eu-west-2".parse().unwrap(), door.now());
    assert!(door.running.store.write(move |tx| probes::revoke(tx, &revoked, now)).await.unwrap());
    assert_eq!(door.join("two").await.1.err().unwrap().error, "token_unknown");
    door.running.clock.set(now.plus_ms(INVITATION_MS - 1));
    assert!(door.join("one").await.1.is_ok());

    door.invite("eu-west", "eu-west-3", "three").await;
    door.running.clock.set(door.now().plus_ms(INVITATION_MS));
    let (status, refused) = door.join("three").await;
    assert_eq!((status, refused.err().unwrap().error.as_str()), (StatusCode::FORBIDDEN, "token_expired"));
    assert_eq!(door.running.store.read(probes::list).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_machine_that_is_a_probe_joins_again_as_that_one_or_not_at_all() {
    let door = Door::open().await;
    door.invite("eu-west", "eu-west-2", "secret").await;
    let mut stranger = door.connect(None).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let csr_pem = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let was = Some("eu-west-1".parse().unwrap());
    let asked = JoinRequest { token: "secret".to_owned(), csr_pem, probe: was };
    let answer = stranger.send(Method::POST, JOIN_PATH, &[], serde_json::to_vec(&asked).unwrap()).await.unwrap();
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::CONFLICT, "other_probe"));
    assert!(door.join("secret").await.1.is_ok(), "the invitation is still good");
}

#[tokio::test]
async fn a_request_of_no_use_leaves_the_invitation_open() {
    let door = Door::open().await;
    door.invite("eu-west", "eu-west-1", "secret").await;
    let mut stranger = door.connect(None).await.unwrap();
    let bad = JoinRequest { token: "secret".to_owned(), csr_pem: "no PEM".to_owned(), probe: None };
    let answer = stranger.send(Method::POST, JOIN_PATH, &[], serde_json::to_vec(&bad).unwrap()).await.unwrap();
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::BAD_REQUEST, "malformed"));
    let long = stranger.send(Method::POST, JOIN_PATH, &[], vec![b' '; 17 << 10]).await.unwrap();
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(door.join("secret").await.1.is_ok());
}

#[tokio::test]
async fn without_a_certificate_there_is_nothing_but_joining() {
    let door = Door::open().await;
    let mut stranger = door.connect(None).await.unwrap();
    let answer = stranger.get(ASSIGNMENT_PATH).await;
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::UNAUTHORIZED, "no_certificate"));
    let answer = stranger.send(Method::POST, BATCHES_PATH, &[], b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.get("/v1/elsewhere").await.refusal(), "no_such_path");
    assert_eq!(stranger.get(BATCHES_PATH).await.refusal(), "wrong_method");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_turned_away_in_the_handshake() {
    let door = Door::open().await;
    let genuine = door.probe("eu-west", "eu-west-1").await;
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "eu-west-1");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "eu-west");
    let forged = params.self_signed(&key).unwrap();
    let forged =
        Identity { chain: vec![forged.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() };
    // In TLS 1.3 the client's handshake is over before the server has looked at the certificate.
    let answered = match door.connect(Some(&forged)).await {
        Ok(mut connection) => connection.send(Method::GET, ASSIGNMENT_PATH, &[], Vec::new()).await.is_ok(),
        Err(_refused) => false,
    };
    assert!(!answered);
    let mut connection = door.connect(Some(&genuine.identity)).await.unwrap();
    assert_eq!(connection.get(ASSIGNMENT_PATH).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_probe_is_refused_on_the_connection_that_it_has() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    connection.post(&probe.batch(vec![door.sample("eu-west", 1)])).await.ack();
    let (id, now) = (probe.joined.probe.clone(), door.now());
    door.running.store.write(move |tx| probes::revoke(tx, &id, now)).await.unwrap();
    let answer = connection.post(&probe.batch(vec![door.sample("eu-west", 0)])).await;
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::FORBIDDEN, "revoked"));
    assert_eq!(connection.get(ASSIGNMENT_PATH).await.refusal(), "revoked");
    assert_eq!(door.stored().await, 1);

    // Whoever joins under the name anew is the probe from then on; the old certificate stays shut out.
    door.invite("eu-west", "eu-west-1", "again").await;
    let again = door.join("again").await.1.unwrap();
    assert_eq!(connection.get(ASSIGNMENT_PATH).await.refusal(), "replaced");
    let mut connection = door.connect(Some(&again.identity)).await.unwrap();
    connection.post(&again.batch(vec![door.sample("eu-west", 0)])).await.ack();
}

#[tokio::test]
async fn a_certificate_that_has_ended_opens_nothing() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut open = door.connect(Some(&probe.identity)).await.unwrap();
    assert_eq!(open.get(ASSIGNMENT_PATH).await.status, StatusCode::OK);
    door.pass(30 * 86_400_000 + 1_000);
    assert_eq!(open.get(ASSIGNMENT_PATH).await.refusal(), "certificate_ended");
    let answered = match door.connect(Some(&probe.identity)).await {
        Ok(mut connection) => connection.send(Method::GET, ASSIGNMENT_PATH, &[], Vec::new()).await.is_ok(),
        Err(_refused) => false,
    };
    assert!(!answered);
}
