//! What a target takes beside what the handshake agreed on: each version and cipher suite asked for by itself.
//!
//! One connection for each, one after the other, to the address of the handshake. Only what a check expects is
//! asked, and only once the handshake itself was good.

use nines_shared::check::{MAX_OFFERS, TlsExpect};
use nines_shared::sample::{Offer, Phase, Reason};

use crate::prober::Look;
use crate::prober::failure::Failure;
use crate::prober::handshake::{Answer, Asked, Terms, learn, version_name};
use crate::prober::record::Record;

/// Whether the target takes what `expect` says that it takes, and refuses what it says that it refuses.
pub(super) async fn judge(
    look: &Look<'_>,
    expect: &TlsExpect,
    terms: &Terms<'_>,
    record: &mut Record,
) -> Result<(), Failure> {
    let Some(to) = record.evidence.address.filter(|_| expect.offers() != 0) else { return Ok(()) };
    record.enter(Phase::Tls);
    let mut faults = Vec::new();
    for (asked, wanted) in wanted(expect).take(MAX_OFFERS) {
        let name = in_words(asked);
        record.remark = Some(format!("{name} was being asked for"));
        let answer = learn(look, to, terms, asked).await?;
        let taken = takes(asked, answer)?;
        if taken != wanted {
            let how = if taken { "takes" } else { "refuses" };
            faults.push(format!("{how} {name}"));
        }
        if let Some(session) = &mut record.session {
            session.offers.push(Offer { asked: name, answer: said(answer), taken });
        }
    }
    record.remark = None;
    record.leave();
    if faults.is_empty() {
        return Ok(());
    }
    let detail = format!("against what is expected, the target {}", faults.join(", "));
    Err(Failure::theirs(Reason::TlsOffers, Phase::Tls, detail))
}

/// What is asked, and whether it should be taken.
fn wanted(expect: &TlsExpect) -> impl Iterator<Item = (Asked, bool)> {
    let versions = expect.versions.iter().map(|version| (Asked::Version(*version), true));
    let refused = expect.refuses.iter().map(|version| (Asked::Version(*version), false));
    let ciphers = expect.ciphers.iter().map(|suite| (Asked::Cipher(*suite), true));
    let refused_ciphers = expect.refuses_ciphers.iter().map(|suite| (Asked::Cipher(*suite), false));
    versions.chain(refused).chain(ciphers).chain(refused_ciphers)
}

/// Whether `answer` takes what was `asked`. To go on with an older version is to refuse the one asked for.
fn takes(asked: Asked, answer: Answer) -> Result<bool, Failure> {
    let Answer::Takes { version, cipher } = answer else { return Ok(false) };
    let offered = asked.version().number();
    if offered < version || !asked.suites().contains(&cipher) {
        let detail = format!("the target chose {}, which was not offered", said(answer));
        return Err(Failure::theirs(Reason::TlsMalformed, Phase::Tls, detail));
    }
    Ok(match asked {
        Asked::Version(_) => version == offered,
        Asked::Cipher(_) | Asked::Anything => true,
    })
}

fn in_words(asked: Asked) -> String {
    match asked {
        Asked::Version(version) => version.to_string(),
        Asked::Cipher(suite) => suite.to_string(),
        Asked::Anything => "anything".to_owned(),
    }
}

fn said(answer: Answer) -> String {
    match answer {
        Answer::Takes { version, cipher } => format!("{} {cipher}", version_name(version)),
        Answer::Alert(number) => format!("alert {number}"),
        Answer::Closed => "closed".to_owned(),
    }
}
