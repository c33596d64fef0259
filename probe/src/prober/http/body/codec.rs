//! One step of undoing one encoding. How much memory a decoder takes is bounded by its window, whatever the
//! target says that it needs.

use std::io;

use brotli_decompressor::{BrotliDecoderParameter, BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::gzip::Gzip;
use super::layers::Coding;

/// The largest window of zstd, as a power of two: 8 MiB, which RFC 9659 allows as `content-encoding`.
const ZSTD_WINDOW_LOG: u32 = 23;

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) read: usize,
    pub(super) written: usize,
    /// Whether a member, a frame or the whole stream has ended.
    pub(super) ended: bool,
}

/// A decoder, fed in pieces.
pub(super) enum Codec {
    Gzip(Box<Gzip>),
    Deflate(Box<Decompress>),
    /// Its window is at most 16 MiB: the larger ones are not of RFC 7932.
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(Box<Decoder<'static>>),
}

impl Codec {
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Box::default()),
            Coding::Deflate => Self::Deflate(Box::new(Decompress::new(true))),
            Coding::Brotli => {
                let alloc = StandardAlloc::default;
                let mut state = Box::new(BrotliState::new(alloc(), alloc(), alloc()));
                let _set_before_first_byte =
                    state.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
                Self::Brotli(state)
            }
            Coding::Zstd => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Deflate(_) => "deflate",
            Self::Brotli(_) => "br",
            Self::Zstd(_) => "zstd",
        }
    }

    /// Whether another member or frame may follow one that has ended.
    pub(super) const fn may_follow(&self) -> bool {
        match self {
            Self::Gzip(_) | Self::Zstd(_) => true,
            Self::Deflate(_) | Self::Brotli(_) => false,
        }
    }

    /// Decodes some of `input` into `output`.
    ///
    /// # Errors
    /// Why `input` can't be decoded, for people.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
        match self {
            Self::Gzip(gzip) => gzip.step(input, output),
            Self::Deflate(inflate) => inflated(inflate, input, output),
            Self::Brotli(state) => {
                let (mut available, mut read, mut room, mut written) = (input.len(), 0, output.len(), 0);
                let result = BrotliDecompressStream(
                    &mut available,
                    &mut read,
                    input,
                    &mut room,
                    &mut written,
                    output,
                    &mut 0,
                    state,
                );
                match result {
                    BrotliResult::ResultFailure => Err("it is damaged".to_owned()),
                    BrotliResult::ResultSuccess => Ok(Step { read, written, ended: true }),
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                        Ok(Step { read, written, ended: false })
                    }
                }
            }
            Self::Zstd(decoder) => {
                let status = decoder.run_on_buffers(input, output).map_err(|error| error.to_string())?;
                let ended = status.remaining == 0;
                Ok(Step { read: status.bytes_read, written: status.bytes_written, ended })
            }
        }
    }
}

/// A step of `inflate`.
pub(super) fn inflated(inflate: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
    let (read, written) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, FlushDecompress::None).map_err(|error| error.to_string())?;
    // What one step reads and writes fits the slices that it was given.
    let len = |total: u64| usize::try_from(total).unwrap_or(usize::MAX);
    Ok(Step {
        read: len(inflate.total_in() - read),
        written: len(inflate.total_out() - written),
        ended: status == Status::StreamEnd,
    })
}
