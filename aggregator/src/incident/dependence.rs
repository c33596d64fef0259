//! Dependence: what a root explains is recorded and not told on its own.
//!
//! A check may name others that it depends on. While each failing check of an incident has a root in an open outage, or
//! may have one of which the next samples tell, the incident is *held*: nobody is told that it opened. Once no root
//! explains it any more and it still fails, it is told. A budget that burns while its own service's outage is open is
//! held too: that page has been sent.
//!
//! Limits: what was told stays told, though a root is found later; and nothing is held for longer than
//! [`MAX_PATIENCE_MS`] for a root that nobody has looked at.

use std::collections::{BTreeMap, BTreeSet};

use nines_shared::id::CheckId;
use nines_shared::time::Timestamp;

use super::course::Course;
use super::transition::{Change, Telling, Transition};
use super::{Event, Incident, IncidentId, Kind};

/// How long an incident waits at most for what its roots show, and for its own end once its root is over, in ms.
pub const MAX_PATIENCE_MS: i64 = 60_000;

/// Which checks each check names as those that it depends on.
pub type Dependences = BTreeMap<CheckId, Vec<CheckId>>;

/// All that `check` depends on, by way of others too, nearest first; never itself.
pub fn roots<'a>(dependences: &'a Dependences, check: &CheckId) -> Vec<&'a CheckId> {
    reached(check, |at| dependences.get(at).into_iter().flatten().collect())
}

/// All that depends on `check`, by way of others too, nearest first; never itself.
pub fn affected<'a>(dependences: &'a Dependences, check: &CheckId) -> Vec<&'a CheckId> {
    reached(check, |at| dependences.iter().filter(|(_, on)| on.contains(at)).map(|(id, _)| id).collect())
}

fn reached<'a>(check: &CheckId, next: impl Fn(&CheckId) -> Vec<&'a CheckId>) -> Vec<&'a CheckId> {
    let mut found: Vec<&CheckId> = Vec::new();
    let mut seen: BTreeSet<&CheckId> = BTreeSet::new();
    let mut at = Some(check);
    let mut index = 0;
    while let Some(from) = at {
        found.extend(next(from).into_iter().filter(|id| *id != check && seen.insert(id)));
        at = found.get(index).copied();
        index += 1;
    }
    found
}

/// What decides whether an incident is held, beside the incidents.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The file's dependences.
    pub dependences: Dependences,
    /// How long it takes until a check has been asked again everywhere, in ms: its interval and its timeout.
    pub round_ms: BTreeMap<CheckId, i64>,
    /// Since when every region has seen a root work; none of a root of which some region says anything else.
    pub good_since: BTreeMap<CheckId, Timestamp>,
    /// When roots that hold something were resolved.
    pub resolved_at: BTreeMap<IncidentId, Timestamp>,
}

/// Why an incident is held.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hold {
    /// This one explains it.
    Root(IncidentId),
    /// A root may explain it that has not been looked at since.
    Awaited,
}

/// `transitions` as people are told of them, and what is let go now. `open` is what was open before them.
pub fn held_back(
    open: &[Incident],
    mut transitions: Vec<Transition>,
    facts: &Facts,
    now: Timestamp,
) -> Vec<Transition> {
    let changed: BTreeSet<IncidentId> = transitions.iter().map(|transition| transition.incident.id.clone()).collect();
    let untouched: Vec<&Incident> = open.iter().filter(|incident| !changed.contains(&incident.id)).collect();
    let after = transitions.iter().map(|transition| &transition.incident).chain(untouched.iter().copied());
    let standing: Vec<Incident> = after.filter(|incident| incident.is_open()).cloned().collect();
    // Roots that are resolved with these very transitions are not on record yet.
    let ending = transitions.iter().map(|transition| &transition.incident);
    let ending = ending.filter_map(|incident| Some((incident.id.clone(), incident.instants.resolved_at?)));
    let mut facts = facts.clone();
    facts.resolved_at.extend(ending.collect::<Vec<_>>());
    let facts = &facts;
    for transition in &mut transitions {
        let before = open.iter().find(|known| known.id == transition.incident.id);
        quieten(transition, before, (&standing, facts), now);
    }
    for incident in untouched.into_iter().filter(|incident| incident.course.held) {
        let mut waiting = Transition {
            incident: incident.clone(),
            change: Change::Amended,
            told: None,
            note: None,
            wants_scene: false,
            sights: Vec::new(),
        };
        quieten(&mut waiting, Some(incident), (&standing, facts), now);
        transitions.extend((waiting.incident != *incident).then_some(waiting));
    }
    transitions
}

