//! Secrets by name: what a definition holds in the place of a password, a token or a key.
//!
//! A definition never holds a secret itself, so that no store, page, export, log or digest of it can show one.
//! The values are [`Secrets`]: they travel beside the checks that name them, and end in memory and in the probe's
//! cache, which only the probe may read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The most bytes of one secret; more than any token, password or key has.
pub const MAX_SECRET_BYTES: usize = 64 << 10;

/// Where a secret is to be found; never the secret itself. `{ env = … }` or `{ file = … }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// In an environment variable.
    Env(String),
    /// In a file, its last line break cut.
    File(PathBuf),
}

/// For people: `env SHOP_TOKEN`, `file /run/secrets/shop`.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// A secret itself. Not shown by `Debug`, and without `Display`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretValue(String);

impl SecretValue {
    /// `text`, which is secret from here on.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret, for whoever is about to send it to where it belongs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// The values of some secrets. What can't be had is not among them.
///
/// On the wire a list of names with their values. A name of a kind that this version does not know is left out: the
/// checks that bear it can't be read either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<serde_json::Value>", into = "Vec<Entry>")]
pub struct Secrets(BTreeMap<Secret, SecretValue>);

impl Secrets {
    /// The value of `name`, where it can be had.
    pub fn get(&self, name: &Secret) -> Option<&SecretValue> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Secret, SecretValue)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (Secret, SecretValue)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// One of [`Secrets`] on the wire.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: Secret,
    value: SecretValue,
}

impl From<Vec<serde_json::Value>> for Secrets {
    fn from(entries: Vec<serde_json::Value>) -> Self {
        let readable = entries.into_iter().filter_map(|entry| serde_json::from_value::<Entry>(entry).ok());
        readable.map(|entry| (entry.name, entry.value)).collect()
    }
}

impl From<Secrets> for Vec<Entry> {
    fn from(secrets: Secrets) -> Self {
        secrets.0.into_iter().map(|(name, value)| Entry { name, value }).collect()
    }
}

/// Words that the name of a key, a header or a parameter has where its value is likely secret.
const TELLING: &[&str] = &[
    "secret",
    "authorization",
    "password",
    "passwd",
    "token",
    "cookie",
    "api-key",
    "api_key",
    "apikey",
    "x-auth",
    "bearer",
    "session",
    "credential",
    "signature",
    "passphrase",
    "assertion",
    "jwt",
];

/// Names that are likely to hold a secret, and are too short to look for within others.
const TELLING_ALONE: &[&str] = &["key", "sig", "pwd", "auth"];

/// Whether a key, header or parameter of this name is likely to hold a secret.
pub fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING_ALONE.contains(&name.as_str()) || TELLING.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let file = Secret::File("/run/secrets/shop".into());
        let value = |text: &str| SecretValue::new(text.to_owned());
        [(Secret::Env("SHOP_TOKEN".to_owned()), value("hunter2")), (file, value("hunter3"))].into_iter().collect()
    }

    #[test]
    fn no_print_for_debugging_shows_a_value() {
        let shown = format!("{:?} {:#?}", secrets(), secrets());
        assert!(shown.contains("SHOP_TOKEN") && !shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn they_come_over_the_wire_as_they_were() {
        let wire = serde_json::to_string(&secrets()).unwrap();
        assert_eq!(
            wire,
            r#"[{"name":{"env":"SHOP_TOKEN"},"value":"hunter2"},{"name":{"file":"/run/secrets/shop"},"value":"hunter3"}]"#
        );
        assert_eq!(serde_json::from_str::<Secrets>(&wire).unwrap(), secrets());
    }

    #[test]
    fn a_kind_of_a_later_version_is_left_out_and_the_others_are_read() {
        let later = r#"[{"name":{"vault":"a/b"},"value":"x"},{"name":{"env":"A"},"value":"y","since":3}]"#;
        let read: Secrets = serde_json::from_str(later).unwrap();
        assert_eq!(read.get(&Secret::Env("A".to_owned())).map(SecretValue::reveal), Some("y"));
    }
}
