use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hyper::HeaderMap;

use super::*;

/// "hello" by the reference encoder.
const HELLO_BR: &[u8] = &[0x0f, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];

fn codings(names: &str) -> Result<Codings, Failure> {
    let mut headers = HeaderMap::new();
    for name in names.split('|') {
        headers.append("content-encoding", name.parse().unwrap());
    }
    Codings::of(&headers)
}

fn decode_in(pieces: &[&[u8]], names: &str, limit: usize) -> (Body, Result<(), Stop>) {
    let mut body = Body::default();
    let mut layers = Layers::new(codings(names).unwrap()).unwrap();
    let mut room = Room { body: &mut body, keep: true, left: limit };
    let mut fed = pieces.iter().try_for_each(|piece| layers.feed(piece, &mut |decoded| room.take(decoded)));
    if fed.is_ok() {
        fed = layers.finish();
        body.whole = fed.is_ok();
    }
    (body, fed)
}

fn decode(data: &[u8], names: &str, limit: usize) -> (Body, Result<(), Stop>) {
    decode_in(&data.chunks(7).collect::<Vec<_>>(), names, limit)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(data, 19).unwrap()
}

/// 50 MiB of one letter, by the reference encoder.
const BOMB_BR: &[u8] = &[
    0xcf, 0xff, 0xff, 0x7f, 0xf8, 0x25, 0xc2, 0xe2, 0xb1, 0x40, 0x20, 0xf7, 0xfe, 0x9f, 0xff, 0xff, 0xff, 0xf0, 0x4b,
    0x00, 0xc4, 0x61, 0x01, 0x80, 0xee, 0xfd, 0x3f, 0xff, 0xff, 0xff, 0xe1, 0x97, 0x00, 0x88, 0xc3, 0x22, 0x00, 0xdd,
    0xfb, 0xff, 0xfc, 0xff, 0xff, 0xc0, 0x2f, 0x01, 0x10, 0x87, 0x05, 0x00, 0xba, 0xf7, 0x1f,
];

#[test]
fn a_body_is_decoded_in_whatever_pieces_it_comes() {
    for (names, data) in [
        ("", b"hello".to_vec()),
        ("Identity", b"hello".to_vec()),
        (" gzip", gzip(b"hello")),
        ("x-gzip", [gzip(b"he"), gzip(b"llo")].concat()),
        ("deflate", zlib(b"hello")),
        ("br", HELLO_BR.to_vec()),
        ("zstd", zstd(b"hello")),
        ("ZSTD", [zstd(b"he"), zstd(b"llo")].concat()),
        ("gzip, zstd", zstd(&gzip(b"hello"))),
        ("br|identity|gzip", gzip(HELLO_BR)),
    ] {
        for size in [1, 2, 7, 100] {
            let (body, ended) = decode_in(&data.chunks(size).collect::<Vec<_>>(), names, 5);
            assert_eq!((body.bytes.as_slice(), body.whole), (&b"hello"[..], true), "{names} by {size}: {ended:?}");
        }
    }
}

#[test]
fn a_gzip_header_may_have_every_field() {
    let mut encoder = flate2::GzBuilder::new()
        .filename("a file")
        .comment("a comment")
        .extra(vec![7; 300])
        .write(Vec::new(), Compression::best());
    encoder.write_all(b"hello").unwrap();
    let (body, _) = decode(&encoder.finish().unwrap(), "gzip", 5);
    assert_eq!((body.bytes.as_slice(), body.whole), (&b"hello"[..], true));
}

#[test]
fn inv_9_a_bomb_is_stopped_at_the_limit_with_little_memory() {
    let zeros = vec![0; 50 << 20];
    let twice = gzip(&gzip(&zeros));
    assert!(twice.len() < 1_000);
    for (names, bomb) in [
        ("gzip", gzip(&zeros)),
        ("deflate", zlib(&zeros)),
        ("br", BOMB_BR.to_vec()),
        ("br, gzip", gzip(BOMB_BR)),
        ("zstd", zstd(&zeros)),
        ("gzip, gzip", twice),
        ("gzip, zstd", zstd(&gzip(&zeros))),
    ] {
        let mut decoded = None;
        let used = allocation_counter::measure(|| decoded = Some(decode_in(&[&bomb], names, 1_000)));
        let (body, ended) = decoded.unwrap();
        assert_eq!((body.bytes.len(), body.whole, ended), (1_000, false, Err(Stop::Full)), "{names}");
        // A window of brotli is 16 MiB, and takes that much where the body says that it is as long.
        let most = if names.contains("br") { 18 << 20 } else { 1 << 20 };
        assert!(used.bytes_max < most, "{names}: {} bytes", used.bytes_max);
    }
}

