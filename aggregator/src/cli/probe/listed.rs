//! Every probe and every open invitation, for people in 80 columns and for programs whole.

use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::sample::detail;
use nines_shared::time::{Span, Timestamp};
use nines_shared::wire::Health;
use rusqlite::Connection;
use serde::Serialize;

use super::super::table::{self, Align};
use crate::incident::Incident;
use crate::incident::ailment::{Ailment, CLONED_FOR_MS, Sign, on_record};
use crate::incident::silence::SILENT_AFTER_MS;
use crate::store::probes::{self, InvitationRow, ProbeRecord};
use crate::store::{StoreError, authorities, incidents};
use crate::words;

const DAY_MS: i64 = 86_400_000;
const COLUMNS: [(&str, Align); 9] = [
    ("PROBE", Align::Left),
    ("REGION", Align::Left),
    ("STATE", Align::Left),
    ("SEEN", Align::Left),
    ("CLOCK", Align::Right),
    ("LATE", Align::Right),
    ("SPOOL", Align::Right),
    ("CERT", Align::Right),
    ("VERSION", Align::Left),
];

/// What there is at one moment.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    now: Timestamp,
    probes: Vec<Shown>,
    invited: Vec<Invited>,
}

/// A probe.
#[derive(Debug, Serialize)]
struct Shown {
    probe: ProbeId,
    region: RegionId,
    state: State,
    seen_at: Option<Timestamp>,
    joined_at: Timestamp,
    revoked_at: Option<Timestamp>,
    certificate_until: Timestamp,
    /// Whole days, floored; negative once it has ended.
    certificate_days: i64,
    /// Which authority signed its certificate …
    authority: u32,
    /// … and whether that is the one that signs now: only then it knows all that vouch for the fleet.
    knows_newest_authority: bool,
    cloned: Option<Span>,
    /// What the open incident about it says.
    ailments: Vec<Ailment>,
    health: Health,
}

/// How a probe is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It looks, as far as we hear.
    Joined,
    /// It joined and was never heard.
    New,
    /// It was not heard for longer than it may be silent.
    Silent,
    /// A second process with its identity is about.
    Cloned,
    /// None of its canaries answers.
    NoCanary,
    /// It says of itself, or others show, that its word is worth little.
    Faulty,
    /// Its clock is off.
    Clock,
    /// Its certificate has ended.
    Ended,
    /// It was shut out.
    Revoked,
}

impl State {
    fn of(probe: &ProbeRecord, ailments: &[Ailment], now: Timestamp) -> Self {
        let shows = |sign| ailments.iter().any(|ailment| ailment.sign == sign);
        let is_cloned = probe.cloned.is_some_and(|span| now.since(span.to) < CLONED_FOR_MS);
        match probe.seen_at {
            _ if probe.revoked_at.is_some() => Self::Revoked,
            _ if probe.certificate_until <= now => Self::Ended,
            _ if is_cloned => Self::Cloned,
            None => Self::New,
            Some(seen_at) if SILENT_AFTER_MS <= now.since(seen_at) => Self::Silent,
            Some(_) if probe.health.canaries_ok == Some(false) => Self::NoCanary,
            Some(_) if shows(Sign::Faulty) => Self::Faulty,
            Some(_) if shows(Sign::Clock) => Self::Clock,
            Some(_) => Self::Joined,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::New => "new",
            Self::Silent => "silent",
            Self::Cloned => "cloned",
            Self::NoCanary => "canaries",
            Self::Faulty => "faulty",
            Self::Clock => "clock",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }
}

/// An open invitation.
#[derive(Debug, Serialize)]
struct Invited {
    probe: ProbeId,
    region: RegionId,
    expires_at: Timestamp,
}

impl Listed {
    /// What the database holds at `now`.
    ///
    /// # Errors
    /// What the store says.
    pub(super) fn read(conn: &Connection, now: Timestamp) -> Result<Self, StoreError> {
        let newest = authorities::all(conn)?.last().map_or(0, |row| row.no);
        let open = incidents::open(conn)?;
        let shown = |probe: ProbeRecord| Shown::of(probe, &open, newest, now);
        let is_open = |row: &InvitationRow| row.used_at.is_none() && now < row.expires_at;
        let invited = |row: InvitationRow| Invited { probe: row.probe, region: row.region, expires_at: row.expires_at };
        Ok(Self {
            now,
            probes: probes::list(conn)?.into_iter().map(shown).collect(),
            invited: probes::invitations(conn)?.into_iter().filter(is_open).map(invited).collect(),
        })
    }

