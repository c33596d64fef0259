//! One process at a time is a probe: whoever comes second with its identity is turned away while the first lives.
//!
//! A process is known by what it drew when it began. It lives while it was heard within [`LEASE_MS`] and a
//! connection of its is open; one whose connections have all gone, as the kernel sees to when a process dies, has
//! [`RECONNECT_MS`] to come back. One that ends in order says so and leaves at once. So a machine that was cloned is
//! refused for as long as the original looks, and takes over when that has died; a probe that is killed and started
//! again waits a few seconds.
//!
//! It is a clone only where the first is heard again after a second was turned away: otherwise it was a restart.
//! Two processes that share even what was drawn, as a machine does that is copied while it runs, look alike from here.
//! One that does not say what it drew is a second one to whoever did, and is no process that could be the first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nines_shared::id::ProbeId;
use nines_shared::time::Timestamp;

/// How long a probe that says nothing is taken for alive, in ms: three heartbeats.
const LEASE_MS: i64 = 30_000;
/// How long a probe may be without any connection, in ms.
const RECONNECT_MS: i64 = 5_000;
/// How long a probe may be without any connection before others look in its place, in ms: one that lost its line for a
/// moment dials again within half a second. That is sooner than another process may come as it.
pub(super) const HUNG_UP_MS: i64 = 2_000;
/// How long ago a second one may have been turned away to be news when the first is heard, in ms: one that is refused
/// comes again within half a minute.
const CHALLENGE_MS: i64 = 60_000;
/// The most connections of one probe that are looked at.
const MAX_SEATS: usize = 16;

/// Stands for an open connection: gone when that is.
pub(super) type Seat = Arc<()>;

/// Which process is each probe. A probe has an entry once it was asked about, so there are as many as probes.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<BTreeMap<ProbeId, Lease>>);

/// What whoever comes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// The probe.
    Alone,
    /// The probe, and a second one was turned away since it was heard before.
    BesideAnother,
    /// A second one.
    Second,
}

impl Leases {
    /// Whether anything is known of `probe`.
    pub(super) fn know(&self, probe: &ProbeId) -> bool {
        self.with(|leases| leases.contains_key(probe))
    }

    /// Learns that the process `boot` of `probe` was heard at `heard`, before we began at `now`; what is known by now
    /// counts more.
    pub(super) fn learn(&self, probe: &ProbeId, boot: String, heard: Timestamp, now: Timestamp) {
        let lease = Lease { boot, heard, seats: Vec::new(), empty_since: Some(now), challenged: None };
        self.with(|leases| {
            leases.entry(probe.clone()).or_insert(lease);
        });
    }

    /// The process `boot` of `probe` comes on the connection of `seat`; `None` where it does not say which it is.
    pub(super) fn comes(&self, probe: &ProbeId, boot: Option<&str>, seat: &Seat, now: Timestamp) -> Came {
        self.with(|leases| match leases.get_mut(probe) {
            Some(lease) => lease.comes(boot, seat, now),
            None => {
                if let Some(boot) = boot {
                    leases.insert(probe.clone(), Lease::taken(boot, seat, now));
                }
                Came::Alone
            }
        })
    }

    /// The process `boot` of `probe` ends.
    pub(super) fn leaves(&self, probe: &ProbeId, boot: &str) {
        self.with(|leases| {
            if leases.get(probe).is_some_and(|lease| lease.boot == boot) {
                leases.remove(probe);
            }
        });
    }

    /// Those of whom no connection has been open for [`HUNG_UP_MS`]. Of a probe that does not say which process it is
    /// nothing is known.
    pub(super) fn hung_up(&self, now: Timestamp) -> Vec<ProbeId> {
        self.with(|leases| {
            let gone = leases.iter_mut().filter_map(|(probe, lease)| {
                let since = lease.empty_since(now)?;
                (HUNG_UP_MS <= now.since(since)).then(|| probe.clone())
            });
            gone.collect()
        })
    }

