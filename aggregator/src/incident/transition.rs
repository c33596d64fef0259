//! Reconciliation: the episodes of a signal against the incidents on record → what to change and what to tell.
//!
//! [`reconcile`] is a pure function and idempotent: once its transitions are recorded, the same question has
//! no answer left. It opens at most one incident (INV-6), resolves only what is open, and pages only for what
//! fails now; what was over before we learned of it is history.

use nines_shared::time::{Span, Timestamp};

use super::course::Course;
use super::episode::{Episode, good_since_ms};
use super::evidence::Sight;
use super::signal::{Signal, State};
use super::{Event, Incident, IncidentId, Instants, Kind, Outage, Scene, Subject, flap};
use crate::definition::Severity;

/// History and amendments are told of only while the outage ended less than this ago, in ms; older ones are recorded in
/// silence, or an imported year would ring all night.
pub const TELL_HISTORY_MS: i64 = 24 * 3_600_000;

/// How long after it was recorded history is told although the present is still unknown, in ms.
pub const TELL_ANYWAY_MS: i64 = 600_000;

/// All that decides about the incidents of one kind about one subject.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The kind.
    pub kind: Kind,
    /// Whom it is about.
    pub subject: &'a Subject,
    /// How loud it is while it fails.
    pub severity: Severity,
    /// What was so in the window, up to now.
    pub signal: &'a Signal,
    /// Its episodes, in order.
    pub episodes: &'a [Episode],
    /// The open incident, and every other that the window holds as a whole.
    pub recorded: &'a [Incident],
    /// When failing spans began that incidents on record cover, these or older ones ([`flap`]).
    pub beginnings: &'a [Timestamp],
    /// Who fails now, where something does: checks, regions and what was measured, without findings.
    pub seen_now: &'a Scene,
    /// How long it must be good before an incident is over, in ms.
    pub resolve_after_ms: i64,
    /// When this is decided.
    pub now: Timestamp,
}

/// What becomes of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// As it is to be recorded. Its `revision` is already that of what is told.
    pub incident: Incident,
    /// What happens to it.
    pub change: Change,
    /// What people are told, where they are.
    pub told: Option<Telling>,
    /// A line for the incident's log.
    pub note: Option<&'static str>,
    /// Whether the failing samples are to be looked at anew.
    pub wants_scene: bool,
    /// What each region saw before it failed and when it did, where that was looked at.
    pub sights: Vec<Sight>,
}

/// What people are told of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Which event.
    pub event: Event,
    /// How loud.
    pub severity: Severity,
}

/// What happens to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It fails, and nobody knew.
    Opened,
    /// It was taken for over, and late results or a relapse show that it goes on.
    Reopened,
    /// It was over before we learned of it.
    Recorded,
    /// What it covers changed: it went on, paused, or late results moved its edges.
    Amended,
    /// It is over.
    Resolved,
    /// Late results show that it did not happen, or that it is part of another.
    Withdrawn,
}

