//! How one authority follows another.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use axum::http::StatusCode;
use nines_shared::id::ProbeId;
use nines_shared::seal;
use nines_shared::wire::{ASSIGNMENT_PATH, AUTHORITIES_HEADER, MAX_AUTHORITIES};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::fixture::Door;
use crate::control::{Answer, Command};

fn retire(no: u32, force: bool) -> Command {
    Command::RetireAuthority { no, force }
}

#[tokio::test]
async fn while_one_authority_follows_another_both_are_believed_and_nobody_is_shut_out_unasked() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut before = door.connect(Some(&probe.identity)).await.unwrap();
    let named = |answer: &super::fixture::Answer| answer.headers[AUTHORITIES_HEADER].to_str().unwrap().to_owned();
    let alone = named(&before.get(ASSIGNMENT_PATH).await);
    assert_eq!(door.command(Command::RotateAuthority).await, Ok(Answer::AuthorityMade { no: 2 }));
    let both = named(&before.get(ASSIGNMENT_PATH).await);
    assert_ne!(alone, both, "a probe is told that others vouch");
    let refused = door.command(retire(1, false)).await.unwrap_err().message;
    assert!(refused.contains("eu-west-1") && refused.contains("--force"), "{refused}");

    // It needs no half of a life for that, but the pace holds.
    assert_eq!(before.renew().await.0.refusal(), "too_soon");
    door.pass(60_000);
    let (next, ca_pem) = before.renewed().await;
    assert_eq!(ca_pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(door.command(retire(1, false)).await.is_err(), "it has it, but has it not shown yet");
    let mut after = door.connect(Some(&next)).await.unwrap();
    after.post(&probe.batch(Vec::new())).await.ack();
    assert!(matches!(door.command(retire(1, false)).await, Ok(Answer::AuthorityRetired { .. })));

    assert_eq!(before.get(ASSIGNMENT_PATH).await.refusal(), "retired");
    let answer = after.get(ASSIGNMENT_PATH).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(![alone, both].contains(&named(&answer)), "a probe is told to forget the first");
    door.pass(60_000);
    assert_eq!(after.renewed().await.1.matches("BEGIN CERTIFICATE").count(), 1);
    let mut anew = door.connect(Some(&next)).await.unwrap();
    assert_eq!(anew.get(ASSIGNMENT_PATH).await.status, StatusCode::OK, "by the second authority alone");
}

/// Whether the authority `certificate` signed what `body` says.
fn is_signed_by(body: &[u8], certificate: &CertificateDer<'_>) -> bool {
    let sealed = seal::open(body).unwrap();
    let (_rest, parsed) = X509Certificate::from_der(certificate).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, parsed.public_key().subject_public_key.data.to_vec());
    key.verify(&sealed.message, &sealed.signature).is_ok()
}

#[tokio::test]
async fn an_assignment_is_signed_by_the_authority_that_every_probe_knows() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let first = door.authority.circle().presented().clone();
    assert!(is_signed_by(&connection.get(ASSIGNMENT_PATH).await.body, &first));
    door.command(Command::RotateAuthority).await.unwrap();
    let answer = connection.get(ASSIGNMENT_PATH).await;
    assert!(is_signed_by(&answer.body, &first), "not every probe knows the second yet");
    let mut changed = answer.body.to_vec();
    let place = changed.windows(4).position(|bytes| bytes == b"shop").unwrap();
    changed[place] = b'S';
    assert!(!is_signed_by(&changed, &first));

    door.command(retire(1, true)).await.unwrap();
    door.invite("eu-west", "eu-west-1", "again").await;
    let again = door.join("again").await.1.unwrap();
    let mut connection = door.connect(Some(&again.identity)).await.unwrap();
    let second = door.authority.circle().presented().clone();
    let answer = connection.get(ASSIGNMENT_PATH).await;
    assert!(is_signed_by(&answer.body, &second) && !is_signed_by(&answer.body, &first));
}

#[tokio::test]
async fn an_authority_that_invitations_pin_or_that_signs_is_not_retired_unless_that_is_meant() {
    let door = Door::open().await;
    door.invite("eu-west", "eu-west-1", "secret").await;
    assert!(door.command(retire(1, true)).await.unwrap_err().message.contains("nines ca rotate"));
    assert!(door.command(retire(7, true)).await.unwrap_err().message.contains("nines ca list"));
    door.command(Command::RotateAuthority).await.unwrap();
    assert!(door.command(retire(1, false)).await.unwrap_err().message.contains("eu-west-1"));
    let invited: Vec<ProbeId> = vec!["eu-west-1".parse().unwrap()];
    let retired = Answer::AuthorityRetired { shut_out: Vec::new(), uninvited: invited };
    assert_eq!(door.command(retire(1, true)).await, Ok(retired));
    assert_eq!(door.join("secret").await.1.err().unwrap().error, "token_unknown");
    for _ in 1..MAX_AUTHORITIES {
        door.command(Command::RotateAuthority).await.unwrap();
    }
    assert!(door.command(Command::RotateAuthority).await.unwrap_err().message.contains("retire one first"));
}

#[tokio::test]
async fn a_probe_that_hangs_on_an_authority_which_is_retired_by_force_must_join_anew_and_can() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    assert_eq!(connection.get(ASSIGNMENT_PATH).await.status, StatusCode::OK);
    door.command(Command::RotateAuthority).await.unwrap();
    door.command(retire(1, true)).await.unwrap();
    assert_eq!(connection.get(ASSIGNMENT_PATH).await.refusal(), "retired");
    door.invite("eu-west", "eu-west-1", "again").await;
    let again = door.join("again").await.1.unwrap();
    let mut connection = door.connect(Some(&again.identity)).await.unwrap();
    connection.post(&again.batch(Vec::new())).await.ack();
}
