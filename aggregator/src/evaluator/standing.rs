//! What is read of a service's last minutes: coverage and burn rates; and of the certificates that its targets show.
//!
//! The minutes are carried from tick to tick, so that a window of three days costs a few additions. They are read from
//! samples where they are not there: once after a start, and where something was down for the first time in hours.

use nines_shared::id::CheckId;
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use super::judge::{Question, View};
use crate::definition::Slo;
use crate::incident::certificate::{CHANGED, MAX_CHANGES, Notice, changes, ends_first};
use crate::incident::measured::Measured;
use crate::incident::standing::{Reading, Standing, settle};
use crate::incident::transition::{TELL_HISTORY_MS, Transition, for_the_record};
use crate::incident::{Incident, Kind, Scene, Subject, flap};
use crate::store::{StoreError, definitions, incidents, shown};
use crate::uptime::burn_rate::{Burn, LONGEST_MS, LONGEST_SHORT_MS, Spent, firing};
use crate::uptime::minutes::Minutes;
use crate::uptime::service::assess;
use crate::uptime::{Accounts, Verdict, accounts, maintenance, slo};

/// The window of which the coverage is watched, in ms.
pub const COVERAGE_WINDOW_MS: i64 = 3_600_000;
/// Where maintenance leaves less than this of it, coverage says nothing, in ms.
pub const LEAST_COUNTED_MS: i64 = 1_800_000;

/// The last minutes of the service: an hour, or the longest window of a burn rate where something was down.
pub(super) fn minutes(
    conn: &Connection,
    view: &View,
    question: &Question,
    open: &[Incident],
) -> Result<Minutes, StoreError> {
    let mut minutes = question.minutes.clone();
    minutes.absorb(&view.assessment);
    let burns =
        view.record.service.slo.is_some() && (known(open, view, Kind::BurnRate).is_some() || was_down(conn, view)?);
    let wanted_ms = if burns { LONGEST_MS } else { COVERAGE_WINDOW_MS };
    if view.now < view.record.life.to && !minutes.reach(wanted_ms, view.now, view.record.life.from) {
        let span = Span::new(view.now.plus_ms(-wanted_ms), view.now);
        if let Some(record) = definitions::service_record(conn, &question.service, span)? {
            minutes.absorb(&assess(&record, span, view.now));
        }
    }
    minutes.keep(wanted_ms, view.now);
    Ok(minutes)
}

/// Whether something was down in the longest of the short windows: else nothing burns.
fn was_down(conn: &Connection, view: &View) -> Result<bool, StoreError> {
    let since = view.now.plus_ms(-LONGEST_SHORT_MS);
    Ok(!incidents::recent(conn, Kind::Outage, &view.subject, since)?.is_empty())
}

/// Whether too little of the last hour was observed. What we could not have heard says nothing.
pub(super) fn of_coverage(
    conn: &Connection,
    view: &View,
    (question, minutes): (&Question, &Minutes),
    open: &[Incident],
) -> Result<Vec<Transition>, StoreError> {
    let floor_ppm = question.coverage_floor_ppm;
    let held = minutes.held(COVERAGE_WINDOW_MS, view.now);
    let began = view.now.plus_ms(-COVERAGE_WINDOW_MS);
    let whole = question.watched_since <= began && view.record.life.from <= began;
    let reaches = minutes.reach(COVERAGE_WINDOW_MS, view.now, view.record.life.from);
    let ppm = accounts::ppm(held.observed_ms, held.counted_ms).unwrap_or(0);
    let reading = if floor_ppm == 0 || view.record.life.to <= view.now {
        Reading::Good(view.now)
    } else if !whole || !reaches || held.counted_ms < LEAST_COUNTED_MS {
        Reading::Unknown
    } else if ppm < floor_ppm {
        Reading::Fails(view.now)
    } else {
        Reading::Good(view.now)
    };
    let seen = Scene { measured: Some(Measured::Coverage { ppm, floor_ppm }), ..Scene::default() };
    settled(conn, view, (Kind::Coverage, reading, &seen), open)
}

/// Whether the error budget is spent too fast.
pub(super) fn of_burn(
    conn: &Connection,
    view: &View,
    minutes: &Minutes,
    open: &[Incident],
) -> Result<Vec<Transition>, StoreError> {
    let spent = |ms| {
        let held = minutes.held(ms, view.now);
        Spent { down_ms: held.down_ms, observed_ms: held.observed_ms }
    };
    let lives = view.now < view.record.life.to;
    let objective = view.record.service.slo.as_ref().filter(|_| lives);
    let objective = objective.filter(|_| 0 < spent(LONGEST_SHORT_MS).down_ms);
    let Some((slo, firing)) = objective.and_then(|slo| Some((slo, firing(slo.availability_ppm, spent)?))) else {
        return settled(conn, view, (Kind::BurnRate, Reading::Good(view.now), &Scene::default()), open);
    };
    let budget = slo::budget(slo, &budget_accounts(conn, view, slo)?);
    let burn = Burn::of(firing, budget, spent(firing.pair.long_ms), view.now);
    let seen = Scene { measured: Some(Measured::Burn(burn)), ..Scene::default() };
    settled(conn, view, (Kind::BurnRate, Reading::Fails(view.now), &seen), open)
}

