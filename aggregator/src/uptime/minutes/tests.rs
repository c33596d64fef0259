//! Minutes agree with the accounts of the same windows, however they were put together.

use proptest::prelude::*;

use super::super::timeline::Builder;
use super::super::{Accounts, Timeline, bounds::Bounded};
use super::*;

const START: i64 = 1_790_000_040_000 / MINUTE_MS;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(START * MINUTE_MS + ms)
}

fn assessed(timeline: Timeline, excluded: Vec<Span>) -> ServiceAssessment {
    let accounts = Accounts::default();
    ServiceAssessment {
        window: timeline.window(),
        at_least: timeline.clone(),
        at_most: timeline.clone(),
        timeline,
        excluded,
        accounts,
        outages: Vec::new(),
        checks: Vec::new(),
    }
}

/// `window` of one and the same history: a verdict for every ten seconds.
fn history(verdicts: &[Verdict], window: Span) -> ServiceAssessment {
    let mut builder = Builder::new(window, Verdict::Unknown);
    for (verdict, n) in verdicts.iter().zip(0..) {
        builder.push(at(n * 10_000), *verdict);
    }
    let excluded = maintenance::merged(vec![Span::new(at(95_000), at(130_500))]);
    assessed(builder.build(), excluded)
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    prop::collection::vec(prop::sample::select(Verdict::ALL.to_vec()), 60)
}

proptest! {
    /// Looked at step by step, with windows that overlap, they hold what the accounts of the whole say.
    #[test]
    fn minutes_that_were_put_together_piece_by_piece_are_those_of_the_accounts(
        verdicts in verdicts(), steps in prop::collection::vec(1_i64..40_000, 20..60), margin in 0_i64..50_000, asked in 1_i64..12,
    ) {
        let mut minutes = Minutes::default();
        let mut now = 0;
        for step in steps {
            let from = (now - margin).max(0);
            now = (now + step).min(600_000);
            // Windows reach back over what the one before did not end.
            let from = from / MINUTE_MS * MINUTE_MS;
            minutes.absorb(&history(&verdicts, Span::new(at(from), at(now))));
        }
        let whole = history(&verdicts, Span::new(at(0), at(600_000)));
        let end = now / MINUTE_MS * MINUTE_MS;
        let window = Span::new(at((end - asked * MINUTE_MS).max(0)), at(end));
        let timelines = Bounded { measured: &whole.timeline, at_least: &whole.at_least, at_most: &whole.at_most };
        let accounts = Accounts::of(timelines, &whole.excluded, window);
        let held = minutes.held(asked * MINUTE_MS, at(now));
        prop_assert_eq!(held.down_ms, accounts.down_ms);
        prop_assert_eq!(held.observed_ms, accounts.observed_ms());
        prop_assert_eq!(held.counted_ms, accounts.counted_ms());
        prop_assert!(minutes.reach(asked * MINUTE_MS, at(now), at(0)));
    }
}

#[test]
fn what_does_not_adjoin_is_forgotten_and_what_is_old_is_dropped() {
    let all = [Verdict::Down; 60];
    let mut minutes = Minutes::default();
    minutes.absorb(&history(&all, Span::new(at(0), at(60_000))));
    minutes.absorb(&history(&all, Span::new(at(180_000), at(300_000))));
    assert_eq!(minutes.held(600_000, at(300_000)).down_ms, 120_000);
    assert!(!minutes.reach(300_000, at(300_000), at(0)));
    assert!(minutes.reach(300_000, at(300_000), at(180_000)), "it did not live before");
    minutes.keep(60_000, at(300_000));
    assert_eq!(minutes.held(600_000, at(300_000)).down_ms, 60_000);
}