/// Holds `transition` back, or lets go what was held.
fn quieten(
    transition: &mut Transition,
    before: Option<&Incident>,
    (standing, facts): (&[Incident], &Facts),
    now: Timestamp,
) {
    let was_held = before.is_some_and(|known| known.course.held);
    let was_told = before.is_some_and(|known| !known.course.held && 0 < known.revision);
    let opens = transition.told.is_some_and(|telling| telling.event == Event::Opened);
    if !was_held && (was_told || !opens) {
        return;
    }
    let hold = hold(&transition.incident, (standing, facts), now).filter(|_| transition.incident.is_open());
    let incident = &mut transition.incident;
    if hold.is_some() || !incident.is_open() {
        if transition.told.take().is_some() {
            incident.revision = incident.revision.saturating_sub(1);
            let Course { told_at, spans_told, .. } = before.map_or_else(Course::default, |known| known.course.clone());
            (incident.course.told_at, incident.course.spans_told) = (told_at, spans_told);
        }
        incident.course.held = true;
        if let Some(Hold::Root(root)) = hold {
            incident.course.root = Some(root);
        }
        return;
    }
    incident.course.held = false;
    if was_held {
        if transition.told.is_none() {
            incident.revision += 1;
        }
        incident.course.told_at = Some(now);
        incident.course.spans_told = incident.outages.len();
        transition.told = Some(Telling { event: Event::Opened, severity: incident.severity });
        let explained = incident.course.root.is_some();
        transition.note =
            Some(if explained { "what it depends on works again, and it still fails" } else { "nothing explains it" });
    }
}

/// Why nobody is told of `incident` for now; `None` where they are.
fn hold(incident: &Incident, (standing, facts): (&[Incident], &Facts), now: Timestamp) -> Option<Hold> {
    let outages = || standing.iter().filter(|other| other.kind == Kind::Outage && other.id != incident.id);
    match incident.kind {
        Kind::BurnRate => {
            outages().find(|other| other.subject == incident.subject).map(|other| Hold::Root(other.id.clone()))
        }
        Kind::Outage | Kind::Suspected | Kind::Degraded => {
            let mut found = None;
            for check in &incident.scene.checks {
                let explained = explained(incident, check, (outages, facts), now)?;
                if found.is_none() || matches!(explained, Hold::Root(_)) {
                    found = Some(explained);
                }
            }
            found
        }
        Kind::Certificate | Kind::Coverage | Kind::Probe => None,
    }
}

fn explained<'a, I: Iterator<Item = &'a Incident>>(
    incident: &Incident,
    check: &CheckId,
    (outages, facts): (impl Fn() -> I, &Facts),
    now: Timestamp,
) -> Option<Hold> {
    let roots = roots(&facts.dependences, check);
    let failing = roots.iter().find_map(|root| outages().find(|outage| outage.scene.checks.contains(root)));
    if let Some(outage) = failing {
        return Some(Hold::Root(outage.id.clone()));
    }
    let round_ms = |check: &CheckId| facts.round_ms.get(check).copied().unwrap_or(0).min(MAX_PATIENCE_MS);
    // Its root is over: it is given the time of one round to be good too.
    let over = incident.course.root.as_ref().filter(|_| !roots.is_empty());
    let just_over = |at: &Timestamp| now.since(*at) < round_ms(check);
    if let Some(root) = over.filter(|root| facts.resolved_at.get(root).is_some_and(just_over)) {
        return Some(Hold::Root(root.clone()));
    }
    let instants = &incident.instants;
    let unseen = |root: &&&CheckId| {
        let good = facts.good_since.get(**root).is_some_and(|since| instants.first_failure_at <= *since);
        !good && now.since(instants.detected_at) < round_ms(root)
    };
    roots.iter().find(unseen).map(|_| Hold::Awaited)
}

#[cfg(test)]
mod tests;
