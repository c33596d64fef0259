//! The tables of incidents.

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "";
