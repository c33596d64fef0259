//! The TLS question: a handshake, and what is expected of the chain.

mod cipher;
mod pin;
mod starttls;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ClientCertificate, HostPort, Reach};

pub use self::cipher::CipherSuite;
pub use self::pin::Pin;
pub use self::starttls::StartTls;

/// The most ports of one question.
pub const MAX_PORTS: usize = 8;
/// The most pins of one question.
pub const MAX_PINS: usize = 16;
/// The most names that one question wants a certificate to cover.
pub const MAX_EXPECTED_NAMES: usize = 100;

/// The most versions and cipher suites that one question asks about: each takes a connection.
pub const MAX_OFFERS: usize = 16;

/// A TLS handshake, and what is expected of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsQuestion {
    /// Where to connect.
    pub address: HostPort,
    /// Over which of the host's addresses.
    #[serde(default, skip_serializing_if = "Reach::is_default")]
    pub reach: Reach,
    /// Ask each of these ports instead of the address's; the worst decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The name to ask for and to verify, where it is not the address's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Trust these roots (PEM) instead of Mozilla's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// What is shown to a target that wants a certificate of the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// The protocol that is spoken before TLS, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starttls: Option<StartTls>,
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
        Self {
            address,
            reach,
            ports: Vec::new(),
            client_certificate: None,
            server_name: None,
            ca_pem: None,
            starttls: None,
            verify: true,
            expect,
        }
    }

    /// Tells `push` the key and the mend of every rule that the question breaks.
    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        self.reach.errors(Some(&self.address.host), "tls.family", push);
        if MAX_PORTS < self.ports.len() {
            push("tls.ports", format!("{} ports are too many; at most {MAX_PORTS}", self.ports.len()));
        }
        if self.ports.contains(&0) || (1..self.ports.len()).any(|at| self.ports[..at].contains(&self.ports[at])) {
            push("tls.ports", "each port is 1 to 65535, and named once".to_owned());
        }
        self.expect.errors(push);
    }

    /// The questions that this one is made of, where it is asked at several ports.
    pub fn by_port(&self) -> Vec<Self> {
        let at = |port: &u16| {
            let address = HostPort { port: *port, ..self.address.clone() };
            Self { address, ports: Vec::new(), ..self.clone() }
        };
        self.ports.iter().map(at).collect()
    }

    /// Where it is asked, for people.
    pub fn target(&self) -> String {
        if self.ports.is_empty() {
            return format!("tls:{}", self.address);
        }
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        format!("tls:{}:{}", self.address.host, ports.join(","))
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
    /// Protocol versions that the target must take, each by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<TlsVersion>,
    /// Protocol versions that the target must not take.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refuses: Vec<TlsVersion>,
    /// Cipher suites that the target must take, each by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ciphers: Vec<CipherSuite>,
    /// Cipher suites that the target must not take.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refuses_ciphers: Vec<CipherSuite>,
    /// The OCSP response that must be stapled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp: Option<OcspExpect>,
}

/// What a stapled OCSP response must be: about the certificate, in date, and signed by who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OcspExpect {
    /// Whatever it says.
    Stapled,
    /// And says that the certificate is good.
    Good,
}

impl TlsExpect {
    /// Tells `push` the key, as a TLS question has it, and the mend of every rule that is broken.
    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        if MAX_PINS < self.pins.len() {
            push("tls.expect.pins", format!("{} pins are too many; at most {MAX_PINS}", self.pins.len()));
        }
        if MAX_EXPECTED_NAMES < self.names.len() {
            let mend = format!("{} names are too many; at most {MAX_EXPECTED_NAMES}", self.names.len());
            push("tls.expect.names", mend);
        }
        if MAX_OFFERS < self.offers() {
            let mend = format!(
                "{} versions and ciphers are too many, since each takes a connection; at most {MAX_OFFERS}",
                self.offers()
            );
            push(if self.ciphers.is_empty() { "tls.expect.refuses_ciphers" } else { "tls.expect.ciphers" }, mend);
        }
        if let Some(version) = self.versions.iter().find(|version| self.refuses.contains(version)) {
            push("tls.expect.refuses", format!("{version} can't be both offered and refused"));
        }
        if let Some(suite) = self.ciphers.iter().find(|suite| self.refuses_ciphers.contains(suite)) {
            push("tls.expect.refuses_ciphers", format!("{suite} can't be both offered and refused"));
        }
        if self.alpn.as_ref().is_some_and(|name| !(1..=255).contains(&name.len())) {
            push("tls.expect.alpn", "a protocol's name has 1 to 255 bytes, such as h2 or http/1.1".to_owned());
        }
    }

    /// How many versions and cipher suites are asked about.
    pub fn offers(&self) -> usize {
        self.versions.len() + self.refuses.len() + self.ciphers.len() + self.refuses_ciphers.len()
    }
}

/// A TLS protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.0, RFC 2246: nobody should take it any more (RFC 8996).
    #[serde(rename = "1.0")]
    Tls10,
    /// TLS 1.1, RFC 4346: nobody should take it any more (RFC 8996).
    #[serde(rename = "1.1")]
    Tls11,
    /// TLS 1.2, RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3, RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

impl TlsVersion {
    /// Its name in evidence, such as `TLSv1.2`. Names sort as versions do.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLSv1.0",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// Its number in handshakes.
    pub const fn number(self) -> u16 {
        match self {
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
