//! The ICMP question: echoes, and how many of them must come back.

use serde::{Deserialize, Serialize};

use super::{BareHost, Reach};

/// The most echoes of one sample.
pub const MAX_ECHOES: u8 = 10;
/// The fewest bytes of an echo's data: a token, by which it is known again.
pub const MIN_ECHO_BYTES: u16 = 8;
/// The most bytes of an echo's data: what fits an Ethernet frame over IPv6.
pub const MAX_ECHO_BYTES: u16 = 1_452;
/// The bytes of an echo's data where a check names none: what `ping` sends.
pub const DEFAULT_ECHO_BYTES: u16 = 56;

/// Echo requests, and how many of them must be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IcmpQuestion {
    /// Whom to ask.
    pub host: BareHost,
    /// Over which of the host's addresses.
    #[serde(default, skip_serializing_if = "Reach::is_default")]
    pub reach: Reach,
    /// How many echoes are asked for, 1 to [`MAX_ECHOES`].
    #[serde(default = "one")]
    pub count: u8,
    /// Bytes of data of each, [`MIN_ECHO_BYTES`] to [`MAX_ECHO_BYTES`].
    #[serde(default = "default_size")]
    pub size: u16,
    /// What must come back.
    #[serde(default, skip_serializing_if = "IcmpExpect::is_default")]
    pub expect: IcmpExpect,
}

/// How many echoes must come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IcmpExpect {
    /// How many of a hundred may be lost, 0 to 99.
    pub max_loss: u8,
}

const fn one() -> u8 {
    1
}

const fn default_size() -> u16 {
    DEFAULT_ECHO_BYTES
}

impl IcmpExpect {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl IcmpQuestion {
    /// One echo of the usual size to `host`.
    pub fn to(host: BareHost) -> Self {
        Self { host, reach: Reach::default(), count: one(), size: DEFAULT_ECHO_BYTES, expect: IcmpExpect::default() }
    }

    /// How many echoes must come back: at least one.
    pub fn wanted(&self) -> u8 {
        let lost = u16::from(self.count) * u16::from(self.expect.max_loss) / 100;
        self.count.saturating_sub(u8::try_from(lost).unwrap_or(u8::MAX)).max(1)
    }

    pub(super) fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        self.reach.errors(Some(&self.host.0), "icmp.family", push);
        if !(1..=MAX_ECHOES).contains(&self.count) {
            push("icmp.count", format!("a sample asks for 1 to {MAX_ECHOES} echoes, not {}", self.count));
        }
        if !(MIN_ECHO_BYTES..=MAX_ECHO_BYTES).contains(&self.size) {
            let range = format!("{MIN_ECHO_BYTES} to {MAX_ECHO_BYTES}");
            push("icmp.size", format!("an echo has {range} bytes of data, not {}", self.size));
        }
        if 99 < self.expect.max_loss {
            push("icmp.expect.max_loss", format!("{} of a hundred leave nothing; use 0 to 99", self.expect.max_loss));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_that_is_allowed_is_rounded_down_and_one_echo_is_always_wanted() {
        for (count, max_loss, wanted) in [(1, 0, 1), (1, 99, 1), (10, 0, 10), (10, 20, 8), (3, 33, 3), (3, 34, 2)] {
            let mut question = IcmpQuestion::to("a.example".parse().unwrap());
            (question.count, question.expect.max_loss) = (count, max_loss);
            assert_eq!(question.wanted(), wanted, "{count} echoes, {max_loss} of a hundred");
        }
    }
}
