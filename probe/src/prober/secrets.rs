//! The secrets of a check while it runs, and how to keep them out of what is kept of a response.

use std::borrow::Cow;
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
/// So many of a secret's first bytes are enough to know it by: texts are cut short, and secrets with them.
const TELLING_BYTES: usize = 8;

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

    /// What must not be seen in anything that is kept of a response to `question`: a target may send back what it was
    /// sent. Whoever keeps a header, a part of a body or a quotation of either passes it through
    /// [`Redactions::text`] or [`Redactions::bytes`] first, before it is cut short and before it is escaped or encoded.
    /// Costs nothing where the check names no secrets.
    pub(crate) fn redactions(&self, question: &HttpQuestion) -> Redactions {
        let of_proxy = question.proxy.as_ref().and_then(|proxy| proxy.auth.as_ref());
        // The key of a client certificate is never sent.
        let of_headers = question.secret_headers.iter().map(|header| &header.secret);
        let sent = of_headers.chain(question.auth.as_ref().map(HttpAuth::secret));
        let sent = sent.chain(of_proxy.map(|auth| &auth.password)).filter_map(|name| self.known(name));
        let mut hidden: Vec<Vec<u8>> = sent.map(|value| value.as_bytes().to_vec()).collect();
        let basic = question.auth.as_ref().and_then(HttpAuth::basic);
        for BasicAuth { user, password } in basic.into_iter().chain(of_proxy) {
            let pair = self.known(password).map(|password| BASE64.encode(format!("{user}:{password}").as_bytes()));
            hidden.extend(pair.map(String::into_bytes));
        }
        hidden.retain(|value| MIN_BYTES <= value.len());
        Redactions { hidden }
    }
}

/// The values to hide. Not shown by `Debug`.
pub(crate) struct Redactions {
    hidden: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Redactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactions({} hidden)", self.hidden.len())
    }
}

impl Redactions {
    /// The values themselves.
    pub(super) fn values(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.hidden.iter().map(|value| String::from_utf8_lossy(value))
    }

    /// `text` with [`REDACTED`] in the place of each secret, and of the beginning of one that is cut off.
    pub(crate) fn text(&self, text: String) -> String {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// [`Redactions::text`] of what need not be text.
    pub(crate) fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if self.hidden.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let (mut out, mut kept) = (Vec::new(), 0);
        let mut at = 0;
        while at < bytes.len() {
            match self.hidden_at(&bytes[at..]) {
                0 => at += 1,
                length => {
                    out.extend_from_slice(&bytes[kept..at]);
                    out.extend_from_slice(REDACTED.as_bytes());
                    at += length;
                    kept = at;
                }
            }
        }
        if kept == 0 {
            return Cow::Borrowed(bytes);
        }
        out.extend_from_slice(&bytes[kept..]);
        Cow::Owned(out)
    }

    /// How many bytes from the start of `bytes` on are a secret's; 0 where none are.
    fn hidden_at(&self, bytes: &[u8]) -> usize {
        let alike = |value: &Vec<u8>| value.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        let telling = |value: &Vec<u8>| Some(alike(value)).filter(|alike| TELLING_BYTES.min(value.len()) <= *alike);
        self.hidden.iter().filter_map(telling).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hiding(values: &[&str]) -> Redactions {
        Redactions { hidden: values.iter().map(|value| value.as_bytes().to_vec()).collect() }
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_stands_and_where_it_is_cut_off() {
        let redactions = hiding(&["hunter2hunter2", "pässwort"]);
        for (seen, kept) in [
            ("nothing", "nothing"),
            ("Bearer hunter2hunter2", "Bearer [secret]"),
            ("hunter2hunter2hunter2hunter2.", "[secret][secret]."),
            ("cut off: hunter2hunt", "cut off: [secret]"),
            ("hunter alone is a word", "hunter alone is a word"),
            ("ein pässwort", "ein [secret]"),
        ] {
            assert_eq!(redactions.text(seen.to_owned()), kept);
        }
        assert!(!format!("{redactions:?}").contains("hunter"));
    }

    #[test]
    fn what_has_nothing_to_hide_is_not_copied() {
        assert!(matches!(hiding(&[]).bytes(b"a body"), Cow::Borrowed(_)));
        assert!(matches!(hiding(&["hunter2"]).bytes(b"a body"), Cow::Borrowed(_)));
    }
}
