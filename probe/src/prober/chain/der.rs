//! A reader of DER, for what no crate here reads: one value after the other, nothing copied.

/// What is left of a sequence of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'d>(pub(super) &'d [u8]);

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'d> {
    pub(super) tag: u8,
    /// What is in it.
    pub(super) inside: &'d [u8],
    /// With its tag and length.
    pub(super) whole: &'d [u8],
}

impl<'d> Der<'d> {
    /// The next value; `None` at the end, and where the bytes are no value.
    pub(super) fn any(&mut self) -> Option<Value<'d>> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        // Numbers of tags above 30 are written over several bytes; nothing that is read here has them.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let width = match first {
            0..=0x7f => 0,
            0x81..=0x84 => usize::from(first & 0x7f),
            _ => return None,
        };
        let (digits, rest) = rest.split_at_checked(width)?;
        let length = match width {
            0 => usize::from(*first),
            _ => {
                digits.iter().try_fold(0_usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))?
            }
        };
        let (inside, after) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - after.len())?;
        self.0 = after;
        Some(Value { tag: *tag, inside, whole })
    }

    /// The next value, where it has this `tag`.
    pub(super) fn one(&mut self, tag: u8) -> Option<Value<'d>> {
        let (before, value) = (*self, self.any()?);
        if value.tag == tag {
            return Some(value);
        }
        *self = before;
        None
    }

    /// What is in the next value, where it has this `tag`.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Self> {
        self.one(tag).map(|value| Self(value.inside))
    }

    /// The bytes of the next value, a BIT STRING of whole bytes.
    pub(super) fn bits(&mut self) -> Option<&'d [u8]> {
        match self.one(BIT_STRING)?.inside {
            [0, bits @ ..] => Some(bits),
            _ => None,
        }
    }
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
