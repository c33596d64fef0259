//! Faults that real hosts meet, made to happen: lines that break, hosts that freeze, clocks that step, disks that
//! fill or lose their power, descriptors that run out. Real processes of both programs; what is asserted is what is
//! seen from outside.
//!
//! The numbers in the tests' names are those of the table in `docs/RELIABILITY.md`. One program, so that slow
//! tests, which mostly wait, wait together.

mod clocks;
mod definitions;
mod disks;
mod files;
mod lines;
mod power;
mod silence;
mod truth;
