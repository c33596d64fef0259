//! Checked names of things: `[a-z0-9-]{1,64}`, parsed once and valid ever after.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// The longest id, in bytes.
pub const MAX_ID_LEN: usize = 64;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id; an id is 1 to {MAX_ID_LEN} of the characters a-z, 0-9 and -")]
pub struct IdError(String);

fn checked(text: &str) -> Result<Box<str>, IdError> {
    let fits = (1..=MAX_ID_LEN).contains(&text.len());
    let clean = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits && clean { Ok(text.into()) } else { Err(IdError(text.chars().take(2 * MAX_ID_LEN).collect())) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        // By hand: `into = "String"` would make a copy for every sample that is written.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                checked(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    )+};
}

ids! {
    /// A customer: who an SLA is with.
    CustomerId,
    /// A service: what the customer sees.
    ServiceId,
    /// A check: one question asked of one target.
    CheckId,
    /// A region: where we look from.
    RegionId,
    /// A probe: one agent in a region.
    ProbeId,
    /// A channel: where alerts go.
    ChannelId,
    /// Names somebody who may act.
    PersonId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_lower_case_and_says_so_when_it_is_not() {
        assert!("shop-home-2".parse::<CheckId>().is_ok());
        for text in ["", "Shop", "a b", "ü", "a_b", &"x".repeat(65)] {
            let error = text.parse::<CheckId>().unwrap_err().to_string();
            assert!(error.contains("a-z, 0-9 and -"), "{error}");
        }
    }

    #[test]
    fn an_id_is_checked_on_the_wire_too() {
        assert!(serde_json::from_str::<RegionId>("\"eu-west\"").is_ok());
        assert!(serde_json::from_str::<RegionId>("\"EU\"").is_err());
    }
}
