//! PURE: what DNS and TLS questions expect, in words, in the order in which it is judged, each with the reasons of its
//! failure.

use nines_shared::check::{DnsQuestion, OcspExpect, TlsQuestion, shown_seconds};
use nines_shared::duration::Shown;
use nines_shared::sample::Reason;

use super::Mark;
use crate::prober::Observation;

/// An expectation in words, and the reasons that a sample has where it does not hold.
pub(super) type Listed = (String, &'static [Reason]);

/// What held of `listed`, as far as `seen` tells: all of it where the check `worked`.
pub(super) fn held(listed: Vec<Listed>, seen: &Observation, worked: bool) -> Vec<Mark> {
    let failed = |(_, reasons): &&Listed| seen.reason.as_ref().is_some_and(|reason| reasons.contains(reason));
    let suspects = listed.iter().filter(failed).count();
    let first = listed.iter().position(|one| failed(&one));
    let verdict = |index: usize| match first {
        _ if worked => Some(true),
        Some(first) if index < first => Some(true),
        // One reason may stand for several expectations: then the verdict's detail says which.
        Some(first) if index == first && suspects == 1 => Some(false),
        Some(_) | None => None,
    };
    let verdicts: Vec<_> = (0..listed.len()).map(verdict).collect();
    listed.into_iter().zip(verdicts).map(|((what, _), held)| Mark::new(held, what)).collect()
}

/// The expectations of a DNS question.
pub(super) fn of_dns(dns: &DnsQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let expect = &dns.expect;
    let rcode = expect.rcode.as_ref().map_or_else(|| "NOERROR".to_owned(), ToString::to_string);
    let mut listed: Vec<Listed> = vec![(
        format!("code is {rcode}"),
        &[Reason::DnsNxdomain, Reason::DnsServfail, Reason::DnsRefused, Reason::DnsRcode],
    )];
    if expect.wants_an_answer() {
        listed.push(("there is an answer".to_owned(), &[Reason::DnsNoData, Reason::DnsCnameLoop]));
    }
    let wrong: &[Reason] =
        if expect.wants_an_answer() { &[Reason::DnsAnswers] } else { &[Reason::DnsAnswers, Reason::DnsNoData] };
    let answers = [
        expect.answers.as_ref().map(|all| format!("answers are exactly {}", all.join(", "))),
        (!expect.contains.is_empty()).then(|| format!("among the answers is {}", expect.contains.join(", "))),
        (!expect.any_of.is_empty()).then(|| format!("each answer is one of {}", expect.any_of.join(", "))),
        expect.matches.as_ref().map(|pattern| match pattern {
            nines_shared::check::AnswerPattern::Any(regex) => format!("an answer matches /{regex}/"),
            nines_shared::check::AnswerPattern::Every(regex) => format!("every answer matches /{regex}/"),
        }),
        expect.count.map(|bounds| format!("there are {} answers", bounds.shown(|n| n.to_string()))),
    ];
    listed.extend(answers.into_iter().flatten().map(|what| (what, wrong)));
    if let Some(bounds) = expect.ttl_s {
        listed.push((format!("each TTL is {}", bounds.shown(shown_seconds)), &[Reason::DnsTtl]));
    }
    if let Some(serial) = expect.serial_at_least {
        listed.push((format!("the serial is at least {serial}"), wrong));
    }
    let flags = [("AA", expect.flags.aa), ("AD", expect.flags.ad), ("RA", expect.flags.ra), ("TC", expect.flags.tc)];
    let flags = flags.into_iter().filter_map(|(name, wanted)| Some((name, wanted?)));
    let flags: Vec<String> =
        flags.map(|(name, set)| format!("{name} is {}", if set { "set" } else { "clear" })).collect();
    if !flags.is_empty() {
        listed.push((flags.join(", "), &[Reason::DnsFlags]));
    }
    for (name, wanted) in [("authority", &expect.authority), ("additional", &expect.additional)] {
        if !wanted.is_empty() {
            listed.push((format!("the {name} section has {}", wanted.join(", ")), &[Reason::DnsSections]));
        }
    }
    if let Some(dnssec) = &dns.dnssec {
        let (what, reasons): Listed = if dnssec.allow_insecure {
            ("proven by DNSSEC, or provably not signed".to_owned(), &[Reason::DnssecBogus])
        } else {
            ("proven by DNSSEC".to_owned(), &[Reason::DnssecBogus, Reason::DnssecInsecure])
        };
        listed.push((what, reasons));
    }
    held(listed, seen, worked)
}

/// The expectations of a TLS question.
pub(super) fn of_tls(tls: &TlsQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let session = seen.evidence.tls.as_ref();
    // A version is known only where the handshake was a success.
    let shaken = session.is_some_and(|session| session.version.is_some());
    let name = tls.server_name.clone().unwrap_or_else(|| tls.address.host.to_string());
    let chain = if tls.verify {
        let refused = session.is_some_and(|session| !session.chain.is_empty());
        Mark::new(
            if worked || shaken { Some(true) } else { refused.then_some(false) },
            format!("chain is valid for {name}"),
        )
    } else {
        Mark {
            seen: Some("the check does not verify it".to_owned()),
            ..Mark::new(None, format!("chain is valid for {name}"))
        }
    };
    let listed = of_session(tls);
    let others = if worked || shaken {
        held(listed, seen, worked)
    } else {
        listed.into_iter().map(|(what, _)| Mark::new(None, what)).collect()
    };
    std::iter::once(chain).chain(others).collect()
}

fn of_session(tls: &TlsQuestion) -> Vec<Listed> {
    let expect = &tls.expect;
    let version = expect.min_version.map(|version| format!("version is at least {version}"));
    let alpn = expect.alpn.as_ref().map(|alpn| format!("{alpn} is agreed on (ALPN)"));
    let valid_for = expect.valid_for_ms.map(|ms| format!("chain is valid for {} more", Shown(ms)));
    let names = (!expect.names.is_empty()).then(|| format!("certificate is for {}", expect.names.join(", ")));
    let issuer = expect.issuer.as_ref().map(|issuer| format!("issued by {issuer}"));
    let pins = (!expect.pins.is_empty()).then(|| "a key of the chain is pinned".to_owned());
    let ocsp = expect.ocsp.map(|ocsp| match ocsp {
        OcspExpect::Stapled => "an OCSP response is stapled".to_owned(),
        OcspExpect::Good => "the OCSP response says good".to_owned(),
    });
    let shown = |list: Vec<String>| list.join(", ");
    let takes: Vec<String> =
        expect.versions.iter().map(ToString::to_string).chain(expect.ciphers.iter().map(ToString::to_string)).collect();
    let refuses = expect.refuses.iter().map(ToString::to_string);
    let refuses: Vec<String> = refuses.chain(expect.refuses_ciphers.iter().map(ToString::to_string)).collect();
    let offers = [
        (!takes.is_empty()).then(|| format!("takes {}", shown(takes))),
        (!refuses.is_empty()).then(|| format!("refuses {}", shown(refuses))),
    ];
    let of_one: [(Option<String>, &'static [Reason]); 7] = [
        (version, &[Reason::TlsVersion]),
        (alpn, &[Reason::TlsAlpn]),
        (valid_for, &[Reason::TlsExpiresSoon]),
        (names, &[Reason::TlsWrongName]),
        (issuer, &[Reason::TlsIssuer]),
        (pins, &[Reason::TlsPin]),
        (ocsp, &[Reason::TlsOcsp]),
    ];
    let of_one = of_one.into_iter().filter_map(|(what, reasons)| Some((what?, reasons)));
    of_one.chain(offers.into_iter().flatten().map(|what| (what, &[Reason::TlsOffers] as &[Reason]))).collect()
}
