//! What truly happens to the target, and what whoever looks from a region sees of it.

use nines_shared::time::{Span, Timestamp};

use crate::dice::Dice;

/// What a look at the target comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It answers.
    Well,
    /// It answers slowly.
    Slow,
    /// It refuses the connection: that is known at once.
    Refused,
    /// It says nothing: that is known at the timeout.
    Mute,
    /// It answers 503.
    Broken,
}

impl Sight {
    /// Whether that is an outage.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Refused | Self::Mute | Self::Broken)
    }
}

/// The truth, as far as a sample can see it.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// From when on the target is what; before the first it is well.
    pub target: Vec<(Timestamp, Sight)>,
    /// When the target can't be reached from a region although it is well, by the region's number.
    pub local: Vec<(usize, Span)>,
}

const HOUR_MS: i64 = 3_600_000;

impl Truth {
    /// Hours of calm between outages, slowness and, unless it is `plain`, flapping and outages too short to be sampled.
    pub fn drawn(dice: &mut Dice, life: Span, interval_ms: i64, plain: bool) -> Self {
        let mut truth = Self::default();
        let mut at = life.from.plus_ms(2 * interval_ms);
        loop {
            at = at.plus_ms(4 * interval_ms + dice.within_ms(10 * HOUR_MS));
            let kinds = if plain { 8 } else { 11 };
            let (sight, lasts_ms) = match dice.below(kinds) {
                0..=5 => (fault(dice), 3 * interval_ms + dice.within_ms(3 * HOUR_MS)),
                6 | 7 => (Sight::Slow, 3 * interval_ms + dice.within_ms(2 * HOUR_MS)),
                8 => (fault(dice), 1_000 + dice.within_ms(interval_ms)),
                _ => {
                    let turns = flapping(dice, at, interval_ms);
                    at = turns.last().map_or(at, |(until, _)| *until);
                    if at <= life.to {
                        truth.target.extend(turns);
                    }
                    continue;
                }
            };
            if life.to < at.plus_ms(lasts_ms) {
                return truth;
            }
            truth.target.extend([(at, sight), (at.plus_ms(lasts_ms), Sight::Well)]);
            at = at.plus_ms(lasts_ms);
        }
    }

    /// What is seen from region number `region` at `at`.
    pub fn seen(&self, region: usize, at: Timestamp) -> Sight {
        if self.local.iter().any(|(there, span)| *there == region && span.contains(at)) {
            return Sight::Mute;
        }
        let next = self.target.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).map_or(Sight::Well, |index| self.target[index].1)
    }

    /// When the target is down, in order and apart.
    pub fn down(&self) -> Vec<Span> {
        let ends = self.target.iter().skip(1).map(|(at, _)| *at).chain([Timestamp::MAX]);
        let spans = self.target.iter().zip(ends).filter(|((_, sight), _)| sight.is_down());
        spans.map(|((from, _), to)| Span::new(*from, to)).collect()
    }
}

/// Down and up again, some times in a row, each for up to two intervals.
fn flapping(dice: &mut Dice, from: Timestamp, interval_ms: i64) -> Vec<(Timestamp, Sight)> {
    let (mut at, mut turns) = (from, Vec::new());
    for _ in 0..3 + dice.below(8) {
        for sight in [fault(dice), Sight::Well] {
            turns.push((at, sight));
            at = at.plus_ms(1_000 + dice.within_ms(2 * interval_ms));
        }
    }
    turns
}

fn fault(dice: &mut Dice) -> Sight {
    match dice.below(3) {
        0 => Sight::Refused,
        1 => Sight::Mute,
        _ => Sight::Broken,
    }
}
