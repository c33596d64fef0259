//! Is it us? → inconclusive.
