//! Sampling is not seeing: the three hold rules, side by side.
//!
//! An outage that is sampled has a true length nobody can know, so everything is computed three times: as
//! measured, and by two rules that give the least and the most that the same samples allow. The rules differ
//! only between two neighbouring samples of one region; everywhere else they agree. Since verdicts only grow
//! worse with more regions down, `at_least ≤ measured ≤ at_most` holds for whatever is built on them.

use super::Verdict;

/// The same thing by each of the three hold rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded<T> {
    /// As measured: a sample counts until the next one begins.
    pub measured: T,
    /// The least that the samples allow: down only between two samples that both are.
    pub at_least: T,
    /// The most that the samples allow: down between two samples of which either is.
    pub at_most: T,
}

impl<T> Bounded<T> {
    /// The three by reference.
    pub fn as_ref(&self) -> Bounded<&T> {
        Bounded { measured: &self.measured, at_least: &self.at_least, at_most: &self.at_most }
    }

    /// The three by `make`, which is told how to pick its part of another triple.
    pub fn each<U>(make: impl Fn(fn(&Bounded<U>) -> &U) -> T) -> Self {
        Self {
            measured: make(|three| &three.measured),
            at_least: make(|three| &three.at_least),
            at_most: make(|three| &three.at_most),
        }
    }
}

/// What a region says between a sample that says `left` and the next event: a neighbouring sample that says
/// `right`, or, where there is no neighbour, `None`.
pub fn between(left: Verdict, right: Option<Verdict>) -> Bounded<Verdict> {
    let (at_least, at_most) = match right {
        None => (left, left),
        Some(right) if left == Verdict::Down => (right, left),
        Some(Verdict::Down) => (left, Verdict::Down),
        Some(Verdict::Up | Verdict::Degraded | Verdict::Unknown) => (left, left),
    };
    Bounded { measured: left, at_least, at_most }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Degraded, Down, Up};

    #[test]
    fn between_two_failures_every_rule_says_down() {
        assert_eq!(between(Down, Some(Down)), Bounded { measured: Down, at_least: Down, at_most: Down });
    }

    #[test]
    fn at_an_edge_the_rules_differ() {
        assert_eq!(between(Up, Some(Down)), Bounded { measured: Up, at_least: Up, at_most: Down });
        assert_eq!(between(Down, Some(Degraded)), Bounded { measured: Down, at_least: Degraded, at_most: Down });
    }

    #[test]
    fn without_a_neighbour_the_measured_rule_stands() {
        assert_eq!(between(Down, None), Bounded { measured: Down, at_least: Down, at_most: Down });
        assert_eq!(between(Up, Some(Degraded)), Bounded { measured: Up, at_least: Up, at_most: Up });
    }
}
