//! The way from a target's certificate to a trusted root.

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::Trust;

/// A verified path: from the first certificate of a chain over others of it to a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The places of its certificates in the chain as it was sent, the target's own, 0, first.
    pub(crate) places: Vec<usize>,
    /// The place of the root among those trusted.
    root: usize,
}

impl Trust {
    /// The path by which `chain` leads to a root at `now`. The name is not looked at.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn path(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Path, Error> {
        let Some((own, others)) = chain.split_first() else { return Err(Error::UnknownIssuer) };
        let own = EndEntityCert::try_from(own)?;
        let usage = KeyUsage::server_auth();
        let found = own.verify_for_usage(self.algorithms.all, &self.roots.roots, others, now, usage, None, None)?;
        let place = |der: &CertificateDer<'_>| others.iter().position(|other| other == der).map(|place| place + 1);
        let between = found.intermediate_certificates().filter_map(|certificate| place(&certificate.der()));
        let places = std::iter::once(0).chain(between).collect();
        let root = self.roots.roots.iter().position(|root| root == found.anchor()).unwrap_or_default();
        Ok(Path { places, root })
    }

    /// The key of the root that `path` ends in.
    pub(crate) fn root_key(&self, path: &Path) -> Option<SubjectPublicKeyInfoDer<'static>> {
        self.roots.roots.get(path.root).map(webpki::spki_for_anchor)
    }

    /// The subject of the root that `path` ends in: a Name in DER, without its outer tag.
    pub(crate) fn root_subject(&self, path: &Path) -> &[u8] {
        self.roots.roots.get(path.root).map_or(&[], |root| root.subject.as_ref())
    }
}
