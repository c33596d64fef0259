//! Alerts: routes, the outbox's loop, channels.

pub mod outbox;