impl Change {
    /// Its stable name, for logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Recorded => "recorded",
            Self::Amended => "amended",
            Self::Resolved => "resolved",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What is to change so that the record says what the signal says. In the order in which it is to be written:
/// nothing opens before what it replaces is closed.
pub fn reconcile(case: &Case<'_>) -> Vec<Transition> {
    let matched = matches(case);
    let mut transitions: Vec<Transition> = Vec::new();
    for (incident, episode) in case.recorded.iter().zip(&matched) {
        let episode = episode.map(|index| &case.episodes[index]);
        transitions.extend(match episode {
            Some(episode) if incident.is_open() => follow(case, incident, episode),
            Some(episode) => amend(case, incident, episode),
            None if incident.is_open() => dissolve(case, incident),
            None => withdraw(case, incident),
        });
    }
    for (index, episode) in case.episodes.iter().enumerate() {
        if !matched.contains(&Some(index)) {
            transitions.extend(begin(case, episode));
        }
    }
    // Closing comes first: the record never shows two open incidents, not even between two statements.
    transitions.sort_by_key(|transition| transition.incident.is_open());
    transitions
}

/// For each recorded incident the episode that it is the record of. The open one goes with the present; the
/// others with what they overlap, those in force before those withdrawn.
fn matches(case: &Case<'_>) -> Vec<Option<usize>> {
    let mut matched = vec![None; case.recorded.len()];
    let mut order: Vec<usize> = (0..case.recorded.len()).collect();
    order.sort_by_key(|index| {
        let incident = &case.recorded[*index];
        (!incident.is_open(), incident.withdrawn, incident.instants.started_at)
    });
    for index in order {
        let incident = &case.recorded[index];
        let covered = incident.span(case.now);
        let free = |episode: &usize| !matched.contains(&Some(*episode));
        let overlapping = |episode: &usize| touches(case.episodes[*episode].span(), covered);
        matched[index] = if incident.is_open() {
            let over_after_ms = flap::over_after_ms(incident, case.resolve_after_ms);
            let current =
                case.episodes.len().checked_sub(1).filter(|last| !case.episodes[*last].is_over(over_after_ms));
            current.or_else(|| (0..case.episodes.len()).rfind(overlapping))
        } else {
            (0..case.episodes.len()).filter(free).find(overlapping)
        };
    }
    matched
}

/// Whether two spans share an instant, or one begins as the other does.
fn touches(a: Span, b: Span) -> bool {
    a.from == b.from || a.intersection(b).is_some()
}

/// An open incident and its episode: it is over, or it goes on.
fn follow(case: &Case<'_>, incident: &Incident, episode: &Episode) -> Option<Transition> {
    let mut next = covering(incident, episode);
    if episode.is_over(flap::over_after_ms(incident, case.resolve_after_ms)) {
        return Some(resolve(case, next, None));
    }
    let mut wants_scene = false;
    if episode.fails_now {
        wants_scene = next.scene.grow(case.seen_now);
        next.scene.measured = case.seen_now.measured.clone().or(next.scene.measured);
        next.course.flapping |= flaps(case);
    }
    let (news, note) = news(case, incident, &next);
    let told = news.map(|telling| tell(&mut next, telling, case.now));
    (told.is_some() || next != *incident).then_some(Transition {
        incident: next,
        change: Change::Amended,
        told,
        note,
        wants_scene,
        sights: Vec::new(),
    })
}

/// What people are told of an open incident that goes on: that it is louder, that it flaps, that its start moved.
/// Seldom, while it flaps.
fn news(case: &Case<'_>, was: &Incident, is: &Incident) -> (Option<Telling>, Option<&'static str>) {
    let fails_now = is.instants.ended_at.is_none();
    if fails_now && is.severity < case.severity {
        return (Some(Telling { event: Event::Opened, severity: case.severity }), Some("it became louder"));
    }
    let updated = Telling { event: Event::Updated, severity: is.severity };
    let told_of = |told_at: Timestamp| case.now.since(told_at) < flap::FLAP_QUIET_MS;
    let hushed = is.course.flapping && was.course.told_at.is_some_and(told_of);
    let relapsed = is.course.flapping && fails_now && is.course.spans_told < is.outages.len();
    if case.resolve_after_ms <= distance(was.instants.started_at, is.instants.started_at) && 0 < case.resolve_after_ms {
        ((!hushed).then_some(updated), Some("late results moved its start"))
    } else if relapsed && !hushed {
        (Some(updated), Some("it comes and goes: told seldom until it has been calm"))
    } else {
        (None, None)
    }
}

/// Whether what fails now has begun to do so too often. What the signal shows counts, and what is on record of the time
/// before it.
fn flaps(case: &Case<'_>) -> bool {
    let seen_from = case.signal.spans().first().map_or(case.now, |(span, _)| span.from);
    let before = case.beginnings.iter().copied().filter(|at| *at < seen_from);
    let shown = case.episodes.iter().flat_map(|episode| &episode.failing).map(|span| span.from);
    flap::flaps(before.chain(shown), case.resolve_after_ms, case.now)
}

/// Notes in `incident` that people are told of it now.
fn tell(incident: &mut Incident, telling: Telling, now: Timestamp) -> Telling {
    incident.revision += 1;
    incident.severity = incident.severity.max(telling.severity);
    incident.course.told_at = Some(now);
    incident.course.spans_told = incident.outages.len();
    telling
}

/// A closed incident and its episode: it goes on after all, or its edges moved, or nothing is new.
fn amend(case: &Case<'_>, incident: &Incident, episode: &Episode) -> Option<Transition> {
    let mut next = covering(incident, episode);
    next.withdrawn = false;
    if episode.fails_now {
        next.severity = case.severity;
        next.instants.ended_at = None;
        next.instants.resolved_at = None;
        next.course.flapping |= flaps(case);
        let told = Some(tell(&mut next, Telling { event: Event::Opened, severity: case.severity }, case.now));
        let note = Some("it goes on");
        return Some(Transition {
            incident: next,
            change: Change::Reopened,
            told,
            note,
            wants_scene: true,
            sights: Vec::new(),
        });
    }
    if !case.kind.has_history() {
        return None;
    }
    // The end may have moved past the instant at which it was taken for over.
    next.instants.resolved_at = next.instants.resolved_at.max(next.instants.ended_at);
    let edges = |of: &Incident| (of.instants.started_at, of.instants.ended_at.unwrap_or(case.now));
    let ((was_from, was_to), (from, to)) = (edges(incident), edges(&next));
    let moved = case.resolve_after_ms <= distance(was_from, from).max(distance(was_to, to));
    let untold = incident.revision == 0 && !incident.course.held;
    let same = next == *incident;
    let note = if moved || incident.withdrawn { Some("late results moved its edges") } else { None };
    let next = retold(case, next, Change::Amended, (note.is_some() || untold, note));
    (next.told.is_some() || !same).then_some(next)
}

/// An open incident of which the signal shows nothing: it stays until it has been good for long enough.
fn dissolve(case: &Case<'_>, incident: &Incident) -> Option<Transition> {
    if good_since_ms(case.signal, incident.instants.started_at) < case.resolve_after_ms {
        return None;
    }
    let mut next = incident.clone();
    next.withdrawn = true;
    next.instants.ended_at = Some(next.instants.ended_at.unwrap_or(next.instants.started_at));
    close_last(&mut next);
    Some(resolve(case, next, Some("late results, or maintenance that covers it, show that it did not happen")))
}

/// A closed incident of which the signal shows nothing, or that another covers now.
fn withdraw(case: &Case<'_>, incident: &Incident) -> Option<Transition> {
    if incident.withdrawn || !case.kind.has_history() {
        return None;
    }
    let covered = incident.span(case.now);
    let part = case.episodes.iter().any(|episode| touches(episode.span(), covered));
    let note = if part {
        "late results make it part of another incident"
    } else {
        "late results, or maintenance that covers it, show that it did not happen"
    };
    let mut next = incident.clone();
    next.withdrawn = true;
    Some(retold(case, next, Change::Withdrawn, (0 < incident.revision, Some(note))))
}

/// An episode without a record: it fails now, or it is history.
fn begin(case: &Case<'_>, episode: &Episode) -> Option<Transition> {
    let started_at = episode.started_at();
    let detected_at = case.now.max(started_at);
    let (severity, change) = match (episode.fails_now, case.kind.has_history()) {
        (true, _) => (case.severity, Change::Opened),
        (false, true) => (Severity::Info, Change::Recorded),
        (false, false) => return None,
    };
    let incident = Incident {
        id: IncidentId::of(case.kind, case.subject, started_at),
        kind: case.kind,
        subject: case.subject.clone(),
        severity,
        instants: Instants {
            last_good_at: episode.lead.last_good_at,
            first_failure_at: episode.lead.first_failure_at,
            started_at,
            detected_at,
            notified_at: None,
            acknowledged_at: None,
            ended_at: episode.ended_at(),
            resolved_at: (!episode.fails_now).then_some(detected_at),
        },
        outages: outages(episode),
        withdrawn: false,
        revision: 0,
        scene: if episode.fails_now { case.seen_now.clone() } else { Scene::default() },
        acknowledged_by: None,
        assigned_to: None,
        course: Course { flapping: episode.fails_now && flaps(case), ..Course::default() },
    };
    if episode.fails_now {
        let mut incident = incident;
        let told = Some(tell(&mut incident, Telling { event: Event::Opened, severity }, case.now));
        return Some(Transition { incident, change, told, note: None, wants_scene: true, sights: Vec::new() });
    }
    Some(retold(case, incident, change, (true, Some("it was over before we learned of it"))))
}

/// An incident that is nothing but a note: it happened at `at`, is over, and is told as `info`.
pub fn for_the_record(subject: &Subject, scene: Scene, at: Timestamp, now: Timestamp) -> Transition {
    let kind = Kind::Certificate;
    let detected_at = now.max(at);
    let mut incident = Incident {
        id: IncidentId::of(kind, subject, at),
        kind,
        subject: subject.clone(),
        severity: Severity::Info,
        instants: Instants {
            last_good_at: None,
            first_failure_at: at,
            started_at: at,
            detected_at,
            notified_at: None,
            acknowledged_at: None,
            ended_at: Some(at),
            resolved_at: Some(detected_at),
        },
        outages: vec![Outage { from: at, to: Some(at) }],
        withdrawn: false,
        revision: 0,
        scene,
        acknowledged_by: None,
        assigned_to: None,
        course: Course::default(),
    };
    let told = Some(tell(&mut incident, Telling { event: Event::Updated, severity: Severity::Info }, now));
    Transition { incident, change: Change::Recorded, told, note: None, wants_scene: false, sights: Vec::new() }
}

/// `incident` with what `episode` says it covers. What led to it is looked at again only where its start moved.
fn covering(incident: &Incident, episode: &Episode) -> Incident {
    let mut next = incident.clone();
    if episode.started_at() != incident.instants.started_at {
        next.instants.started_at = episode.started_at();
        next.instants.first_failure_at = episode.lead.first_failure_at;
        next.instants.last_good_at = episode.lead.last_good_at;
        next.instants.detected_at = next.instants.detected_at.max(next.instants.started_at);
    }
    next.instants.ended_at = episode.ended_at();
    next.outages = outages(episode);
    next
}

fn outages(episode: &Episode) -> Vec<Outage> {
    let last = episode.failing.len().saturating_sub(1);
    let open = |index| episode.fails_now && index == last;
    let spans = episode.failing.iter().enumerate();
    spans.map(|(index, span)| Outage { from: span.from, to: (!open(index)).then_some(span.to) }).collect()
}

/// An outage without an end is given one, that of its incident.
fn close_last(incident: &mut Incident) {
    if let Some(last) = incident.outages.last_mut() {
        last.to = last.to.or(incident.instants.ended_at).map(|to| to.max(last.from));
    }
}

fn resolve(case: &Case<'_>, mut incident: Incident, note: Option<&'static str>) -> Transition {
    let earliest = incident.instants.detected_at.max(incident.instants.ended_at.unwrap_or(case.now));
    incident.instants.resolved_at = Some(case.now.max(earliest));
    let resolved = Telling { event: Event::Resolved, severity: incident.severity };
    let told = Some(tell(&mut incident, resolved, case.now));
    Transition { incident, change: Change::Resolved, told, note, wants_scene: false, sights: Vec::new() }
}

/// A change to what is over. Where it is worth telling it is told as `info`, once: while it is recent, and, unless it
/// is taken back, once the present is known too, or a backlog that comes in pieces would tell of every piece.
fn retold(
    case: &Case<'_>,
    mut incident: Incident,
    change: Change,
    (worth, note): (bool, Option<&'static str>),
) -> Transition {
    let recent = is_recent(&incident, case.now);
    let known = case.signal.last().is_some_and(|state| state != State::Neutral);
    let settled =
        known || change == Change::Withdrawn || TELL_ANYWAY_MS <= case.now.since(incident.instants.detected_at);
    let updated = Telling { event: Event::Updated, severity: Severity::Info };
    let worth = worth && !incident.course.held;
    let told = (worth && recent && settled).then(|| tell(&mut incident, updated, case.now));
    Transition { incident, change, told, note, wants_scene: change == Change::Recorded, sights: Vec::new() }
}

/// Whether what is over may still be told.
pub fn is_recent(incident: &Incident, now: Timestamp) -> bool {
    now.since(incident.instants.ended_at.unwrap_or(now)) <= TELL_HISTORY_MS
}

fn distance(a: Timestamp, b: Timestamp) -> i64 {
    a.since(b).saturating_abs()
}

#[cfg(test)]
mod tests;
