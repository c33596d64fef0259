//! Silent probes: (when a probe was heard, since when we listen, now) → since when it is silent.

use nines_shared::time::Timestamp;

/// How often a probe gives a sign of life, in ms, samples or not.
pub const HEARTBEAT_MS: i64 = 10_000;
/// How long a probe may be silent before it is an incident, in ms: three heartbeats, and never under 30 s.
pub const SILENT_AFTER_MS: i64 = if 3 * HEARTBEAT_MS < 30_000 { 30_000 } else { 3 * HEARTBEAT_MS };

/// Since when a probe is silent that was `heard_at` last; `None` where it is not.
///
/// `listening_since` is when we began to be able to hear: silence from before that is ours.
/// `known_since` is when the silence on record began, where there is one: it goes on until the probe is heard, whoever
/// was deaf in between.
pub fn silent_since(
    heard_at: Timestamp,
    listening_since: Timestamp,
    known_since: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    if let Some(since) = known_since {
        return (heard_at <= since).then_some(since);
    }
    let due = heard_at.max(listening_since).plus_ms(SILENT_AFTER_MS);
    (due <= now).then(|| heard_at.plus_ms(HEARTBEAT_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + seconds * 1_000)
    }

    #[test]
    fn a_probe_is_silent_after_three_heartbeats_and_was_missed_from_the_first() {
        assert_eq!(silent_since(at(0), at(-100), None, at(29)), None);
        assert_eq!(silent_since(at(0), at(-100), None, at(30)), Some(at(10)));
    }

    #[test]
    fn silence_from_before_we_listened_is_ours() {
        assert_eq!(silent_since(at(0), at(3_600), None, at(3_629)), None);
        assert_eq!(silent_since(at(0), at(3_600), None, at(3_630)), Some(at(10)));
    }

    #[test]
    fn an_open_silence_goes_on_over_our_own_restart_and_ends_when_the_probe_is_heard() {
        assert_eq!(silent_since(at(0), at(3_600), Some(at(10)), at(3_601)), Some(at(10)));
        assert_eq!(silent_since(at(50), at(3_600), Some(at(10)), at(3_601)), None);
    }
}
