//! The gRPC question: a call of the health protocol, and what the service must say of itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

use super::host_port::borrowed;
use super::{BareHost, HostPort, Reach};
use crate::text::by_text;

/// The most bytes of a service's name.
pub const MAX_SERVICE_BYTES: usize = 256;
/// The most entries of metadata.
pub const MAX_METADATA: usize = 32;

/// Metadata that the call itself has, or that HTTP/2 does not carry.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A call of `grpc.health.v1.Health/Check`, and what the service must say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcQuestion {
    /// Where to connect.
    pub address: HostPort,
    /// Over which of the host's addresses.
    #[serde(default, skip_serializing_if = "Reach::is_default")]
    pub reach: Reach,
    /// Whether over TLS (ALPN `h2`); HTTP/2 by prior knowledge where not.
    #[serde(default = "yes")]
    pub tls: bool,
    /// Which service's health; the whole server's where empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The authority to ask for and to verify, where it is not the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
    /// What else goes with the call, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<(String, String)>,
    /// Trust these roots (PEM) instead of Mozilla's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// What the service must say.
    #[serde(default)]
    pub expect: GrpcExpect,
}

const fn yes() -> bool {
    true
}

/// What a service must say of its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcExpect {
    /// Its status.
    pub status: Health,
}

/// What a service can be expected to say of its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Health {
    /// It serves.
    #[default]
    Serving,
    /// It does not, and is not meant to.
    NotServing,
}

impl Health {
    /// Its name in the protocol.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
        }
    }
}

/// A host, with a port or without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Authority {
    /// The host.
    pub host: Host<String>,
    /// The port.
    pub port: Option<u16>,
}

impl Authority {
    /// The host, borrowed.
    pub fn host(&self) -> Host<&str> {
        borrowed(&self.host)
    }
}

impl FromStr for Authority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(HostPort { host, port }) = text.parse() {
            return Ok(Self { host, port: Some(port) });
        }
        let bare: Result<BareHost, _> = text.parse();
        let wanted = |_| format!("{text:?} is not an authority; write a host or host:port, such as api.example");
        bare.map(|BareHost(host)| Self { host, port: None }).map_err(wanted)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

by_text!(Authority);

impl GrpcQuestion {
    /// The health of the whole server at `address`, over TLS.
    pub fn of(address: HostPort) -> Self {
        Self {
            address,
            reach: Reach::default(),
            tls: true,
            service: String::new(),
            authority: None,
            metadata: Vec::new(),
            ca_pem: None,
            expect: GrpcExpect::default(),
        }
    }

    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        self.reach.errors(Some(&self.address.host), "grpc.family", push);
        if MAX_SERVICE_BYTES < self.service.len() || self.service.chars().any(char::is_control) {
            push("grpc.service", "a service's name is at most 256 bytes without control characters".to_owned());
        }
        if MAX_METADATA < self.metadata.len() {
            push("grpc.metadata", format!("{} entries are too many; at most {MAX_METADATA}", self.metadata.len()));
        }
        for (name, value) in &self.metadata {
            let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
            if name.is_empty() || !name.bytes().all(letter) {
                push("grpc.metadata", format!("{name:?} is not a name of metadata; use a-z, 0-9, _ . and -"));
            } else if name.starts_with("grpc-") || RESERVED.contains(&name.as_str()) {
                push("grpc.metadata", format!("{name} is the call's own; leave it out"));
            } else if name.ends_with("-bin") {
                push("grpc.metadata", format!("{name} would be binary, which can't be written here"));
            }
            if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                push("grpc.metadata", format!("the value of {name} has other than printable ASCII characters"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_can_not_stand_in_for_what_the_call_has_itself() {
        let mut question = GrpcQuestion::of("api.example:443".parse().unwrap());
        for (name, value) in [("grpc-timeout", "1S"), ("te", "x"), ("X", "x"), ("x-bin", "x"), ("x", "a\nb"), ("", "x")]
        {
            question.metadata = vec![(name.to_owned(), value.to_owned())];
            let mut keys = Vec::new();
            question.errors(&mut |key, _mend| keys.push(key));
            assert_eq!(keys, ["grpc.metadata"], "{name}");
        }
        question.metadata = vec![("x-tenant".to_owned(), "shop".to_owned())];
        question.errors(&mut |key, mend| panic!("{key}: {mend}"));
    }

    #[test]
    fn an_authority_may_have_a_port() {
        for text in ["api.example", "api.example:8443", "[2001:db8::1]:443"] {
            assert_eq!(text.parse::<Authority>().unwrap().to_string(), text);
        }
        assert!("api.example/health".parse::<Authority>().is_err());
    }
}
