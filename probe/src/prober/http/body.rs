//! A response's body, decoded as it comes, up to a limit.
//!
//! The limit holds for what is kept: decoded bytes where an expectation wants them, else the bytes as they
//! come. A bomb is stopped at the limit, in pieces of what its few bytes decode to. The body is read to its
//! end or to the limit even where nothing wants it, since how long that takes is a phase.

use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use nines_shared::sample::{Phase, Reason};

use super::super::failure::Failure;
use super::exchange::of_http;

/// How to read a body.
pub(super) struct Plan<'h> {
    /// The most bytes.
    pub(super) limit: usize,
    /// Whether an expectation wants it.
    pub(super) keep: bool,
    /// Its `content-encoding`; empty where there is none.
    pub(super) encoding: &'h [u8],
}

/// A body as far as it was read.
#[derive(Debug)]
pub(super) struct Read {
    /// Decoded; empty where nothing wanted them.
    pub(super) bytes: Vec<u8>,
    /// Whether there was no more.
    pub(super) whole: bool,
}

/// Reads `incoming` to its end or to the plan's limit.
pub(super) async fn read(mut incoming: Incoming, plan: Plan<'_>) -> Result<Read, Failure> {
    let mut decoder = Decoder::of(&plan)?;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| of_http(&error, Phase::Transfer))?;
        let Some(data) = frame.data_ref() else { continue };
        if let Err(error) = decoder.write(data) {
            return decoder.full().ok_or_else(|| bad_encoding(&error));
        }
    }
    decoder.finish().map_err(|error| bad_encoding(&error))
}

fn bad_encoding(error: &io::Error) -> Failure {
    let detail = format!("the body can't be decoded as its content-encoding says: {error}");
    Failure::theirs(Reason::BodyEncoding, Phase::Transfer, detail)
}

enum Decoder {
    Identity(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
    Deflate(Box<ZlibDecoder<Kept>>),
}

impl Decoder {
    fn of(plan: &Plan<'_>) -> Result<Self, Failure> {
        let kept = Kept { bytes: Vec::new(), keep: plan.keep, left: plan.limit, full: false };
        let encoding = plan.encoding.trim_ascii();
        if !plan.keep || encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
            return Ok(Self::Identity(kept));
        }
        if encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip") {
            return Ok(Self::Gzip(Box::new(MultiGzDecoder::new(kept))));
        }
        if encoding.eq_ignore_ascii_case(b"deflate") {
            return Ok(Self::Deflate(Box::new(ZlibDecoder::new(kept))));
        }
        let detail = format!("content-encoding {:?} was not asked for", String::from_utf8_lossy(encoding));
        Err(Failure::theirs(Reason::BodyEncoding, Phase::Transfer, detail))
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(kept) => kept.write_all(data),
            Self::Gzip(decoder) => decoder.write_all(data),
            Self::Deflate(decoder) => decoder.write_all(data),
        }
    }

    /// What was kept, where writing ended because of the limit.
    fn full(mut self) -> Option<Read> {
        let kept = match &mut self {
            Self::Identity(kept) => kept,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        };
        kept.full.then(|| Read { bytes: std::mem::take(&mut kept.bytes), whole: false })
    }

    fn finish(self) -> io::Result<Read> {
        // A decoder may still hold bytes back: then the limit is met here.
        let mut decoder = self;
        let ended = match &mut decoder {
            Self::Identity(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
        };
        if let Err(error) = ended {
            return decoder.full().ok_or(error);
        }
        let bytes = match &mut decoder {
            Self::Identity(kept) => std::mem::take(&mut kept.bytes),
            Self::Gzip(decoder) => std::mem::take(&mut decoder.get_mut().bytes),
            Self::Deflate(decoder) => std::mem::take(&mut decoder.get_mut().bytes),
        };
        Ok(Read { bytes, whole: true })
    }
}

/// Takes bytes up to a limit, and refuses more.
struct Kept {
    bytes: Vec<u8>,
    keep: bool,
    left: usize,
    full: bool,
}

impl Write for Kept {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(self.left);
        if taken == 0 && !data.is_empty() {
            self.full = true;
            return Err(io::Error::other("the body's limit is reached"));
        }
        if self.keep {
            self.bytes.extend_from_slice(&data[..taken]);
        }
        self.left -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn decode(encoding: &[u8], limit: usize, data: &[u8]) -> Result<Read, Reason> {
        let mut decoder = Decoder::of(&Plan { limit, keep: true, encoding }).map_err(|failure| failure.reason)?;
        for piece in data.chunks(7) {
            if let Err(error) = decoder.write(piece) {
                return decoder.full().ok_or_else(|| bad_encoding(&error).reason);
            }
        }
        decoder.finish().map_err(|error| bad_encoding(&error).reason)
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_decoded_in_whatever_pieces_it_comes() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"hello").unwrap();
        for (encoding, data) in [
            (&b""[..], b"hello".to_vec()),
            (b"Identity", b"hello".to_vec()),
            (b" gzip", gzip(b"hello")),
            (b"x-gzip", [gzip(b"he"), gzip(b"llo")].concat()),
            (b"deflate", zlib.finish().unwrap()),
        ] {
            let read = decode(encoding, 5, &data).unwrap();
            assert_eq!((read.bytes.as_slice(), read.whole), (&b"hello"[..], true), "{encoding:?}");
        }
    }

    #[test]
    fn inv_9_a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![b'a'; 10 << 20]);
        assert!(bomb.len() < 20_000);
        let read = decode(b"gzip", 1_000, &bomb).unwrap();
        assert_eq!((read.bytes.len(), read.whole), (1_000, false));
    }

    #[test]
    fn what_is_cut_short_or_foreign_or_damaged_is_a_fault_of_the_encoding() {
        let good = gzip(b"hello, hello, hello");
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for (encoding, data) in [(&b"gzip"[..], &good[..12]), (b"gzip", &damaged), (b"br", b"x"), (b"gzip, gzip", b"x")]
        {
            assert_eq!(decode(encoding, 1_000, data).unwrap_err(), Reason::BodyEncoding, "{encoding:?}");
        }
    }
}
