//! Alerts: routes, the outbox's loop, channels.
