//! Secrets by name: what a definition holds in the place of a password, a token or a key.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a secret is to be found; never the secret itself. `{ env = … }` or `{ file = … }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// In an environment variable.
    Env(String),
    /// In a file, its last line break cut.
    File(PathBuf),
}
