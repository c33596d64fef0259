//! Many runs: the tally, its figures, and how they are drawn.

use nines_shared::check::{HttpQuestion, Question};
use nines_shared::sample::{Evidence, Phases};
use nines_shared::time::Timestamp;

use super::super::Paper;
use super::*;

fn run(outcome: Outcome, us: u64, address: &str) -> Observation {
    let failed = outcome == Outcome::Down;
    Observation {
        outcome,
        reason: failed.then_some(Reason::ConnectRefused),
        phase: failed.then_some(Phase::Connect),
        detail: failed.then(|| "192.0.2.1:80: Connection refused".to_owned()),
        duration_us: us,
        phases_us: Phases { connect: Some(us / 2), first_byte: Some(us - us / 2), ..Phases::default() },
        attempt: 1,
        evidence: Evidence { address: Some(address.parse().unwrap()), ..Evidence::default() },
    }
}

fn question() -> Question {
    Question::Http(Box::new(HttpQuestion::get("http://a/".parse().unwrap())))
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn tally(runs: &[Observation]) -> Tally {
    let mut tally = Tally::default();
    runs.iter().for_each(|seen| tally.count(seen));
    tally
}

#[test]
fn percentiles_are_those_of_the_method_and_only_of_runs_that_worked() {
    let mut runs: Vec<Observation> = (1..=20).map(|ms| run(Outcome::Up, ms * 1_000, "192.0.2.1:80")).collect();
    runs.push(run(Outcome::Down, 9_000_000, "192.0.2.1:80"));
    let tally = tally(&runs);
    // Rank min(⌊q·n⌋, n−1) of 20: 10 and 19.
    let figures = Figures { min: 1_000, median: 11_000, p95: 20_000, max: 20_000 };
    assert_eq!(tally.total_us(), Some(figures));
    assert_eq!(tally.phase_us(Phase::Tls), None);
    assert_eq!(Tally::default().total_us(), None);
}

#[test]
fn the_worst_outcome_is_what_is_known_to_be_bad_then_what_is_not_known() {
    let worst = |outcomes: &[Outcome]| {
        tally(&outcomes.iter().map(|outcome| run(*outcome, 1, "192.0.2.1:80")).collect::<Vec<_>>()).worst()
    };
    assert_eq!(worst(&[]), None);
    assert_eq!(worst(&[Outcome::Up, Outcome::Degraded]), Some(Outcome::Degraded));
    assert_eq!(worst(&[Outcome::Inconclusive, Outcome::Degraded]), Some(Outcome::Inconclusive));
    assert_eq!(worst(&[Outcome::Inconclusive, Outcome::Down, Outcome::Up]), Some(Outcome::Down));
}

#[test]
fn changes_of_address_are_kept_with_the_run_that_saw_them_first_up_to_a_limit() {
    let ports = [80, 80, 81, 80];
    let runs: Vec<_> = ports.iter().map(|port| run(Outcome::Up, 1, &format!("192.0.2.1:{port}"))).collect();
    let seen: Vec<(u32, u16)> =
        tally(&runs).addresses().iter().map(|contact| (contact.from_run, contact.address.port())).collect();
    assert_eq!(seen, [(1, 80), (3, 81), (4, 80)]);
    let many: Vec<_> = (1..=MAX_CHANGES + 7).map(|port| run(Outcome::Up, 1, &format!("192.0.2.1:{port}"))).collect();
    let tally = tally(&many);
    assert_eq!((tally.addresses().len(), tally.further_changes()), (MAX_CHANGES, 7));
}

#[test]
fn a_run_is_one_line_with_its_time_outcome_total_and_phases() {
    let question = question();
    for paper in [Paper::terminal(Some(80), true, true), Paper::terminal(Some(80), false, false), Paper::pipe(true)] {
        let mut drawing = Drawing::new(&question, paper);
        let at = Timestamp::from_ms(3_723_000);
        let up = plain(&drawing.run(1, at, &run(Outcome::Up, 20_000, "192.0.2.1:80")));
        assert!(up.contains("1  01:02:03  up") && up.contains("20.0 ms"), "{up}");
        assert_eq!(up.lines().count(), 1);
        let down = plain(&drawing.run(2, at, &run(Outcome::Down, 1_000, "192.0.2.1:80")));
        assert!(down.contains("connect_refused in connect"), "{down}");
        assert!([&up, &down].iter().all(|text| text.chars().count() <= 81), "{up}{down}");
    }
}

#[test]
fn bars_of_all_runs_have_one_scale_which_is_said_when_it_must_grow() {
    let question = question();
    let mut drawing = Drawing::new(&question, Paper::terminal(Some(80), true, true));
    let mut bar = |us| {
        let text = plain(&drawing.run(1, Timestamp::from_ms(0), &run(Outcome::Up, us, "192.0.2.1:80")));
        (text.matches('█').count(), text.contains("bars are"))
    };
    let (first, second, third) = (bar(60_000), bar(30_000), bar(600_000));
    assert_eq!(first.0, second.0 * 2, "the scale is one");
    assert_eq!((first.1, second.1, third.1), (false, false, true));
    let without_colour = plain(&Drawing::new(&question, Paper::terminal(Some(80), false, false)).run(
        1,
        Timestamp::from_ms(0),
        &run(Outcome::Up, 60_000, "192.0.2.1:80"),
    ));
    assert!(without_colour.contains("ccc") && without_colour.contains("fff"), "{without_colour}");
}

#[test]
fn the_summary_counts_outcomes_causes_and_addresses_and_has_a_row_for_each_phase() {
    let question = question();
    let runs = [
        run(Outcome::Up, 20_000, "192.0.2.1:80"),
        run(Outcome::Down, 20_000, "192.0.2.2:80"),
        run(Outcome::Up, 40_000, "192.0.2.1:80"),
    ];
    let text = plain(&Drawing::new(&question, Paper::terminal(Some(80), true, true)).summary(&tally(&runs), 2_345));
    for words in [
        "3 runs in 2s  2 up · 0 degraded · 1 down · 0 inconclusive",
        "1 x  connect_refused in connect",
        "min       median          p95          max",
        "20.0 ms      40.0 ms      40.0 ms      40.0 ms",
        "from run      2  192.0.2.2:80",
    ] {
        assert!(text.contains(words), "{words:?} is missing in:\n{text}");
    }
    assert!(text.lines().any(|line| line.trim_start().starts_with("first byte")), "{text}");
    assert!(!text.contains("resolve"), "{text}");
}
