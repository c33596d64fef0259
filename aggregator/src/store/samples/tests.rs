use nines_shared::id::CheckId;
use nines_shared::time::{Span, Timestamp};

use super::*;
use crate::definition::Fleet;
use crate::store::tests::{check, fleet, sample, store};
use crate::store::{Store, definitions};
use nines_shared::sample::{
    Certificate, DnsEvidence, Evidence, Hop, Outcome, Phase, Phases, Reason, SampleKind, TlsEvidence, TraceId,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

fn ms(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn span(from: i64, to: i64) -> Span {
    Span::new(ms(from), ms(to))
}

fn put(store: &Store, samples: Vec<Sample>) -> Inserted {
    store.write_blocking(move |tx| insert(tx, &samples, NOW)).unwrap()
}

fn all(store: &Store) -> Vec<Sample> {
    let mut all = Vec::new();
    let forever = Span { from: Timestamp::MIN, to: Timestamp::MAX };
    let read = store.read_blocking(|conn| {
        each_in_identity_order(conn, None, forever, |sample| {
            all.push(sample.clone());
            Ok(())
        })
    });
    read.unwrap();
    all
}

/// A sample with something in every field.
fn full() -> Sample {
    let phases_us = Phases { resolve: Some(1), connect: Some(2), tls: Some(3), first_byte: Some(4), transfer: Some(5) };
    let hop = Hop {
        url: "https://shop.example/".to_owned(),
        proxy: None,
        address: Some("192.0.2.1:443".parse().unwrap()),
        status: Some(503),
        version: Some("HTTP/2".to_owned()),
        phases_us,
    };
    let certificate = Certificate {
        subject: "CN=shop.example".to_owned(),
        issuer: "CN=someone".to_owned(),
        names: vec!["shop.example".to_owned()],
        not_before: ms(1),
        not_after: ms(2),
        sha256: "ab".repeat(32),
        pin: "sha256/q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=".to_owned(),
        serial: "07".to_owned(),
        key: "EC P-256".to_owned(),
        signature: "ECDSA-SHA256".to_owned(),
        is_ca: true,
    };
    let tls = TlsEvidence {
        version: Some("TLSv1.3".to_owned()),
        chain: vec![certificate],
        path: vec!["CN=shop.example".to_owned(), "CN=someone".to_owned()],
        ..TlsEvidence::default()
    };
    let dns = DnsEvidence {
        transport: "udp".to_owned(),
        rcode: "NOERROR".to_owned(),
        answers: vec!["192.0.2.10".to_owned()],
        ttl_s: Some(60),
        ..DnsEvidence::default()
    };
    let address = Some("[2001:db8::1]:443".parse().unwrap());
    Sample {
        kind: SampleKind::Extra,
        outcome: Outcome::Down,
        reason: Some(Reason::HttpStatus),
        phase: Some(Phase::FirstByte),
        detail: Some("503 \"Service Unavailable\"".to_owned()),
        phases_us,
        attempt: 2,
        trace_id: Some(TraceId(7)),
        evidence: Some(Box::new(Evidence {
            address,
            hops: vec![hop],
            tls: Some(tls),
            dns: Some(dns),
            ..Evidence::default()
        })),
        ..sample("eu-west", 1_000)
    }
}

#[test]
fn every_field_of_a_sample_comes_back() {
    let (_folder, store) = store();
    put(&store, vec![full()]);
    assert_eq!(all(&store), [full()]);
}

#[test]
fn every_reason_phase_and_outcome_comes_back_and_so_do_strangers() {
    let (_folder, store) = store();
    let reasons = Reason::ALL.iter().cloned().chain([Reason::Other("quic_blocked".into())]).enumerate();
    let mut given: Vec<Sample> = reasons
        .map(|(n, reason)| Sample {
            reason: Some(reason),
            phase: Some(Phase::ALL[n % 5]),
            outcome: Outcome::ALL[n % 4],
            trace_id: Some(TraceId(n as u128)),
            ..sample("eu-west", i64::try_from(n).unwrap())
        })
        .collect();
    put(&store, given.clone());
    given.sort_by(|a, b| a.identity().cmp(&b.identity()));
    assert_eq!(all(&store), given);
}

#[test]
fn a_sample_without_a_trace_id_gets_the_derived_one() {
    let (_folder, store) = store();
    let given = sample("eu-west", 1_000);
    put(&store, vec![given.clone()]);
    let derived = TraceId::of(&given.check, &given.region, given.kind, given.scheduled_at);
    assert_eq!(all(&store)[0].trace_id, Some(derived));
    assert_eq!(put(&store, vec![Sample { trace_id: Some(derived), ..given }]), Inserted { stored: 0, same: 1 });
}

#[test]
fn numbers_that_no_clock_could_measure_are_held_at_the_largest() {
    let (_folder, store) = store();
    let absurd = Sample { duration_us: Some(u64::MAX), started_at: Timestamp::MAX, ..sample("eu-west", 1_000) };
    put(&store, vec![absurd.clone()]);
    assert_eq!(put(&store, vec![absurd]), Inserted { stored: 0, same: 1 });
    assert_eq!(all(&store)[0].duration_us, Some(i64::MAX.unsigned_abs()));
}

#[test]
fn of_two_samples_with_one_identity_the_earlier_start_stays_then_the_smaller_probe() {
    let early = sample("eu-west", 1_000);
    let late = Sample { started_at: ms(1_009), outcome: Outcome::Down, ..early.clone() };
    let other = Sample { probe: Some("eu-west-0".parse().unwrap()), ..early.clone() };
    for order in [[&early, &late, &other], [&other, &late, &early], [&late, &early, &other]] {
        let (_folder, store) = store();
        for sample in order {
            put(&store, vec![sample.clone()]);
        }
        let kept = all(&store);
        assert_eq!((kept.len(), &kept[0].probe, kept[0].started_at), (1, &other.probe, other.started_at));
    }
}

#[test]
fn a_sample_that_claims_to_have_begun_before_it_was_to_does_not_displace_one_that_did_not() {
    let honest = sample("eu-west", 1_000);
    let claims = Sample { started_at: ms(999), outcome: Outcome::Down, ..honest.clone() };
    let more = Sample { started_at: ms(998), ..claims.clone() };
    for order in [[&honest, &claims, &more], [&more, &claims, &honest], [&claims, &honest, &more]] {
        let (_folder, store) = store();
        for sample in order {
            put(&store, vec![sample.clone()]);
        }
        assert_eq!(all(&store)[0].started_at, honest.started_at);
    }
}

#[test]
fn samples_come_in_order_of_their_identity_whatever_order_they_came_in() {
    let (_folder, store) = store();
    let mut given = Vec::new();
    for check in ["b", "a", "shop-home"] {
        for region in ["us-east", "eu-west"] {
            for at in [3_000, 1_000] {
                for kind in [SampleKind::Extra, SampleKind::Planned] {
                    let check = check.parse().unwrap();
                    given.push(row::normal(&Sample { check, kind, ..sample(region, at) }));
                }
            }
        }
    }
    put(&store, given.clone());
    given.sort_by(|a, b| a.identity().cmp(&b.identity()));
    assert_eq!(all(&store), given);
    let only: Vec<CheckId> = vec!["a".parse().unwrap()];
    let mut count = 0;
    let read = store.read_blocking(|conn| {
        each_in_identity_order(conn, Some(&only), span(1_000, 3_000), |sample| {
            assert_eq!((sample.check.as_str(), sample.scheduled_at), ("a", ms(1_000)));
            count += 1;
            Ok(())
        })
    });
    read.unwrap();
    assert_eq!(count, 4);
}

#[test]
fn what_is_fresh_is_so_until_it_is_judged_and_what_came_meanwhile_stays_fresh() {
    let (_folder, store) = store();
    let fresh = || store.read_blocking(fresh).unwrap();
    assert_eq!(fresh(), []);
    put(&store, vec![sample("eu-west", 5_000), sample("eu-west", 9_000)]);
    put(&store, vec![Sample { check: "a".parse().unwrap(), ..sample("eu-west", 7_000) }]);
    let seen = fresh();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].started, span(5_003, 9_004));
    // Late samples of the first check arrive while both are being judged.
    put(&store, vec![sample("us-east", 1_000)]);
    let judged_to = seen[1].arrival;
    store.write_blocking(move |tx| judged(tx, judged_to)).unwrap();
    let left = fresh();
    assert_eq!((left.len(), left[0].check.as_str(), left[0].started), (1, "shop-home", span(1_003, 9_004)));
    assert!(judged_to < left[0].arrival);
    // A replay brings nothing to judge.
    store.write_blocking(move |tx| judged(tx, i64::MAX)).unwrap();
    put(&store, vec![sample("us-east", 1_000)]);
    assert_eq!(fresh(), []);
    put(&store, vec![sample("us-east", 2_000)]);
    assert!(left[0].arrival < fresh()[0].arrival, "numbers are never used again");
}

