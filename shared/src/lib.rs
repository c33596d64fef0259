//! What probe and aggregator both say: slots, samples, checks and the messages between them.
//!
//! Serde and arithmetic only. No sockets, no files, no async; the one wall-clock read of the whole
//! product is [`time::Clock`]. Something belongs here when *both* sides use it, and only then.

pub mod address;
pub mod check;
pub mod duration;
pub mod hash;
pub mod id;
pub mod pattern;
pub mod sample;
pub mod seal;
pub mod secret;
pub mod slot;
pub mod spelling;
mod text;
pub mod time;
pub mod wire;
