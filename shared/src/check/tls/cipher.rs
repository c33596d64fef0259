//! Cipher suites by the names that IANA's registry gives them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::by_text;

/// A cipher suite by its number in IANA's registry. Written as its name there, or as `0x` and four hex digits where
/// it has none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CipherSuite(pub u16);

impl CipherSuite {
    /// Every suite that has a name here: those of certificates and of nobody (`anon`), without those of
    /// pre-shared keys, Kerberos and single countries.
    pub const KNOWN: &'static [(Self, &'static str)] = KNOWN;

    /// Whether it is one of TLS 1.3, which knows no others.
    pub const fn is_of_tls13(self) -> bool {
        self.0 >> 8 == 0x13
    }
}

impl FromStr for CipherSuite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::KNOWN.iter().find(|(_, name)| *name == text).map(|(suite, _)| *suite);
        let numbered = || {
            text.strip_prefix("0x").filter(|hex| hex.len() == 4 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
        };
        let suite = named.or_else(|| numbered().and_then(|hex| u16::from_str_radix(hex, 16).ok()).map(Self));
        suite.ok_or_else(|| {
            format!(
                "{text:?} is no cipher suite known here; write its name in IANA's registry, such as \
                 TLS_RSA_WITH_3DES_EDE_CBC_SHA, or its number, such as 0x000a"
            )
        })
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::KNOWN.iter().find(|(suite, _)| suite == self) {
            Some((_, name)) => f.pad(name),
            None => write!(f, "0x{:04x}", self.0),
        }
    }
}

by_text!(CipherSuite);

macro_rules! known {
    ($($number:literal $name:ident)*) => {
        const KNOWN: &[(CipherSuite, &str)] = &[$((CipherSuite($number), stringify!($name))),*];
    };
}

