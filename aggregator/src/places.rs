//! Places for the connections of a door: so many in all, and no more than a share of them for one address.
//!
//! Whoever comes when all places are taken waits in the kernel's queue. Whoever comes from an address that has its
//! share is turned away at once, so that a storm from one place does not keep others out. Addresses of IPv6 count by
//! their /64: whoever has one of those has all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one door; clones share them.
#[derive(Clone, Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    of_one: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place that a connection has until this is dropped.
#[derive(Debug)]
pub struct Place {
    _one: OwnedSemaphorePermit,
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    /// So many in all, and so many of one address.
    pub fn new(all: usize, of_one: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one, taken: Arc::default() }
    }

    /// Whether all are taken at the moment.
    pub fn is_full(&self) -> bool {
        self.all.available_permits() == 0
    }

    /// A free place, as soon as there is one.
    pub async fn free(&self) -> OwnedSemaphorePermit {
        self.all.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Gives `free` to a connection from `address`; `None` where that has its share.
    pub fn take(&self, free: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let address = counted(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let its = taken.entry(address).or_default();
        if self.of_one <= *its {
            return None;
        }
        *its += 1;
        Some(Place { _one: free, address, taken: self.taken.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(its) = taken.get_mut(&self.address) {
            *its -= 1;
            if *its == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// As what `address` counts.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn one_address_has_its_share_and_the_others_have_theirs() {
        let places = Places::new(10, 2);
        let sat =
            [places.take(places.free().await, ip("192.0.2.1")), places.take(places.free().await, ip("192.0.2.1"))];
        assert!(sat.iter().all(Option::is_some));
        assert!(places.take(places.free().await, ip("192.0.2.1")).is_none());
        assert!(places.take(places.free().await, ip("::ffff:192.0.2.1")).is_none(), "the same in other clothes");
        let other = places.take(places.free().await, ip("192.0.2.2"));
        assert!(other.is_some());
        drop(sat);
        assert!(places.take(places.free().await, ip("192.0.2.1")).is_some(), "a place that is left is free");
        drop(other);
        assert!(places.taken.lock().unwrap().is_empty(), "who is gone is forgotten");
    }

    #[tokio::test]
    async fn a_network_of_ipv6_counts_as_one() {
        let places = Places::new(10, 1);
        let _sat = places.take(places.free().await, ip("2001:db8::1")).unwrap();
        assert!(places.take(places.free().await, ip("2001:db8::ffff:1")).is_none());
        assert!(places.take(places.free().await, ip("2001:db8:0:1::1")).is_some());
    }

    #[tokio::test]
    async fn whoever_is_turned_away_takes_no_place_from_others() {
        let places = Places::new(2, 1);
        let _sat = places.take(places.free().await, ip("192.0.2.1")).unwrap();
        for _ in 0..10 {
            assert!(places.take(places.free().await, ip("192.0.2.1")).is_none());
        }
        let _other = places.take(places.free().await, ip("192.0.2.2")).unwrap();
        assert!(places.is_full());
    }
}