#[test]
fn the_newest_sample_of_each_region_and_the_first_of_all_are_found() {
    let (_folder, store) = store();
    put(&store, vec![sample("us-east", 1_000), sample("eu-west", 2_000), sample("eu-west", 3_000)]);
    let id: CheckId = "shop-home".parse().unwrap();
    let latest = store.read_blocking(|conn| latest_of(conn, &id)).unwrap();
    let latest: Vec<(&str, i64)> =
        latest.iter().map(|sample| (sample.region.as_str(), sample.scheduled_at.as_ms())).collect();
    assert_eq!(latest, [("eu-west", 3_000), ("us-east", 1_000)]);
    assert_eq!(store.read_blocking(|conn| first_of(conn, &id)).unwrap(), Some(ms(1_000)));
    let stranger: CheckId = "other".parse().unwrap();
    assert_eq!(store.read_blocking(|conn| latest_of(conn, &stranger)).unwrap(), []);
    assert_eq!(store.read_blocking(|conn| first_of(conn, &stranger)).unwrap(), None);
}

#[test]
fn a_plain_sample_takes_less_than_seventy_bytes() {
    let (_folder, store) = store();
    let (slots, series) = (200_i64, 100_i64);
    let plain = |slot: i64, n: i64| {
        let wobble = nines_shared::hash::fnv1a64(format!("{slot}/{n}").as_bytes());
        let us = |base: u64, shift: u32| Some(base + (wobble >> shift) % base);
        let mut sample = sample(["eu-west", "us-east"][usize::try_from(n % 2).unwrap()], NOW.as_ms() + slot * 30_000);
        sample.check = format!("check-{}", n / 2).parse().unwrap();
        sample.duration_us = us(60_000, 3);
        let (resolve, connect, tls) = (us(400, 5), us(9_000, 7), us(20_000, 9));
        sample.phases_us = Phases { resolve, connect, tls, first_byte: us(25_000, 11), transfer: us(300, 13) };
        sample
    };
    for slot in 0..slots {
        put(&store, (0..series).map(|n| plain(slot, n)).collect());
    }
    let path = store.path().to_owned();
    drop(store);
    let bytes = path.metadata().unwrap().len() / u64::try_from(slots * series).unwrap();
    assert!(bytes < 70, "{bytes} bytes a sample");
}

