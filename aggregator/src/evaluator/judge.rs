//! One service at one instant: read what its figures depend on, and let the pure rooms decide.

use nines_shared::id::{CheckId, ServiceId};
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use super::standing;
use super::window::{FARTHEST_MS, LEAD_MS, Pace, WIDEN_MS, next_look, window};
use crate::incident::episode::{Episode, Flapping, episodes_with};
use crate::incident::evidence::{Sight, sights};
use crate::incident::signal::{Signal, State, of_outages, of_slowness, of_suspicion, slowness_due, suspicion_due};
use crate::incident::suspect::{Alone, alone};
use crate::incident::transition::{Case, Change, TELL_HISTORY_MS, Transition, reconcile};
use crate::incident::{Incident, Kind, Scene, Subject, common, flap, instants};
use crate::store::{StoreError, definitions, incidents, samples};
use crate::uptime::minutes::Minutes;
use crate::uptime::service::assess;
use crate::uptime::{CheckRecord, ServiceAssessment, ServiceRecord, Verdict};

/// How often a window is widened before it is taken as it is: with doubling, far beyond [`FARTHEST_MS`].
const MAX_WIDENINGS: u32 = 40;
/// How often a window is widened for the start of what has no history: by doubling, some seven hours.
const FEW_WIDENINGS: u32 = 3;
/// How many intervals from its start the samples that explain an outage of the past are read.
const EXPLAINING_INTERVALS: i64 = 2;

/// What is to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which service.
    pub service: ServiceId,
    /// How slow its checks are.
    pub pace: Pace,
    /// From when on something may have changed since it was judged; `None` where only time went by.
    pub changed_from: Option<Timestamp>,
    /// The least coverage of the last hour, in parts per million.
    pub coverage_floor_ppm: u32,
    /// Its checks whose certificates are watched, with how many ms before its end one is to be renewed.
    pub certificates: Vec<(CheckId, i64)>,
    /// Since when its samples could have come.
    pub watched_since: Timestamp,
    /// What is known of its last minutes.
    pub minutes: Minutes,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Which service.
    pub service: ServiceId,
    /// What is to change, in order.
    pub transitions: Vec<Transition>,
    /// When to judge again although nothing arrives.
    pub next_look: Timestamp,
    /// What people see of it now: verdicts of the service, its checks and their regions.
    pub face: Vec<Option<Verdict>>,
    /// Its last minutes.
    pub minutes: Minutes,
    /// Which regions are alone with what they say.
    pub alone: Alone,
}

/// Judges one service at `now`, from one snapshot; `open` is everything that is open. `None` where there never was such
/// a service.
///
/// # Errors
/// What the store says.
pub fn judge(
    conn: &Connection,
    question: &Question,
    open: &[Incident],
    now: Timestamp,
) -> Result<Option<Judgement>, StoreError> {
    let subject = Subject::Service(question.service.clone());
    let mut window = window(question.pace, question.changed_from, now);
    for widening in 0.. {
        let Some(view) = View::read(conn, &subject, question.pace, window, now)? else { return Ok(None) };
        let farther = view.farther(window, widening).filter(|_| widening < MAX_WIDENINGS);
        match farther {
            Some(from) => window.from = from,
            None => return view.judgement(conn, question, open).map(Some),
        }
    }
    Ok(None)
}

/// A service in a window, and what is on record of it there.
pub(super) struct View {
    pub(super) subject: Subject,
    pub(super) pace: Pace,
    pub(super) now: Timestamp,
    pub(super) record: ServiceRecord,
    pub(super) assessment: ServiceAssessment,
    tracks: Vec<Track>,
}

/// One kind of incident of the service.
struct Track {
    kind: Kind,
    signal: Signal,
    episodes: Vec<Episode>,
    recorded: Vec<Incident>,
    /// When failing spans began of late, as incidents on record cover them.
    beginnings: Vec<Timestamp>,
}

impl View {
    fn read(
        conn: &Connection,
        subject: &Subject,
        pace: Pace,
        window: Span,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let Some(service) = subject.service() else { return Ok(None) };
        let Some(record) = definitions::service_record(conn, service, window)? else { return Ok(None) };
        let assessment = assess(&record, window, now);
        let mut tracks = Vec::new();
        for (kind, signal) in [
            (Kind::Outage, of_outages(&assessment)),
            (Kind::Suspected, of_suspicion(&record, &assessment)),
            (Kind::Degraded, of_slowness(&record, &assessment)),
        ] {
            let resolve_after_ms = pace.resolve_after_ms();
            let recorded = incidents::touching(conn, kind, subject, window, now.plus_ms(-TELL_HISTORY_MS))?;
            let open = recorded.iter().find(|incident| incident.is_open());
            let signal = ended_with_life(signal, &record, now);
            let signal = match open {
                Some(incident) if !kind.has_history() => signal.after(incident),
                Some(_) | None => signal,
            };
            let fails = if kind == Kind::Degraded { Verdict::Degraded } else { Verdict::Down };
            let lead = |at| instants::lead(&record, &assessment, (fails, at));
            let flapping = Flapping::among(&recorded, resolve_after_ms);
            let episodes = episodes_with(&signal, resolve_after_ms, flapping, lead);
            let beginnings = if signal.last() == Some(State::Failing) {
                flap::beginnings(&incidents::recent(
                    conn,
                    kind,
                    subject,
                    now.plus_ms(-flap::span_ms(resolve_after_ms)),
                )?)
            } else {
                Vec::new()
            };
            tracks.push(Track { kind, signal, episodes, recorded, beginnings });
        }
        Ok(Some(Self { subject: subject.clone(), pace, now, record, assessment, tracks }))
    }

