//! Reconciliation by tables, and its laws over random histories with late amendments.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::incident::episode::{Flapping, episodes_with};
use crate::incident::instants::Lead;
use crate::incident::signal::State;

/// ms of one character of a history.
const STEP_MS: i64 = 10_000;
/// Three steps of good time resolve.
const RESOLVE_AFTER_MS: i64 = 3 * STEP_MS;
const EPOCH: i64 = 1_790_000_000_000;

/// The record of one service, told history after history: `F` failing, `g` good, `.` unknown, ten seconds each.
struct Desk {
    kind: Kind,
    recorded: Vec<Incident>,
    /// What was told, in order: incident, event, severity.
    told: Vec<(IncidentId, Event, Severity)>,
}

impl Desk {
    fn new(kind: Kind) -> Self {
        Self { kind, recorded: Vec::new(), told: Vec::new() }
    }

    /// Judges `history`, which ends now, and keeps what came of it.
    fn judge(&mut self, history: &str) -> Vec<Change> {
        let transitions = self.ask(history);
        for transition in &transitions {
            self.keep(transition);
        }
        assert_eq!(self.ask(history), [], "judging the same again changes nothing");
        transitions.iter().map(|transition| transition.change).collect()
    }

    fn ask(&self, history: &str) -> Vec<Transition> {
        let signal = signal(history);
        let lead = |at| Lead { last_good_at: None, first_failure_at: at };
        let flapping = Flapping::among(&self.recorded, RESOLVE_AFTER_MS);
        reconcile(&Case {
            kind: self.kind,
            subject: &Subject::Service("shop".parse().unwrap()),
            severity: self.kind.severity(),
            signal: &signal,
            episodes: &episodes_with(&signal, RESOLVE_AFTER_MS, flapping, lead),
            beginnings: &flap::beginnings(&self.recorded),
            recorded: &self.recorded,
            seen_now: &Scene::default(),
            resolve_after_ms: RESOLVE_AFTER_MS,
            now: step(history.len()),
        })
    }

    /// As the store does: by id, a new one with a free id.
    fn keep(&mut self, transition: &Transition) {
        let mut incident = transition.incident.clone();
        let known = self.recorded.iter().position(|known| known.id == incident.id);
        let new = matches!(transition.change, Change::Opened | Change::Recorded);
        match known {
            Some(index) if !new => self.recorded[index] = incident.clone(),
            Some(_) => {
                incident.id = incident.id.numbered(u32::try_from(self.recorded.len()).unwrap() + 1);
                self.recorded.push(incident.clone());
            }
            None => self.recorded.push(incident.clone()),
        }
        if let Some(telling) = transition.told {
            self.told.push((incident.id.clone(), telling.event, telling.severity));
        }
        assert!(self.recorded.iter().filter(|known| known.is_open()).count() <= 1, "INV-6 within the writing too");
    }

    fn told(&self) -> Vec<(Event, Severity)> {
        self.told.iter().map(|(_, event, severity)| (*event, *severity)).collect()
    }

    fn only(&self) -> &Incident {
        assert_eq!(self.recorded.len(), 1, "{:?}", self.recorded);
        &self.recorded[0]
    }
}

fn step(n: usize) -> Timestamp {
    Timestamp::from_ms(EPOCH + i64::try_from(n).unwrap() * STEP_MS)
}

fn signal(history: &str) -> Signal {
    Signal::new(history.chars().enumerate().map(|(n, c)| {
        let state = match c {
            'F' => State::Failing,
            'g' => State::Good,
            _ => State::Neutral,
        };
        (Span::new(step(n), step(n + 1)), state)
    }))
}

const PAGE: (Event, Severity) = (Event::Opened, Severity::Page);
const OVER: (Event, Severity) = (Event::Resolved, Severity::Page);
const HISTORY: (Event, Severity) = (Event::Updated, Severity::Info);