fn defined(store: &Store, fleet: Fleet, at: i64) {
    store.write_blocking(move |tx| definitions::load(tx, &fleet, ms(at))).unwrap();
}

fn scheduled(store: &Store, window: Span) -> Vec<i64> {
    let id = "shop-home".parse().unwrap();
    let record = store.read_blocking(|conn| record_of(conn, &id, window)).unwrap();
    record.iter().flat_map(|region| &region.samples).map(|sample| sample.scheduled_at.as_ms()).collect()
}

#[test]
fn a_record_reaches_two_intervals_out_of_its_span() {
    let (_folder, store) = store();
    defined(&store, fleet(vec![check("shop-home", 10_000, &["eu-west"])]), 0);
    put(&store, (0..30).map(|n| sample("eu-west", n * 10_000)).collect());
    let expected: Vec<i64> = (8..14).map(|n| n * 10_000).collect();
    assert_eq!(scheduled(&store, span(100_000, 120_000)), expected);
}

#[test]
fn where_a_definition_changed_the_last_word_before_the_margin_is_there_too() {
    let (_folder, store) = store();
    defined(&store, fleet(vec![check("shop-home", 10_000, &["eu-west"])]), 0);
    put(&store, vec![sample("eu-west", 0), sample("eu-west", 10_000)]);
    let silent = Sample { outcome: Outcome::Inconclusive, ..sample("eu-west", 20_000) };
    put(&store, vec![silent, sample("eu-west", 100_000)]);
    assert_eq!(scheduled(&store, span(100_000, 110_000)), [100_000]);
    defined(&store, fleet(vec![check("shop-home", 5_000, &["eu-west"])]), 90_000);
    assert_eq!(scheduled(&store, span(100_000, 110_000)), [10_000, 20_000, 100_000]);
}

