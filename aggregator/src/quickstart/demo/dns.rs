//! The demo's name server: a question of RFC 1035 in, an answer out. It knows one name and one address.

use std::net::Ipv4Addr;

/// The header's length.
const HEADER: usize = 12;
/// Record type A.
const TYPE_A: u16 = 1;
/// Class IN.
const CLASS_IN: u16 = 1;
/// Seconds for which the answer may be kept: nobody shall.
const TTL: [u8; 4] = [0, 0, 0, 0];

/// The answer to `question`; `None` where it is none.
pub(super) fn answer(question: &[u8], name: &str, address: Ipv4Addr) -> Option<Vec<u8>> {
    let (header, rest) = question.split_at_checked(HEADER)?;
    let is_response = header[2] & 0x80 != 0;
    if is_response || header[4..6] != [0, 1] {
        return None;
    }
    let (asked, end) = labels(rest)?;
    let kind = u16::from_be_bytes(rest.get(end..end + 2)?.try_into().ok()?);
    let class = u16::from_be_bytes(rest.get(end + 2..end + 4)?.try_into().ok()?);
    let known = asked.eq_ignore_ascii_case(name);
    let found = known && kind == TYPE_A && class == CLASS_IN;
    // Authoritative; recursion was maybe desired and is not available; NXDOMAIN for every other name.
    let flags = [0x84 | (header[2] & 0x01), if known { 0 } else { 3 }];
    let mut out = Vec::with_capacity(HEADER + end + 20);
    out.extend_from_slice(&header[..2]);
    out.extend_from_slice(&flags);
    out.extend_from_slice(&[0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    out.extend_from_slice(&rest[..end + 4]);
    if found {
        // The name, as a pointer to the question's.
        out.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1]);
        out.extend_from_slice(&TTL);
        out.extend_from_slice(&[0, 4]);
        out.extend_from_slice(&address.octets());
    }
    Some(out)
}

/// The name at the start of `bytes` with dots, and where it ends. Questions have no pointers.
fn labels(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        if length == 0 {
            return Some((name, at + 1));
        }
        if 63 < length {
            return None;
        }
        let label = bytes.get(at + 1..at + 1 + length)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label));
        at += 1 + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.extend_from_slice(&[0, 0, kind, 0, 1]);
        bytes
    }

    #[test]
    fn it_knows_one_name_in_any_case_and_says_so_of_others() {
        let found = answer(&question("sHop.example", 1), "shop.example", ADDRESS).unwrap();
        assert_eq!((&found[..4], found[7]), (&[0xab, 0xcd, 0x85, 0][..], 1));
        assert!(found.ends_with(&ADDRESS.octets()));
        let other = answer(&question("pub.example", 1), "shop.example", ADDRESS).unwrap();
        assert_eq!((other[3], other[7]), (3, 0));
        let no_data = answer(&question("shop.example", 28), "shop.example", ADDRESS).unwrap();
        assert_eq!((no_data[3], no_data[7]), (0, 0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut question = question("shop.example", 1);
            question.truncate(bytes.len());
            let _any = (answer(&bytes, "shop.example", ADDRESS), answer(&question, "shop.example", ADDRESS));
        }
    }
}
