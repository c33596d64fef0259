//! PURE: hides what nobody may read in what a target sent back: the check's own secrets, and the target's.
//!
//! A target may echo a request. So evidence is searched for every secret that the check uses, as it is and as it may
//! come back: percent-encoded, in base64 alone or within a longer text, escaped in JSON or HTML. What a field's name
//! tells of (`set-cookie`, `x-api-key`, …) is hidden whoever made it. Only samples that failed pay for it.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};
use nines_shared::check::{HttpQuestion, Question};
use nines_shared::sample::{Evidence, MAX_DETAIL_LEN, MAX_EVIDENCE_BODY_LEN, MAX_EVIDENCE_VALUE_LEN, clean};
use nines_shared::secret::is_telling;

use super::Look;
use super::secrets::{MIN_BYTES, REDACTED};

/// The most forms of secrets that are searched for; a check has a handful.
const MAX_FORMS: usize = 1_024;

/// A shorter secret is not looked for within longer texts in base64: what is left of it there may be anybody's.
const MIN_BYTES_WITHIN: usize = 9;

/// How much of a header's value is looked at. More than is kept, so that a secret is seen whole.
pub(super) const RAW_VALUE_BYTES: usize = 4 * MAX_EVIDENCE_VALUE_LEN;

/// Every form in which a check's secrets may come back, the longest first.
#[derive(Debug, Default)]
pub(super) struct Forms(Vec<String>);

impl Forms {
    /// The secrets of `question`: those that it names, those in its URL, and those in headers that tell of one.
    pub(super) fn of(look: &Look<'_>, question: &Question) -> Self {
        match question {
            Question::Http(http) => Self::of_http(http, look.sent_secrets(http).iter()),
            Question::Grpc(grpc) => {
                let mut forms = Self::default();
                forms.add_telling(&grpc.metadata);
                forms.longest_first()
            }
            Question::Dns(_) | Question::Tls(_) | Question::Tcp(_) | Question::Icmp(_) => Self::default(),
        }
    }

    fn of_http<T: AsRef<str>>(http: &HttpQuestion, named: impl Iterator<Item = T>) -> Self {
        let mut forms = Self::default();
        named.for_each(|value| forms.add(value.as_ref()));
        forms.add_login(http.url.username(), http.url.password());
        forms.add_telling(&http.headers);
        forms.longest_first()
    }

    fn longest_first(mut self) -> Self {
        self.0.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.0.dedup();
        self.0.truncate(MAX_FORMS);
        self
    }

    fn add_telling(&mut self, fields: &[(String, String)]) {
        for (_name, value) in fields.iter().filter(|(name, _value)| is_telling(name)) {
            self.add_field(value);
        }
    }

    /// A user's name is no secret, but a password is, and the pair is as a header sends it.
    fn add_login(&mut self, user: &str, password: Option<&str>) {
        let Some(password) = password.filter(|password| MIN_BYTES <= password.len()) else { return };
        let plain = unescaped(password);
        self.0.extend(base64_of(&format!("{}:{plain}", unescaped(user))));
        self.add(password);
        self.add(&plain);
    }

    /// The value of a telling header: the whole, and what follows a scheme or a cookie's name.
    fn add_field(&mut self, value: &str) {
        self.add(value);
        if let Some((_scheme, credential)) = value.split_once(' ') {
            self.add(credential.trim());
        }
        for (_name, value) in value.split(';').filter_map(|cookie| cookie.split_once('=')) {
            self.add(value.trim().trim_matches('"'));
        }
    }

    fn add(&mut self, secret: &str) {
        if secret.len() < MIN_BYTES {
            return;
        }
        let json = serde_json::to_string(secret).unwrap_or_default();
        let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
        let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let percent = percent_encoded(secret);
        let lower: String = percent.to_ascii_lowercase();
        let form = percent.replace("%20", "+");
        self.0.extend([json, html.replace('\'', "&#39;"), html, lower, form, percent, clean(secret, secret.len())]);
        self.0.extend(base64_of(secret));
        if MIN_BYTES_WITHIN <= secret.len() {
            self.0.extend(base64_within(secret));
        }
        let every_byte = secret.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
        self.0.extend([every_byte.to_ascii_lowercase(), every_byte]);
        self.0.push(secret.to_owned());
    }

    /// `text` without any of them, without users and passwords in URLs, and clean.
    pub(super) fn hidden(&self, text: &str) -> String {
        // So ends a quotation that was cut.
        if let Some(quoted) = text.strip_suffix("\"…") {
            return format!("{}\"…", self.hidden_cut(quoted));
        }
        self.hidden_whole(text)
    }

    fn hidden_whole(&self, text: &str) -> String {
        let shown = clean(&self.masked(&without_logins(text)), usize::MAX);
        // Cleaning may make a secret of what was none.
        self.masked(&shown)
    }

