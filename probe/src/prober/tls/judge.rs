//! PURE: whether a session whose handshake was done is what a check expects.

use nines_shared::check::{OcspExpect, Pin, TlsExpect};
use nines_shared::duration::Shown as For;
use nines_shared::sample::{Phase, Reason, detail};
use nines_shared::time::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::prober::chain;
use crate::prober::chain::ocsp::Status;
use crate::prober::failure::Failure;
use crate::prober::handshake::Session;
use crate::prober::trust::Shown;

/// Whether `session` is what `expect` says at `now`. The first expectation that does not hold fails it.
///
/// How long the chain is valid, and which keys are in it, is asked of the path that leads to a trusted root, not
/// of certificates that the target sent beside it: nobody's browser looks at those. Without such a path, which
/// only a check that does not verify gets this far with, all of the chain has to be valid long enough, and only
/// the target's own key is proven.
pub(crate) fn judge(expect: &TlsExpect, session: &Session, now: Timestamp) -> Result<(), Failure> {
    if let (Some(wanted), Some(version)) = (expect.min_version, session.version())
        && version.as_str() < wanted.name()
    {
        let detail = format!("{version} was agreed on; at least {wanted} is wanted");
        return Err(theirs(Reason::TlsVersion, detail));
    }
    if let Some(wanted) = &expect.alpn
        && session.alpn() != Some(wanted.as_bytes())
    {
        return Err(theirs(Reason::TlsAlpn, format!("the target does not agree on {wanted} (ALPN)")));
    }
    let Some(shown) = session.shown() else { return Ok(()) };
    valid_for(expect, shown, now)?;
    names(expect, shown)?;
    issuer(expect, shown)?;
    pins(expect, session, shown)?;
    ocsp(expect, session, now)
}

fn theirs(reason: Reason, detail: impl Into<String>) -> Failure {
    Failure::theirs(reason, Phase::Tls, detail)
}

/// The certificates that count: those of the path, else all.
fn that_count(shown: &Shown) -> impl Iterator<Item = &CertificateDer<'static>> {
    let on_path = |place: &usize| shown.path.as_ref().is_none_or(|path| path.places.contains(place));
    (0..shown.chain.len()).filter(on_path).map(|place| &shown.chain[place])
}

fn valid_for(expect: &TlsExpect, shown: &Shown, now: Timestamp) -> Result<(), Failure> {
    let Some(wanted) = expect.valid_for_ms else { return Ok(()) };
    let ends = that_count(shown).filter_map(|der| {
        let seconds = chain::parsed(der)?.validity().not_after.timestamp();
        Some((Timestamp::from_ms(seconds.saturating_mul(1_000)), der))
    });
    let Some((end, first)) = ends.min_by_key(|(end, _)| *end) else { return Ok(()) };
    let left = end.since(now);
    if wanted <= left {
        return Ok(());
    }
    let left = For(left - left % 1_000);
    let detail = format!("{} is valid for {left} more; {} is wanted", chain::subject(first), For(wanted));
    Err(theirs(Reason::TlsExpiresSoon, detail))
}

fn names(expect: &TlsExpect, shown: &Shown) -> Result<(), Failure> {
    if expect.names.is_empty() {
        return Ok(());
    }
    let covers = |own: &CertificateDer<'_>, name: &str| {
        let own = webpki::EndEntityCert::try_from(own).ok()?;
        let name = ServerName::try_from(name).ok()?;
        own.verify_is_valid_for_subject_name(&name).ok()
    };
    let Some(own) = shown.chain.first() else { return Ok(()) };
    match expect.names.iter().find(|name| covers(own, name).is_none()) {
        Some(name) => {
            let names = chain::names_in_words(own);
            Err(theirs(Reason::TlsWrongName, format!("the certificate is for {names}, not for {name}")))
        }
        None => Ok(()),
    }
}

fn issuer(expect: &TlsExpect, shown: &Shown) -> Result<(), Failure> {
    let (Some(wanted), Some(own)) = (&expect.issuer, shown.chain.first()) else { return Ok(()) };
    let issuer = chain::issuer(own);
    if issuer.contains(wanted.as_str()) {
        return Ok(());
    }
    Err(theirs(Reason::TlsIssuer, format!("the certificate was issued by {issuer}, not by {}", detail(wanted))))
}

fn pins(expect: &TlsExpect, session: &Session, shown: &Shown) -> Result<(), Failure> {
    if expect.pins.is_empty() {
        return Ok(());
    }
    let key = |der: &CertificateDer<'_>| Some(chain::pin(chain::parsed(der)?.public_key().raw));
    let pinned = |pin: Option<Pin>| pin.is_some_and(|pin| expect.pins.contains(&pin));
    let held = match &shown.path {
        Some(path) => {
            that_count(shown).any(|der| pinned(key(der)))
                || pinned(session.trust().root_key(path).map(|root| chain::pin(&root)))
        }
        None => shown.chain.first().is_some_and(|own| pinned(key(own))),
    };
    if held {
        return Ok(());
    }
    let own = shown.chain.first().and_then(key).map_or_else(String::new, |pin| pin.to_string());
    let detail = match &shown.path {
        Some(_) => format!("no key of the verified chain is pinned; the target's own is {own}"),
        None => format!("the target's own key, {own}, is not pinned"),
    };
    Err(theirs(Reason::TlsPin, detail))
}

fn ocsp(expect: &TlsExpect, session: &Session, now: Timestamp) -> Result<(), Failure> {
    let Some(wanted) = expect.ocsp else { return Ok(()) };
    let fault = |why: String| theirs(Reason::TlsOcsp, why);
    let stapled = session.stapled(now).ok_or_else(|| fault("no OCSP response is stapled".to_owned()))?;
    let stapled = stapled.map_err(fault)?;
    if let Some(doubt) = stapled.doubt {
        return Err(fault(format!("the stapled OCSP response can't be believed: {doubt}")));
    }
    if wanted == OcspExpect::Good && stapled.status != Status::Good {
        return Err(fault("the stapled OCSP response does not say that the certificate is good".to_owned()));
    }
    Ok(())
}
