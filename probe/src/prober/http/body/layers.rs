//! The encodings of a body, undone one after the other in small pieces.

use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use nines_shared::sample::{Phase, Reason};

use super::super::super::failure::Failure;
use super::codec::Codec;

/// The most encodings upon each other.
pub(super) const MAX_CODINGS: usize = 2;
/// What is decoded at once: the most that one layer makes of however little comes in.
const PIECE_BYTES: usize = 16 << 10;

/// What undoing an encoding is called, RFC 9110 §8.4.1, RFC 7932, RFC 8878.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The encodings of a body, in the order in which they were applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Codings([Option<Coding>; MAX_CODINGS]);

impl Codings {
    /// What `headers` say. None where there is no `content-encoding`, or only `identity`.
    ///
    /// # Errors
    /// An encoding that was not asked for, or more than [`MAX_CODINGS`].
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let mut codings = Self::default();
        let mut places = codings.0.iter_mut();
        let names = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| HeaderValue::as_bytes(value).split(|b| *b == b','));
        for name in names.map(<[u8]>::trim_ascii) {
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            let coding = coding(name).ok_or_else(|| {
                refused(format!("content-encoding {:?} was not asked for", String::from_utf8_lossy(name)))
            })?;
            let place = places
                .next()
                .ok_or_else(|| refused(format!("the body is encoded more than {MAX_CODINGS} times over")))?;
            *place = Some(coding);
        }
        Ok(codings)
    }
}

fn refused(detail: String) -> Failure {
    Failure::theirs(Reason::BodyEncoding, Phase::Transfer, detail)
}

fn coding(name: &[u8]) -> Option<Coding> {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match () {
        () if is(b"gzip") || is(b"x-gzip") => Some(Coding::Gzip),
        () if is(b"deflate") => Some(Coding::Deflate),
        () if is(b"br") => Some(Coding::Brotli),
        () if is(b"zstd") => Some(Coding::Zstd),
        () => None,
    }
}

/// Why decoding ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// What takes the bytes wants no more.
    Full,
    /// The bytes are not what the encoding says, which is the target's fault.
    Damaged(String),
    /// We have no memory for it.
    Ours(String),
}

/// What undoes the encodings of a body, the last one applied first.
pub(super) struct Layers(Vec<Layer>);

impl Layers {
    pub(super) fn new(codings: Codings) -> Result<Self, Stop> {
        // None, which most bodies have, take no memory.
        let layers = codings.0.into_iter().rev().flatten().map(Layer::new);
        layers.collect::<Result<_, _>>().map(Self)
    }

    /// Decodes `data` and hands what it makes to `take`, piece by piece.
    pub(super) fn feed(&mut self, data: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
        through(&mut self.0, data, take)
    }

    /// Ends the input.
    pub(super) fn finish(&self) -> Result<(), Stop> {
        self.0.iter().try_for_each(Layer::finish)
    }
}

fn through(layers: &mut [Layer], data: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
    let Some((layer, within)) = layers.split_first_mut() else { return take(data) };
    layer.feed(data, &mut |piece| through(within, piece, take))
}

/// One encoding being undone.
struct Layer {
    codec: Codec,
    /// How many members or frames have ended.
    members: u32,
    /// Whether the codec is between two of them, or before the first.
    between: bool,
    piece: Box<[u8]>,
}

impl Layer {
    fn new(coding: Coding) -> Result<Self, Stop> {
        let codec = Codec::new(coding).map_err(|error| Stop::Ours(error.to_string()))?;
        Ok(Self { codec, members: 0, between: true, piece: vec![0; PIECE_BYTES].into_boxed_slice() })
    }

    fn feed(&mut self, mut data: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
        loop {
            if self.between && data.is_empty() {
                return Ok(());
            }
            if self.between && 0 < self.members && !self.codec.may_follow() {
                return Err(trailing(data.len(), self.codec.name()));
            }
            let step = self.codec.step(data, &mut self.piece).map_err(|why| match self.members {
                0 => Stop::Damaged(why),
                _ => trailing(data.len(), self.codec.name()),
            })?;
            data = &data[step.read..];
            self.between = step.ended;
            take(&self.piece[..step.written])?;
            if step.ended {
                self.members = self.members.saturating_add(1);
            } else if step.written < PIECE_BYTES {
                if data.is_empty() {
                    return Ok(());
                }
                if step.read == 0 && step.written == 0 {
                    return Err(Stop::Damaged(format!("the {} data leads nowhere", self.codec.name())));
                }
            }
        }
    }

    fn finish(&self) -> Result<(), Stop> {
        // A body of no bytes at all is what some servers make of nothing, encoding or not.
        if self.between {
            return Ok(());
        }
        Err(Stop::Damaged(format!("it ends before the {} data does", self.codec.name())))
    }
}

fn trailing(bytes: usize, name: &str) -> Stop {
    Stop::Damaged(format!("after the end of the {name} data come {bytes} or more bytes that are none"))
}
