//! The TCP question: a connection, what is said over it, and what the target must say.

use serde::{Deserialize, Serialize};

use super::{HostPort, Reach};
use crate::pattern::Regex;

/// The most bytes that a check may send.
pub const MAX_SEND_BYTES: usize = 4 << 10;

/// A TCP connection, and what is expected of its first bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpQuestion {
    /// Where to connect.
    pub address: HostPort,
    /// Over which of the host's addresses.
    #[serde(default, skip_serializing_if = "Reach::is_default")]
    pub reach: Reach,
    /// Whether a TLS handshake comes first, with a chain that is valid for the host.
    #[serde(default)]
    pub tls: bool,
    /// Trust these roots (PEM) instead of Mozilla's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// What is sent first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// What the target must say.
    #[serde(default, skip_serializing_if = "TcpExpect::is_empty")]
    pub expect: TcpExpect,
}

/// What a target must say; all that is there must hold of one beginning of what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpExpect {
    /// It begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_starts: Option<String>,
    /// It has this in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_contains: Option<String>,
    /// It matches this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_matches: Option<Regex>,
}

impl TcpExpect {
    /// Whether the target need not say anything.
    pub fn is_empty(&self) -> bool {
        self.banner_starts.is_none() && self.banner_contains.is_none() && self.banner_matches.is_none()
    }
}

impl TcpQuestion {
    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        self.reach.errors(Some(&self.address.host), "tcp.family", push);
        match self.send.as_ref().map(String::len) {
            Some(0) => push("tcp.send", "there is nothing to send; leave send out".to_owned()),
            Some(bytes) if MAX_SEND_BYTES < bytes => {
                push("tcp.send", format!("{bytes} bytes are too many to send; at most {MAX_SEND_BYTES}"));
            }
            Some(_) | None => {}
        }
        let empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        for (key, text) in [
            ("tcp.expect.banner_starts", &self.expect.banner_starts),
            ("tcp.expect.banner_contains", &self.expect.banner_contains),
        ] {
            if empty(text) {
                push(key, "nothing is expected; write a text that the target says, or leave it out".to_owned());
            }
        }
    }
}
