//! `client_certificate = { certificate = { file = … }, key = { … } }`: what a check shows of itself over TLS. The
//! certificate travels with the check; its key is a secret.

use nines_shared::check::ClientCertificate;

use super::reader::Value;
use super::{ca, secret};

/// The certificate and the place of its key that `value` names.
pub(super) fn read(value: &Value<'_>) -> Option<ClientCertificate> {
    let table = value.table()?;
    let where_it_is = "write where it is: certificate = { file = \"client.pem\" }";
    let certificate = table.need("certificate", where_it_is);
    let key = table.need("key", "write where it is: key = { file = \"/run/secrets/client.key\" }");
    table.finish();
    let certificate_pem = certificate.and_then(|value| ca::certificates(&value, where_it_is));
    let key = key.and_then(|value| secret::read(&value));
    Some(ClientCertificate { certificate_pem: certificate_pem?, key: key? })
}
