//! What is wrong with a probe: (what it told, when it was heard, what others say, now) → signs.
//!
//! A probe's fault is ours to mend and never a customer's outage. One incident for each probe says every sign that
//! there is.

use nines_shared::id::ProbeId;
use nines_shared::time::{Span, Timestamp};
use nines_shared::wire::{Health, MAX_CLOCK_OFFSET_MS};
use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::silence::silent_since;
use super::{Incident, Subject};
use crate::words;

/// How long a probe must complain before it is an incident, in ms.
pub const AILING_AFTER_MS: i64 = 60_000;
/// How long a drop from a full spool is a fault, in ms.
pub const DROPPED_FOR_MS: i64 = 600_000;

/// How long after its last sign a second process counts as there, in ms. One that is refused comes again within half a
/// minute, and the first one is heard every ten seconds.
pub const CLONED_FOR_MS: i64 = 90_000;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// It gives no sign of life.
    Silent,
    /// A second process with its identity is about, and is refused.
    Cloned,
    /// Its canaries do not answer, it can't keep its samples, or it disagrees with everyone.
    Faulty,
    /// Its clock is off.
    Clock,
}

impl Sign {
    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Cloned => "cloned",
            Self::Faulty => "faulty",
            Self::Clock => "clock",
        }
    }

    /// What a probe is that shows it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Cloned => "cloned",
            Self::Faulty => "faulty",
            Self::Clock => "off the clock",
        }
    }
}

/// A sign and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ailment {
    /// Which.
    pub sign: Sign,
    /// Since when.
    pub since: Timestamp,
    /// What exactly, for people.
    pub words: String,
}

/// A probe of the fleet, as far as we know.
#[derive(Clone, Copy, Debug)]
pub struct Patient<'a> {
    /// What it told last.
    pub health: &'a Health,
    /// When it gave its last sign of life, by our clock.
    pub heard_at: Timestamp,
    /// Since when it has complained of itself without a break, by our clock.
    pub ailing_since: Option<Timestamp>,
    /// When it last told of samples that its full spool dropped.
    pub dropped_at: Option<Timestamp>,
    /// When a second process with its identity was seen beside it, first and last.
    pub cloned: Option<Span>,
    /// Since when its region has been alone with what it says.
    pub alone_since: Option<Timestamp>,
    /// What the open incident about it says.
    pub known: &'a [Ailment],
}

/// What the incident about `probe` says of it, of those that are `open`; nothing where there is none, or one that was
/// recorded before incidents said which sign.
pub fn on_record<'i>(open: &'i [Incident], probe: &ProbeId) -> &'i [Ailment] {
    let is_theirs = |incident: &&Incident| matches!(&incident.subject, Subject::Probe(id) if id == probe);
    match open.iter().find(is_theirs).and_then(|incident| incident.scene.measured.as_ref()) {
        Some(Measured::Probe(ailments)) => ailments,
        Some(_) | None => &[],
    }
}

/// Whether `health` is a complaint that makes an ailment where it lasts.
pub fn complains(health: &Health) -> bool {
    own_faults(health).next().is_some() || clock_is_off(health)
}

/// What is wrong with `patient` at `now`, the worst first. `listening_since` is when we began to be able to hear.
pub fn ailments(patient: Patient<'_>, listening_since: Timestamp, now: Timestamp) -> Vec<Ailment> {
    let known = |sign| patient.known.iter().find(|ailment| ailment.sign == sign).map(|ailment| ailment.since);
    if let Some(since) = silent_since(patient.heard_at, listening_since, known(Sign::Silent), now) {
        let words = format!("no sign of life since {}", crate::uptime::calendar::utc(patient.heard_at));
        return vec![Ailment { sign: Sign::Silent, since, words }];
    }
    // What it told holds only as long as it is heard; a silence that is over says nothing of the rest.
    let health = patient.health;
    let lasting = patient.ailing_since.filter(|since| AILING_AFTER_MS <= now.since(*since));
    let mut faults: Vec<(Timestamp, String)> = Vec::new();
    if let Some(since) = lasting {
        faults.extend(own_faults(health).map(|what| (since, what)));
    }
    if let Some(at) = patient.dropped_at.filter(|at| now.since(*at) < DROPPED_FOR_MS) {
        faults.push((at, format!("{} dropped, its spool was full", samples(health.dropped))));
    }
    if let Some(since) = patient.alone_since {
        faults.push((since, "it says the contrary of every other region".to_owned()));
    }
    let mut found = Vec::new();
    if let Some(seen) = patient.cloned.filter(|seen| now.since(seen.to) < CLONED_FOR_MS) {
        let words =
            "a second process with its identity is refused: find the machine that was cloned from it, and have \
                     that one join under a name of its own"
                .to_owned();
        found.push(Ailment { sign: Sign::Cloned, since: known(Sign::Cloned).unwrap_or(seen.from), words });
    }
    if let Some(since) = faults.iter().map(|(since, _)| *since).min() {
        let words = faults.into_iter().map(|(_, what)| what).collect::<Vec<_>>().join(", ");
        found.push(Ailment { sign: Sign::Faulty, since: known(Sign::Faulty).unwrap_or(since), words });
    }
    if let Some(since) = lasting.filter(|_| clock_is_off(health)) {
        let words = format!("its clock is off by {} ms", health.clock_offset_ms.unwrap_or_default());
        found.push(Ailment { sign: Sign::Clock, since: known(Sign::Clock).unwrap_or(since), words });
    }
    found
}

