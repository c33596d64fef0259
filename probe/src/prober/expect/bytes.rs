//! Bytes that a target sent, searched and quoted.

/// The longest quotation of what was seen, in characters.
const MAX_QUOTE: usize = 120;

/// Whether `needle` lies in `haystack`. An empty needle always does.
pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut haystack = haystack;
    while let Some(at) = haystack.iter().position(|byte| byte == first) {
        haystack = &haystack[at + 1..];
        if haystack.starts_with(rest) {
            return true;
        }
    }
    false
}

/// The beginning of `bytes` as a quoted text.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_QUOTE * 4)]).into_owned();
    let short: String = text.chars().take(MAX_QUOTE).collect();
    let more = if short.len() < text.len() || MAX_QUOTE * 4 < bytes.len() { "…" } else { "" };
    format!("{short:?}{more}")
}
