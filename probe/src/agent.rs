//! The agent: assignment, schedule, dispatch, spool and uplink, wired together.
