//! Which bytes of a file may be a secret, so that no message ever shows them.

use std::ops::Range;

use nines_shared::secret;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The ranges of a file that was read.
pub(super) fn of_tree(root: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    walk_table(root, false, &mut found);
    found
}

/// Whether a key, header or parameter of this name is likely to hold a secret.
pub(super) fn is_telling(name: &str) -> bool {
    name.trim() == "routing_key" || secret::is_telling(name)
}

fn walk_table(table: &DeTable<'_>, telling: bool, found: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        // `{ env = … }` and `{ file = … }` say where a secret is; anything else there may be one.
        let place = telling && matches!(key.get_ref().as_ref(), "env" | "file");
        if is_keyless(key.get_ref())
            && let Some(url) = value.get_ref().get("url")
        {
            walk(url, true, found);
        }
        walk(value, (telling && !place) || is_telling(key.get_ref()), found);
    }
}

/// Whether it names a channel whose address is all that it takes to write to it.
fn is_keyless(key: &str) -> bool {
    matches!(key.trim(), "slack" | "teams" | "discord")
}

/// What the addresses of such channels have in them.
const OF_KEYLESS: &[&str] = &["hooks.slack.com/", "/api/webhooks/", "webhook.office.com/", "logic.azure.com", "sig="];

fn walk(value: &Spanned<DeValue<'_>>, telling: bool, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::String(text) => {
            if telling || user_in_url(text).is_some() || text.contains("PRIVATE KEY-----") {
                found.push(value.span());
            }
        }
        DeValue::Integer(_) | DeValue::Float(_) => {
            if telling {
                found.push(value.span());
            }
        }
        DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        DeValue::Array(items) => items.iter().for_each(|item| walk(item, telling, found)),
        DeValue::Table(table) => walk_table(table, telling, found),
    }
}

/// The ranges of a file that is no TOML, line by line: from the `=` after a telling word on, and users in URLs.
pub(super) fn of_text(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        // The multi-line text of a telling key would begin here and end anywhere.
        if let Some((key, value)) = line.split_once('=')
            && (is_telling(key)
                || is_telling(value)
                || is_keyless(key)
                || OF_KEYLESS.iter().any(|part| value.contains(part)))
        {
            found.push(start + key.len() + 1..start + line.trim_end().len());
        } else if let Some(user) = user_in_url(line) {
            found.push(start + user.start..start + user.end);
        }
        start += line.len();
    }
    found
}

/// Where `user:password@` stands in a text with a URL.
fn user_in_url(text: &str) -> Option<Range<usize>> {
    let start = text.find("://")? + 3;
    let authority = text[start..].split(['/', '?', '#', '"', '\'']).next()?;
    let at = authority.rfind('@')?;
    Some(start..start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Vec<&str> {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let ranges = if errors.is_empty() { of_tree(tree.get_ref()) } else { of_text(text) };
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn what_may_be_a_secret_is_known_by_its_key_and_by_its_form() {
        assert_eq!(hidden("secret = 'hunter2'"), ["'hunter2'"]);
        assert_eq!(hidden("secret = { env = 'HOOK' }"), [""; 0]);
        assert_eq!(hidden("secret = { value = 'hunter2' }"), ["'hunter2'"]);
        assert_eq!(hidden("headers = { Authorization = 'Bearer x' }"), ["'Bearer x'"]);
        assert_eq!(hidden("client_certificate = { key = 'hunter2' }"), ["'hunter2'"]);
        assert_eq!(hidden("x = '-----BEGIN PRIVATE KEY-----'"), ["'-----BEGIN PRIVATE KEY-----'"]);
        assert_eq!(hidden("url = 'https://me:hunter2@shop.example/'"), ["'https://me:hunter2@shop.example/'"]);
        assert_eq!(hidden("url = 'https://shop.example/@home'"), [""; 0]);
        assert_eq!(hidden("slack = { url = 'https://x.example/hunter2', a = 'b' }"), ["'https://x.example/hunter2'"]);
        assert_eq!(hidden("slack = { url = { env = 'SLACK' } }"), [""; 0]);
    }

    #[test]
    fn what_may_be_a_secret_is_known_in_a_broken_file_too() {
        assert_eq!(hidden("secret = 'hunter2"), [" 'hunter2"]);
        assert_eq!(hidden("slack = { url = 'https://x.example/hunter2'"), [" { url = 'https://x.example/hunter2'"]);
        assert_eq!(hidden("[x\nurl = 'https://hooks.slack.com/hunter2'"), [" 'https://hooks.slack.com/hunter2'"]);
        assert_eq!(hidden("[x\nurl = 'https://me:hunter2@shop.example/'"), ["me:hunter2"]);
    }
}
