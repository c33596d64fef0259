//! PURE: what a target said so far, and whether it is as expected.
//!
//! It is as soon as one beginning of it is: the network may cut it into any pieces, and the verdict must not
//! depend on where.

use std::fmt;

use nines_shared::check::TcpExpect;

use super::MAX_BANNER_BYTES;

/// How many bytes of it a detail quotes.
const QUOTED_BYTES: usize = 120;

/// What a target said so far, at most [`MAX_BANNER_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Banner {
    said: Vec<u8>,
}

/// Whether it is as expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is.
    Holds,
    /// It may become so.
    Open,
    /// It is not and can't become so: why.
    Fails(&'static str),
}

impl Banner {
    /// Whether the target said nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Takes in more of what the target says.
    pub(super) fn add(&mut self, bytes: &[u8], expect: &TcpExpect) -> Verdict {
        let before = self.said.len();
        let room = MAX_BANNER_BYTES - before;
        self.said.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.holds(before, expect) {
            Verdict::Holds
        } else if !self.starts(expect) {
            Verdict::Fails("the target begins with something else")
        } else if self.said.len() == MAX_BANNER_BYTES {
            Verdict::Fails("it is not in the first 4096 bytes")
        } else {
            Verdict::Open
        }
    }

    /// Whether it begins as it should, as far as it goes.
    fn starts(&self, expect: &TcpExpect) -> bool {
        let wanted = expect.banner_starts.as_deref().unwrap_or_default().as_bytes();
        self.said.iter().zip(wanted).all(|(said, wanted)| said == wanted)
    }

    /// Whether a beginning that is longer than `before` is as expected.
    fn holds(&self, before: usize, expect: &TcpExpect) -> bool {
        let starts = expect.banner_starts.as_deref().unwrap_or_default().len();
        let Some(contains) = end_of(&self.said, expect.banner_contains.as_deref().unwrap_or_default()) else {
            return false;
        };
        let shortest = starts.max(contains);
        if self.said.len() < shortest || !self.starts(expect) {
            return false;
        }
        let Some(pattern) = &expect.banner_matches else { return true };
        // `$` holds of a beginning and not of what follows it: each has its turn, once.
        (shortest.max(before + 1)..=self.said.len()).any(|end| pattern.is_match(&self.said[..end]))
    }
}

/// Where the first `wanted` in `said` ends.
fn end_of(said: &[u8], wanted: &str) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    let start = said.windows(wanted.len()).position(|window| window == wanted.as_bytes())?;
    Some(start + wanted.len())
}

/// What it said, for a detail.
impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.said.is_empty() {
            return f.write_str("it said nothing");
        }
        let quoted = &self.said[..self.said.len().min(QUOTED_BYTES)];
        let more = if quoted.len() < self.said.len() { " …" } else { "" };
        write!(f, "it said {:?}{more}", String::from_utf8_lossy(quoted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(starts: Option<&str>, contains: Option<&str>, matches: Option<&str>) -> TcpExpect {
        TcpExpect {
            banner_starts: starts.map(ToOwned::to_owned),
            banner_contains: contains.map(ToOwned::to_owned),
            banner_matches: matches.map(|text| text.parse().unwrap()),
        }
    }

    /// What became of `said`, in pieces that end at `cuts`, up to the first verdict.
    fn heard(said: &[u8], cuts: &[usize], expect: &TcpExpect) -> Verdict {
        let mut banner = Banner::default();
        let mut from = 0;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % said.len().max(1)).collect();
        cuts.sort_unstable();
        for to in cuts.into_iter().chain([said.len()]) {
            if from == to {
                continue;
            }
            match banner.add(&said[from..to], expect) {
                Verdict::Open => from = to,
                verdict @ (Verdict::Holds | Verdict::Fails(_)) => return verdict,
            }
        }
        Verdict::Open
    }

    #[test]
    fn a_banner_is_as_expected_as_soon_as_a_beginning_of_it_is() {
        let greeting = b"220 mail.example ESMTP\r\n";
        for (expect, verdict) in [
            (expecting(Some("220"), None, None), Verdict::Holds),
            (expecting(None, Some("ESMTP"), None), Verdict::Holds),
            (expecting(None, None, Some("^220 .*$")), Verdict::Holds),
            (expecting(Some("220 "), Some("mail"), Some("SMTP")), Verdict::Holds),
            (expecting(Some("554"), None, None), Verdict::Fails("the target begins with something else")),
            (expecting(Some("220 mail.example ESMTP\r\n250"), None, None), Verdict::Open),
            (expecting(Some("220"), Some("FTP"), None), Verdict::Open),
            (expecting(Some("220"), None, Some("^FTP")), Verdict::Open),
        ] {
            assert_eq!(heard(greeting, &[], &expect), verdict, "{expect:?}");
        }
    }

    #[test]
    fn inv_9_words_without_end_end_at_the_limit() {
        let expect = expecting(None, Some("never"), None);
        let noise = vec![b'x'; 3 * MAX_BANNER_BYTES];
        assert_eq!(heard(&noise, &[], &expect), Verdict::Fails("it is not in the first 4096 bytes"));
        let mut banner = Banner::default();
        let _fails = banner.add(&noise, &expect);
        assert!(banner.said.len() == MAX_BANNER_BYTES && banner.to_string().len() < 200);
    }

    #[test]
    fn fuzz_the_verdict_does_not_depend_on_where_the_network_cuts() {
        let expectations = [
            expecting(Some("22"), None, None),
            expecting(None, Some("0 "), None),
            expecting(None, None, Some(r"^2\d0$")),
            expecting(Some("2"), Some("2\r"), Some(r"(?m)x$|\b0\b")),
        ];
        bolero::check!().with_type::<(Vec<u8>, Vec<usize>, u8)>().for_each(|(said, cuts, which)| {
            let expect = &expectations[usize::from(*which) % expectations.len()];
            // Letters that mean something to the expectations above come often enough.
            let said: Vec<u8> = said.iter().map(|byte| b"220 \r\nx"[usize::from(*byte) % 7]).collect();
            let whole = heard(&said, &[], expect);
            assert_eq!(heard(&said, cuts, expect), whole);
            let holds = (0..=said.len()).any(|end| {
                let text = &said[..end];
                text.starts_with(expect.banner_starts.as_deref().unwrap_or_default().as_bytes())
                    && end_of(text, expect.banner_contains.as_deref().unwrap_or_default()).is_some()
                    && (0 < end && expect.banner_matches.as_ref().is_none_or(|pattern| pattern.is_match(text)))
            });
            assert_eq!(whole == Verdict::Holds, holds && said.len() <= MAX_BANNER_BYTES, "{said:?} {expect:?}");
        });
    }
}
