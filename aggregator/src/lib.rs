//! The aggregator: it stores samples, computes what customers see against their SLA, pages people when
//! regions agree, and writes the report. `docs/ARCHITECTURE.md` is the map.

pub mod definition;
pub mod uptime;
