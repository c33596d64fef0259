//! Incidents: (verdicts, now) → transitions, by pure functions.
