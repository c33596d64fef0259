//! FNV-1a, the hash of slots and trace ids: the same on every machine and in every version.
//!
//! Chosen for being tiny and fixed for ever, not for resisting an adversary; nothing secret or
//! trusted rests on it.

/// 64-bit FNV-1a of `bytes` (parameters of draft-eastlake-fnv).
pub fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// 128-bit FNV-1a of `bytes` (parameters of draft-eastlake-fnv).
pub fn fnv1a128(bytes: &[u8]) -> u128 {
    fnv1a128_after(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, bytes)
}

/// [`fnv1a128`] of what gave `hash`, followed by `bytes`.
pub fn fnv1a128_after(hash: u128, bytes: &[u8]) -> u128 {
    bytes
        .iter()
        .fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_test_vectors_hold() {
        assert_eq!(fnv1a64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a64(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(fnv1a128(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fnv1a128(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
        assert_eq!(fnv1a128_after(fnv1a128(b"foo"), b"bar"), fnv1a128(b"foobar"));
    }
}
