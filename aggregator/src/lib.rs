//! The aggregator: it stores samples, computes what customers see against their SLA, pages people when
//! regions agree, and writes the report. `docs/ARCHITECTURE.md` is the map.

pub mod acceptance;
pub mod alert;
pub mod archive;
pub mod cli;
pub mod confirm;
pub mod control;
pub mod counters;
pub mod definition;
pub mod evaluator;
pub mod fingerprint;
pub mod fleet_file;
pub mod gateway;
pub mod incident;
pub mod logging;
pub mod places;
pub mod quickstart;
pub mod report;
pub mod running;
pub mod secret_values;
pub mod serve;
pub mod sharing;
pub mod store;
pub mod uptime;
pub mod web;
pub mod words;
