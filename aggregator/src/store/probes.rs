//! The tables of probes.

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "";
