//! Looking at real servers with the probe's own probers, as a user would.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use nines_probe::prober::{Observation, Prober, Vantage};
use nines_shared::address::AddressRule;
use nines_shared::check::{Check, Draft, Question};
use nines_shared::sample::{Outcome, Phase, Reason, TraceId};
use rcgen::{CertificateParams, DnType, KeyPair};

/// That the target is up.
///
/// # Panics
/// Where it is not, with all that was seen.
#[track_caller]
pub fn is_up(seen: &Observation) {
    assert_eq!(seen.outcome, Outcome::Up, "{seen:?}");
}

/// That the target is down for `reason` in `phase`.
///
/// # Panics
/// Where it is not, with all that was seen.
#[track_caller]
pub fn fails(seen: &Observation, reason: &Reason, phase: Phase) {
    let said = (seen.outcome, seen.reason.as_ref(), seen.phase);
    assert_eq!(said, (Outcome::Down, Some(reason), Some(phase)), "{seen:?}");
}

/// Looks once, from a machine that allows loopback and nothing else that is not public.
///
/// # Panics
/// Where the question makes no sense.
pub fn look(question: Question) -> Observation {
    let rule = AddressRule::new(vec!["127.0.0.0/8".parse().expect("a network")], Vec::new());
    let draft = Draft::new(
        "real".parse().expect("an id"),
        "real".parse().expect("an id"),
        vec!["here".parse().expect("an id")],
        question,
    );
    let check = Check::new(draft).expect("the question makes sense");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        Prober::new(Vantage { source: None, rule, ..Vantage::default() }).run(&check, TraceId(1)).await
    })
}

/// Addresses of loopback that were free a moment ago; the servers can't be told "any port".
///
/// # Panics
/// Where the machine has no free port.
pub fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it is bound"))
}

/// A certificate that signed itself, for 127.0.0.1, valid from the first day of one year to that of another, and
/// its key; as PEM files in `folder`.
///
/// # Panics
/// Where the folder can't be written.
pub fn certificate(folder: &Path, name: &str, (from, to): (i32, i32)) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, "nines.test");
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
    let key = KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    let (cert_file, key_file) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    fs::write(&cert_file, made.pem()).expect("the folder can be written");
    fs::write(&key_file, key.serialize_pem()).expect("the folder can be written");
    (cert_file, key_file)
}
