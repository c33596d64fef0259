//! Who a probe says that it is: the `user-agent` of everything that goes out over HTTP, but where a check names its
//! own.
//!
//! Whoever finds it in a log should learn what asks there and whom to write to. The contact is the operator's, from the
//! probe's own file; the product has none of its own that could speak for them.

use std::fmt;
use std::str::FromStr;

use hyper::header::HeaderValue;
use url::Url;

/// Who asks, where the probe's file names no contact.
const AGENT: &str = concat!("nines-probe/", env!("CARGO_PKG_VERSION"));
/// The longest contact, in bytes: it goes out with every request.
const MAX_CONTACT_BYTES: usize = 120;

/// Where the operator of a probe can be found: the address of a page, or of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact(String);

impl FromStr for Contact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            format!(
                "{text:?} is no contact; write https://HOST/PAGE or an address such as ops@shop.example, up to {MAX_CONTACT_BYTES} bytes"
            )
        };
        // Within a comment of the header (RFC 9110 §5.6.5), which these would end or nest.
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>\\\"".contains(&byte));
        let short = (1..=MAX_CONTACT_BYTES).contains(&text.len());
        (plain && short && (is_page(text) || is_mailbox(text))).then(|| Self(text.to_owned())).ok_or_else(wanted)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_page(text: &str) -> bool {
    let anonymous = |url: &Url| url.username().is_empty() && url.password().is_none();
    text.parse().is_ok_and(|url: Url| matches!(url.scheme(), "http" | "https") && url.has_host() && anonymous(&url))
}

fn is_mailbox(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(who, host)| !who.is_empty() && !who.contains([':', '/']) && url::Host::parse(host).is_ok())
}

/// What goes out as `user-agent`.
pub(super) fn of(contact: Option<&Contact>) -> HeaderValue {
    let Some(contact) = contact else { return HeaderValue::from_static(AGENT) };
    // A contact has no character that a header may not have.
    HeaderValue::try_from(format!("{AGENT} (+{contact})")).unwrap_or(HeaderValue::from_static(AGENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_page_or_a_mailbox_and_nothing_that_breaks_a_header() {
        for good in ["https://shop.example/probes", "http://192.0.2.1/", "ops@shop.example", "ops+nines@shop.example"] {
            let contact: Contact = good.parse().unwrap();
            let agent = of(Some(&contact));
            assert_eq!(agent.to_str().unwrap(), format!("{AGENT} (+{good})"));
        }
        let long = format!("https://shop.example/{}", "a".repeat(MAX_CONTACT_BYTES));
        for bad in [
            "",
            "ops",
            "@shop.example",
            "ops@",
            "shop.example",
            "ftp://shop.example/",
            "https://me:hunter2@shop.example/",
            "mailto:ops@shop.example",
            "ops@shop.example\r\nx: y",
            "ops @shop.example",
            "https://shop.example/(a)",
            "ops@shöp.example",
            &long,
        ] {
            assert!(bad.parse::<Contact>().is_err(), "{bad}");
        }
        assert_eq!(of(None), AGENT);
    }
}