#[test]
fn an_outage_that_goes_on_is_paged_once_and_resolved_after_good_time() {
    let mut desk = Desk::new(Kind::Outage);
    assert_eq!(desk.judge("gggF"), [Change::Opened]);
    assert_eq!(desk.judge("gggFF"), []);
    assert_eq!(desk.judge("gggFFg"), [Change::Amended]);
    assert_eq!(desk.judge("gggFFgg"), []);
    assert_eq!(desk.judge("gggFFggg"), [Change::Resolved]);
    assert_eq!(desk.judge("gggFFgggg"), []);
    assert_eq!(desk.told(), [PAGE, OVER]);
    let instants = desk.only().instants;
    assert_eq!((instants.started_at, instants.detected_at), (step(3), step(4)));
    assert_eq!((instants.ended_at, instants.resolved_at), (Some(step(5)), Some(step(8))));
}

#[test]
fn a_relapse_before_it_is_resolved_goes_on_as_the_same_incident() {
    let mut desk = Desk::new(Kind::Outage);
    for history in ["gF", "gFg", "gFgg", "gFggF", "gFggFg", "gFggFggg"] {
        desk.judge(history);
    }
    assert_eq!(desk.told(), [PAGE, OVER]);
    assert_eq!(desk.only().outages.len(), 2);
    assert_eq!(desk.only().instants.ended_at, Some(step(5)));
}

#[test]
fn an_outage_after_the_resolution_is_another_incident() {
    let mut desk = Desk::new(Kind::Outage);
    for history in ["gF", "gFggg", "gFgggF"] {
        desk.judge(history);
    }
    assert_eq!(desk.told(), [PAGE, OVER, PAGE]);
    assert_eq!(desk.recorded.len(), 2);
}

#[test]
fn unknown_neither_opens_nor_resolves() {
    let mut desk = Desk::new(Kind::Outage);
    assert_eq!(desk.judge("gg......"), []);
    assert_eq!(desk.judge("gg......F"), [Change::Opened]);
    assert_eq!(desk.judge("gg......F......"), [Change::Amended]);
    assert!(desk.only().is_open());
    assert_eq!(desk.judge("gg......F......gg"), []);
    assert_eq!(desk.judge("gg......F......ggg"), [Change::Resolved]);
    assert_eq!(desk.only().instants.ended_at, Some(step(9)));
}

#[test]
fn an_outage_that_was_over_before_we_learned_of_it_is_history_and_never_paged() {
    let mut desk = Desk::new(Kind::Outage);
    assert_eq!(desk.judge("gFFFFFgggggg"), [Change::Recorded]);
    assert_eq!(desk.told(), [HISTORY]);
    let incident = desk.only();
    assert_eq!(incident.severity, Severity::Info);
    assert_eq!(incident.instants.resolved_at, Some(step(12)));
}

#[test]
fn history_that_turns_out_to_go_on_is_paged() {
    let mut desk = Desk::new(Kind::Outage);
    assert_eq!(desk.judge("gFFF........"), [Change::Recorded]);
    assert_eq!(desk.judge("gFFFFFFFFFFFF"), [Change::Reopened]);
    assert_eq!(desk.told(), [PAGE], "a backlog tells nothing before the present is known");
    assert_eq!(desk.judge("gFFFFFFFFFFFFggg"), [Change::Resolved]);
    assert_eq!(desk.only().severity, Severity::Page);
}

#[test]
fn history_is_told_once_the_present_is_known_or_stays_unknown_for_long() {
    let mut desk = Desk::new(Kind::Outage);
    desk.judge("gFFF........");
    desk.judge("gFFFFFFFFFF.");
    assert_eq!(desk.told(), []);
    assert_eq!(desk.judge("gFFFFFFFFFF.g"), [Change::Amended]);
    assert_eq!(desk.told(), [HISTORY]);
    let mut deaf = Desk::new(Kind::Outage);
    let long = ".".repeat(usize::try_from(TELL_ANYWAY_MS / STEP_MS).unwrap());
    deaf.judge("gFFF.");
    assert_eq!(deaf.judge(&format!("gFFF.{long}")), [Change::Amended]);
    assert_eq!(deaf.told(), [HISTORY]);
}

#[test]
fn old_history_is_recorded_in_silence() {
    let mut desk = Desk::new(Kind::Outage);
    let day = "g".repeat(usize::try_from(TELL_HISTORY_MS / STEP_MS).unwrap() + 1);
    assert_eq!(desk.judge(&format!("gF{day}")), [Change::Recorded]);
    assert_eq!(desk.told(), []);
}

