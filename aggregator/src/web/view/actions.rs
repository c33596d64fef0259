//! What a person can do on a page, the silences that hold, and when we were away.

use nines_shared::time::Timestamp;

use crate::definition::{Fleet, Person};
use crate::incident::Incident;
use crate::store::gaps::Gap;
use crate::store::silences::Silence;
use crate::uptime::calendar::local::Zone;
use crate::web::view::Moment;
use crate::words;

/// The lengths of a silence that the page offers.
const LENGTHS: [(&str, &str); 6] =
    [("30m", "30 minutes"), ("1h", "1 hour"), ("2h", "2 hours"), ("8h", "8 hours"), ("1d", "1 day"), ("7d", "7 days")];

/// What can be done about an incident, and by whom.
#[derive(Clone, Debug)]
pub(in crate::web) struct Actions {
    /// Whether the fleet file names people; without any nothing is offered.
    pub(in crate::web) people: bool,
    /// Who is signed in.
    pub(in crate::web) person: Option<String>,
    /// Whether somebody still has to acknowledge it.
    pub(in crate::web) to_acknowledge: bool,
    /// To whom it can be given: id, name, and whether it is theirs.
    pub(in crate::web) candidates: Vec<(String, String, bool)>,
    /// Whose it is.
    pub(in crate::web) assigned_to: Option<String>,
    /// What a silence made here silences: "Web shop", "probe eu-west-1"; empty where it is silenced or over.
    pub(in crate::web) silences: String,
    pub(in crate::web) lengths: [(&'static str, &'static str); 6],
}

impl Actions {
    pub(in crate::web) fn of(fleet: &Fleet, incident: &Incident, person: Option<&Person>, silenced: bool) -> Self {
        let assigned = incident.assigned_to.as_deref();
        let name = |id: &str| {
            let known = fleet.people.iter().find(|person| person.id.as_str() == id);
            known.map_or_else(|| id.to_owned(), |person| person.name.clone())
        };
        let candidate =
            |person: &Person| (person.id.to_string(), person.name.clone(), assigned == Some(person.id.as_str()));
        let quiet = silenced || !incident.is_open();
        Self {
            people: !fleet.people.is_empty(),
            person: person.map(|person| person.name.clone()),
            to_acknowledge: incident.is_open() && incident.acknowledged_by.is_none(),
            candidates: fleet.people.iter().map(candidate).collect(),
            assigned_to: assigned.map(name),
            silences: if quiet { String::new() } else { incident.subject.to_string() },
            lengths: LENGTHS,
        }
    }
}

/// Time in which the aggregator gave no sign of life.
#[derive(Clone, Debug)]
pub(in crate::web) struct GapLine {
    pub(in crate::web) length: String,
    pub(in crate::web) from: Moment,
    pub(in crate::web) why: &'static str,
}

impl GapLine {
    pub(in crate::web) fn of(gap: &Gap, zone: &Zone, now: Timestamp) -> Self {
        Self {
            length: words::length(gap.span.length_ms()),
            from: Moment::named(gap.span.from, zone, now),
            why: gap.why.words(),
        }
    }
}

/// A silence that holds.
#[derive(Clone, Debug)]
pub(in crate::web) struct SilenceLine {
    pub(in crate::web) no: i64,
    /// "service shop", "probe eu-west-1".
    pub(in crate::web) what: String,
    pub(in crate::web) until: Moment,
    pub(in crate::web) by: String,
    pub(in crate::web) reason: String,
    /// Whether whoever looks may end it.
    pub(in crate::web) can_end: bool,
}

impl SilenceLine {
    pub(in crate::web) fn of(silence: &Silence, zone: &Zone, signed_in: bool, now: Timestamp) -> Self {
        let kind = silence.kind.map(|kind| format!(", {} only", kind.code())).unwrap_or_default();
        Self {
            no: silence.no,
            what: format!("{}{kind}", silence.scope),
            until: Moment::named(silence.to, zone, now),
            by: silence.by.clone(),
            reason: silence.reason.clone(),
            can_end: signed_in,
        }
    }
}
