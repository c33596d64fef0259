//! Whether an answer must be proven by DNSSEC, and from which trust anchors.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::is_name;
use crate::text::by_text;

/// The most bytes of trust anchors.
const MAX_ANCHOR_BYTES: usize = 64 << 10;
/// The most records of trust anchors.
const MAX_ANCHORS: usize = 16;

/// An answer must be proven by DNSSEC, down from a trust anchor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dnssec {
    /// Where the chain of trust begins; the keys of the root where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Anchors>,
    /// Whether an answer of a zone that is provably not signed is right.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_insecure: bool,
}

/// Trust anchors of one zone: its DS or DNSKEY records as zone files write them, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Anchors {
    text: String,
    records: Vec<Anchor>,
}

/// One trust anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The zone whose key it is.
    pub zone: String,
    /// Whether it is the key itself (DNSKEY) or its digest (DS).
    pub is_key: bool,
    /// The three numbers of its data: tag, algorithm, digest type; or flags, protocol, algorithm.
    pub numbers: [u16; 3],
    /// Digest in hex, or key in base64.
    pub data: String,
}

impl Anchors {
    /// Each of them; at least one, and all of the same zone.
    pub fn records(&self) -> &[Anchor] {
        &self.records
    }
}

impl FromStr for Anchors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if MAX_ANCHOR_BYTES < text.len() {
            return Err(format!("trust anchors are at most {MAX_ANCHOR_BYTES} bytes"));
        }
        let bare = |line: &str| line.split(';').next().unwrap_or_default().trim().to_owned();
        let lines: Vec<String> = text.lines().map(bare).filter(|line| !line.is_empty()).collect();
        let records = lines.iter().map(|line| anchor(line)).collect::<Result<Vec<Anchor>, String>>()?;
        let [first, ..] = records.as_slice() else {
            return Err("there is no trust anchor; write DS or DNSKEY records, one a line".to_owned());
        };
        if MAX_ANCHORS < records.len() {
            return Err(format!("{} trust anchors are too many; at most {MAX_ANCHORS}", records.len()));
        }
        if let Some(other) = records.iter().find(|record| record.zone != first.zone) {
            return Err(format!("trust anchors are of one zone, not of {} and {}", first.zone, other.zone));
        }
        Ok(Self { text: lines.join("\n"), records })
    }
}

/// `ZONE [TTL] [IN] DS|DNSKEY NUMBER NUMBER NUMBER DATA…`
fn anchor(line: &str) -> Result<Anchor, String> {
    let wrong = || format!("{line:?} is not a trust anchor; write one such as \"shop.example. DS 12345 13 2 0A1B…\"");
    let mut words = line.split_whitespace();
    let zone = words.next().filter(|zone| is_name(zone)).ok_or_else(wrong)?;
    let mut words =
        words.skip_while(|word| word.eq_ignore_ascii_case("IN") || word.bytes().all(|byte| byte.is_ascii_digit()));
    let is_key = match words.next().map(str::to_ascii_uppercase).as_deref() {
        Some("DS") => false,
        Some("DNSKEY") => true,
        Some(_) | None => return Err(wrong()),
    };
    let mut number = || words.next()?.parse().ok();
    let numbers = number().zip(number()).zip(number()).map(|((a, b), c)| [a, b, c]).ok_or_else(wrong)?;
    let data: String = words.collect();
    let good = |byte: u8| {
        if is_key { byte.is_ascii_alphanumeric() || b"+/=".contains(&byte) } else { byte.is_ascii_hexdigit() }
    };
    if data.is_empty() || !data.bytes().all(good) || !(is_key || data.len().is_multiple_of(2)) {
        return Err(wrong());
    }
    let zone = zone.to_ascii_lowercase();
    Ok(Anchor { zone: zone.strip_suffix('.').unwrap_or(&zone).to_owned() + ".", is_key, numbers, data })
}

impl fmt::Display for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

by_text!(Anchors);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_read_as_zone_files_and_tools_write_them() {
        let text =
            "; of keymgr\nShop.Example. 3600 IN DS 12345 13 2 0a1b 2C3D\n\nshop.example DNSKEY 257 3 13 AbC+ /w==";
        let anchors: Anchors = text.parse().unwrap();
        let [digest, key] = anchors.records() else { panic!("two: {anchors:?}") };
        assert_eq!((digest.zone.as_str(), digest.is_key, digest.numbers), ("shop.example.", false, [12_345, 13, 2]));
        assert_eq!((key.data.as_str(), key.is_key, key.numbers), ("AbC+/w==", true, [257, 3, 13]));
        assert_eq!(anchors.to_string().parse::<Anchors>().unwrap(), anchors);
        assert_eq!(". DS 20326 8 2 E0".parse::<Anchors>().unwrap().records()[0].zone, ".");
    }

    #[test]
    fn what_is_no_anchor_is_refused() {
        for text in [
            "",
            "; nothing",
            "shop.example. A 192.0.2.1",
            "shop.example. DS 12345 13 2",
            "shop.example. DS 12345 13 2 0A1",
            "shop.example. DS 12345 13 2 XY",
            "shop.example. DS 12345 99999 2 0A",
            "shop..example. DS 12345 13 2 0A",
            "a.example. DS 1 13 2 0A\nb.example. DS 1 13 2 0A",
        ] {
            assert!(text.parse::<Anchors>().is_err(), "{text}");
        }
    }
}
