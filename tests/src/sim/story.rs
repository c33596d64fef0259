//! What happened, in columns: when, to whom, what.

use std::fmt::{Display, Write as _};

use nines::uptime::calendar;
use nines_shared::time::Timestamp;

/// The story of a run so far.
#[derive(Debug, Default)]
pub struct Story {
    text: String,
    /// Whether every batch is told.
    trace: bool,
}

impl Story {
    /// One that tells every batch too, where `trace`.
    pub fn new(trace: bool) -> Self {
        Self { text: String::new(), trace }
    }

    /// Something happened to `host` at `at`.
    pub fn tell(&mut self, at: Timestamp, host: impl Display, what: impl Display) {
        let when = calendar::utc(at).replace('T', " ").replace('Z', "");
        writeln!(self.text, "{when}  {:<12}  {what}", host.to_string()).expect("memory takes it");
    }

    /// Something that happens all the time; told only where every batch is.
    pub fn trace(&mut self, at: Timestamp, host: impl Display, what: impl FnOnce() -> String) {
        if self.trace {
            self.tell(at, host, what());
        }
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }
}
