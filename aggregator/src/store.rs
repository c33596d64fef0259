//! The only SQL: one writer thread with group commit, readers beside it.

pub mod definitions;
pub mod incidents;
pub mod outbox;
pub mod probes;
pub mod samples;
mod schema;

/// The database of a running aggregator. Clones share the writer.
#[derive(Clone, Debug)]
pub struct Store;