/// Whether a certificate that a target of the service shows ends soon, and which took the place of another of late.
pub(super) fn of_certificates(
    conn: &Connection,
    view: &View,
    question: &Question,
    open: &[Incident],
) -> Result<Vec<Transition>, StoreError> {
    let mut known = Vec::new();
    for (check, _) in &question.certificates {
        known.extend(shown::of_check(conn, check)?);
    }
    let warn_ms = |check: &CheckId| {
        question.certificates.iter().find(|(known, _)| known == check).map_or(0, |(_, warn_ms)| *warn_ms)
    };
    let lives = view.now < view.record.life.to && !question.certificates.is_empty();
    let (reading, seen) = match ends_first(&known, warn_ms, view.now) {
        _ if !lives => (Reading::Good(view.now), Scene::default()),
        Some((first, true)) => {
            let since = first.leaf.ends_at.plus_ms(-warn_ms(&first.check)).max(first.first_seen_at).min(view.now);
            (
                Reading::Fails(since),
                notice(Notice { check: first.check.clone(), leaf: first.leaf.clone(), before: None }),
            )
        }
        Some((_, false)) => (Reading::Good(view.now), Scene::default()),
        None => (Reading::Unknown, Scene::default()),
    };
    let mut transitions = settled(conn, view, (Kind::Certificate, reading, &seen), open)?;
    let since = view.now.plus_ms(-TELL_HISTORY_MS);
    let news = changes(&known, since);
    if !news.is_empty() {
        let noted = incidents::recent(conn, Kind::Certificate, &view.subject, since)?;
        let told = noted.iter().filter_map(|incident| match &incident.scene.measured {
            Some(Measured::Certificate(notice)) if notice.before.is_some() => Some(notice),
            _ => None,
        });
        let told: Vec<&Notice> = told.collect();
        let is_known =
            |new: &Notice| told.iter().any(|notice| notice.check == new.check && notice.leaf.sha256 == new.leaf.sha256);
        let new = news.into_iter().filter(|(new, _)| !is_known(new));
        let new = new.take(MAX_CHANGES.saturating_sub(told.len()));
        transitions.extend(new.map(|(new, at)| for_the_record(&view.subject, notice(new), at, view.now)));
    }
    Ok(transitions)
}

fn notice(notice: Notice) -> Scene {
    Scene { checks: vec![notice.check.clone()], measured: Some(Measured::Certificate(notice)), ..Scene::default() }
}

/// What counts in the objective's window, and what of it was down: as assessed, and before that by the outages on
/// record.
fn budget_accounts(conn: &Connection, view: &View, slo: &Slo) -> Result<Accounts, StoreError> {
    let from = view.now.plus_ms(-slo.window_ms).max(view.record.life.from);
    let window = Span::new(from, view.now);
    let outline = definitions::outline(conn, &view.record.service.id, window)?;
    let announced = outline.map(|record| maintenance::excluded(&record.maintenance, &record.service.id, window));
    let excluded = announced.unwrap_or_default();
    let outages = incidents::recent(conn, Kind::Outage, &view.subject, from)?;
    let standing = outages.iter().filter(|incident| !incident.withdrawn).flat_map(|incident| &incident.outages);
    let before = Span::new(from, view.assessment.window.from);
    let recorded = standing.map(|outage| Span::new(outage.from, outage.to.unwrap_or(view.now)));
    let recorded = recorded.filter_map(|span| span.intersection(before));
    let seen = view.assessment.timeline.spans().filter(|(_, verdict)| *verdict == Verdict::Down);
    let seen = seen.filter_map(|(span, _)| span.intersection(window));
    let down = maintenance::merged(recorded.chain(seen).collect());
    let down_ms: i64 = down.iter().map(|span| maintenance::outside_ms(&excluded, *span)).sum();
    let counted_ms = maintenance::outside_ms(&excluded, window);
    Ok(Accounts { down_ms, unknown_ms: counted_ms.saturating_sub(down_ms), ..Accounts::default() })
}

fn settled(
    conn: &Connection,
    view: &View,
    (kind, reading, seen): (Kind, Reading, &Scene),
    open: &[Incident],
) -> Result<Vec<Transition>, StoreError> {
    let known = known(open, view, kind);
    let beginnings = beginnings(conn, (kind, &view.subject), reading, view.now)?;
    let severity = match &seen.measured {
        Some(Measured::Burn(burn)) => burn.severity(),
        Some(Measured::Coverage { .. } | Measured::Probe(_) | Measured::Certificate(_)) | None => kind.severity(),
    };
    Ok(settle(&Standing {
        kind,
        subject: &view.subject,
        reading,
        severity,
        seen,
        last_good_at: None,
        open: known,
        beginnings: &beginnings,
        now: view.now,
    }))
}

/// When what is read as failing began of late.
pub(super) fn beginnings(
    conn: &Connection,
    (kind, subject): (Kind, &Subject),
    reading: Reading,
    now: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    match reading {
        Reading::Fails(_) => {
            let mut recent = incidents::recent(conn, kind, subject, now.plus_ms(-flap::FLAP_SPAN_MS))?;
            // What was recorded as over at once never began to fail.
            recent.retain(|incident| incident.reason() != Some(CHANGED));
            Ok(flap::beginnings(&recent))
        }
        Reading::Good(_) | Reading::Unknown => Ok(Vec::new()),
    }
}

fn known<'a>(open: &'a [Incident], view: &View, kind: Kind) -> Option<&'a Incident> {
    open.iter().find(|incident| incident.kind == kind && incident.subject == view.subject)
}
