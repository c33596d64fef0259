use std::collections::HashSet;

use nines_shared::check::{Draft, Question, TlsQuestion};
use nines_shared::time::Span;
use proptest::prelude::*;

use super::*;

const START: i64 = 1_790_000_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(START + ms)
}

fn region() -> RegionId {
    "eu-west".parse().unwrap()
}

fn check(id: &str, interval_ms: i64, recheck_ms: i64) -> Arc<Check> {
    let question =
        Question::Tls(Box::new(serde_json::from_str::<TlsQuestion>(r#"{"address":"a.example:443"}"#).unwrap()));
    let mut draft = Draft::new(id.parse().unwrap(), "shop".parse().unwrap(), vec![region()], question);
    (draft.interval_ms, draft.recheck_ms, draft.timeout_ms) = (interval_ms, recheck_ms, interval_ms / 2);
    Arc::new(Check::new(draft).unwrap())
}

fn schedule(checks: &[Arc<Check>]) -> Schedule {
    let mut schedule = Schedule::new(region(), at(0));
    assert!(schedule.assign(checks.to_vec()).is_empty());
    schedule
}

/// The slots of `check` in `(from, to]`.
fn slots(check: &Check, from: i64, to: i64) -> Vec<Timestamp> {
    check.cadence(&region()).unwrap().slots_in(Span::new(at(from + 1), at(to + 1))).collect()
}

fn of(look: &Look, action: Action, kind: SampleKind) -> Vec<Timestamp> {
    look.due.iter().filter(|due| due.action == action && due.kind == kind).map(|due| due.scheduled_at).collect()
}

#[test]
fn every_slot_is_run_when_it_is_due() {
    let check = check("home", 10_000, 10_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let mut run = Vec::new();
    for step in 1..=6_000 {
        assert!(schedule.next_due().unwrap() <= at(step * 10 - 10 + 10_000));
        run.extend(of(&schedule.look(at(step * 10), 10), Action::Run, SampleKind::Planned));
    }
    assert_eq!(run, slots(&check, 0, 60_000));
}

#[test]
fn a_long_sleep_runs_at_most_the_newest_slot_and_names_the_others() {
    let check = check("home", 10_000, 10_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let slots = slots(&check, 0, 65_000);
    let newest = slots.last().unwrap().plus_ms(4_000);
    let look = schedule.look(newest, newest.since(at(0)));
    assert_eq!(of(&look, Action::Run, SampleKind::Planned), slots[slots.len() - 1..]);
    assert_eq!(of(&look, Action::Overrun, SampleKind::Planned), slots[..slots.len() - 1]);
}

#[test]
fn a_slot_woken_later_than_half_an_interval_is_an_overrun() {
    let check = check("home", 10_000, 10_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let slot = slots(&check, 0, 10_000)[0];
    let look = schedule.look(slot.plus_ms(5_001), slot.plus_ms(5_001).since(at(0)));
    assert_eq!(of(&look, Action::Overrun, SampleKind::Planned), [slot]);
    assert!(of(&look, Action::Run, SampleKind::Planned).is_empty());
}

#[test]
fn what_is_named_is_bounded_and_what_is_not_is_counted() {
    let check = check("home", 1_000, 1_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let look = schedule.look(at(3_600_999), 3_600_999);
    let slots = slots(&check, 0, 3_600_999).len();
    assert_eq!(look.due.len() + usize::try_from(look.unnamed).unwrap(), slots);
    assert_eq!(look.due.len(), usize::try_from(MAX_OVERRUNS_PER_CHECK).unwrap() + 1);
}

#[test]
fn an_hour_that_the_clock_jumped_over_and_back_is_looked_at_all_the_same() {
    let check = check("home", 10_000, 10_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let mut run = of(&schedule.look(at(30_000), 30_000), Action::Run, SampleKind::Planned);
    let ahead = schedule.look(at(3_630_000), 0);
    assert!(ahead.due.is_empty(), "nobody slept: nothing is overrun, nothing caught up");
    run.extend(of(&schedule.look(at(3_640_000), 10_000), Action::Run, SampleKind::Planned));
    assert!(schedule.look(at(40_000), 0).due.is_empty());
    for second in 41..=60 {
        run.extend(of(&schedule.look(at(second * 1_000), 1_000), Action::Run, SampleKind::Planned));
    }
    let mut expected = slots(&check, 40_000, 60_000);
    expected.extend(slots(&check, 3_630_000, 3_640_000));
    assert!(expected.iter().all(|slot| run.contains(slot)), "{run:?} lacks some of {expected:?}");
}

#[test]
fn a_new_assignment_keeps_the_memory_of_fired_slots() {
    let old = check("home", 10_000, 10_000);
    let mut schedule = schedule(&[Arc::clone(&old)]);
    let slot = slots(&old, 0, 10_000)[0];
    assert_eq!(schedule.look(slot, slot.since(at(0))).due.len(), 1);
    assert!(schedule.assign(vec![check("home", 10_000, 2_000)]).is_empty());
    assert!(schedule.look(slot.plus_ms(1), 1).due.is_empty());
    assert_eq!(schedule.look(slot.plus_ms(10_000), 9_999).due.len(), 1);
}

/// A schedule that has `checks` while its clock is an hour ahead for a minute, and `then` from that on.
fn ahead_with(checks: &[Arc<Check>], then: &[Arc<Check>]) -> (Schedule, i64) {
    const HOUR_MS: i64 = 3_600_000;
    let mut schedule = schedule(checks);
    schedule.look(at(HOUR_MS), 0);
    live(&mut schedule, HOUR_MS, HOUR_MS + 60_000, |_| Outcome::Up);
    schedule.assign(then.to_vec());
    schedule.look(at(60_000), 0);
    (schedule, HOUR_MS)
}

#[test]
fn slots_that_a_clock_passed_while_it_was_ahead_are_fired_by_checks_that_were_not_here_then() {
    let (check, hour_ms) = (check("home", 10_000, 10_000), 3_600_000);
    let (mut schedule, from) = ahead_with(&[], &[Arc::clone(&check)]);
    schedule.look(at(from), from - 60_000);
    let fired = live(&mut schedule, from, from + 60_000, |_| Outcome::Up);
    let fired: Vec<_> = fired.into_iter().map(|due| due.scheduled_at).collect();
    assert_eq!(fired, slots(&check, hour_ms, hour_ms + 60_000));
}

#[test]
fn a_check_that_goes_and_comes_back_fires_none_of_its_slots_again() {
    let check = check("home", 10_000, 10_000);
    let (mut schedule, from) = ahead_with(&[Arc::clone(&check)], &[]);
    schedule.assign(vec![Arc::clone(&check)]);
    schedule.look(at(from), from - 60_000);
    assert_eq!(live(&mut schedule, from, from + 60_000, |_| Outcome::Up), []);
    let fired = live(&mut schedule, from + 60_000, from + 120_000, |_| Outcome::Up);
    assert_eq!(fired.len(), 6, "what it has not lived through is due");
}

#[test]
fn what_is_remembered_of_checks_that_are_gone_is_bounded() {
    let many: Vec<_> = (0..=MAX_LEFT).map(|n| check(&format!("check-{n}"), 10_000, 10_000)).collect();
    let mut schedule = schedule(&many);
    schedule.look(at(5_000), 5_000);
    schedule.assign(Vec::new());
    assert!(schedule.left.is_empty(), "their slots do not come again");
    let (mut schedule, _from) = ahead_with(&many[..2], &[]);
    assert_eq!(schedule.left.len(), 2);
    schedule.assign(many);
    assert!(schedule.left.is_empty(), "what is ours again is not gone");
}

#[test]
fn checks_of_other_regions_are_left_out_and_named() {
    let mut draft: Draft = (*check("home", 10_000, 10_000)).clone().into();
    draft.regions = vec!["us-east".parse().unwrap()];
    let mut schedule = Schedule::new(region(), at(0));
    assert_eq!(schedule.assign(vec![Arc::new(Check::new(draft).unwrap())]), ["home".parse::<CheckId>().unwrap()]);
    assert!(schedule.is_empty() && schedule.next_due().is_none());
}

/// Looks every 100 ms until `to`, answering each run at once with what `outcome` says.
fn live(schedule: &mut Schedule, from: i64, to: i64, outcome: impl Fn(i64) -> Outcome) -> Vec<Due> {
    let mut all = Vec::new();
    for ms in (from / 100 + 1)..=(to / 100) {
        for due in schedule.look(at(ms * 100), 100).due {
            schedule.ended(&due.check.id, outcome(ms * 100), at(ms * 100));
            all.push(due);
        }
    }
    all
}

#[test]
fn a_failing_region_is_looked_at_faster_until_two_intervals_after_it_recovers() {
    let mut schedule = schedule(&[check("home", 10_000, 2_000)]);
    let down = |ms: i64| if (20_000..50_000).contains(&ms) { Outcome::Down } else { Outcome::Up };
    let all = live(&mut schedule, 0, 100_000, down);
    let extras: Vec<i64> =
        all.iter().filter(|due| due.kind == SampleKind::Extra).map(|due| due.scheduled_at.since(at(0))).collect();
    let (first, last) = (extras[0], extras[extras.len() - 1]);
    assert!((20_000..32_000).contains(&first), "{extras:?}");
    assert!((67_000..72_000).contains(&last), "two intervals after the recovery near 50 s: {extras:?}");
    let planned: Vec<_> = all.iter().filter(|due| due.kind == SampleKind::Planned).collect();
    assert_eq!(planned.len(), 10, "re-checks replace no slot");
    assert!(extras.windows(2).all(|pair| pair[1] - pair[0] == 2_000 || pair[1] - pair[0] == 4_000), "{extras:?}");
}

#[test]
fn our_own_faults_begin_no_closer_watch() {
    let mut schedule = schedule(&[check("home", 10_000, 2_000)]);
    let all = live(&mut schedule, 0, 60_000, |_| Outcome::Inconclusive);
    assert!(all.iter().all(|due| due.kind == SampleKind::Planned));
}

#[test]
fn no_extra_sample_meets_a_running_check() {
    let check = check("home", 10_000, 1_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let slot = slots(&check, 0, 10_000)[0];
    assert_eq!(schedule.look(slot, slot.since(at(0))).due.len(), 1);
    schedule.ended(&check.id, Outcome::Down, slot);
    assert_eq!(of(&schedule.look(slot.plus_ms(1_000), 1_000), Action::Run, SampleKind::Extra), [slot.plus_ms(1_000)]);
    assert!(schedule.look(slot.plus_ms(2_000), 1_000).due.is_empty(), "the one before hangs");
    schedule.ended(&check.id, Outcome::Down, slot.plus_ms(2_500));
    assert_eq!(schedule.look(slot.plus_ms(3_000), 500).due.len(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(i64),
    Step(i64),
    Assign(bool),
    Answer(Outcome),
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![Just(Outcome::Up), Just(Outcome::Down), Just(Outcome::Inconclusive)];
    prop_oneof![
        6 => (0_i64..30_000).prop_map(Event::Pass),
        2 => (-100_000_i64..100_000).prop_map(Event::Step),
        1 => any::<bool>().prop_map(Event::Assign),
        3 => outcome.prop_map(Event::Answer),
    ]
}

proptest! {
    #[test]
    fn no_slot_is_fired_twice_whatever_the_clock_and_the_assignment_do(events in prop::collection::vec(event(), 1..80)) {
        let checks = [check("a", 5_000, 1_000), check("b", 7_000, 2_000)];
        let mut schedule = schedule(&checks);
        let (mut now, mut seen) = (0_i64, HashSet::new());
        for event in events {
            let look = match event {
                Event::Pass(ms) => { now += ms; schedule.look(at(now), ms) }
                Event::Step(ms) => { now += ms; schedule.look(at(now), 0) }
                Event::Assign(both) => { schedule.assign(checks[..1 + usize::from(both)].to_vec()); Look::default() }
                Event::Answer(outcome) => {
                    for check in &checks { schedule.ended(&check.id, outcome, at(now)); }
                    Look::default()
                }
            };
            let mut run = HashSet::new();
            for due in look.due {
                prop_assert!(due.scheduled_at <= at(now));
                prop_assert!(seen.insert((due.check.id.clone(), due.kind, due.scheduled_at)), "{due:?} came twice");
                if due.action == Action::Run {
                    prop_assert!(2 * at(now).since(due.scheduled_at) <= due.check.interval_ms);
                    prop_assert!(run.insert(due.check.id.clone()), "a burst: {:?}", due.check.id);
                }
            }
        }
    }

    #[test]
    fn while_the_clock_is_steady_every_slot_is_answered_for_exactly_once(passes in prop::collection::vec(0_i64..40_000, 1..60)) {
        let checks = [check("a", 5_000, 1_000), check("b", 7_001, 2_000)];
        let mut schedule = schedule(&checks);
        let (mut now, mut planned) = (0, Vec::new());
        for ms in passes {
            now += ms;
            let look = schedule.look(at(now), ms);
            prop_assert_eq!(look.unnamed, 0);
            planned.extend(look.due.into_iter().map(|due| (due.check.id.clone(), due.scheduled_at)));
            prop_assert!(at(now) < schedule.next_due().unwrap());
        }
        let mut expected: Vec<_> = checks.iter()
            .flat_map(|check| slots(check, 0, now).into_iter().map(|slot| (check.id.clone(), slot)))
            .collect();
        planned.sort();
        expected.sort();
        prop_assert_eq!(planned, expected);
    }
}

#[test]
fn an_ask_is_an_extra_sample_of_a_check_that_we_have_and_of_no_other() {
    let check = check("home", 60_000, 60_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let due = schedule.asked(&check.id, at(-40), at(9_000)).unwrap();
    assert_eq!((due.check, due.kind, due.action), (check, SampleKind::Extra, Action::Run));
    assert_eq!((due.scheduled_at, due.latest_start, due.urgent), (at(-40), at(9_000), true));
    assert_eq!(schedule.asked(&"elsewhere".parse().unwrap(), at(0), at(9_000)), None);
}

#[test]
fn the_answer_to_an_ask_is_looked_after_as_any_sample_is() {
    let check = check("home", 10_000, 2_000);
    let mut schedule = schedule(&[Arc::clone(&check)]);
    let slot = slots(&check, 0, 10_000)[0];
    assert!(!schedule.look(slot, slot.since(at(0))).due[0].urgent);
    schedule.ended(&check.id, Outcome::Up, slot.plus_ms(10));
    schedule.asked(&check.id, slot.plus_ms(500), slot.plus_ms(9_000)).unwrap();
    let while_it_runs = schedule.look(slot.plus_ms(2_000), 2_000);
    assert!(while_it_runs.due.is_empty());
    schedule.ended(&check.id, Outcome::Down, slot.plus_ms(2_100));
    let look = schedule.look(slot.plus_ms(4_000), 2_000);
    assert_eq!(of(&look, Action::Run, SampleKind::Extra), [slot.plus_ms(4_000)]);
    assert!(look.due[0].urgent, "somebody waits for it");
}
