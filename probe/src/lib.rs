//! The agent on an edge VM: turns slots into samples and never loses one. `docs/ARCHITECTURE.md` is the map.

pub mod prober;
