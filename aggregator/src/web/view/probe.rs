//! The probes: who looks, from where, and whether they live.

use nines_shared::time::Timestamp;

use super::Names;
use crate::incident::Incident;
use crate::incident::ailment::{Ailment, Sign, on_record};
use crate::incident::silence::SILENT_AFTER_MS;
use crate::store::probes::ProbeRecord;
use crate::web::shade::Shade;
use crate::words;

/// Whether a probe lives, as far as we hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Life {
    /// It gave a sign of life a moment ago.
    Alive,
    /// It gave none for longer than it may.
    Silent,
    /// It joined and never gave one.
    NeverHeard,
    /// It was shut out.
    Revoked,
}

impl Life {
    /// Of `probe` at `now`.
    pub(in crate::web) fn of(probe: &ProbeRecord, now: Timestamp) -> Self {
        match probe.seen_at {
            _ if probe.revoked_at.is_some() => Self::Revoked,
            None => Self::NeverHeard,
            Some(seen_at) if now.since(seen_at) < SILENT_AFTER_MS => Self::Alive,
            Some(_) => Self::Silent,
        }
    }

    /// Its stable name.
    pub(in crate::web) const fn code(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::NeverHeard => "never_heard",
            Self::Revoked => "revoked",
        }
    }

    const fn shade(self) -> Shade {
        match self {
            Self::Alive => Shade::Up,
            Self::Silent | Self::NeverHeard => Shade::Unknown,
            Self::Revoked => Shade::Blank,
        }
    }
}

/// One probe.
#[derive(Clone, Debug)]
pub(in crate::web) struct ProbeRow {
    pub(in crate::web) id: String,
    pub(in crate::web) region: String,
    pub(in crate::web) shade: Shade,
    pub(in crate::web) word: String,
    /// "2 s ago".
    pub(in crate::web) seen: String,
    /// Samples that wait on the probe.
    pub(in crate::web) waiting: u64,
    /// "+3 ms".
    pub(in crate::web) clock: String,
    /// What is wrong with it beside silence.
    pub(in crate::web) trouble: String,
}

/// The probes of the fleet, those that were shut out apart, with what the `open` incidents say of them.
pub(in crate::web) fn rows(probes: &[ProbeRecord], open: &[Incident], names: &Names, now: Timestamp) -> Vec<ProbeRow> {
    let there = probes.iter().map(|probe| (probe, Life::of(probe, now))).filter(|(_, life)| *life != Life::Revoked);
    there.map(|(probe, life)| row(probe, (life, on_record(open, &probe.id)), names, now)).collect()
}

/// "4 min 2 s ago"; two seconds are now.
fn ago(ms: i64) -> String {
    if ms < 2_000 { "just now".to_owned() } else { format!("{} ago", words::duration(ms)) }
}

fn row(probe: &ProbeRecord, (life, ailments): (Life, &[Ailment]), names: &Names, now: Timestamp) -> ProbeRow {
    let health = &probe.health;
    let offset = health
        .clock_offset_ms
        .map(|ms| if ms < 0 { format!("−{} ms", ms.unsigned_abs()) } else { format!("+{ms} ms") });
    let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let told = |sign| ailments.iter().find(|ailment| ailment.sign == sign).map(|ailment| ailment.words.clone());
    let silent = || (health.canaries_ok == Some(false)).then(|| "canaries do not answer".to_owned());
    let trouble = [
        // Which names silent canaries too.
        told(Sign::Faulty).or_else(silent),
        told(Sign::Clock),
        counted(health.dropped, "dropped, the spool was full"),
        counted(health.held, "held, the disk does not take them"),
        counted(health.refused, "refused"),
        counted(health.missed, "slots missed"),
    ];
    ProbeRow {
        id: probe.id.to_string(),
        region: names.region(&probe.region),
        shade: life.shade(),
        word: words::code(life.code()),
        seen: probe.seen_at.map_or_else(|| "never".to_owned(), |at| ago(now.since(at))),
        waiting: health.spooled,
        clock: offset.unwrap_or_else(|| "not measured".to_owned()),
        trouble: trouble.into_iter().flatten().collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Subject;
    use crate::incident::measured::Measured;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn record(canaries_ok: Option<bool>) -> ProbeRecord {
        ProbeRecord {
            id: "eu-west-1".parse().unwrap(),
            region: "eu-west".parse().unwrap(),
            joined_at: NOW,
            certificate_until: NOW,
            authority: 1,
            cloned: None,
            revoked_at: None,
            ailing_since: None,
            dropped_at: None,
            seen_at: Some(NOW),
            health: nines_shared::wire::Health { canaries_ok, ..Default::default() },
        }
    }

    #[test]
    fn the_page_says_why_a_probe_is_not_believed() {
        let mut incident = crate::alert::plan::tests::incident();
        incident.subject = Subject::Probe("eu-west-1".parse().unwrap());
        let words = "it says the contrary of every other region".to_owned();
        let ailment = Ailment { sign: Sign::Faulty, since: NOW, words };
        incident.scene.measured = Some(Measured::Probe(vec![ailment]));
        let trouble =
            |canaries_ok, open: &[Incident]| rows(&[record(canaries_ok)], open, &Names::of(&[]), NOW).remove(0).trouble;
        assert_eq!(trouble(Some(true), &[incident]), "it says the contrary of every other region");
        assert_eq!(trouble(Some(false), &[]), "canaries do not answer");
        assert_eq!(trouble(None, &[]), "");
    }
}
