use proptest::prelude::*;

use super::*;
use nines_shared::wire::{DRAIN_PACE, MAX_BATCH_SAMPLES};

const SECOND: Duration = Duration::from_secs(1);

/// A batch as large as one may be, of plain samples.
const WHOLE: Cost = Cost { samples: MAX_BATCH_SAMPLES, bytes: 400 * MAX_BATCH_SAMPLES };

fn batch(quota: &mut Quota, cost: Cost, now: Instant) -> Result<(), Exceeded> {
    quota.request(now)?;
    quota.batch(now)?;
    quota.done(cost, now);
    Ok(())
}

#[test]
fn a_probe_of_ten_thousand_checks_a_minute_delivers_seven_days_of_backlog_without_meeting_a_limit() {
    let begun = Instant::now();
    let mut quota = Quota::new(begun);
    // Samples a second that it takes meanwhile, and what it has.
    let (mut now, mut waiting) = (begun, 7 * 86_400 * 10_000 / 60_u64);
    while 0 < waiting {
        assert_eq!(batch(&mut quota, WHOLE, now), Ok(()), "{waiting} wait after {:?}", now - begun);
        // Beside them it polls for work and for asks, each at most once a second.
        assert_eq!(quota.request(now), Ok(()));
        now += DRAIN_PACE;
        let taken = u64::try_from((now - begun).as_millis()).unwrap() / 6
            - u64::try_from((now - begun - DRAIN_PACE).as_millis()).unwrap() / 6;
        waiting = (waiting + taken).saturating_sub(MAX_BATCH_SAMPLES as u64);
    }
    assert!(now - begun < Duration::from_secs(8 * 3_600), "{:?}", now - begun);
}

#[test]
fn each_limit_is_named_and_is_over_when_it_says() {
    let cases = [
        (Limit::Samples, Cost { samples: MAX_BATCH_SAMPLES, bytes: 1 }),
        (Limit::Bytes, Cost::UNREADABLE),
        (Limit::Requests, Cost { samples: 0, bytes: 0 }),
    ];
    for (limit, cost) in cases {
        let now = Instant::now();
        let mut quota = Quota::new(now);
        let exceeded = std::iter::repeat_with(|| batch(&mut quota, cost, now)).find_map(Result::err).unwrap();
        assert_eq!(exceeded.limit, limit);
        assert!(exceeded.again <= 2 * SECOND, "{exceeded:?}");
        let almost = now + exceeded.again.saturating_sub(Duration::from_millis(2));
        assert_eq!(batch(&mut quota, cost, almost).map_err(|exceeded| exceeded.limit), Err(limit));
        assert_eq!(batch(&mut quota, cost, now + exceeded.again), Ok(()));
    }
}

#[test]
fn who_was_quiet_for_long_gets_no_more_at_once_than_anybody() {
    let begun = Instant::now();
    let mut quota = Quota::new(begun);
    let later = begun + 86_400 * SECOND;
    let taken = (0..10_000).take_while(|_| batch(&mut quota, WHOLE, later).is_ok()).count();
    assert_eq!(taken, usize::try_from(MAX_SAMPLES_AT_ONCE).unwrap() / MAX_BATCH_SAMPLES);
}

#[test]
fn a_probe_has_two_batches_at_work_and_each_place_comes_back() {
    let now = Instant::now();
    let mut quota = Quota::new(now);
    assert_eq!((quota.batch(now), quota.batch(now)), (Ok(()), Ok(())));
    assert_eq!(quota.batch(now).map_err(|exceeded| exceeded.limit), Err(Limit::Batches));
    quota.done(WHOLE, now);
    assert_eq!(quota.batch(now), Ok(()));
}