    /// As a table, and below it what does not fit into a column.
    pub(super) fn drawn(&self) -> String {
        let probes = self.probes.iter().map(|probe| probe.row(self.now));
        let rows: Vec<_> = probes.chain(self.invited.iter().map(|one| one.row(self.now))).collect();
        if rows.is_empty() {
            return "no probes yet; `nines probe invite --region REGION` lets one join\n".to_owned();
        }
        let mut text = table::drawn(COLUMNS, &rows);
        let notes: Vec<String> = self.probes.iter().flat_map(|probe| probe.notes(self.now)).collect();
        if !notes.is_empty() {
            text.push_str(&format!("\n{}\n", notes.join("\n")));
        }
        text
    }
}

impl Shown {
    /// `probe`, of which the `open` incidents may tell; `newest` is the authority that signs now.
    fn of(probe: ProbeRecord, open: &[Incident], newest: u32, now: Timestamp) -> Self {
        let ailments = on_record(open, &probe.id).to_vec();
        Self {
            state: State::of(&probe, &ailments, now),
            certificate_days: probe.certificate_until.since(now).div_euclid(DAY_MS),
            knows_newest_authority: probe.authority == newest,
            probe: probe.id,
            region: probe.region,
            seen_at: probe.seen_at,
            joined_at: probe.joined_at,
            revoked_at: probe.revoked_at,
            certificate_until: probe.certificate_until,
            authority: probe.authority,
            cloned: probe.cloned,
            ailments,
            health: probe.health,
        }
    }

    fn row(&self, now: Timestamp) -> [String; 9] {
        let health = &self.health;
        let nothing = || "–".to_owned();
        let clock = match (health.clock_offset_ms, health.clock_uncertainty_ms) {
            (Some(offset), Some(within)) => format!("{offset:+}±{within} ms"),
            (Some(offset), None) => format!("{offset:+} ms"),
            (None, _) => nothing(),
        };
        [
            self.probe.to_string(),
            self.region.to_string(),
            self.state.word().to_owned(),
            self.seen_at.map_or_else(|| "never".to_owned(), |at| ago(now.since(at))),
            clock,
            health.lateness_max_ms.map_or_else(nothing, |ms| format!("{ms} ms")),
            health.spooled.to_string(),
            left(self.certificate_until.since(now)),
            if health.version.is_empty() { nothing() } else { detail(&health.version) },
        ]
    }

