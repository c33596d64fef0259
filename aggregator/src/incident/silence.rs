//! Silent probes: (when a probe was heard, since when we listen, now) → the signal of its silence.
//!
//! A probe's silence is ours to mend and never a customer's outage; it has a kind of incident of its own.

use nines_shared::id::ProbeId;
use nines_shared::time::{Span, Timestamp};

use super::episode::Episode;
use super::instants::Lead;
use super::signal::{Signal, State};

/// How often a probe gives a sign of life, in ms, samples or not.
pub const HEARTBEAT_MS: i64 = 10_000;
/// How long a probe may be silent before it is an incident, in ms: three heartbeats, and never under 30 s.
pub const SILENT_AFTER_MS: i64 = if 3 * HEARTBEAT_MS < 30_000 { 30_000 } else { 3 * HEARTBEAT_MS };

/// A probe that ought to be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which probe.
    pub probe: ProbeId,
    /// When it gave its last sign of life, by our clock.
    pub at: Timestamp,
}

/// The signal and the episodes of a probe's silence, for [`super::transition::reconcile`].
///
/// `listening_since` is when we began to be able to hear: silence from before that is ours.
/// `silent_since` is when the open incident about it started, where there is one.
pub fn silence(
    heard: &Heard,
    listening_since: Timestamp,
    silent_since: Option<Timestamp>,
    now: Timestamp,
) -> (Signal, Vec<Episode>) {
    let first_missed = heard.at.plus_ms(HEARTBEAT_MS);
    if let Some(since) = silent_since {
        // It stays silent until it is heard after the incident's start, whoever was deaf in between.
        let back = since < heard.at;
        let state = if back { State::Good } else { State::Failing };
        let spoke = Span::new(since, heard.at.max(since));
        let episode = Episode {
            failing: vec![if back { spoke } else { Span::new(since, now) }],
            fails_now: !back,
            good_ms: if back { now.since(heard.at).max(0) } else { 0 },
            lead: Lead { last_good_at: Some(heard.at), first_failure_at: since },
        };
        return (Signal::new([(Span::new(since.min(now.plus_ms(-1)), now), state)]), vec![episode]);
    }
    let due = heard.at.max(listening_since).plus_ms(SILENT_AFTER_MS);
    if now < due {
        return (Signal::new([(Span::new(now.plus_ms(-1), now), State::Good)]), Vec::new());
    }
    let silent = Span::new(first_missed, now);
    let lead = Lead { last_good_at: Some(heard.at), first_failure_at: first_missed };
    let episode = Episode { failing: vec![silent], fails_now: true, good_ms: 0, lead };
    (Signal::new([(silent, State::Failing)]), vec![episode])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + seconds * 1_000)
    }

    fn heard(seconds: i64) -> Heard {
        Heard { probe: "eu-west-1".parse().unwrap(), at: at(seconds) }
    }

    #[test]
    fn a_probe_is_silent_after_three_heartbeats_and_was_missed_from_the_first() {
        assert_eq!(silence(&heard(0), at(-100), None, at(29)).1, []);
        let (signal, episodes) = silence(&heard(0), at(-100), None, at(30));
        assert_eq!(signal.last(), Some(State::Failing));
        assert_eq!((episodes[0].started_at(), episodes[0].fails_now), (at(10), true));
    }

    #[test]
    fn silence_from_before_we_listened_is_ours() {
        assert_eq!(silence(&heard(0), at(3_600), None, at(3_629)).1, []);
        assert_eq!(silence(&heard(0), at(3_600), None, at(3_630)).1.len(), 1);
    }

    #[test]
    fn an_open_silence_goes_on_over_our_own_restart_and_ends_when_the_probe_is_heard() {
        let (_, episodes) = silence(&heard(0), at(3_600), Some(at(10)), at(3_601));
        assert!(episodes[0].fails_now);
        let (_, episodes) = silence(&heard(50), at(3_600), Some(at(10)), at(3_601));
        assert!(episodes[0].is_over(0));
        assert_eq!(episodes[0].ended_at(), Some(at(50)));
    }
}