#[test]
fn a_batch_that_is_given_up_half_way_is_charged_and_its_place_is_free() {
    let (quotas, limited, probe) = (Quotas::default(), ByProbe::default(), "eu-west-1".parse().unwrap());
    let most = usize::try_from(MAX_BYTES_AT_ONCE).unwrap() / MAX_BATCH_BYTES;
    for _ in 0..most {
        drop(quotas.batch(&probe, &limited).unwrap());
    }
    // What fills up meanwhile on a slow machine is used up too.
    let refused = (0..100_000).find_map(|_| quotas.batch(&probe, &limited).err()).expect("it ends");
    assert_eq!((refused.status, refused.again_s), (StatusCode::TOO_MANY_REQUESTS, Some(1)));
    assert_eq!(limited.all(), [(probe, "bytes", 1)]);
    assert!(quotas.batch(&"eu-west-2".parse().unwrap(), &limited).is_ok(), "each has its own");
}

#[test]
fn whoever_is_to_come_again_is_told_so_in_whole_seconds_that_are_enough() {
    for (ms, told) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (2_000, 2)] {
        let exceeded = Exceeded { limit: Limit::Bytes, again: Duration::from_millis(ms) };
        assert_eq!(refused(&"eu-west-1".parse().unwrap(), exceeded).again_s, Some(told), "{ms} ms");
    }
}

#[test]
fn that_a_probe_asks_for_too_much_is_logged_once_a_minute() {
    let now = Instant::now();
    let mut quota = Quota::new(now);
    let told: Vec<bool> = [0, 1, 59, 60, 61, 120].map(|second| quota.is_news(now + second * SECOND)).into();
    assert_eq!(told, [true, false, false, true, false, true]);
}

proptest! {
    /// Whatever a probe does, in any span it gets at most what may come at once, what fills up, and one batch a place.
    #[test]
    fn nobody_gets_more_than_its_share_in_any_span(
        steps in prop::collection::vec((0_u64..400, 0_usize..=MAX_BATCH_SAMPLES, 0_usize..=MAX_BATCH_DECODED_BYTES), 1..400),
        from in 0_usize..400,
    ) {
        let mut now = Instant::now();
        let mut quota = Quota::new(now);
        let (mut since, mut taken) = (now, [0_i64; 3]);
        for (index, (pause_ms, samples, bytes)) in steps.into_iter().enumerate() {
            now += Duration::from_millis(pause_ms);
            if index == from {
                (since, taken) = (now, [0; 3]);
            }
            if batch(&mut quota, Cost { samples, bytes }, now).is_ok() {
                let cost = [1, i64::try_from(samples).unwrap(), i64::try_from(bytes).unwrap()];
                taken = std::array::from_fn(|which| taken[which] + cost[which]);
            }
            let ms = i64::try_from((now - since).as_millis()).unwrap();
            let most = |per_second: i64, at_once: i64, one: usize| {
                at_once + per_second * ms / 1_000 + i64::try_from(one).unwrap()
            };
            prop_assert!(taken[0] <= most(MAX_REQUESTS_PER_S, MAX_REQUESTS_AT_ONCE, 1), "requests {taken:?} in {ms} ms");
            prop_assert!(taken[1] <= most(MAX_SAMPLES_PER_S, MAX_SAMPLES_AT_ONCE, MAX_BATCH_SAMPLES));
            prop_assert!(taken[2] <= most(MAX_BYTES_PER_S, MAX_BYTES_AT_ONCE, MAX_BATCH_DECODED_BYTES));
        }
    }

    /// A probe that comes again when it is told is let in then.
    #[test]
    fn whoever_waits_as_it_is_told_is_let_in(costs in prop::collection::vec(0_usize..=MAX_BATCH_DECODED_BYTES, 1..200)) {
        let mut now = Instant::now();
        let mut quota = Quota::new(now);
        for bytes in costs {
            let cost = Cost { samples: MAX_BATCH_SAMPLES, bytes };
            let mut tries = 0;
            while let Err(exceeded) = batch(&mut quota, cost, now) {
                now += exceeded.again;
                tries += 1;
                prop_assert!(tries <= 3, "one wait for each account");
            }
        }
    }
}
