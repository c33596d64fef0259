//! Which expectations are said to have held.

use nines_shared::check::{DnsQuestion, HttpQuestion, TlsQuestion};
use nines_shared::sample::{Evidence, Phases, TlsEvidence, TraceId};
use nines_shared::time::Timestamp;

use super::*;
use crate::prober::Observation;

fn seen(outcome: Outcome, reason: Option<Reason>) -> Observation {
    Observation {
        outcome,
        reason,
        phase: None,
        detail: None,
        duration_us: 1,
        phases_us: Phases::default(),
        attempt: 1,
        evidence: Evidence::default(),
    }
}

/// The marks and the first words of what each is about.
fn marks(question: &Question, must_fail: Option<&MustFail>, seen: &Observation) -> Vec<(Option<bool>, String)> {
    let look = Look { question, must_fail, seen, trace: TraceId(0), now: Timestamp::from_ms(0) };
    let short = |mark: Mark| (mark.held, mark.what.split(' ').take(2).collect::<Vec<_>>().join(" "));
    of(look).into_iter().map(short).collect()
}

fn of_held(marks: Vec<(Option<bool>, String)>) -> Vec<Option<bool>> {
    marks.into_iter().map(|(held, _)| held).collect()
}

#[test]
fn the_word_of_the_prober_counts_where_it_judged() {
    let question = Question::Http(Box::new(HttpQuestion::get("http://a/".parse().unwrap())));
    let mut failed = seen(Outcome::Down, Some(Reason::HttpStatus));
    assert_eq!(marks(&question, None, &failed), [(None, "status is".to_owned())], "no response came");
    let judged = |verdict| ExpectationEvidence { what: "status is 2xx".into(), verdict, seen: None };
    failed.evidence.expectations = [Judged::Met, Judged::Unmet, Judged::Undecided].map(judged).to_vec();
    assert_eq!(of_held(marks(&question, None, &failed)), [Some(true), Some(false), None]);
    assert_eq!(of_held(marks(&question, None, &seen(Outcome::Up, None))), [Some(true)]);
}

#[test]
fn what_is_judged_before_the_failure_held_and_what_comes_after_is_not_known() {
    let mut dns = DnsQuestion::new("a.example", "A".parse().unwrap(), None);
    dns.expect.ttl_s = Some(nines_shared::check::Bounds { min: Some(60), max: None });
    dns.expect.flags.aa = Some(true);
    let question = Question::Dns(Box::new(dns.clone()));
    let held = |reason| of_held(marks(&question, None, &seen(Outcome::Down, Some(reason))));
    assert_eq!(held(Reason::DnsNxdomain), [Some(false), None, None, None]);
    assert_eq!(held(Reason::DnsNoData), [Some(true), Some(false), None, None]);
    assert_eq!(held(Reason::DnsTtl), [Some(true), Some(true), Some(false), None]);
    assert_eq!(held(Reason::DnsTimeout), [None; 4]);
    assert_eq!(of_held(marks(&question, None, &seen(Outcome::Up, None))), [Some(true); 4]);

    // Two expectations that fail for one reason: which one did is not ours to guess.
    dns.expect.contains = vec!["192.0.2.1".to_owned()];
    dns.expect.any_of = vec!["192.0.2.1".to_owned()];
    let question = Question::Dns(Box::new(dns));
    let held = of_held(marks(&question, None, &seen(Outcome::Down, Some(Reason::DnsAnswers))));
    assert_eq!(held, [Some(true), Some(true), None, None, None, None]);
}

#[test]
fn a_chain_is_judged_before_the_session() {
    let mut tls = TlsQuestion::at("a.example:443".parse().unwrap());
    tls.expect.alpn = Some("h2".to_owned());
    tls.expect.valid_for_ms = Some(1);
    let question = Question::Tls(Box::new(tls));
    let mut failed = seen(Outcome::Down, Some(Reason::TlsExpired));
    failed.evidence.tls = Some(TlsEvidence { chain: vec![Default::default()], ..TlsEvidence::default() });
    assert_eq!(of_held(marks(&question, None, &failed)), [Some(false), None, None]);
    failed.reason = Some(Reason::TlsExpiresSoon);
    failed.evidence.tls.as_mut().unwrap().version = Some("TLSv1.3".to_owned());
    assert_eq!(of_held(marks(&question, None, &failed)), [Some(true), Some(true), Some(false)]);
}

#[test]
fn a_check_that_must_fail_says_so_first() {
    let question = Question::Http(Box::new(HttpQuestion::get("http://a/".parse().unwrap())));
    let must_fail = MustFail::With(vec![Reason::ConnectRefused]);
    let marks = |seen: &Observation| marks(&question, Some(&must_fail), seen);
    assert_eq!(marks(&seen(Outcome::Up, None)), [(Some(true), "it fails".to_owned())]);
    let success = marks(&seen(Outcome::Down, Some(Reason::UnexpectedSuccess)));
    assert_eq!(success, [(Some(false), "it fails".to_owned()), (Some(true), "status is".to_owned())]);
    assert_eq!(of_held(marks(&seen(Outcome::Inconclusive, Some(Reason::NoRoute)))), [None]);
}
