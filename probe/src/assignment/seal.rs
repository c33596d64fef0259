//! Whether one who vouches for the fleet has signed an assignment.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use nines_shared::seal;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::AssignmentError;

/// Whether `body` is sealed.
///
/// # Errors
/// [`AssignmentError::Forged`] where it is, and by none of `authorities`.
pub(super) fn is_sealed(body: &[u8], authorities: &[CertificateDer<'_>]) -> Result<bool, AssignmentError> {
    let Some(sealed) = seal::open(body) else { return Ok(false) };
    let signed = |authority: &CertificateDer<'_>| {
        X509Certificate::from_der(authority).is_ok_and(|(_rest, parsed)| {
            let key = parsed.public_key().subject_public_key.data.as_ref();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&sealed.message, &sealed.signature).is_ok()
        })
    };
    if authorities.iter().any(signed) { Ok(true) } else { Err(AssignmentError::Forged) }
}
