//! One service at one instant: read what its figures depend on, and let the pure rooms decide.

use nines_shared::id::{CheckId, ServiceId};
use nines_shared::sample::{Outcome, Sample};
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use super::window::{FARTHEST_MS, LEAD_MS, Pace, WIDEN_MS, next_look, window};
use crate::incident::episode::{Episode, episodes};
use crate::incident::signal::{Signal, State, of_outages, of_suspicion, suspicion_due};
use crate::incident::transition::{Case, Change, TELL_HISTORY_MS, Transition, reconcile};
use crate::incident::{Incident, Kind, Scene, Subject, common, instants};
use crate::store::{StoreError, definitions, incidents, samples};
use crate::uptime::service::assess;
use crate::uptime::{ServiceAssessment, ServiceRecord, Verdict};

/// How often a window is widened before it is taken as it is: with doubling, far beyond [`FARTHEST_MS`].
const MAX_WIDENINGS: u32 = 40;
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
}

/// Judges one service at `now`, from one snapshot. `None` where there never was such a service.
///
/// # Errors
/// What the store says.
pub fn judge(conn: &Connection, question: &Question, now: Timestamp) -> Result<Option<Judgement>, StoreError> {
    let subject = Subject::Service(question.service.clone());
    let mut window = window(question.pace, question.changed_from, now);
    for widening in 0.. {
        let Some(view) = View::read(conn, &subject, question.pace, window, now)? else { return Ok(None) };
        let farther = view.farther(window, widening).filter(|_| widening < MAX_WIDENINGS);
        match farther {
            Some(from) => window.from = from,
            None => return view.judgement(conn, question).map(Some),
        }
    }
    Ok(None)
}

/// A service in a window, and what is on record of it there.
struct View {
    subject: Subject,
    pace: Pace,
    now: Timestamp,
    record: ServiceRecord,
    assessment: ServiceAssessment,
    tracks: Vec<Track>,
}

/// One kind of incident of the service.
struct Track {
    kind: Kind,
    signal: Signal,
    episodes: Vec<Episode>,
    recorded: Vec<Incident>,
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
        for (kind, signal) in
            [(Kind::Outage, of_outages(&assessment)), (Kind::Suspected, of_suspicion(&record, &assessment))]
        {
            let signal = ended_with_life(signal, &record, now);
            let lead = |at| instants::lead(&record, &assessment, at);
            let episodes = episodes(&signal, pace.resolve_after_ms(), lead);
            let recorded = incidents::touching(conn, kind, subject, window, now.plus_ms(-TELL_HISTORY_MS))?;
            tracks.push(Track { kind, signal, episodes, recorded });
        }
        Ok(Some(Self { subject: subject.clone(), pace, now, record, assessment, tracks }))
    }

    /// From where on to look instead, where this window cuts something; `None` where it cuts nothing.
    fn farther(&self, window: Span, widening: u32) -> Option<Timestamp> {
        let recorded = self.tracks.iter().flat_map(|track| &track.recorded);
        let earliest = recorded.map(|incident| incident.instants.started_at).min();
        if let Some(from) = earliest.filter(|from| *from < window.from) {
            return Some(from.plus_ms(-self.pace.margin_ms()));
        }
        let seen_from = self.assessment.window.from;
        let all_seen = seen_from <= self.record.life.from || window.from <= self.now.plus_ms(-FARTHEST_MS);
        let cut = self.tracks.iter().any(|track| track.signal.starts_failing() || track.lead_is_cut(seen_from));
        let wider = window.from.plus_ms(-(WIDEN_MS << widening.min(16)));
        (cut && !all_seen).then(|| wider.max(self.now.plus_ms(-FARTHEST_MS)))
    }

    fn judgement(&self, conn: &Connection, question: &Question) -> Result<Judgement, StoreError> {
        let mut transitions = Vec::new();
        for track in &self.tracks {
            let case = Case {
                kind: track.kind,
                subject: &self.subject,
                signal: &track.signal,
                episodes: &track.episodes,
                recorded: &track.recorded,
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
        let next_look = self.next_look();
        Ok(Judgement { service: question.service.clone(), transitions, next_look, face: self.face() })
    }

    /// The scene of the present without its samples; empty where nothing fails.
    fn seen_now(&self, track: &Track) -> Scene {
        let fails = track.signal.last() == Some(State::Failing);
        let now = self.assessment.window.to.plus_ms(-1);
        if fails { common::scene(&self.assessment, now, &[]) } else { Scene::default() }
    }

    /// Puts into the incident who saw what, from the samples that say most about it.
    fn explain(&self, conn: &Connection, transition: &mut Transition) -> Result<(), StoreError> {
        let incident = &mut transition.incident;
        let end = incident.instants.ended_at.unwrap_or(self.assessment.window.to);
        let at = end.plus_ms(-1);
        let checks = common::scene(&self.assessment, at, &[]).checks;
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
        let seen = common::scene(&self.assessment, at, &telling);
        incident.scene.grow(&seen);
        incident.scene.findings = seen.findings;
        incident.scene.detail = seen.detail;
        Ok(())
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
            if sample.outcome != Outcome::Down {
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
            let waits = track.signal.last() == Some(State::Good) && !last.is_over(resolve_after_ms);
            waits.then(|| self.now.plus_ms(resolve_after_ms - last.good_ms))
        });
        let suspicion = suspicion_due(&self.record, &self.assessment);
        let look = resolutions.chain(suspicion).chain([next_look(&self.record, self.now)]).min();
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
