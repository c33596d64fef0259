//! The tables of samples.

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "";
