//! Where chains of trust begin: the keys of the root, or a check's own.

use data_encoding::{BASE64, HEXUPPER_PERMISSIVE};
use hickory_proto::dnssec::rdata::{DNSKEY, DS};
use hickory_proto::dnssec::{Algorithm, DigestType, PublicKey, PublicKeyBuf};
use hickory_proto::rr::Name;
use nines_shared::check::{Anchor, Anchors, Dnssec};

/// The root's key-signing keys, as IANA publishes their digests: KSK-2017 and KSK-2024.
const ROOT: &str = ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n\
                    . DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16";

/// A zone and what vouches for its keys.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) zone: Name,
    digests: Vec<DS>,
    keys: Vec<DNSKEY>,
}

impl Trusted {
    /// What `dnssec` names, or the root's.
    pub(super) fn of(dnssec: &Dnssec) -> Result<Self, String> {
        match &dnssec.anchors {
            Some(anchors) => Self::read(anchors),
            None => Self::read(&ROOT.parse()?),
        }
    }

    fn read(anchors: &Anchors) -> Result<Self, String> {
        let zone = anchors.records().first().map_or(".", |first| &first.zone);
        let zone = Name::from_ascii(zone).map_err(|error| format!("{zone} can't be a zone: {error}"))?;
        let mut trusted = Self { zone, digests: Vec::new(), keys: Vec::new() };
        for anchor in anchors.records() {
            trusted.add(anchor).ok_or_else(|| format!("{} can't be a trust anchor", anchor.data))?;
        }
        Ok(trusted)
    }

    fn add(&mut self, anchor: &Anchor) -> Option<()> {
        let [first, second, third] = anchor.numbers;
        if anchor.is_key {
            let key = BASE64.decode(anchor.data.as_bytes()).ok()?;
            let algorithm = Algorithm::from_u8(u8::try_from(third).ok()?);
            self.keys.push(DNSKEY::with_flags(first, PublicKeyBuf::new(key, algorithm)));
        } else {
            let digest = HEXUPPER_PERMISSIVE.decode(anchor.data.as_bytes()).ok()?;
            let algorithm = Algorithm::from_u8(u8::try_from(second).ok()?);
            self.digests.push(DS::new(first, algorithm, DigestType::from(u8::try_from(third).ok()?), digest));
        }
        Some(())
    }

    /// Whether `key` of the zone is one of the anchors.
    pub(super) fn vouches_for(&self, key: &DNSKEY) -> bool {
        let same = |own: &DNSKEY| {
            let (own, key) = (own.public_key(), key.public_key());
            own.algorithm() == key.algorithm() && own.public_bytes() == key.public_bytes()
        };
        self.keys.iter().any(same) || self.digests.iter().any(|ds| ds.covers(&self.zone, key).unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::dnssec::TrustAnchors;

    use super::*;

    #[test]
    fn the_built_in_anchors_are_the_keys_of_the_root() {
        let trusted = Trusted::of(&Dnssec::default()).unwrap();
        let published = TrustAnchors::default();
        assert_eq!((trusted.digests.len(), published.len()), (2, 2));
        for index in 0..published.len() {
            let key = DNSKEY::with_flags(257, published.get(index).unwrap().clone());
            assert!(trusted.vouches_for(&key));
        }
        let stranger = DNSKEY::with_flags(257, PublicKeyBuf::new(vec![1; 64], Algorithm::ECDSAP256SHA256));
        assert!(!trusted.vouches_for(&stranger));
    }
}
