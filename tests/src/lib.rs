//! What the end-to-end tests stand on: real processes of both binaries, a target whose truth is known, a
//! sink that takes alerts, and waiting with a deadline instead of sleeping.

pub mod binaries;
pub mod dice;
pub mod disk;
pub mod dns_target;
pub mod door;
pub mod fleet;
pub mod http;
pub mod net;
pub mod power;
pub mod process;
pub mod real;
pub mod relay;
pub mod seen;
pub mod sim;
pub mod simulated;
pub mod sink;
pub mod target;
pub mod tls_target;
pub mod wait;
pub mod world;