    /// What is to be done about it, or went wrong.
    fn notes(&self, now: Timestamp) -> Vec<String> {
        if self.state == State::Revoked {
            return Vec::new();
        }
        let health = &self.health;
        let counted = |count: u64, what: &str| (0 < count).then(|| format!("{count} {what}"));
        let ailing = self.ailments.iter().filter(|_| matches!(self.state, State::Faulty | State::Clock));
        let ailing = ailing.map(|ailment| detail(&ailment.words));
        let notes = [
            (self.state == State::Ended).then(|| {
                format!(
                    "its certificate has ended: `nines probe invite --region {} --name {}`",
                    self.region, self.probe
                )
            }),
            self.cloned.filter(|_| self.state == State::Cloned).map(|span| {
                format!(
                    "a second process with its identity was turned away {} ago",
                    words::duration(now.since(span.to))
                )
            }),
            (self.state == State::NoCanary).then(|| "none of its canaries answers".to_owned()),
            (self.seen_at.is_some() && health.canaries_ok.is_none())
                .then(|| "no canaries: what it can't reach may be its own fault".to_owned()),
            (!self.knows_newest_authority)
                .then(|| format!("hangs on authority {}, see `nines ca list`", self.authority)),
            counted(health.dropped, "dropped, its spool was full"),
            counted(health.held, "held in memory, its disk takes nothing"),
            counted(health.refused, "refused"),
            counted(health.missed, "slots missed"),
            (!health.unread.is_empty()).then(|| {
                let unread: Vec<&str> = health.unread.iter().map(CheckId::as_str).collect();
                format!("its version can't read {}; a later one can", unread.join(", "))
            }),
        ];
        notes.into_iter().flatten().chain(ailing).map(|note| format!("{}: {note}", self.probe)).collect()
    }
}

impl Invited {
    fn row(&self, now: Timestamp) -> [String; 9] {
        let mut cells: [String; 9] = std::array::from_fn(|_| String::new());
        cells[0] = self.probe.to_string();
        cells[1] = self.region.to_string();
        cells[2] = "invited".to_owned();
        cells[3] = format!("{} left", coarse(self.expires_at.since(now)));
        cells
    }
}

fn ago(ms: i64) -> String {
    format!("{} ago", coarse(ms))
}

/// In one unit, floored: a column has little room.
fn coarse(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        86_400.. => format!("{} d", seconds / 86_400),
        3_600.. => format!("{} h", seconds / 3_600),
        60.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// What is left of a certificate.
fn left(ms: i64) -> String {
    if ms <= 0 { "ended".to_owned() } else { coarse(ms) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Subject;
    use crate::incident::measured::Measured;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn probe(change: impl FnOnce(&mut ProbeRecord)) -> ProbeRecord {
        let mut probe = ProbeRecord {
            id: "eu-west-1".parse().unwrap(),
            region: "eu-west".parse().unwrap(),
            joined_at: NOW.plus_ms(-DAY_MS),
            certificate_until: NOW.plus_ms(29 * DAY_MS + 1),
            authority: 1,
            cloned: None,
            revoked_at: None,
            ailing_since: None,
            dropped_at: None,
            seen_at: Some(NOW.plus_ms(-2_000)),
            health: Health {
                version: "0.1.0".to_owned(),
                spooled: 1_234,
                clock_offset_ms: Some(-12),
                clock_uncertainty_ms: Some(3),
                lateness_max_ms: Some(140),
                canaries_ok: Some(true),
                ..Health::default()
            },
        };
        change(&mut probe);
        probe
    }

    #[test]
    fn a_probe_has_one_word_and_the_worst_one_counts() {
        let word = |change: fn(&mut ProbeRecord)| State::of(&probe(change), &[], NOW).word();
        assert_eq!(word(|_| {}), "joined");
        assert_eq!(word(|probe| probe.seen_at = None), "new");
        assert_eq!(word(|probe| probe.seen_at = Some(NOW.plus_ms(-SILENT_AFTER_MS))), "silent");
        assert_eq!(word(|probe| probe.health.canaries_ok = Some(false)), "canaries");
        assert_eq!(word(|probe| probe.cloned = Some(Span::new(NOW, NOW))), "cloned");
        let long_ago = Span::new(NOW.plus_ms(-2 * CLONED_FOR_MS), NOW.plus_ms(-CLONED_FOR_MS));
        assert_eq!(State::of(&probe(|probe| probe.cloned = Some(long_ago)), &[], NOW), State::Joined);
        assert_eq!(word(|probe| probe.certificate_until = NOW), "ended");
        assert_eq!(word(|probe| probe.revoked_at = Some(NOW)), "revoked");
    }

    #[test]
    fn the_table_fits_a_terminal_of_80_columns_and_shows_all_that_is_asked_for() {
        let store = crate::store::tests::store();
        let mut listed = store.1.read_blocking(|conn| Listed::read(conn, NOW)).unwrap();
        assert!(listed.drawn().contains("nines probe invite"), "an empty fleet is told how to grow");
        let one = probe(|probe| {
            probe.health.dropped = 7;
            probe.health.canaries_ok = None;
            probe.health.unread = vec!["shop-quic".parse().unwrap()];
        });
        listed.probes.push(Shown::of(one, &[], 2, NOW));
        let text = anstream::adapter::strip_str(&listed.drawn()).to_string();
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest}:\n{text}");
        for part in [
            "2 s ago",
            "-12±3 ms",
            "140 ms",
            "1234",
            "29 d",
            "0.1.0",
            "7 dropped",
            "hangs on authority 1",
            "can't read shop-quic",
            "no canaries",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn only_a_probe_that_was_heard_can_be_said_to_have_no_canaries() {
        let says = |change: fn(&mut ProbeRecord)| {
            Shown::of(probe(change), &[], 1, NOW).notes(NOW).iter().any(|note| note.contains("no canaries"))
        };
        assert!(says(|probe| probe.health.canaries_ok = None));
        assert!(!says(|_| {}));
        assert!(!says(|probe| probe.health.canaries_ok = Some(false)), "that is another note");
        assert!(!says(|probe| (probe.seen_at, probe.health.canaries_ok) = (None, None)));
    }

    #[test]
    fn a_probe_whose_word_differs_from_all_others_is_marked_and_told_why() {
        let of = |sign, words: &str| {
            let ailment = Ailment { sign, since: NOW, words: words.to_owned() };
            let probe = probe(|_| {});
            let mut incident = crate::alert::plan::tests::incident();
            incident.subject = Subject::Probe(probe.id.clone());
            incident.scene.measured = Some(Measured::Probe(vec![ailment]));
            Shown::of(probe, &[incident], 1, NOW)
        };
        let odd = of(Sign::Faulty, "it says the contrary of every other region");
        assert_eq!(odd.state.word(), "faulty");
        assert_eq!(odd.notes(NOW), ["eu-west-1: it says the contrary of every other region"]);
        assert_eq!(of(Sign::Clock, "its clock is off by 2000 ms").state.word(), "clock");
        let stranger = Shown::of(probe(|probe| probe.id = "eu-west-2".parse().unwrap()), &[], 1, NOW);
        assert_eq!((stranger.state.word(), stranger.notes(NOW).len()), ("joined", 0));
    }
}
