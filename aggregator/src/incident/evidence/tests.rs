//! Which two samples are put side by side, and what is said of how they differ.

use nines_shared::sample::Evidence;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(1_790_000_000_000 + seconds * 1_000)
}

fn sample(region: &str, seconds: i64, outcome: Outcome) -> Sample {
    Sample {
        check: "shop-home".parse().unwrap(),
        region: region.parse().unwrap(),
        probe: None,
        kind: SampleKind::Planned,
        scheduled_at: at(seconds),
        started_at: at(seconds),
        outcome,
        reason: None,
        phase: None,
        detail: Some("said\u{1b}[31m".into()),
        duration_us: Some(1_000),
        phases_us: Phases::default(),
        attempt: 1,
        trace_id: None,
        evidence: None,
    }
}

fn pairs(samples: &[Sample], bad: Outcome, from: i64) -> Vec<(String, Option<i64>, i64)> {
    let seconds = |glimpse: &Glimpse| glimpse.started_at.since(at(0)) / 1_000;
    let pair =
        |sight: &Sight| (sight.region.to_string(), sight.last_good.as_ref().map(seconds), seconds(&sight.first_bad));
    sights(samples, bad, at(from)).iter().map(pair).collect()
}

#[test]
fn each_region_shows_its_last_good_sample_beside_its_first_bad_one_the_earliest_first() {
    use Outcome::{Degraded, Down, Inconclusive, Up};
    let samples = [
        sample("ap-south", 0, Up),
        sample("ap-south", 30, Up),
        sample("eu-west", 5, Down),
        sample("eu-west", 10, Up),
        sample("eu-west", 20, Degraded),
        sample("eu-west", 40, Inconclusive),
        sample("eu-west", 70, Down),
        sample("eu-west", 80, Up),
        sample("us-east", 60, Down),
    ];
    let expected = [("us-east".to_owned(), None, 60), ("eu-west".to_owned(), Some(20), 70)];
    assert_eq!(pairs(&samples, Down, 50), expected);
    assert_eq!(pairs(&samples, Degraded, 0), [("eu-west".to_owned(), Some(10), 20)]);
}

#[test]
fn a_sight_is_bounded_and_clean() {
    let many: Vec<Sample> = (0..100).map(|n| sample(&format!("region-{n:03}"), 100 - n, Outcome::Down)).collect();
    let found = sights(&many, Outcome::Down, at(0));
    assert_eq!((found.len(), found[0].first_bad.started_at), (MAX_SIGHTS, at(1)));
    assert_eq!(found[0].first_bad.detail.as_deref(), Some("said [31m"));
}

#[test]
fn what_changed_is_told_and_what_one_side_does_not_show_is_not() {
    let at_address = |address: &str| Evidence { address: address.parse().ok(), ..Evidence::default() };
    let phases =
        |connect, first_byte| Phases { connect: Some(connect), first_byte: Some(first_byte), ..Phases::default() };
    let mut good = sample("eu-west", 0, Outcome::Degraded);
    (good.evidence, good.phases_us) = (Some(Box::new(at_address("192.0.2.1:443"))), phases(10_000, 80_000));
    let mut bad = sample("eu-west", 30, Outcome::Down);
    (bad.evidence, bad.phases_us) = (Some(Box::new(at_address("192.0.2.2:443"))), phases(40_000, 160_000));
    let mut sight = sights(&[good, bad], Outcome::Down, at(0)).remove(0);
    sight.redefined_at = Some(at(15));
    let told: Vec<(&str, String)> =
        sight.differences().into_iter().map(|d| (d.what, format!("{} → {}", d.was, d.is))).collect();
    let expected = [
        ("definition", " → changed at 2026-09-21T14:13:35Z".to_owned()),
        ("address", "192.0.2.1:443 → 192.0.2.2:443".to_owned()),
        ("first_byte", "80 ms → 160 ms".to_owned()),
    ];
    assert_eq!(told, expected);
    sight.last_good.as_mut().unwrap().shows.clear();
    assert!(sight.differences().iter().all(|difference| difference.what != "address"));
}
