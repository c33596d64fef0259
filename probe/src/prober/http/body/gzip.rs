//! gzip, RFC 1952: what is around the deflated data, byte by byte, in whatever pieces it comes.

use flate2::{Crc, Decompress};

use super::codec::{Step, inflated};

/// The most bytes of a member's header: a file's name and a comment have no length of their own.
const MAX_HEADER_BYTES: u32 = 4 << 10;

const HAS_CRC: u8 = 0x02;
const HAS_EXTRA: u8 = 0x04;
const HAS_NAME: u8 = 0x08;
const HAS_COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

/// The part of a member that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The fixed header, and how many of its ten bytes came.
    Fixed(u8),
    /// The low byte of the extra field's length.
    ExtraLow,
    /// The high byte, with the low one.
    ExtraHigh(u8),
    /// So many bytes of the extra field.
    Extra(u16),
    Name,
    Comment,
    /// So many bytes of the header's checksum.
    HeaderCrc(u8),
    Data,
    /// Checksum and length, and how many of their eight bytes came.
    Trailer(u8),
}

/// A decoder of one member after the other.
pub(super) struct Gzip {
    part: Part,
    flags: u8,
    header: u32,
    trailer: [u8; 8],
    inflate: Decompress,
    crc: Crc,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            part: Part::Fixed(0),
            flags: 0,
            header: 0,
            trailer: [0; 8],
            inflate: Decompress::new(false),
            crc: Crc::new(),
        }
    }
}

impl Gzip {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
        let mut read = 0;
        while self.part != Part::Data {
            let Some(byte) = input.get(read) else { return Ok(Step { read, written: 0, ended: false }) };
            read += 1;
            if let Part::Trailer(at) = self.part {
                self.trailer[usize::from(at)] = *byte;
                if at < 7 {
                    self.part = Part::Trailer(at + 1);
                    continue;
                }
                self.check()?;
                *self = Self::default();
                return Ok(Step { read, written: 0, ended: true });
            }
            self.header += 1;
            if MAX_HEADER_BYTES < self.header {
                return Err(format!("its header is longer than {MAX_HEADER_BYTES} bytes"));
            }
            self.part = self.after(*byte)?;
        }
        let step = inflated(&mut self.inflate, &input[read..], output)?;
        self.crc.update(&output[..step.written]);
        if step.ended {
            self.part = Part::Trailer(0);
        }
        Ok(Step { read: read + step.read, written: step.written, ended: false })
    }

    /// The part after `byte` of the header.
    fn after(&mut self, byte: u8) -> Result<Part, String> {
        Ok(match self.part {
            Part::Fixed(at) => {
                let good = match at {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    2 => byte == 8,
                    3 => byte & RESERVED == 0,
                    _ => true,
                };
                if !good {
                    return Err("it does not begin as gzip does".to_owned());
                }
                if at == 3 {
                    self.flags = byte;
                }
                if at < 9 { Part::Fixed(at + 1) } else { self.next(HAS_EXTRA) }
            }
            Part::ExtraLow => Part::ExtraHigh(byte),
            Part::ExtraHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.next(HAS_NAME),
                left => Part::Extra(left),
            },
            Part::Extra(1) => self.next(HAS_NAME),
            Part::Extra(left) => Part::Extra(left - 1),
            Part::Name if byte == 0 => self.next(HAS_COMMENT),
            Part::Comment if byte == 0 => self.next(HAS_CRC),
            Part::HeaderCrc(1) => Part::Data,
            Part::HeaderCrc(left) => Part::HeaderCrc(left - 1),
            part @ (Part::Name | Part::Comment | Part::Data | Part::Trailer(_)) => part,
        })
    }

    /// The first part that the flags name, from that of `flag` on.
    const fn next(&self, flag: u8) -> Part {
        if flag == HAS_EXTRA && self.flags & HAS_EXTRA != 0 {
            return Part::ExtraLow;
        }
        if (flag == HAS_EXTRA || flag == HAS_NAME) && self.flags & HAS_NAME != 0 {
            return Part::Name;
        }
        if flag != HAS_CRC && self.flags & HAS_COMMENT != 0 {
            return Part::Comment;
        }
        if self.flags & HAS_CRC != 0 { Part::HeaderCrc(2) } else { Part::Data }
    }

    fn check(&self) -> Result<(), String> {
        let [a, b, c, d, e, f, g, h] = self.trailer;
        if u32::from_le_bytes([a, b, c, d]) != self.crc.sum() {
            return Err("its checksum is wrong".to_owned());
        }
        if u32::from_le_bytes([e, f, g, h]) != self.crc.amount() {
            return Err("its length is wrong".to_owned());
        }
        Ok(())
    }
}
