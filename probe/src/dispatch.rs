//! Sleep until due, take a permit, run, hand to the spool.
