//! Alerts: who is told (routes, silences), again and whom next (plan), what they are told (message, and text made of
//! it), and how it gets there (the outbox's loop, channels).
//!
//! What is to be told was written with the change that it tells of; here it is only delivered: at least once, in order
//! for each incident and channel, with a key that is the same at every attempt.

pub mod backoff;
pub mod channel;
pub mod follow;
pub mod message;
pub mod notice;
pub mod outbox;
pub mod plan;
pub mod quiet;
pub mod route;
pub mod telling;
pub mod text;
