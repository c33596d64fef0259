//! The schema's versions: forward in one transaction, and a newer file is refused.

use super::{definitions, incidents, outbox, probes, samples};

/// Each migration is a list of SQL scripts; the number of migrations applied is the file's `user_version`.
/// Each room's file holds the tables it owns.
pub(super) const MIGRATIONS: &[&[&str]] =
    &[&[samples::TABLES, definitions::TABLES, probes::TABLES, incidents::TABLES, outbox::TABLES]];