#[test]
fn late_results_move_the_start_of_what_is_open_and_tell_where_they_move_it_far() {
    let mut desk = Desk::new(Kind::Outage);
    desk.judge("gggggggF");
    assert_eq!(desk.judge("ggggggFFF"), [Change::Amended]);
    assert_eq!(desk.told(), [PAGE]);
    assert_eq!(desk.judge("gFFFFFFFFF"), [Change::Amended]);
    assert_eq!(desk.told(), [PAGE, (Event::Updated, Severity::Page)]);
    assert_eq!(desk.only().instants.started_at, step(1));
}

#[test]
fn an_open_incident_that_late_results_disprove_is_resolved_with_a_note() {
    let mut desk = Desk::new(Kind::Outage);
    desk.judge("ggF");
    assert_eq!(desk.judge("gggg"), []);
    let last = desk.ask("ggggg");
    assert_eq!((last[0].change, last[0].note.is_some()), (Change::Resolved, true));
    assert_eq!(desk.judge("ggggg"), [Change::Resolved]);
    assert!(desk.only().withdrawn);
    assert_eq!(desk.told(), [PAGE, OVER]);
}

#[test]
fn an_open_incident_whose_outage_becomes_unknown_stays_open() {
    let mut desk = Desk::new(Kind::Outage);
    desk.judge("ggF");
    assert_eq!(desk.judge("gg......"), []);
    assert!(desk.only().is_open());
}

#[test]
fn late_results_amend_withdraw_and_restore_what_is_over() {
    let mut desk = Desk::new(Kind::Outage);
    desk.judge("gFFF");
    desk.judge("gFFFggg");
    assert_eq!(desk.judge("gFFFFFFFggg"), [Change::Amended]);
    assert_eq!(desk.only().instants.ended_at, Some(step(8)));
    assert_eq!(desk.judge("gggggggggggg"), [Change::Withdrawn]);
    assert_eq!(desk.judge("gggggggggggggg"), []);
    assert_eq!(desk.judge("ggggFFggggggggg"), [Change::Amended]);
    assert!(!desk.only().withdrawn);
    assert_eq!(desk.told(), [PAGE, OVER, HISTORY, HISTORY, HISTORY]);
}

#[test]
fn two_incidents_that_late_results_join_become_one() {
    let mut desk = Desk::new(Kind::Outage);
    for history in ["gFF", "gFFggg", "gFFgggF"] {
        desk.judge(history);
    }
    assert_eq!(desk.judge("gFFFFFFF"), [Change::Withdrawn, Change::Amended]);
    let open: Vec<_> = desk.recorded.iter().filter(|incident| !incident.withdrawn).collect();
    assert_eq!((open.len(), open[0].instants.started_at, open[0].is_open()), (1, step(1), true));
}

#[test]
fn an_incident_that_late_results_split_keeps_the_present() {
    let mut desk = Desk::new(Kind::Outage);
    desk.judge("gFFFFFFF");
    assert_eq!(desk.judge("gFgggFFFF"), [Change::Recorded, Change::Amended]);
    let open: Vec<_> = desk.recorded.iter().filter(|incident| incident.is_open()).collect();
    assert_eq!((open.len(), open[0].instants.started_at), (1, step(5)));
}

#[test]
fn a_suspicion_has_no_history() {
    let mut desk = Desk::new(Kind::Suspected);
    assert_eq!(desk.judge("gFFFggg"), []);
    assert_eq!(desk.judge("gFFFgggF"), [Change::Opened]);
    assert_eq!(desk.told(), [(Event::Opened, Severity::Ticket)]);
    desk.judge("gFFFgggFggg");
    assert_eq!(desk.judge("gggggggggggg"), []);
}

