//! The commands of `nines-probe`.

pub mod check;