    /// From where on to look instead, where this window cuts something; `None` where it cuts nothing.
    fn farther(&self, window: Span, widening: u32) -> Option<Timestamp> {
        let remembered = self.tracks.iter().filter(|track| track.kind.has_history());
        let recorded = remembered.flat_map(|track| &track.recorded);
        let earliest = recorded.map(|incident| incident.instants.started_at).min();
        if let Some(from) = earliest.filter(|from| *from < window.from) {
            return Some(from.plus_ms(-self.pace.margin_ms()));
        }
        let seen_from = self.assessment.window.from;
        let all_seen = seen_from <= self.record.life.from || window.from <= self.now.plus_ms(-FARTHEST_MS);
        let cut = self.tracks.iter().any(|track| {
            let worth = track.kind.has_history() || widening < FEW_WIDENINGS;
            worth && !track.is_known() && (track.signal.starts_failing() || track.lead_is_cut(seen_from))
        });
        let wider = window.from.plus_ms(-(WIDEN_MS << widening.min(16)));
        (cut && !all_seen).then(|| wider.max(self.now.plus_ms(-FARTHEST_MS)))
    }

    fn judgement(&self, conn: &Connection, question: &Question, open: &[Incident]) -> Result<Judgement, StoreError> {
        let mut transitions = Vec::new();
        for track in &self.tracks {
            let case = Case {
                kind: track.kind,
                subject: &self.subject,
                severity: track.kind.severity(),
                signal: &track.signal,
                episodes: &track.episodes,
                recorded: &track.recorded,
                beginnings: &track.beginnings,
                seen_now: &self.seen_now(track),
                resolve_after_ms: self.pace.resolve_after_ms(),
                now: self.now,
            };
            for mut transition in reconcile(&case) {
                if transition.wants_scene {
                    self.explain(conn, &mut transition)?;
                }
                transitions.push(transition);
            }
        }
        let minutes = standing::minutes(conn, self, question, open)?;
        transitions.extend(standing::of_coverage(conn, self, (question, &minutes), open)?);
        transitions.extend(standing::of_burn(conn, self, &minutes, open)?);
        transitions.extend(standing::of_certificates(conn, self, question, open)?);
        Ok(Judgement {
            service: question.service.clone(),
            transitions,
            next_look: self.next_look(),
            face: self.face(),
            minutes,
            alone: alone(&self.assessment),
        })
    }

    /// The scene of the present without its samples; empty where nothing fails.
    fn seen_now(&self, track: &Track) -> Scene {
        let fails = track.signal.last() == Some(State::Failing);
        let now = self.assessment.window.to.plus_ms(-1);
        if fails { common::scene(&self.assessment, (track.kind, now), &[]) } else { Scene::default() }
    }

    /// Puts into the incident who saw what, from the samples that say most about it.
    fn explain(&self, conn: &Connection, transition: &mut Transition) -> Result<(), StoreError> {
        let incident = &mut transition.incident;
        let end = incident.instants.ended_at.unwrap_or(self.assessment.window.to);
        let at = end.plus_ms(-1);
        let kind = incident.kind;
        let checks = common::scene(&self.assessment, (kind, at), &[]).checks;
        let telling = match transition.change {
            Change::Recorded => self.samples_of_the_past(conn, &checks, incident)?,
            Change::Opened | Change::Reopened | Change::Amended | Change::Resolved | Change::Withdrawn => {
                let mut latest = Vec::new();
                for check in &checks {
                    latest.extend(samples::latest_of(conn, check)?);
                }
                latest
            }
        };
        let seen = common::scene(&self.assessment, (kind, at), &telling);
        incident.scene.grow(&seen);
        incident.scene.findings = seen.findings;
        incident.scene.detail = seen.detail;
        transition.sights = self.sights(conn, &checks, transition)?;
        Ok(())
    }