#[test]
fn a_record_is_sorted_by_the_start_though_rows_are_sorted_by_the_plan() {
    let (_folder, store) = store();
    defined(&store, fleet(vec![check("shop-home", 10_000, &["eu-west"])]), 0);
    let overrun = Sample { started_at: ms(12_000), ..sample("eu-west", 10_000) };
    let extra = Sample { kind: SampleKind::Extra, started_at: ms(11_000), ..sample("eu-west", 11_000) };
    put(&store, vec![overrun, extra]);
    assert_eq!(scheduled(&store, span(0, 20_000)), [11_000, 10_000]);
}

/// Batches with repetitions and contradictions: few identities, so that they meet often.
fn batches() -> impl Strategy<Value = Vec<Vec<Sample>>> {
    let one = (0..2_usize, 0..2_usize, 0..4_i64, any::<bool>(), 0..3_i64, 0..3_usize, 0..4_usize).prop_map(
        |(check, region, slot, extra, late, probe, outcome)| {
            let mut sample = sample(["eu-west", "us-east"][region], slot * 1_000);
            sample.check = ["shop-home", "shop-dns"][check].parse().unwrap();
            sample.kind = if extra { SampleKind::Extra } else { SampleKind::Planned };
            sample.started_at = sample.scheduled_at.plus_ms(late);
            sample.probe = [None, Some("p-1"), Some("p-2")][probe].map(|probe| probe.parse().unwrap());
            sample.outcome = Outcome::ALL[outcome];
            sample.reason = (outcome == 2).then_some(Reason::ConnectRefused);
            sample
        },
    );
    prop::collection::vec(prop::collection::vec(one, 0..12), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn inv_3_any_order_and_any_repetition_of_batches_give_the_same_content(
        batches in batches(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..12), shuffle in any::<u64>(),
    ) {
        let digest_of = |batches: Vec<Vec<Sample>>| {
            let (_folder, store) = store();
            for batch in batches {
                put(&store, batch);
            }
            store.read_blocking(content_digest).unwrap()
        };
        let mut again = batches.clone();
        again.extend(order.iter().map(|index| index.get(&batches).clone()));
        again.sort_by_key(|batch| nines_shared::hash::fnv1a64(format!("{shuffle}{batch:?}").as_bytes()));
        again.iter_mut().for_each(|batch| batch.reverse());
        prop_assert_eq!(digest_of(batches), digest_of(again));
    }

    #[test]
    fn what_was_stored_before_is_counted_as_there(batches in batches()) {
        let (_folder, store) = store();
        let given: usize = batches.iter().map(Vec::len).sum();
        let mut total = Inserted::default();
        for batch in batches {
            let Inserted { stored, same } = put(&store, batch);
            total = Inserted { stored: total.stored + stored, same: total.same + same };
        }
        prop_assert_eq!(total.stored + total.same, given);
        prop_assert_eq!(store.read_blocking(count).unwrap(), total.stored as u64);
    }
}