fn own_faults(health: &Health) -> impl Iterator<Item = String> {
    let canaries = (health.canaries_ok == Some(false)).then(|| "its canaries do not answer".to_owned());
    let held = (0 < health.held).then(|| format!("{} held, its disk does not take them", samples(health.held)));
    canaries.into_iter().chain(held)
}

fn samples(count: u64) -> String {
    words::count(usize::try_from(count).unwrap_or(usize::MAX), "sample")
}

/// Beyond the limit by more than the measurement may err.
fn clock_is_off(health: &Health) -> bool {
    let limit = MAX_CLOCK_OFFSET_MS.saturating_add(health.clock_uncertainty_ms.unwrap_or(0).max(0));
    health.clock_offset_ms.is_some_and(|offset| limit < offset.saturating_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + seconds * 1_000)
    }

    fn signs(health: &Health, patient: impl Fn(Patient<'_>) -> Patient<'_>, now: i64) -> Vec<Sign> {
        let quiet = Patient {
            health,
            heard_at: at(now),
            ailing_since: complains(health).then(|| at(0)),
            dropped_at: None,
            cloned: None,
            alone_since: None,
            known: &[],
        };
        ailments(patient(quiet), at(-1_000), at(now)).iter().map(|ailment| ailment.sign).collect()
    }

    #[test]
    fn each_sign_has_its_cause_and_what_passes_is_none() {
        let none: [Sign; 0] = [];
        let ill = |change: fn(&mut Health)| {
            let mut health = Health::default();
            change(&mut health);
            health
        };
        let cases: [(&str, Health, &[Sign]); 6] = [
            ("well", Health::default(), &none),
            ("canaries", ill(|h| h.canaries_ok = Some(false)), &[Sign::Faulty]),
            ("held", ill(|h| h.held = 3), &[Sign::Faulty]),
            ("clock", ill(|h| h.clock_offset_ms = Some(-1_001)), &[Sign::Clock]),
            ("clock, perhaps", ill(|h| (h.clock_offset_ms, h.clock_uncertainty_ms) = (Some(1_200), Some(300))), &none),
            (
                "both",
                ill(|h| (h.canaries_ok, h.clock_offset_ms) = (Some(false), Some(2_000))),
                &[Sign::Faulty, Sign::Clock],
            ),
        ];
        for (name, health, expected) in cases {
            assert_eq!(signs(&health, |patient| patient, 60), expected, "{name}");
            assert_eq!(signs(&health, |patient| patient, 59), none, "{name}: not yet");
        }
    }

    #[test]
    fn a_drop_is_told_at_once_and_for_a_while() {
        let health = Health { dropped: 7, ..Health::default() };
        let dropped = |now| signs(&health, |patient| Patient { dropped_at: Some(at(0)), ..patient }, now);
        assert_eq!(dropped(1), [Sign::Faulty]);
        assert_eq!(dropped(599), [Sign::Faulty]);
        assert_eq!(dropped(600), []);
    }

    #[test]
    fn a_second_process_is_told_of_at_once_and_until_it_has_not_been_seen_for_a_while() {
        let health = Health::default();
        let cloned = |now| signs(&health, |patient| Patient { cloned: Some(Span::new(at(0), at(30))), ..patient }, now);
        assert_eq!(cloned(31), [Sign::Cloned]);
        assert_eq!(cloned(119), [Sign::Cloned]);
        assert_eq!(cloned(120), []);
    }

    #[test]
    fn a_silent_probe_is_only_silent() {
        let health = Health { canaries_ok: Some(false), ..Health::default() };
        assert_eq!(signs(&health, |patient| Patient { heard_at: at(0), ..patient }, 100), [Sign::Silent]);
    }

    #[test]
    fn an_ailment_keeps_its_beginning() {
        let known = [Ailment { sign: Sign::Faulty, since: at(5), words: String::new() }];
        let health = Health { canaries_ok: Some(false), ..Health::default() };
        let patient = Patient {
            health: &health,
            heard_at: at(200),
            ailing_since: Some(at(100)),
            dropped_at: None,
            cloned: None,
            alone_since: None,
            known: &known,
        };
        assert_eq!(ailments(patient, at(0), at(200))[0].since, at(5));
    }
}
