//! PURE: echo requests, and which of them a message answers (RFC 792, RFC 4443).

/// The bytes of an echo's header: type, code, checksum, identifier, sequence number.
pub(super) const HEADER_BYTES: usize = 8;
/// The bytes of the token at the beginning of an echo's data.
pub(super) const TOKEN_BYTES: usize = 8;

/// The echoes of one sample.
#[derive(Clone, Debug)]
pub(super) struct Echoes {
    /// Whether they go over IPv6.
    pub(super) v6: bool,
    /// What only whoever saw them knows.
    pub(super) token: [u8; TOKEN_BYTES],
    /// Bytes of data, with the token.
    pub(super) size: usize,
}

impl Echoes {
    /// The request with this number. Identifier and checksum are the kernel's to fill in.
    pub(super) fn request(&self, sequence: u16) -> Vec<u8> {
        self.message(if self.v6 { 128 } else { 8 }, 0, sequence)
    }

    /// The number of the request that `message` answers, where it is the answer to one with `identifier`.
    /// The kernel has looked at its checksum.
    pub(super) fn answered(&self, identifier: u16, message: &[u8]) -> Option<u16> {
        let sequence = message.get(6..HEADER_BYTES)?;
        let sequence = u16::from_be_bytes([sequence[0], sequence[1]]);
        let wanted = self.message(if self.v6 { 129 } else { 0 }, identifier, sequence);
        let same = message.len() == wanted.len() && message[..2] == wanted[..2] && message[4..] == wanted[4..];
        same.then_some(sequence)
    }

    fn message(&self, kind: u8, identifier: u16, sequence: u16) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER_BYTES + self.size);
        message.extend([kind, 0, 0, 0]);
        message.extend(identifier.to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend(self.token);
        // What follows is as dull as that of `ping`, and as telling where a path damages it.
        message.extend((0..=u8::MAX).cycle().take(self.size.saturating_sub(TOKEN_BYTES)));
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echoes(v6: bool, size: usize) -> Echoes {
        Echoes { v6, token: *b"a token!", size }
    }

    fn reply(echoes: &Echoes, identifier: u16, sequence: u16) -> Vec<u8> {
        let mut message = echoes.request(sequence);
        message[0] = if echoes.v6 { 129 } else { 0 };
        // Whatever the checksum is, it is not looked at here.
        message[2] = 0x5a;
        message[4..6].copy_from_slice(&identifier.to_be_bytes());
        message
    }

    #[test]
    fn an_answer_is_known_by_all_that_the_request_said() {
        for v6 in [false, true] {
            let echoes = echoes(v6, 56);
            let good = reply(&echoes, 7, 3);
            assert_eq!(good.len(), 64);
            assert_eq!(echoes.answered(7, &good), Some(3));
            assert_eq!(echoes.answered(8, &good), None, "another's");
            assert_eq!(echoes.answered(7, &echoes.request(3)), None, "a request");
            assert_eq!(echoes.answered(7, &good[..63]), None, "cut short");
            assert_eq!(echoes.answered(7, &[&good[..], b"x"].concat()), None, "too long");
        }
    }

    #[test]
    fn fuzz_only_what_was_sent_is_taken_for_an_answer() {
        bolero::check!().with_type::<(bool, u8, u16, Vec<u8>, Option<(u16, u8)>)>().for_each(
            |(v6, size, identifier, noise, damage)| {
                let echoes = echoes(*v6, TOKEN_BYTES + usize::from(*size));
                if let Some(sequence) = echoes.answered(*identifier, noise) {
                    let mut wanted = reply(&echoes, *identifier, sequence);
                    wanted[2..4].copy_from_slice(&noise[2..4]);
                    assert_eq!(&wanted, noise);
                }
                let mut message = reply(&echoes, *identifier, 9);
                assert_eq!(echoes.answered(*identifier, &message), Some(9));
                let Some((place, bits)) = damage else { return };
                let place = usize::from(*place) % message.len();
                message[place] ^= bits;
                let harmless = *bits == 0 || (2..4).contains(&place);
                let answered = echoes.answered(*identifier, &message);
                match place {
                    _ if harmless => assert_eq!(answered, Some(9)),
                    6 | 7 => assert_ne!(answered, Some(9)),
                    _ => assert_eq!(answered, None),
                }
            },
        );
    }
}
