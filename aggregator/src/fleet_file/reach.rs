//! `family` and `addresses`, which questions of several protocols have.

use nines_shared::check::{Addresses, Family, Reach};

use super::reader::Table;

const FAMILIES: &[(&str, Family)] = &[("any", Family::Any), ("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)];
const ADDRESSES: &[(&str, Addresses)] = &[("one", Addresses::One), ("every", Addresses::Every)];

/// Over which addresses the question of `table` is asked.
pub(super) fn read(table: &Table<'_>) -> Option<Reach> {
    let family = table.get_or("family", Family::default(), |value| value.one_of(FAMILIES));
    let addresses = table.get_or("addresses", Addresses::default(), |value| value.one_of(ADDRESSES));
    Some(Reach { family: family?, addresses: addresses? })
}
