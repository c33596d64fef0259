//! Whether this machine's wall clock can be believed.
