//! `ca = { file = … }`: roots to trust instead of Mozilla's. The certificates travel with the check.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::reader::Value;

/// The largest file of roots that is read, in bytes.
const MAX_CA_BYTES: u64 = 256 << 10;

/// The roots of the file that `value` names, as PEM.
pub(super) fn read(value: &Value<'_>) -> Option<String> {
    certificates(value, "write where the roots are: ca = { file = \"ca.pem\" }")
}

/// The certificates of the file that `value` names, as PEM; where it names none that is mended by `mend`.
pub(super) fn certificates(value: &Value<'_>, mend: &str) -> Option<String> {
    let table = value.table()?;
    let file = table.need("file", mend);
    table.finish();
    let file = file?;
    let path = file.path()?;
    let pem = file.accept(bounded(&path).map_err(|error| format!("can't read {}: {error}", path.display())))?;
    let certificates: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match certificates {
        Ok(found) if !found.is_empty() => Some(pem),
        Ok(_) => {
            file.error(format!("{} holds no certificate in PEM", path.display()));
            None
        }
        Err(error) => {
            file.error(format!("{} is not PEM: {error}", path.display()));
            None
        }
    }
}

fn bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_CA_BYTES + 1).read_to_string(&mut text)?;
    if MAX_CA_BYTES < u64::try_from(text.len()).unwrap_or(u64::MAX) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_CA_BYTES} bytes")));
    }
    Ok(text)
}