    /// The same where `text` was cut off: its end may be the beginning of a secret.
    fn hidden_cut(&self, text: &str) -> String {
        let hidden = self.hidden_whole(text);
        let begun = self.0.iter().filter_map(|secret| {
            let lens = secret.char_indices().map(|(at, _)| at).skip(1);
            lens.filter(|len| hidden.ends_with(&secret[..*len])).max()
        });
        match begun.max() {
            Some(len) => format!("{}{REDACTED}", &hidden[..hidden.len() - len]),
            None => hidden,
        }
    }

    fn masked(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let here = |secret: &&String| rest.as_bytes().get(..secret.len()) == Some(secret.as_bytes());
            match self.0.iter().find(here) {
                Some(secret) => {
                    masked.push_str(REDACTED);
                    rest = &rest[secret.len()..];
                }
                None => {
                    masked.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        masked
    }

    /// Hides them in all that a target sent.
    pub(super) fn hide(&self, evidence: &mut Evidence) {
        for hop in &mut evidence.hops {
            hop.url = clean(&self.hidden(&without_parameters(&hop.url)), MAX_DETAIL_LEN);
        }
        for expectation in &mut evidence.expectations {
            expectation.what = clean(&self.hidden(&expectation.what), MAX_EVIDENCE_VALUE_LEN);
            let seen = expectation.seen.as_deref();
            expectation.seen = seen.map(|seen| clean(&self.hidden(seen), MAX_EVIDENCE_VALUE_LEN));
        }
        let Some(response) = &mut evidence.response else { return };
        for (name, value) in &mut response.headers {
            let shown = field_value(name, value);
            let shown = if RAW_VALUE_BYTES <= value.len() { self.hidden_cut(&shown) } else { self.hidden(&shown) };
            *value = clean(&shown, MAX_EVIDENCE_VALUE_LEN);
            *name = clean(&self.hidden(name), MAX_EVIDENCE_VALUE_LEN);
        }
        let encoding = response.encoding.as_deref();
        response.encoding = encoding.map(|encoding| clean(&self.hidden(encoding), MAX_EVIDENCE_VALUE_LEN));
        let truncated = response.truncated;
        let shown = |body: &str| if truncated { self.hidden_cut(body) } else { self.hidden(body) };
        response.body = response.body.as_deref().map(|body| clean(&shown(body), MAX_EVIDENCE_BODY_LEN));
    }
}

/// The value of a header field without what its name tells of.
fn field_value(name: &str, value: &str) -> String {
    match name {
        // A cookie's name and a scheme help to find the cause; what comes after is the target's secret.
        "set-cookie" => value.split_once('=').map_or(REDACTED.to_owned(), |(name, _)| format!("{name}={REDACTED}")),
        "www-authenticate" | "proxy-authenticate" => {
            let (scheme, _parameters) = value.split_once(' ').unwrap_or((value, ""));
            format!("{scheme} {REDACTED}")
        }
        _ if is_telling(name) => REDACTED.to_owned(),
        _ => without_parameters(value),
    }
}

/// A text without the values of telling parameters, such as `?token=…`.
fn without_parameters(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(['?', '&', '#', ';', ',', ' ']) {
        let end = piece.trim_end_matches(['?', '&', '#', ';', ',', ' ']).len();
        match piece[..end].split_once('=') {
            Some((name, _value)) if is_telling(name) => {
                shown.push_str(&format!("{name}={REDACTED}{}", &piece[end..]));
            }
            Some(_) | None => shown.push_str(piece),
        }
    }
    shown
}

/// A text without `user:password@` of URLs in it.
fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, after) = rest.split_at(at + 2);
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c)).unwrap_or(after.len());
        shown.push_str(before);
        rest = match after[..end].rfind('@') {
            Some(login) => {
                shown.push_str(REDACTED);
                &after[login..]
            }
            None => after,
        };
    }
    shown.push_str(rest);
    shown
}

fn base64_of(text: &str) -> [String; 3] {
    [BASE64.encode(text.as_bytes()), BASE64_NOPAD.encode(text.as_bytes()), BASE64URL_NOPAD.encode(text.as_bytes())]
}

/// What of `text` comes out the same in base64 wherever it stands in a longer one: a header that is sent back whole.
/// What shares a group of four with its neighbours is not of it, which leaves two bytes at either end.
fn base64_within(text: &str) -> Vec<String> {
    // By how many bytes of a group stand before it.
    let skipped = [0, 2, 3];
    let mut forms = Vec::new();
    for (before, skip) in skipped.into_iter().enumerate() {
        let shifted = [&[0; 3][..before], text.as_bytes()].concat();
        let whole = shifted.len() / 3 * 4;
        for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
            forms.push(encoding.encode(&shifted)[skip..whole].to_owned());
        }
    }
    forms
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A URL's part as it was before it was percent-encoded.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex =
            |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
