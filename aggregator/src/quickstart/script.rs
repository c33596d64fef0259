//! What the demo service does and when: plain data. It never reads a clock; the shell that plays it says
//! how much time has gone by.

use std::net::Ipv4Addr;

use nines_shared::time::{Span, Timestamp};

/// How the demo service behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Right, but slowly, for everyone.
    Slow,
    /// It answers 503 to one region, which it knows by its address.
    FailsForOne,
    /// It hangs up on everyone.
    FailsForAll,
}

impl Mood {
    /// Whether whoever comes from `address` gets an error page.
    pub(super) fn refuses(self, address: Ipv4Addr) -> bool {
        match self {
            Self::Well | Self::Slow | Self::FailsForAll => false,
            Self::FailsForOne => address == VICTIM,
        }
    }
}

/// From where the region looks for which alone the demo fails in its third scene.
pub(super) const VICTIM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 13);

/// A part of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    /// When it begins, in ms after the story's start, at speed 1.
    pub(super) from_ms: i64,
    /// How the demo behaves in it.
    pub(super) mood: Mood,
    /// What a narrator would say.
    pub(super) title: &'static str,
}

/// The story. The failure for all is long enough that its edges, known to a step, are a small part of it.
pub(super) const SCENES: [Scene; 7] = [
    Scene { from_ms: 0, mood: Mood::Well, title: "the demo shop opens" },
    Scene { from_ms: 14_000, mood: Mood::Slow, title: "the shop grows slow, for everyone" },
    Scene { from_ms: 30_000, mood: Mood::Well, title: "it is quick again" },
    Scene { from_ms: 40_000, mood: Mood::FailsForOne, title: "it fails, but for Mumbai alone" },
    Scene { from_ms: 56_000, mood: Mood::Well, title: "Mumbai is served again" },
    Scene { from_ms: 64_000, mood: Mood::FailsForAll, title: "it fails for everyone" },
    Scene { from_ms: 88_000, mood: Mood::Well, title: "it recovers" },
];

/// When the story ends and the report is written, in ms after its start, at speed 1.
pub(super) const END_MS: i64 = 104_000;

/// The fastest that the story may be told: a scene must outlast the checks' intervals.
pub const MAX_SPEED: u8 = 4;

/// The story at a speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    speed: i64,
}

impl Script {
    /// The story, told `speed` times as fast: 1 to [`MAX_SPEED`].
    pub(super) fn new(speed: u8) -> Self {
        Self { speed: i64::from(speed.clamp(1, MAX_SPEED)) }
    }

    /// Each scene with the ms after the start at which it begins, in order.
    pub(super) fn scenes(self) -> impl Iterator<Item = (i64, Scene)> {
        SCENES.into_iter().map(move |scene| (scene.from_ms / self.speed, scene))
    }

    /// When the story ends, in ms after its start.
    pub(super) fn end_ms(self) -> i64 {
        END_MS / self.speed
    }

    /// ms between two looks of one region: two seconds, or one where the story is told faster.
    pub(super) fn interval_ms(self) -> i64 {
        if self.speed == 1 { 2_000 } else { 1_000 }
    }
}

/// When the demo really failed for everyone, from the instants at which its moods changed.
pub(super) fn truth(changes: &[(Timestamp, Mood)]) -> Option<Span> {
    let begins = changes.iter().position(|(_, mood)| *mood == Mood::FailsForAll)?;
    let (from, to) = (changes[begins].0, changes.get(begins + 1)?.0);
    Some(Span { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_story_takes_less_than_two_minutes() {
        assert!(Script::new(1).end_ms() < 120_000);
        assert_eq!(Script::new(4).end_ms(), 26_000);
        assert_eq!(Script::new(99).end_ms(), 26_000, "faster than that, the checks would miss a scene");
    }

    #[test]
    fn scenes_come_in_order_and_the_last_one_is_good() {
        let scenes: Vec<_> = Script::new(1).scenes().collect();
        assert!(scenes.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(scenes[0].0, 0);
        assert_eq!(scenes[scenes.len() - 1].1.mood, Mood::Well);
        assert!(scenes[scenes.len() - 1].0 < Script::new(1).end_ms());
    }

    #[test]
    fn every_scene_outlasts_two_looks_at_every_speed() {
        for speed in 1..=MAX_SPEED {
            let script = Script::new(speed);
            let mut edges: Vec<i64> = script.scenes().map(|(from, _)| from).collect();
            edges.push(script.end_ms());
            assert!(
                edges.windows(2).all(|pair| 2 * script.interval_ms() <= pair[1] - pair[0]),
                "speed {speed}: {edges:?}"
            );
        }
    }

    #[test]
    fn one_region_alone_is_refused_in_one_scene_alone() {
        let other = Ipv4Addr::new(127, 0, 0, 11);
        assert!(Mood::FailsForOne.refuses(VICTIM) && !Mood::FailsForOne.refuses(other));
        assert!(!Mood::Well.refuses(VICTIM) && !Mood::Slow.refuses(VICTIM));
    }

    #[test]
    fn the_truth_is_what_the_demo_did() {
        let at = Timestamp::from_ms;
        let changes =
            [(at(0), Mood::Well), (at(10), Mood::FailsForOne), (at(20), Mood::FailsForAll), (at(50), Mood::Well)];
        assert_eq!(truth(&changes), Some(Span { from: at(20), to: at(50) }));
        assert_eq!(truth(&changes[..3]), None, "it is not over yet");
    }
}
