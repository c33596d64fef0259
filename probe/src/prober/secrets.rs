//! The secrets of a check while it runs. [`super::redact`] keeps them out of what is kept of a response.

use std::sync::{Arc, PoisonError};

use data_encoding::BASE64;
use nines_shared::check::{BasicAuth, HttpAuth, HttpQuestion};
use nines_shared::sample::{Phase, Reason};
use nines_shared::secret::{Secret, SecretValue};

use super::Look;
use super::failure::Failure;

/// What stands where a secret stood.
pub(super) const REDACTED: &str = "[secret]";
/// A shorter secret is none, and would blot out half of a page.
pub(super) const MIN_BYTES: usize = 4;

impl Look<'_> {
    /// The value of the secret `name`.
    ///
    /// # Errors
    /// `secret_missing`, with the secret's name.
    pub(crate) fn secret(&self, name: &Secret) -> Result<&str, Failure> {
        self.known(name).ok_or_else(|| {
            let detail = format!("the aggregator has not sent the secret in {name}; its log says why");
            Failure::ours(Reason::SecretMissing, Phase::Resolve, detail)
        })
    }

    fn known(&self, name: &Secret) -> Option<&str> {
        let snapshot = || Arc::clone(&self.prober.secrets.lock().unwrap_or_else(PoisonError::into_inner));
        self.secrets.get_or_init(snapshot).get(name).map(SecretValue::reveal)
    }

    /// What `question` sends of secrets, each as it is and users with their passwords as `authorization` has them: a
    /// target may send it back, and nothing that is kept may hold it. None, and nothing made, where it names none.
    pub(super) fn sent_secrets(&self, question: &HttpQuestion) -> Vec<String> {
        let of_proxy = question.proxy.as_ref().and_then(|proxy| proxy.auth.as_ref());
        // The key of a client certificate is never sent.
        let of_headers = question.secret_headers.iter().map(|header| &header.secret);
        let sent = of_headers.chain(question.auth.as_ref().map(HttpAuth::secret));
        let sent = sent.chain(of_proxy.map(|auth| &auth.password)).filter_map(|name| self.known(name));
        let mut sent: Vec<String> = sent.map(ToOwned::to_owned).collect();
        let basic = question.auth.as_ref().and_then(HttpAuth::basic);
        for BasicAuth { user, password } in basic.into_iter().chain(of_proxy) {
            let pair = |password| BASE64.encode(format!("{user}:{password}").as_bytes());
            sent.extend(self.known(password).map(pair));
        }
        sent
    }
}
