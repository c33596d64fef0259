//! The record types that can be asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! record_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        /// A record type that can be asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum RecordType {
            $($(#[$doc])* #[serde(rename = $code)] $name,)+
        }

        impl RecordType {
            /// All of them, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name in DNS.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

record_types! {
    /// IPv4 addresses.
    A = "A",
    /// IPv6 addresses.
    Aaaa = "AAAA",
    /// Which authorities may issue certificates (RFC 8659).
    Caa = "CAA",
    /// The canonical name.
    Cname = "CNAME",
    /// The keys of a signed zone (RFC 4034).
    Dnskey = "DNSKEY",
    /// Which key of a signed zone its parent vouches for (RFC 4034).
    Ds = "DS",
    /// How to reach a web server (RFC 9460).
    Https = "HTTPS",
    /// Mail exchangers.
    Mx = "MX",
    /// Rules that rewrite a name (RFC 3403).
    Naptr = "NAPTR",
    /// Name servers.
    Ns = "NS",
    /// The name of an address.
    Ptr = "PTR",
    /// The start of a zone's authority: its serial.
    Soa = "SOA",
    /// Servers of a service (RFC 2782).
    Srv = "SRV",
    /// How to reach a service (RFC 9460).
    Svcb = "SVCB",
    /// Which certificate a server shows (RFC 6698).
    Tlsa = "TLSA",
    /// Texts.
    Txt = "TXT",
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for RecordType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|kind| kind.code().eq_ignore_ascii_case(text));
        known.copied().ok_or_else(|| {
            let codes: Vec<&str> = Self::ALL.iter().map(|kind| kind.code()).collect();
            format!("{text:?} is not a record type that can be asked for; use one of {}", codes.join(", "))
        })
    }
}
