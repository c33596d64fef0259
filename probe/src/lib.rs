//! The agent on an edge VM: turns slots into samples and never loses one. `docs/ARCHITECTURE.md` is the map.

pub mod agent;
pub mod asks;
pub mod assignment;
pub mod canary;
pub mod cli;
pub mod clock_watch;
pub mod dispatch;
pub mod identity;
pub mod link;
pub mod probe_file;
pub mod prober;
mod root_servers;
pub mod schedule;
pub mod service_manager;
pub mod spool;
pub mod uplink;
pub mod waterfall;

#[cfg(test)]
mod stand_in;
