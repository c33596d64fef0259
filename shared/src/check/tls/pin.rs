//! A pin: the digest of a public key, as HPKP (RFC 7469 §2.4) made it known.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use crate::text::by_text;

/// The SHA-256 of a certificate's SubjectPublicKeyInfo. Written `sha256/BASE64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin(pub [u8; 32]);

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digest = text.strip_prefix("sha256/").and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let digest = digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        digest.map(Self).ok_or_else(|| {
            format!("{text:?} is not a pin; write sha256/ and the 44 characters of Base64 that nines-probe check shows")
        })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", BASE64.encode(&self.0))
    }
}

by_text!(Pin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_written_and_nothing_else_is() {
        let pin = Pin([7; 32]);
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert_eq!(serde_json::from_str::<Pin>(&serde_json::to_string(&pin).unwrap()).unwrap(), pin);
        for bad in ["", "sha256/", "sha256/AAAA", &pin.to_string()[7..], &pin.to_string().replace("256", "1")] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }
}