#[test]
fn what_is_wrong_with_an_encoded_body_is_told_apart() {
    let good = gzip(b"hello, hello, hello");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        let at = if at < 100 { at } else { bytes.len() - (at - 100) };
        bytes[at] ^= byte;
        bytes
    };
    let and = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.extend_from_slice(more);
        bytes
    };
    let mut flate_cut = zlib(b"hello, hello");
    flate_cut.truncate(8);
    let mut zstd_cut = zstd(b"hello, hello");
    zstd_cut.truncate(8);
    let mut long_name = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0];
    long_name.extend([b'x'; 5_000]);
    for (names, data, why) in [
        ("gzip", b"<html>".to_vec(), "does not begin as gzip does"),
        ("gzip", long_name, "header is longer"),
        ("gzip", good[..12].to_vec(), "ends before the gzip data does"),
        ("gzip", good[..good.len() - 1].to_vec(), "ends before the gzip data does"),
        ("gzip", with(105, 1), "checksum is wrong"),
        ("gzip", with(101, 1), "length is wrong"),
        ("gzip", and(good.clone(), b"<!-- -->"), "after the end of the gzip data"),
        ("deflate", b"hello".to_vec(), "deflate"),
        ("deflate", flate_cut, "ends before the deflate data does"),
        ("deflate", and(zlib(b"hello"), b"x"), "after the end of the deflate data"),
        ("br", vec![0xff; 20], "damaged"),
        ("br", HELLO_BR[..6].to_vec(), "ends before the br data does"),
        ("br", and(HELLO_BR.to_vec(), b"x"), "after the end of the br data"),
        ("zstd", b"hello".to_vec(), "Unknown frame"),
        ("zstd", zstd_cut, "ends before the zstd data does"),
        ("zstd", and(zstd(b"hello"), b"xxxxxx"), "after the end of the zstd data"),
        ("gzip, zstd", zstd(b"hello"), "does not begin as gzip does"),
    ] {
        let (body, ended) = decode(&data, names, 1_000);
        let Err(Stop::Damaged(told)) = &ended else { panic!("{names} {why}: {ended:?}") };
        assert!(told.contains(why) && !body.whole, "{names} {why}: {told}");
    }
}

#[test]
fn what_was_not_asked_for_and_what_is_piled_up_is_refused() {
    for (names, why) in
        [("compress", "not asked for"), ("br, gzip, br", "more than 2 times"), ("gzip;q=1", "not asked")]
    {
        let failure = codings(names).unwrap_err();
        assert_eq!(failure.reason, Reason::BodyEncoding);
        assert!(failure.detail.contains(why), "{}", failure.detail);
    }
}

#[test]
fn inv_9_a_window_beyond_what_the_encoding_may_have_is_refused_and_takes_no_memory() {
    // zstd: a frame that says it needs a window of 2 GiB. br: a window of 2^30 in the form that is not of the RFC.
    for (names, data) in [("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 0, 0, 0][..]), ("br", &[0x11, 0x1e, 0, 0, 0, 0])]
    {
        let mut decoded = None;
        let used = allocation_counter::measure(|| decoded = Some(decode_in(&[data], names, 1_000)));
        assert!(matches!(decoded.unwrap().1, Err(Stop::Damaged(_))), "{names}");
        assert!(used.bytes_max < 1 << 20, "{names}: {} bytes", used.bytes_max);
    }
}

const NAMES: [&str; 8] = ["", "gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip", "br, zstd"];
const FUZZ_LIMIT: usize = 3_000;

/// `bytes` cut into pieces whose lengths `cuts` give, over and over.
fn pieces<'b>(bytes: &'b [u8], cuts: &[u8]) -> Vec<&'b [u8]> {
    let mut lens = cuts.iter().map(|cut| usize::from(*cut) + 1).cycle();
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(lens.next().unwrap_or(rest.len()).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[test]
fn fuzz_no_bytes_make_decoding_panic_or_keep_more_than_the_limit_or_depend_on_how_they_are_cut() {
    bolero::check!().with_type::<(Vec<u8>, Vec<u8>, u8)>().with_iterations(300).for_each(|(bytes, cuts, names)| {
        let names = NAMES[usize::from(*names) % NAMES.len()];
        let (whole, ended) = decode_in(&[bytes], names, FUZZ_LIMIT);
        let (cut, cut_ended) = decode_in(&pieces(bytes, cuts), names, FUZZ_LIMIT);
        assert!(whole.bytes.len() <= FUZZ_LIMIT && whole.size == whole.bytes.len() as u64);
        assert_eq!((&whole, ended.is_ok()), (&cut, cut_ended.is_ok()), "{names}");
    });
}

#[test]
fn fuzz_what_was_encoded_is_decoded_and_a_flipped_bit_is_never_taken_for_another_whole_body() {
    let bodies = bolero::generator::produce::<(Vec<u8>, Vec<u8>, u8, u16)>();
    bolero::check!().with_generator(bodies).with_iterations(300).for_each(|(body, cuts, which, flip)| {
        let (names, mut encoded) = match which % 4 {
            0 => ("gzip", gzip(body)),
            1 => ("deflate", zlib(body)),
            2 => ("zstd, gzip", gzip(&zstd(body))),
            _ => ("gzip, zstd", zstd(&gzip(body))),
        };
        let (read, ended) = decode_in(&pieces(&encoded, cuts), names, 1 << 20);
        assert_eq!((&read.bytes, read.whole), (body, true), "{names}: {ended:?}");
        let at = usize::from(*flip) % (encoded.len() * 8);
        encoded[at / 8] ^= 1 << (at % 8);
        let (read, _) = decode_in(&pieces(&encoded, cuts), names, 1 << 20);
        assert!(!read.whole || &read.bytes == body, "{names}");
    });
}
