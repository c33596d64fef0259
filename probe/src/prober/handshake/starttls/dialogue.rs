//! PURE: what a server says before TLS, and what is said to it.

use std::net::IpAddr;

use nines_shared::check::StartTls;

/// The longest line, in bytes. SMTP has 512 (RFC 5321 §4.5.3.1.5); capabilities of IMAP may be longer.
const MAX_LINE: usize = 2_048;
/// The most lines before TLS.
const MAX_LINES: usize = 200;

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The server has more to say.
    Listen,
    /// This is said to the server.
    Say(String),
    /// TLS begins.
    Begin,
}

/// Why TLS does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The server does not agree; in its words.
    Refused(String),
    /// The server breaks its protocol.
    Malformed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Capabilities,
    Agreement,
}

/// A conversation up to TLS.
#[derive(Debug)]
pub(super) struct Dialogue {
    protocol: StartTls,
    /// Who we are, for SMTP: an address (RFC 5321 §4.1.3).
    us: IpAddr,
    stage: Stage,
    /// Whether the server says that it can begin TLS.
    offers: bool,
    /// Within an answer of several lines.
    listing: bool,
    pending: Vec<u8>,
    lines: usize,
}

impl Dialogue {
    /// A conversation in `protocol`, in which the server speaks first.
    pub(super) fn new(protocol: StartTls, us: IpAddr) -> Self {
        let (stage, pending) = (Stage::Greeting, Vec::new());
        Self { protocol, us, stage, offers: false, listing: false, pending, lines: 0 }
    }

    /// Takes what the server says next.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Next, Broken> {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.lines += 1;
            if MAX_LINES < self.lines || MAX_LINE < line.len() {
                break;
            }
            let line = String::from_utf8_lossy(&line);
            let next = match self.protocol {
                StartTls::Smtp => self.smtp(line.trim_end()),
                StartTls::Imap => self.imap(line.trim_end()),
                StartTls::Pop3 => self.pop3(line.trim_end()),
                StartTls::Postgres => Err(Broken::Malformed("PostgreSQL has no lines before TLS".to_owned())),
            }?;
            match next {
                Next::Listen => {}
                Next::Begin if !self.pending.is_empty() => return Err(behind(self.pending.len())),
                Next::Say(_) | Next::Begin => return Ok(next),
            }
        }
        if MAX_LINES < self.lines || MAX_LINE < self.pending.len() {
            return Err(Broken::Malformed("the server talks without end before TLS".to_owned()));
        }
        Ok(Next::Listen)
    }

    fn smtp(&mut self, line: &str) -> Result<Next, Broken> {
        let code = line.get(..3).filter(|code| code.bytes().all(|digit| digit.is_ascii_digit()));
        let (Some(code), rest) = (code, line.get(3..).unwrap_or_default()) else { return Err(nonsense(line)) };
        if !rest.is_empty() && !rest.starts_with([' ', '-']) {
            return Err(nonsense(line));
        }
        let wanted = if self.stage == Stage::Capabilities { "250" } else { "220" };
        if code != wanted {
            return Err(refused(line));
        }
        let words = rest.get(1..).unwrap_or_default();
        self.offers |= self.stage == Stage::Capabilities && words.trim().eq_ignore_ascii_case("STARTTLS");
        if rest.starts_with('-') {
            return Ok(Next::Listen);
        }
        let us = match self.us {
            IpAddr::V4(v4) => format!("[{v4}]"),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        };
        self.advance(&format!("EHLO {us}\r\n"), "STARTTLS\r\n")
    }

    fn imap(&mut self, line: &str) -> Result<Next, Broken> {
        let mut words = line.split_ascii_whitespace();
        let (tag, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let ours = if self.stage == Stage::Capabilities { "a" } else { "b" };
        match (self.stage, tag, status.to_ascii_uppercase().as_str()) {
            (_, "*", "BYE") | (Stage::Greeting, "*", "PREAUTH") => Err(refused(line)),
            (Stage::Greeting, "*", "OK") => self.advance("a CAPABILITY\r\n", ""),
            (Stage::Capabilities, "*", "CAPABILITY") => {
                self.offers |= words.any(|word| word.eq_ignore_ascii_case("STARTTLS"));
                Ok(Next::Listen)
            }
            (Stage::Capabilities | Stage::Agreement, "*", _) => Ok(Next::Listen),
            (Stage::Capabilities | Stage::Agreement, tag, "OK") if tag == ours => self.advance("", "b STARTTLS\r\n"),
            (Stage::Capabilities | Stage::Agreement, tag, "NO" | "BAD") if tag == ours => Err(refused(line)),
            _ => Err(nonsense(line)),
        }
    }

    fn pop3(&mut self, line: &str) -> Result<Next, Broken> {
        if self.listing {
            self.offers |= line.eq_ignore_ascii_case("STLS");
            return if line == "." { self.advance("", "STLS\r\n") } else { Ok(Next::Listen) };
        }
        match (self.stage, line.split_ascii_whitespace().next()) {
            (Stage::Greeting | Stage::Agreement, Some("+OK")) => self.advance("CAPA\r\n", ""),
            (Stage::Capabilities, Some("+OK")) => {
                self.listing = true;
                Ok(Next::Listen)
            }
            // A server from before RFC 2449 can't say what it can; the command itself will tell.
            (Stage::Capabilities, Some("-ERR")) => {
                self.offers = true;
                self.advance("", "STLS\r\n")
            }
            (Stage::Greeting | Stage::Agreement, Some("-ERR")) => Err(refused(line)),
            _ => Err(nonsense(line)),
        }
    }

    /// The end of a stage: `greeted` is said after the greeting, `ask` after the capabilities.
    fn advance(&mut self, greeted: &str, ask: &str) -> Result<Next, Broken> {
        self.listing = false;
        match self.stage {
            Stage::Greeting => {
                self.stage = Stage::Capabilities;
                Ok(Next::Say(greeted.to_owned()))
            }
            Stage::Capabilities if !self.offers => {
                Err(Broken::Refused(format!("the server does not offer {}", ask.trim_end().trim_start_matches("b "))))
            }
            Stage::Capabilities => {
                self.stage = Stage::Agreement;
                Ok(Next::Say(ask.to_owned()))
            }
            Stage::Agreement => Ok(Next::Begin),
        }
    }
}

