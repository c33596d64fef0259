//! The TLS question: a handshake, and what is expected of the chain.

mod pin;

use serde::{Deserialize, Serialize};

use super::{HostPort, Reach};

pub use self::pin::Pin;

/// The most pins of one question.
pub const MAX_PINS: usize = 16;
/// The most names that one question wants a certificate to cover.
pub const MAX_EXPECTED_NAMES: usize = 100;

/// A TLS handshake, and what is expected of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsQuestion {
    /// Where to connect.
    pub address: HostPort,
    /// Over which of the host's addresses.
    #[serde(default, skip_serializing_if = "Reach::is_default")]
    pub reach: Reach,
    /// The name to ask for and to verify, where it is not the address's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Trust these roots (PEM) instead of Mozilla's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Whether the chain must be valid for the name. Where not, it is described and judged all the same.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub verify: bool,
    /// What the handshake must show.
    #[serde(default)]
    pub expect: TlsExpect,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
const fn is_yes(flag: &bool) -> bool {
    *flag
}

impl TlsQuestion {
    /// A handshake at `address` that expects only a chain that is valid for the address's host.
    pub fn at(address: HostPort) -> Self {
        let (reach, expect) = (Reach::default(), TlsExpect::default());
        Self { address, reach, server_name: None, ca_pem: None, verify: true, expect }
    }

    /// Tells `push` the key and the mend of every rule that the question breaks.
    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        self.reach.errors(Some(&self.address.host), "tls.family", push);
        let expect = &self.expect;
        if MAX_PINS < expect.pins.len() {
            push("tls.expect.pins", format!("{} pins are too many; at most {MAX_PINS}", expect.pins.len()));
        }
        if MAX_EXPECTED_NAMES < expect.names.len() {
            let mend = format!("{} names are too many; at most {MAX_EXPECTED_NAMES}", expect.names.len());
            push("tls.expect.names", mend);
        }
        if expect.alpn.as_ref().is_some_and(|name| !(1..=255).contains(&name.len())) {
            push("tls.expect.alpn", "a protocol's name has 1 to 255 bytes, such as h2 or http/1.1".to_owned());
        }
    }
}

/// What a TLS handshake must show, beside a chain that is valid for the name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsExpect {
    /// ms for which every certificate of the chain as it was verified must stay valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<i64>,
    /// The lowest acceptable protocol version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// The application protocol that is offered (ALPN) and must be agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// A part of the name of who issued the target's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Names and addresses that the target's own certificate must all be valid for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// One of the keys of the chain as it was verified must be one of these; without verification, the target's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
}

/// A TLS protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3, RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}
