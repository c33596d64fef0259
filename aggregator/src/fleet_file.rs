//! The fleet file: TOML → definitions, every error with its place.