    /// What each region saw before it failed and when it did: from around the incident's start, or, where further
    /// regions fail by now, from around the present.
    fn sights(&self, conn: &Connection, checks: &[CheckId], transition: &Transition) -> Result<Vec<Sight>, StoreError> {
        let (incident, interval_ms) = (&transition.incident, self.pace.interval_ms);
        let (from, until) = match transition.change {
            Change::Opened | Change::Reopened | Change::Recorded => (
                incident.instants.first_failure_at,
                incident.instants.started_at.plus_ms(EXPLAINING_INTERVALS * interval_ms).min(self.now),
            ),
            Change::Amended | Change::Resolved | Change::Withdrawn => {
                (self.now.plus_ms(-EXPLAINING_INTERVALS * interval_ms), self.now)
            }
        };
        let span = Span::new(from.plus_ms(-EXPLAINING_INTERVALS * interval_ms), until.plus_ms(1));
        let mut seen: Vec<Sample> = Vec::new();
        samples::each_in_identity_order::<StoreError>(conn, Some(checks), span, |sample| {
            seen.push(sample.clone());
            Ok(())
        })?;
        let mut found = sights(&seen, common::bad(incident.kind), from);
        for sight in &mut found {
            sight.redefined_at = self.redefined(sight);
        }
        Ok(found)
    }

    /// When the check's definition changed shortly before what `sight` shows.
    fn redefined(&self, sight: &Sight) -> Option<Timestamp> {
        let until = sight.first_bad.started_at;
        let since = sight.last_good.as_ref().map_or(until.plus_ms(-self.pace.interval_ms), |good| good.started_at);
        let of_check = |check: &&CheckRecord| check.versions.iter().any(|version| version.check.id == sight.check);
        let versions = self.record.checks.iter().filter(of_check).flat_map(|check| &check.versions);
        let changed = versions.map(|version| version.valid_from);
        changed.filter(|at| since.plus_ms(-self.pace.interval_ms) <= *at && *at <= until).max()
    }

    /// The last failing sample of each region from the beginning of an outage.
    fn samples_of_the_past(
        &self,
        conn: &Connection,
        checks: &[CheckId],
        incident: &Incident,
    ) -> Result<Vec<Sample>, StoreError> {
        let until = incident.instants.started_at.plus_ms(EXPLAINING_INTERVALS * self.pace.interval_ms);
        let end = incident.instants.ended_at.unwrap_or(self.now).min(until);
        let span = Span::new(incident.instants.first_failure_at.plus_ms(-self.pace.interval_ms), end);
        let mut kept: Vec<Sample> = Vec::new();
        samples::each_in_identity_order::<StoreError>(conn, Some(checks), span, |sample| {
            if sample.outcome != common::bad(incident.kind) {
                return Ok(());
            }
            match kept.last_mut() {
                Some(last) if last.check == sample.check && last.region == sample.region => last.clone_from(sample),
                Some(_) | None => kept.push(sample.clone()),
            }
            Ok(())
        })?;
        Ok(kept)
    }

    /// When time alone may change the judgement.
    fn next_look(&self) -> Timestamp {
        let resolve_after_ms = self.pace.resolve_after_ms();
        let resolutions = self.tracks.iter().filter_map(|track| {
            let last = track.episodes.last()?;
            let open = track.recorded.iter().find(|incident| incident.is_open());
            let over_after_ms = open.map_or(resolve_after_ms, |known| flap::over_after_ms(known, resolve_after_ms));
            let waits = track.signal.last() == Some(State::Good) && !last.is_over(over_after_ms);
            waits.then(|| self.now.plus_ms(over_after_ms - last.good_ms))
        });
        let suspicion = suspicion_due(&self.record, &self.assessment);
        let slowness = slowness_due(&self.record, &self.assessment);
        let look = resolutions.chain(suspicion).chain(slowness).chain([next_look(&self.record, self.now)]).min();
        look.unwrap_or(Timestamp::MAX).max(self.now.plus_ms(1))
    }

    fn face(&self) -> Vec<Option<Verdict>> {
        let now = self.assessment.window.to.plus_ms(-1);
        let mut face = vec![self.assessment.timeline.at(now)];
        for check in &self.assessment.checks {
            face.push(check.timeline.at(now));
            face.extend(check.regions.iter().map(|region| region.timeline.at(now)));
        }
        face
    }
}

impl Track {
    /// Whether the start of what has no history is on record, so that nothing before the window is asked for.
    fn is_known(&self) -> bool {
        !self.kind.has_history() && self.recorded.iter().any(Incident::is_open)
    }

    /// Whether something is to be recorded whose first failure may lie before the window.
    fn lead_is_cut(&self, seen_from: Timestamp) -> bool {
        let recorded = |at| self.recorded.iter().any(|incident| incident.instants.started_at == at);
        self.episodes.iter().any(|episode| {
            let started_at = episode.started_at();
            let near = started_at.since(seen_from) < LEAD_MS;
            near && episode.lead.first_failure_at <= seen_from && !recorded(started_at)
        })
    }
}

/// What is asked no more fails no more: incidents end with the life of the service, or with that of its last check.
fn ended_with_life(signal: Signal, record: &ServiceRecord, now: Timestamp) -> Signal {
    let asked_until = record.checks.iter().map(|check| check.removed_at).max();
    let end = asked_until.map_or(record.life.to, |asked_until| asked_until.min(record.life.to));
    if now <= end {
        return signal;
    }
    let before = Span::new(Timestamp::MIN, end);
    let lived = signal.spans().iter().filter_map(|(span, state)| Some((span.intersection(before)?, *state)));
    Signal::new(lived).then(Span::new(end, now), State::Good)
}