    /// Whoever was `probe` is not any more.
    pub(super) fn forget(&self, probe: &ProbeId) {
        self.with(|leases| {
            leases.remove(probe);
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<ProbeId, Lease>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which process is a probe.
#[derive(Debug)]
struct Lease {
    boot: String,
    heard: Timestamp,
    seats: Vec<Weak<()>>,
    /// Since when it is known to have no connection.
    empty_since: Option<Timestamp>,
    /// When another was turned away last, since this one was heard.
    challenged: Option<Timestamp>,
}

impl Lease {
    fn taken(boot: &str, seat: &Seat, now: Timestamp) -> Self {
        let seats = vec![Arc::downgrade(seat)];
        Self { boot: boot.to_owned(), heard: now, seats, empty_since: None, challenged: None }
    }

    fn comes(&mut self, boot: Option<&str>, seat: &Seat, now: Timestamp) -> Came {
        if boot == Some(&self.boot) {
            self.heard = now;
            self.empty_since = None;
            self.sit(seat);
            let challenged = self.challenged.take();
            let recently = challenged.is_some_and(|at| now.since(at) < CHALLENGE_MS);
            return if recently { Came::BesideAnother } else { Came::Alone };
        }
        if self.lives(now) {
            self.challenged = Some(now);
            return Came::Second;
        }
        if let Some(boot) = boot {
            *self = Self::taken(boot, seat, now);
        }
        Came::Alone
    }

    fn lives(&mut self, now: Timestamp) -> bool {
        // A clock that was set back must not keep the dead alive.
        self.heard = self.heard.min(now);
        self.empty_since = self.empty_since.map(|since| since.min(now));
        if LEASE_MS <= now.since(self.heard) {
            return false;
        }
        self.empty_since(now).is_none_or(|since| now.since(since) < RECONNECT_MS)
    }

    /// Since when it is known to have no connection at `now`, where that is so.
    fn empty_since(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.seats.retain(|seat| 0 < seat.strong_count());
        self.seats.is_empty().then(|| *self.empty_since.get_or_insert(now))
    }

    fn sit(&mut self, seat: &Seat) {
        let this = Arc::downgrade(seat);
        if !self.seats.iter().any(|known| known.ptr_eq(&this)) {
            self.seats.retain(|seat| 0 < seat.strong_count());
            if self.seats.len() < MAX_SEATS {
                self.seats.push(this);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + ms)
    }

    /// A probe whose process "one" came at 0 on a connection.
    fn taken() -> (Leases, ProbeId, Seat) {
        let (leases, probe, seat) = (Leases::default(), "eu-west-1".parse().unwrap(), Seat::default());
        assert_eq!(leases.comes(&probe, Some("one"), &seat, at(0)), Came::Alone);
        (leases, probe, seat)
    }

    #[test]
    fn a_second_process_is_turned_away_while_the_first_is_heard_and_the_first_learns_of_it() {
        let (leases, probe, seat) = taken();
        let (second, now) = (Seat::default(), 29_999);
        assert_eq!(leases.comes(&probe, Some("two"), &second, at(now)), Came::Second);
        assert_eq!(leases.comes(&probe, Some("one"), &seat, at(now)), Came::BesideAnother);
        assert_eq!(leases.comes(&probe, Some("one"), &seat, at(now)), Came::Alone, "told once");
        assert_eq!(leases.comes(&probe, Some("two"), &second, at(now + 29_999)), Came::Second);
    }

    #[test]
    fn a_process_that_is_silent_for_the_lease_is_taken_for_dead_though_its_connection_stands() {
        let (leases, probe, seat) = taken();
        assert_eq!(leases.comes(&probe, Some("two"), &Seat::default(), at(LEASE_MS)), Came::Alone);
        assert_eq!(leases.comes(&probe, Some("one"), &seat, at(LEASE_MS)), Came::Second, "the places are changed");
    }

    #[test]
    fn a_process_that_died_is_followed_within_moments_and_nobody_speaks_of_clones() {
        let (leases, probe, seat) = taken();
        drop(seat);
        let next = Seat::default();
        assert_eq!(leases.comes(&probe, Some("two"), &next, at(1_000)), Came::Second);
        assert_eq!(leases.comes(&probe, Some("two"), &next, at(1_000 + RECONNECT_MS - 1)), Came::Second);
        assert_eq!(leases.comes(&probe, Some("two"), &next, at(1_000 + RECONNECT_MS)), Came::Alone);
        assert_eq!(leases.comes(&probe, Some("two"), &next, at(1_000 + RECONNECT_MS)), Came::Alone);
    }

    #[test]
    fn a_process_that_lost_its_connection_for_a_moment_keeps_its_place() {
        let (leases, probe, seat) = taken();
        drop(seat);
        assert_eq!(leases.comes(&probe, Some("two"), &Seat::default(), at(1_000)), Came::Second);
        let again = Seat::default();
        assert_eq!(leases.comes(&probe, Some("one"), &again, at(2_000)), Came::BesideAnother);
        assert_eq!(leases.comes(&probe, Some("two"), &Seat::default(), at(20_000)), Came::Second);
    }

    #[test]
    fn one_that_leaves_makes_room_at_once_and_nobody_else_can_leave_for_it() {
        let (leases, probe, _seat) = taken();
        leases.leaves(&probe, "two");
        assert_eq!(leases.comes(&probe, Some("two"), &Seat::default(), at(1)), Came::Second);
        leases.leaves(&probe, "one");
        assert_eq!(leases.comes(&probe, Some("two"), &Seat::default(), at(1)), Came::Alone);
    }

    #[test]
    fn whoever_was_heard_before_we_began_has_the_first_right_for_a_moment() {
        let (leases, probe) = (Leases::default(), "eu-west-1".parse().unwrap());
        leases.learn(&probe, "one".to_owned(), at(-1_000), at(0));
        assert_eq!(leases.comes(&probe, Some("two"), &Seat::default(), at(1_000)), Came::Second);
        assert_eq!(leases.comes(&probe, Some("two"), &Seat::default(), at(RECONNECT_MS)), Came::Alone);
        leases.learn(&probe, "one".to_owned(), at(-1_000), at(6_000));
        assert_eq!(
            leases.comes(&probe, Some("one"), &Seat::default(), at(6_000)),
            Came::Second,
            "what is known counts more"
        );
    }

    #[test]
    fn one_that_does_not_say_who_it_is_is_a_second_one_while_the_first_lives_and_takes_no_place_after() {
        let (leases, probe, seat) = taken();
        let nobody = |now| leases.comes(&probe, None, &Seat::default(), at(now));
        assert_eq!(nobody(1), Came::Second);
        assert_eq!(leases.comes(&probe, Some("one"), &seat, at(2)), Came::BesideAnother, "it is told of");
        assert_eq!(nobody(2 + LEASE_MS), Came::Alone);
        assert_eq!(leases.comes(&probe, Some("one"), &seat, at(3 + LEASE_MS)), Came::Alone, "whose place it still is");
        assert_eq!(leases.comes(&"eu-west-2".parse().unwrap(), None, &seat, at(0)), Came::Alone);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_no_dead_process_alive() {
        const HOUR_MS: i64 = 3_600_000;
        let (leases, probe, _seat) = taken();
        let next = |now| leases.comes(&probe, Some("two"), &Seat::default(), at(now));
        assert_eq!(next(-HOUR_MS), Came::Second);
        assert_eq!(next(LEASE_MS - HOUR_MS), Came::Alone);
    }

    #[test]
    fn who_has_had_no_connection_for_a_moment_has_hung_up_until_it_comes_again() {
        let (leases, probe, seat) = taken();
        assert_eq!(leases.hung_up(at(LEASE_MS)), [], "one that is silent with its connection open has not");
        drop(seat);
        assert_eq!(leases.hung_up(at(LEASE_MS)), []);
        assert_eq!(leases.hung_up(at(LEASE_MS + HUNG_UP_MS - 1)), []);
        assert_eq!(leases.hung_up(at(LEASE_MS + HUNG_UP_MS)), std::slice::from_ref(&probe));
        let again = Seat::default();
        leases.comes(&probe, Some("one"), &again, at(LEASE_MS + HUNG_UP_MS));
        assert_eq!(leases.hung_up(at(2 * LEASE_MS)), []);
        drop(again);
        assert_eq!(leases.hung_up(at(3 * LEASE_MS)), [], "the time counts anew");
        leases.leaves(&probe, "one");
        assert_eq!(leases.hung_up(at(4 * LEASE_MS)), [], "who left in order is not looked at");
    }
}
