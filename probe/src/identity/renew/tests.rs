use nines_shared::time::Clock;
use rcgen::{CertificateParams, DnType};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::identity::Identity;
use crate::stand_in::{Authority, Reply, Seen, StandIn};

const PATIENCE: Duration = Duration::from_secs(20);

/// Gives `eu-west-1` its next certificate.
fn gives(seen: &Seen, authority: &Authority) -> Reply {
    assert_eq!(seen.path, RENEW_PATH);
    let asked: RenewRequest = serde_json::from_slice(&seen.body).unwrap();
    assert!(!String::from_utf8_lossy(&seen.body).contains("PRIVATE KEY"), "the key never leaves");
    let certificate_pem = authority.sign(&asked.csr_pem, "eu-west-1", "eu-west");
    Reply::json(200, &RenewResponse { certificate_pem, ca_pem: authority.pem.clone() })
}

/// A probe of the aggregator that answers as `script` says.
async fn probe(script: impl Fn(&Seen, &Authority) -> Reply + Send + Sync + 'static) -> (StandIn, Renewal, TempDir) {
    let aggregator = StandIn::start(script).await;
    let state = tempfile::tempdir().unwrap();
    let identity = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
    let renewal = renewal(&aggregator, &identity, &state);
    (aggregator, renewal, state)
}

fn renewal(aggregator: &StandIn, identity: &Identity, state: &TempDir) -> Renewal {
    Renewal {
        aggregator: aggregator.url.clone(),
        state: state.path().to_owned(),
        papers: identity.papers.clone(),
        tls: Arc::clone(&identity.tls),
        clock: Arc::new(ClockWatch::new(Clock::system())),
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

#[tokio::test]
async fn when_others_vouch_the_next_identity_is_written_whole_and_shown_by_links_that_are_open() {
    let (_aggregator, renewal, state) = probe(gives).await;
    let (tls, before) = (Arc::clone(&renewal.tls), renewal.tls.tls());
    let first = std::fs::read(state.path().join(IDENTITY_FILE)).unwrap();
    let own = renewal.papers.authorities_digest();
    tls.told(&own);
    assert!(!tls.told_of_others(&own));
    tls.told("others");
    let running = tokio::spawn(renewal.run());
    until("links show another certificate", || !Arc::ptr_eq(&before, &tls.tls())).await;
    running.abort();
    let second = std::fs::read(state.path().join(IDENTITY_FILE)).unwrap();
    assert_ne!(first, second);
    let (was, is) = (String::from_utf8(first).unwrap(), String::from_utf8(second).unwrap());
    assert_ne!(was.split("-----END").next(), is.split("-----END").next(), "another key");
    assert_eq!(Identity::load(state.path()).unwrap().probe.as_str(), "eu-west-1");
}

#[tokio::test]
async fn what_earlier_versions_kept_in_three_files_is_read_and_becomes_one() {
    let (_aggregator, renewal, state) = probe(gives).await;
    let one = std::fs::read_to_string(state.path().join(IDENTITY_FILE)).unwrap();
    let mut parts =
        one.split_inclusive("-----\n").collect::<Vec<_>>().chunks(2).map(<[&str]>::concat).collect::<Vec<_>>();
    assert_eq!(parts.len(), 3);
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        std::fs::write(state.path().join(file), parts.pop().unwrap()).unwrap();
    }
    std::fs::remove_file(state.path().join(IDENTITY_FILE)).unwrap();
    assert_eq!(Identity::load(state.path()).unwrap().papers.certificate, renewal.papers.certificate);
    renewal.renew().await.unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        assert!(!state.path().join(file).exists(), "{file}");
    }
    assert!(Identity::load(state.path()).is_ok());
}

/// From a request and the authority: certificate and authorities.
type Answers = dyn Fn(&str, &Authority) -> (String, String) + Send + Sync;

#[tokio::test]
async fn an_answer_that_would_shut_us_out_is_not_written() {
    let stranger = StandIn::start(|_, _| Reply::Drop).await.authority.pem.clone();
    let other_key = |authority: &Authority| {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        authority.sign(&csr, "eu-west-1", "eu-west")
    };
    let answers: [(&str, Box<Answers>); 4] = [
        ("another key", Box::new(move |_ours, authority| (other_key(authority), authority.pem.clone()))),
        (
            "another probe",
            Box::new(|csr, authority| (authority.sign(csr, "eu-west-2", "eu-west"), authority.pem.clone())),
        ),
        (
            "no authority that we know",
            Box::new(move |csr, authority| (authority.sign(csr, "eu-west-1", "eu-west"), stranger.clone())),
        ),
        ("no authority", Box::new(|csr, authority| (authority.sign(csr, "eu-west-1", "eu-west"), String::new()))),
    ];
    for (what, answer) in answers {
        let (_aggregator, renewal, state) = probe(move |seen, authority| {
            let asked: RenewRequest = serde_json::from_slice(&seen.body).unwrap();
            let (certificate_pem, ca_pem) = answer(&asked.csr_pem, authority);
            Reply::json(200, &RenewResponse { certificate_pem, ca_pem })
        })
        .await;
        let before = std::fs::read(state.path().join(IDENTITY_FILE)).unwrap();
        let error = renewal.renew().await.unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
        assert_eq!(std::fs::read(state.path().join(IDENTITY_FILE)).unwrap(), before, "{what}");
    }
}

#[tokio::test]
async fn who_joins_anew_beside_a_running_agent_is_followed_unless_it_is_another_probe() {
    let (aggregator, renewal, state) = probe(|_, _| Reply::refusal(429, None)).await;
    let (tls, before) = (Arc::clone(&renewal.tls), renewal.tls.tls());
    let running = tokio::spawn(renewal.run());
    let anew = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
    drop(anew);
    until("links show what was joined anew", || !Arc::ptr_eq(&before, &tls.tls())).await;
    let ours = tls.tls();
    running.abort();
    let mut renewal = renewal_of(&aggregator, &state);
    aggregator.enrol(state.path(), "eu-west-2", "eu-west");
    renewal.read_again().await;
    assert_eq!(renewal.papers.probe.as_str(), "eu-west-1");
    assert!(Arc::ptr_eq(&ours, &tls.tls()));
}

fn renewal_of(aggregator: &StandIn, state: &TempDir) -> Renewal {
    renewal(aggregator, &Identity::load(state.path()).unwrap(), state)
}

#[tokio::test]
async fn at_two_thirds_of_its_life_a_certificate_is_renewed_by_itself() {
    let (aggregator, mut renewal, state) = probe(gives).await;
    let now = Clock::system().now();
    (renewal.papers.issued_at, renewal.papers.until) = (now.plus_ms(-100_000), now.plus_ms(40_000));
    let running = tokio::spawn(renewal.run());
    until("it is asked for", || !aggregator.seen().is_empty()).await;
    running.abort();
    drop(state);
}

#[test]
fn the_life_of_a_certificate_begins_when_it_was_made_not_where_it_was_backdated_to() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "eu-west-1");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "eu-west");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(1_790_000_000 - 86_400);
    params.not_after = epoch + Duration::from_secs(1_790_000_030);
    let certificate = params.self_signed(&key).unwrap();
    let state = tempfile::tempdir().unwrap();
    papers::write(state.path(), &key, &certificate.pem(), &certificate.pem()).unwrap();
    let papers = Papers::read(state.path()).unwrap();
    let at = |seconds: i64| Timestamp::from_ms(seconds * 1_000);
    assert_eq!((papers.issued_at, papers.until), (at(1_790_000_000), at(1_790_000_030)));
}