/// Whether `answer`, all that has come, agrees to PostgreSQL's SSLRequest.
pub(super) fn postgres(answer: &[u8]) -> Result<(), Broken> {
    match answer {
        [b'S'] => Ok(()),
        [b'S', more @ ..] => Err(behind(more.len())),
        [b'N', ..] => Err(Broken::Refused("the server does not speak TLS".to_owned())),
        // A server from before TLS takes the request for a wrong version.
        [b'E', ..] => Err(Broken::Refused("the server answers with an error".to_owned())),
        _ => Err(Broken::Malformed("the answer to SSLRequest is not of PostgreSQL".to_owned())),
    }
}

fn behind(count: usize) -> Broken {
    Broken::Malformed(format!("{count} bytes in the clear came behind the go-ahead for TLS"))
}

fn refused(line: &str) -> Broken {
    Broken::Refused(format!("the server answers: {line}"))
}

fn nonsense(line: &str) -> Broken {
    Broken::Malformed(format!("not of the protocol: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue(protocol: StartTls) -> Dialogue {
        Dialogue::new(protocol, IpAddr::from([192, 0, 2, 7]))
    }

    /// What is said to each of the server's `turns`, up to the first that ends it.
    fn talk(protocol: StartTls, turns: &[&str]) -> Result<Vec<Next>, Broken> {
        let mut dialogue = dialogue(protocol);
        turns.iter().map(|turn| dialogue.take(turn.as_bytes())).collect()
    }

    fn said(words: &str) -> Next {
        Next::Say(words.to_owned())
    }

    #[test]
    fn each_protocol_is_led_to_its_go_ahead() {
        let smtp = ["220-mail\r\n220 ESMTP\r\n", "250-mail\r\n250-starttls\r\n250 HELP\r\n", "220 Go\r\n"];
        let wanted = vec![said("EHLO [192.0.2.7]\r\n"), said("STARTTLS\r\n"), Next::Begin];
        assert_eq!(talk(StartTls::Smtp, &smtp), Ok(wanted));
        let imap = ["* OK hi\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\na OK done\r\n", "* OK x\r\nb OK go\r\n"];
        let wanted = vec![said("a CAPABILITY\r\n"), said("b STARTTLS\r\n"), Next::Begin];
        assert_eq!(talk(StartTls::Imap, &imap), Ok(wanted));
        let pop3 = ["+OK hi\r\n", "+OK\r\nUSER\r\nSTLS\r\n.\r\n", "+OK\r\n"];
        let wanted = vec![said("CAPA\r\n"), said("STLS\r\n"), Next::Begin];
        assert_eq!(talk(StartTls::Pop3, &pop3), Ok(wanted.clone()));
        assert_eq!(talk(StartTls::Pop3, &["+OK hi\r\n", "-ERR what?\r\n", "+OK\r\n"]), Ok(wanted));
        assert_eq!(postgres(b"S"), Ok(()));
    }

    #[test]
    fn a_server_that_does_not_agree_is_told_from_one_that_talks_nonsense() {
        let refuse: [(StartTls, &[&str]); 9] = [
            (StartTls::Smtp, &["554 no\r\n"]),
            (StartTls::Smtp, &["220 hi\r\n", "250 HELP\r\n"]),
            (StartTls::Smtp, &["220 hi\r\n", "250 STARTTLS\r\n", "454 not now\r\n"]),
            (StartTls::Imap, &["* PREAUTH hi\r\n"]),
            (StartTls::Imap, &["* OK hi\r\n", "* CAPABILITY IMAP4rev1\r\na OK\r\n"]),
            (StartTls::Imap, &["* OK hi\r\n", "* CAPABILITY STARTTLS\r\na OK\r\n", "b BAD no\r\n"]),
            (StartTls::Pop3, &["-ERR\r\n"]),
            (StartTls::Pop3, &["+OK\r\n", "+OK\r\nUSER\r\n.\r\n"]),
            (StartTls::Pop3, &["+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "-ERR\r\n"]),
        ];
        for (protocol, turns) in refuse {
            assert!(matches!(talk(protocol, turns), Err(Broken::Refused(_))), "{protocol:?} {turns:?}");
        }
        for bytes in [&b"N"[..], b"E\0"] {
            assert!(matches!(postgres(bytes), Err(Broken::Refused(_))));
        }
        let behind = ["220 hi\r\n", "250 STARTTLS\r\n", "220 go\r\n250 HELP\r\n"];
        let endless = "* OK ".repeat(1_000);
        let many = "220-x\r\n".repeat(1_000);
        let nonsense: [(StartTls, &[&str]); 7] = [
            (StartTls::Smtp, &["HTTP/1.1 400 Bad Request\r\n"]),
            (StartTls::Smtp, &["\u{e9}\u{e9}\r\n"]),
            (StartTls::Smtp, &behind),
            (StartTls::Smtp, &[&many]),
            (StartTls::Imap, &[&endless]),
            (StartTls::Imap, &["+OK\r\n"]),
            (StartTls::Pop3, &["220 hi\r\n"]),
        ];
        for (protocol, turns) in nonsense {
            assert!(matches!(talk(protocol, turns), Err(Broken::Malformed(_))), "{protocol:?} {turns:?}");
        }
        for bytes in [&b"SX"[..], b"X", b""] {
            assert!(matches!(postgres(bytes), Err(Broken::Malformed(_))));
        }
    }

    #[test]
    fn fuzz_no_server_makes_a_dialogue_grow_and_its_words_count_the_same_in_whatever_pieces() {
        let input = bolero::check!().with_type::<(u8, Vec<(u8, Vec<u8>)>, u8)>();
        input.for_each(|(protocol, words, size)| {
            let protocol = [StartTls::Smtp, StartTls::Imap, StartTls::Pop3][usize::from(*protocol) % 3];
            // Noise hardly ever gets past a greeting: most of it is what a server might say.
            let known: [&[u8]; 12] = [
                b"220 hi\r\n",
                b"220-hi\r\n",
                b"250-STARTTLS\r\n",
                b"250 HELP\r\n",
                b"* OK\r\n",
                b"a OK\r\n",
                b"* CAPABILITY STARTTLS\r\n",
                b"b OK\r\n",
                b"+OK\r\n",
                b"STLS\r\n",
                b".\r\n",
                b"-ERR\r\n",
            ];
            let pick = |(which, noise): &(u8, Vec<u8>)| {
                known.get(usize::from(*which % 16)).map_or(noise.clone(), |words| words.to_vec())
            };
            let stream: Vec<u8> = words.iter().flat_map(pick).collect();
            // Line by line, and cut anywhere: what is said, and how it ends, is the same.
            let by_line = run(protocol, stream.split_inclusive(|byte| *byte == b'\n'));
            let cut = run(protocol, stream.chunks(1));
            assert_eq!(by_line, cut);
            let _any_end = run(protocol, stream.chunks(usize::from(*size).max(1)));
        });
    }

    fn run<'p>(protocol: StartTls, pieces: impl Iterator<Item = &'p [u8]>) -> (Vec<Next>, Option<Broken>) {
        let (mut dialogue, mut said) = (dialogue(protocol), Vec::new());
        for piece in pieces {
            let mut heard = piece;
            loop {
                match dialogue.take(heard) {
                    Ok(Next::Listen) => break,
                    Ok(Next::Begin) => {
                        assert!(dialogue.pending.is_empty(), "nothing in the clear is left behind");
                        said.push(Next::Begin);
                        return (said, None);
                    }
                    Ok(next) => said.push(next),
                    Err(broken) => return (said, Some(broken)),
                }
                heard = &[];
            }
            assert!(dialogue.pending.len() <= MAX_LINE);
        }
        (said, None)
    }
}
