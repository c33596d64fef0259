//! The commands of `nines-probe`.