/// A history that grows, and of which the past may be rewritten at each tick.
fn histories() -> impl Strategy<Value = Vec<String>> {
    let state = prop_oneof![4 => Just('g'), 3 => Just('F'), 2 => Just('.')];
    let grown = prop::collection::vec(state.clone(), 1..5);
    let rewritten = prop::option::weighted(0.3, (any::<prop::sample::Index>(), prop::collection::vec(state, 1..8)));
    prop::collection::vec((grown, rewritten), 1..30).prop_map(|ticks| {
        let mut history: Vec<char> = Vec::new();
        let mut seen = Vec::new();
        for (grown, rewritten) in ticks {
            history.extend(grown);
            if let Some((place, states)) = rewritten {
                let from = place.index(history.len());
                for (at, state) in (from..history.len()).zip(states) {
                    history[at] = state;
                }
            }
            seen.push(history.iter().collect());
        }
        seen
    })
}

fn told_in_order(told: &[(IncidentId, Event, Severity)]) -> Result<(), TestCaseError> {
    let mut open: BTreeSet<&IncidentId> = BTreeSet::new();
    let mut events: BTreeMap<&IncidentId, usize> = BTreeMap::new();
    for (id, event, severity) in told {
        *events.entry(id).or_default() += 1;
        match event {
            Event::Opened => {
                prop_assert!(open.insert(id), "{id} opened twice");
                prop_assert_eq!(open.len(), 1, "{:?}", &open);
                prop_assert_eq!(*severity, Severity::Page);
            }
            Event::Resolved => prop_assert!(open.remove(id), "{id} was resolved before it was opened"),
            Event::Updated => prop_assert!(open.contains(id) || *severity == Severity::Info),
        }
    }
    Ok(())
}

fn in_order(instants: &Instants) -> bool {
    let last_good = instants.last_good_at.unwrap_or(instants.first_failure_at);
    let ended = instants.ended_at.unwrap_or(instants.started_at);
    last_good <= instants.first_failure_at
        && instants.first_failure_at <= instants.started_at
        && instants.started_at <= instants.detected_at
        && instants.started_at <= ended
        && instants.resolved_at.is_none_or(|resolved| ended <= resolved && instants.detected_at <= resolved)
}

proptest! {
    /// INV-6: whatever the verdicts do and late results rewrite, at most one incident is open, what is told is told in
    /// order, and the record says what the timeline says.
    #[test]
    fn inv_6_at_most_one_open_and_never_resolved_before_opened(histories in histories()) {
        let mut desk = Desk::new(Kind::Outage);
        for history in &histories {
            desk.judge(history);
            let open: Vec<_> = desk.recorded.iter().filter(|incident| incident.is_open()).collect();
            prop_assert!(open.len() <= 1);
            if history.ends_with('F') {
                prop_assert_eq!(open.len(), 1, "an outage that goes on has an open incident");
            }
            told_in_order(&desk.told)?;
            for incident in &desk.recorded {
                prop_assert!(in_order(&incident.instants), "{:?}", incident.instants);
                prop_assert_eq!(incident.outages.last().unwrap().to.is_none(), incident.instants.ended_at.is_none());
            }
            // Every failing span is told by exactly one incident that is not withdrawn, and nothing else is.
            let mut failing: Vec<Timestamp> = Vec::new();
            for (span, state) in signal(history).spans() {
                if *state == State::Failing {
                    failing.push(span.from);
                }
            }
            let standing = desk.recorded.iter().filter(|incident| !incident.withdrawn);
            let standing = standing.filter(|i| !i.is_open() || failing.contains(&i.instants.started_at));
            let mut told: Vec<Timestamp> = standing.flat_map(|i| i.outages.iter().map(|outage| outage.from)).collect();
            told.sort_unstable();
            prop_assert_eq!(told, failing);
            let ids: BTreeSet<_> = desk.recorded.iter().map(|incident| &incident.id).collect();
            prop_assert_eq!(ids.len(), desk.recorded.len());
        }
    }

    /// INV-7: the same histories at the same ticks give the same incidents, ids included.
    #[test]
    fn inv_7_a_replay_gives_the_same_incidents(histories in histories()) {
        let run = || {
            let mut desk = Desk::new(Kind::Outage);
            for history in &histories {
                desk.judge(history);
            }
            (desk.recorded, desk.told)
        };
        prop_assert_eq!(run(), run());
    }
}
