//! The door as a probe meets it: real TLS over loopback, a real store.

mod asks;
mod assignments;
mod authorities;
mod batches;
mod clones;
mod connections;
mod enrolment;
mod fixture;
mod quotas;
mod renewal;
mod sharing;
