//! SHA-256 as reports, definitions and people name it: `sha256:` and 64 hex digits.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;

/// The fingerprint of `bytes`.
pub fn of(bytes: &[u8]) -> String {
    let mut whole = OfLines::new();
    whole.push_ended(bytes);
    whole.finish()
}

/// The fingerprint of a text that is made line by line, and never held as a whole.
pub struct OfLines(Context);

impl OfLines {
    /// Of no line yet.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds `line` and the line break that ends it.
    pub fn push(&mut self, line: &str) {
        self.0.update(line.as_bytes());
        self.0.update(b"\n");
    }

    /// Adds lines that end with their line break.
    pub fn push_ended(&mut self, lines: &[u8]) {
        self.0.update(lines);
    }

    /// Of all lines.
    pub fn finish(self) -> String {
        of_bytes(&self.finish_bytes())
    }

    /// Of all lines, as its 32 bytes.
    pub fn finish_bytes(self) -> [u8; 32] {
        self.0.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl Default for OfLines {
    fn default() -> Self {
        Self::new()
    }
}

/// A fingerprint by its bytes.
pub fn of_bytes(digest: &[u8; 32]) -> String {
    format!("sha256:{}", HEXLOWER.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_fingerprint_of_the_file_that_they_make() {
        let mut lines = OfLines::new();
        lines.push("a");
        lines.push("b");
        assert_eq!(lines.finish(), of(b"a\nb\n"));
        // FIPS 180-4, of nothing.
        assert_eq!(of(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
