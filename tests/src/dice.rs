//! Chance that can be had again: the same numbers for the same seed, which the environment may set.

/// A small linear congruential generator (Knuth's MMIX constants).
#[derive(Clone, Debug)]
pub struct Dice(
    /// Where it stands.
    pub u64,
);

impl Dice {
    /// Dice for `seed`: those of neighbouring seeds have nothing in common.
    pub fn of(seed: u64) -> Self {
        // The finalizer of splitmix64.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(mixed ^ (mixed >> 31))
    }

    /// A number below `n`, which is not nought.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    /// A place in a list of `len`, which is not empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("it is below a length")
    }

    /// A time below `ms`, which is positive.
    pub fn within_ms(&mut self, ms: i64) -> i64 {
        i64::try_from(self.below(ms.unsigned_abs())).expect("it is below an i64")
    }

    /// Whether something of `percent` in a hundred happens.
    pub fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The number in environment variable `name`, or `default`: how a test goes further by hand.
pub fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number")))
}
