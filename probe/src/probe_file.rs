//! The probe's own file (TOML).
