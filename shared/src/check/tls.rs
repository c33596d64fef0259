//! The TLS question: a handshake, and what is expected of the chain.

use serde::{Deserialize, Serialize};

use super::{HostPort, Reach};

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
    /// What the handshake must show.
    #[serde(default)]
    pub expect: TlsExpect,
}

impl TlsQuestion {
    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        self.reach.errors(Some(&self.address.host), "tls.family", push);
    }
}

/// What a TLS handshake must show, beside a chain that is valid for the name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsExpect {
    /// ms for which every certificate of the chain must stay valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<i64>,
    /// The lowest acceptable protocol version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
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