known! {
    0x1301 TLS_AES_128_GCM_SHA256
    0x1302 TLS_AES_256_GCM_SHA384
    0x1303 TLS_CHACHA20_POLY1305_SHA256
    0x1304 TLS_AES_128_CCM_SHA256
    0x1305 TLS_AES_128_CCM_8_SHA256
    0xc02b TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    0xc02c TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
    0xcca9 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    0xc02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    0xc030 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
    0xcca8 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    0xc0ac TLS_ECDHE_ECDSA_WITH_AES_128_CCM
    0xc0ad TLS_ECDHE_ECDSA_WITH_AES_256_CCM
    0xc0ae TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8
    0xc0af TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8
    0x009e TLS_DHE_RSA_WITH_AES_128_GCM_SHA256
    0x009f TLS_DHE_RSA_WITH_AES_256_GCM_SHA384
    0xccaa TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    0xc09e TLS_DHE_RSA_WITH_AES_128_CCM
    0xc09f TLS_DHE_RSA_WITH_AES_256_CCM
    0x00a2 TLS_DHE_DSS_WITH_AES_128_GCM_SHA256
    0x00a3 TLS_DHE_DSS_WITH_AES_256_GCM_SHA384
    0x009c TLS_RSA_WITH_AES_128_GCM_SHA256
    0x009d TLS_RSA_WITH_AES_256_GCM_SHA384
    0xc09c TLS_RSA_WITH_AES_128_CCM
    0xc09d TLS_RSA_WITH_AES_256_CCM
    0xc023 TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256
    0xc024 TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384
    0xc009 TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
    0xc00a TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA
    0xc027 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256
    0xc028 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384
    0xc013 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
    0xc014 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA
    0x0067 TLS_DHE_RSA_WITH_AES_128_CBC_SHA256
    0x006b TLS_DHE_RSA_WITH_AES_256_CBC_SHA256
    0x0033 TLS_DHE_RSA_WITH_AES_128_CBC_SHA
    0x0039 TLS_DHE_RSA_WITH_AES_256_CBC_SHA
    0x0045 TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA
    0x0088 TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA
    0x009a TLS_DHE_RSA_WITH_SEED_CBC_SHA
    0x0040 TLS_DHE_DSS_WITH_AES_128_CBC_SHA256
    0x006a TLS_DHE_DSS_WITH_AES_256_CBC_SHA256
    0x0032 TLS_DHE_DSS_WITH_AES_128_CBC_SHA
    0x0038 TLS_DHE_DSS_WITH_AES_256_CBC_SHA
    0x003c TLS_RSA_WITH_AES_128_CBC_SHA256
    0x003d TLS_RSA_WITH_AES_256_CBC_SHA256
    0x002f TLS_RSA_WITH_AES_128_CBC_SHA
    0x0035 TLS_RSA_WITH_AES_256_CBC_SHA
    0x0041 TLS_RSA_WITH_CAMELLIA_128_CBC_SHA
    0x0084 TLS_RSA_WITH_CAMELLIA_256_CBC_SHA
    0x0096 TLS_RSA_WITH_SEED_CBC_SHA
    0x0007 TLS_RSA_WITH_IDEA_CBC_SHA
    0xc02d TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256
    0xc02e TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384
    0xc031 TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256
    0xc032 TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384
    0xc004 TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA
    0xc005 TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA
    0xc00e TLS_ECDH_RSA_WITH_AES_128_CBC_SHA
    0xc00f TLS_ECDH_RSA_WITH_AES_256_CBC_SHA
    0xc008 TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA
    0xc012 TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA
    0x0016 TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA
    0x0013 TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA
    0x000a TLS_RSA_WITH_3DES_EDE_CBC_SHA
    0xc007 TLS_ECDHE_ECDSA_WITH_RC4_128_SHA
    0xc011 TLS_ECDHE_RSA_WITH_RC4_128_SHA
    0x0005 TLS_RSA_WITH_RC4_128_SHA
    0x0004 TLS_RSA_WITH_RC4_128_MD5
    0x0015 TLS_DHE_RSA_WITH_DES_CBC_SHA
    0x0009 TLS_RSA_WITH_DES_CBC_SHA
    0x0014 TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA
    0x0008 TLS_RSA_EXPORT_WITH_DES40_CBC_SHA
    0x0006 TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5
    0x0003 TLS_RSA_EXPORT_WITH_RC4_40_MD5
    0x00a6 TLS_DH_anon_WITH_AES_128_GCM_SHA256
    0x00a7 TLS_DH_anon_WITH_AES_256_GCM_SHA384
    0x0034 TLS_DH_anon_WITH_AES_128_CBC_SHA
    0x003a TLS_DH_anon_WITH_AES_256_CBC_SHA
    0x001b TLS_DH_anon_WITH_3DES_EDE_CBC_SHA
    0x0018 TLS_DH_anon_WITH_RC4_128_MD5
    0xc018 TLS_ECDH_anon_WITH_AES_128_CBC_SHA
    0xc019 TLS_ECDH_anon_WITH_AES_256_CBC_SHA
    0xc017 TLS_ECDH_anon_WITH_3DES_EDE_CBC_SHA
    0xc016 TLS_ECDH_anon_WITH_RC4_128_SHA
    0xc006 TLS_ECDHE_ECDSA_WITH_NULL_SHA
    0xc010 TLS_ECDHE_RSA_WITH_NULL_SHA
    0xc015 TLS_ECDH_anon_WITH_NULL_SHA
    0x003b TLS_RSA_WITH_NULL_SHA256
    0x0002 TLS_RSA_WITH_NULL_SHA
    0x0001 TLS_RSA_WITH_NULL_MD5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_read_as_it_is_written_by_name_or_by_number() {
        for (suite, name) in CipherSuite::KNOWN {
            assert_eq!((name.parse(), suite.to_string().as_str()), (Ok(*suite), *name));
        }
        assert_eq!("0x000a".parse(), Ok(CipherSuite(10)));
        assert_eq!(CipherSuite(0xfafa).to_string().parse(), Ok(CipherSuite(0xfafa)));
        for bad in ["", "3DES", "ECDHE-RSA-AES128-GCM-SHA256", "0xa", "0x+00a", "10"] {
            assert!(bad.parse::<CipherSuite>().is_err(), "{bad}");
        }
    }
}
