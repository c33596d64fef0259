//! The contract: what was promised, what was delivered, what is owed.
