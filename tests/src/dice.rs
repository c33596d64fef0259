//! Chance that can be had again: the same numbers for the same seed, which the environment may set.

/// A small linear congruential generator (Knuth's MMIX constants).
#[derive(Clone, Debug)]
pub struct Dice(
    /// Where it stands.
    pub u64,
);

impl Dice {
    /// A number below `n`, which is not nought.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The number in environment variable `name`, or `default`: how a test goes further by hand.
pub fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number")))
}
