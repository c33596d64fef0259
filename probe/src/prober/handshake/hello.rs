//! PURE: a ClientHello of our own, for what can't be asked through rustls: versions and cipher suites that it
//! does not speak. No handshake is ever completed with one; only the answer to it counts.

use nines_shared::check::{CipherSuite, TlsVersion};

/// Random bytes that a hello takes: its random, a session id, a key share.
pub(super) const RANDOM_BYTES: usize = 96;

const X25519: u16 = 29;
/// x25519, secp256r1, secp384r1, secp521r1, ffdhe2048, ffdhe3072.
const GROUPS: [u16; 6] = [X25519, 23, 24, 25, 256, 257];
/// From the good (ECDSA, EdDSA, PSS) to those by SHA-1 and MD5: what is asked is what the target would take.
const SIGNATURES: [u16; 18] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601,
    0x0203, 0x0201, 0x0202, 0x0101,
];

/// What a target is asked to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// One version, with whatever cipher suite.
    Version(TlsVersion),
    /// One cipher suite, with the versions that have it.
    Cipher(CipherSuite),
    /// Anything at all up to TLS 1.2.
    Anything,
}

impl Asked {
    /// The version that the hello is of.
    pub(crate) const fn version(self) -> TlsVersion {
        match self {
            Self::Version(version) => version,
            Self::Cipher(suite) if suite.is_of_tls13() => TlsVersion::Tls13,
            Self::Cipher(_) | Self::Anything => TlsVersion::Tls12,
        }
    }

    /// The cipher suites that it offers.
    pub(crate) fn suites(self) -> Vec<CipherSuite> {
        if let Self::Cipher(suite) = self {
            return vec![suite];
        }
        let of_13 = self.version() == TlsVersion::Tls13;
        let known = CipherSuite::KNOWN.iter().map(|(suite, _)| *suite);
        known.filter(|suite| suite.is_of_tls13() == of_13).collect()
    }
}

/// The record with the hello that asks `name`'s server for `asked`. An address has no name to send.
pub(super) fn hello(asked: Asked, name: Option<&str>, random: &[u8; RANDOM_BYTES]) -> Vec<u8> {
    let (random, rest) = random.split_at(32);
    let (session, share) = rest.split_at(32);
    let version = asked.version();
    let mut body = Vec::with_capacity(512);
    // TLS 1.3 calls itself 1.2 here, and its own name in an extension (RFC 8446 §4.1.2).
    put(&mut body, version.number().min(TlsVersion::Tls12.number()));
    body.extend_from_slice(random);
    nested(&mut body, 1, |body| {
        if version == TlsVersion::Tls13 {
            body.extend_from_slice(session);
        }
    });
    nested(&mut body, 2, |body| asked.suites().iter().for_each(|suite| put(body, suite.0)));
    // One compression: none.
    body.extend_from_slice(&[1, 0]);
    nested(&mut body, 2, |body| extensions(body, version, name, share));
    let mut record = vec![22, 3, 1];
    nested(&mut record, 2, |record| {
        record.push(1);
        nested(record, 3, |record| record.extend_from_slice(&body));
    });
    record
}

fn extensions(body: &mut Vec<u8>, version: TlsVersion, name: Option<&str>, share: &[u8]) {
    if let Some(name) = name {
        extension(body, 0, |body| {
            nested(body, 2, |body| {
                body.push(0);
                nested(body, 2, |body| body.extend_from_slice(name.as_bytes()));
            });
        });
    }
    extension(body, 10, |body| nested(body, 2, |body| GROUPS.iter().for_each(|group| put(body, *group))));
    if TlsVersion::Tls12 <= version {
        extension(body, 13, |body| {
            nested(body, 2, |body| SIGNATURES.iter().for_each(|scheme| put(body, *scheme)));
        });
    }
    if version == TlsVersion::Tls13 {
        extension(body, 43, |body| nested(body, 1, |body| put(body, version.number())));
        extension(body, 51, |body| {
            nested(body, 2, |body| {
                put(body, X25519);
                // Any 32 bytes are a public key of X25519; nobody needs the private one.
                nested(body, 2, |body| body.extend_from_slice(share));
            });
        });
        return;
    }
    // Uncompressed points, the extended master secret, and secure renegotiation: some servers insist.
    extension(body, 11, |body| body.extend_from_slice(&[1, 0]));
    extension(body, 23, |_empty| {});
    extension(body, 0xff01, |body| body.push(0));
}

fn extension(body: &mut Vec<u8>, number: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    put(body, number);
    nested(body, 2, fill);
}

fn put(body: &mut Vec<u8>, number: u16) {
    body.extend_from_slice(&number.to_be_bytes());
}

/// What `fill` writes, behind its length in `width` bytes. All that is written here fits two bytes of length.
fn nested(body: &mut Vec<u8>, width: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = body.len();
    body.resize(start + width, 0);
    fill(body);
    let length = (body.len() - start - width).to_be_bytes();
    body[start..start + width].copy_from_slice(&length[length.len() - width..]);
}

#[cfg(test)]
mod tests {
    use rustls::server::Acceptor;

    use super::*;

    const RANDOM: [u8; RANDOM_BYTES] = [7; RANDOM_BYTES];

    #[test]
    fn our_hello_is_one_that_rustls_reads_and_it_says_what_was_asked() {
        for (asked, suites) in [
            (Asked::Version(TlsVersion::Tls13), 5),
            (Asked::Version(TlsVersion::Tls12), CipherSuite::KNOWN.len() - 5),
            (Asked::Cipher(CipherSuite(0x000a)), 1),
            (Asked::Cipher(CipherSuite(0x1301)), 1),
            (Asked::Anything, CipherSuite::KNOWN.len() - 5),
        ] {
            let mut acceptor = Acceptor::default();
            acceptor.read_tls(&mut hello(asked, Some("shop.example"), &RANDOM).as_slice()).unwrap();
            let accepted = acceptor.accept().unwrap().unwrap();
            let read = accepted.client_hello();
            assert_eq!((read.server_name(), read.cipher_suites().len()), (Some("shop.example"), suites), "{asked:?}");
            assert!(read.named_groups().unwrap().contains(&rustls::NamedGroup::X25519));
        }
    }

    #[test]
    fn a_hello_of_an_old_version_says_so_and_has_nothing_of_the_new_ones() {
        for version in [TlsVersion::Tls10, TlsVersion::Tls11] {
            let bytes = hello(Asked::Version(version), None, &RANDOM);
            assert_eq!(bytes[..3], [22, 3, 1]);
            assert_eq!(bytes[9..11], version.number().to_be_bytes());
            assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])), bytes.len() - 5);
        }
    }

    #[test]
    fn our_names_of_cipher_suites_are_those_of_the_registry() {
        for (suite, name) in CipherSuite::KNOWN {
            let known = rustls::CipherSuite::from(suite.0);
            assert_eq!(known.as_str().map(|name| name.replacen("TLS13_", "TLS_", 1)).as_deref(), Some(*name));
        }
    }
}
