//! The secrets that an attempt uses, so that no failure shows one: a server may answer with what it was sent.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use nines_shared::secret::Secret;
use url::Url;

use super::Refused;
use crate::secret_values;

/// What stands in a secret's place.
const REDACTED: &str = "[hidden]";
/// Shorter parts hide nothing: they would be found in any text.
const MIN_BYTES: usize = 6;

/// Texts to be hidden.
#[derive(Clone, Debug, Default)]
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    /// The secret that `name` names, as it is now: it is read at every attempt, so that a new one counts without a
    /// restart.
    pub(super) fn read(&mut self, name: &Secret) -> Result<String, Refused> {
        let value = secret_values::read(name);
        let value = value.map_err(|error| Refused::because(format!("the channel's secret can't be had: {error}")))?;
        self.add(value.reveal());
        Ok(value.reveal().to_owned())
    }

    /// The web address that `name` names.
    pub(super) fn read_url(&mut self, name: &Secret) -> Result<Url, Refused> {
        let text = self.read(name)?;
        let url = text.trim().parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(Url::has_host).ok_or_else(|| {
            Refused::because(format!("what {name} holds is not a web address; it begins with https://"))
        })?;
        self.add(url.as_str());
        self.add(url.path());
        url.path_segments().into_iter().flatten().for_each(|part| self.add(part));
        url.query_pairs().for_each(|(_, value)| self.add(&value));
        self.add(url.query().unwrap_or_default());
        self.add(url.password().unwrap_or_default());
        Ok(url)
    }

    /// Hides `text` from here on, as it is and in base64.
    pub(super) fn add(&mut self, text: &str) {
        if MIN_BYTES <= text.len() {
            let bytes = text.as_bytes();
            self.0.extend([text.to_owned(), BASE64.encode(bytes), BASE64URL_NOPAD.encode(bytes)]);
            // The longest first, or a part of it would leave the rest.
            self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
        }
    }

    /// `text` without any of them.
    pub(super) fn masked(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), REDACTED))
    }

    /// `refused` without any of them.
    pub(super) fn mask(&self, refused: Refused) -> Refused {
        Refused { why: self.masked(&refused.why), ..refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_whole_in_part_and_in_base64() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "https://hooks.example/services/T000000/Bhunter2?sig=hunter3x\n").unwrap();
        let mut hidden = Hidden::default();
        let url = hidden.read_url(&Secret::File(file)).unwrap();
        hidden.add("hunter4x");
        let said = format!("{url} T000000 Bhunter2 hunter3x {} {}", BASE64.encode(b"hunter4x"), url.path());
        let shown = hidden.masked(&said);
        assert!(!shown.contains("hunter") && !shown.contains("T000000") && !shown.contains("aHVudGVy"), "{shown}");
        hidden.add("a");
        assert_eq!(hidden.masked("an answer"), "an answer");
    }
}
