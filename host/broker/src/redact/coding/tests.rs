use std::io::Write as _;
use std::sync::Arc;

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use http::{HeaderValue, Response};

use super::*;
use crate::redact::SecretIndex;

const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl";

/// `{"sent": "Bearer TOKEN"}`, and the token's beginning twenty times, in Brotli.
const BROTLI_WITH_TOKEN: &str = "1b4900f8656a5da9deecf4932295d420fca72412955423d0e2033d011e024291acc50a158f51a76ad6b88d71\
                                 a438d5eb230a178ff1e681ae1a67ac754de9c319de8fe9a0a07968f4e00f";
const BROTLI_WITHOUT: &str = "1bdf01f8ad1278ce2af8fdc272d305dffaa98c2d4fb9d4549a5b838ca1d569259923b10d93249626288c132ce86a0ebf190e";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn scanner_for(secret: &'static str) -> Scanner {
    let secret = Bytes::from_static(secret.as_bytes());
    Scanner::new([Arc::new(SecretIndex::of_tokens([secret]))])
}

/// Pushes an input in pieces of this length. Returns what went on, and the error that ended it.
fn search(coding: Coding, input: &[u8], piece: usize) -> (Vec<u8>, Result<(), CodingError>) {
    let mut scanner = CodedScanner::new(coding, scanner_for(TOKEN));
    let mut out = Vec::new();
    for chunk in input.chunks(piece) {
        match scanner.push(Bytes::copy_from_slice(chunk)) {
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(error) => return (out, Err(error)),
        }
    }
    match scanner.finish() {
        Ok(bytes) => out.extend_from_slice(&bytes),
        Err(error) => return (out, Err(error)),
    }
    (out, Ok(()))
}

fn coding(
    status: u16,
    fields: &[(&'static str, &'static str)],
    stored: bool,
) -> Result<Option<Coding>, CodingError> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, HeaderValue::from_static(value));
    }
    of(&response.body(()).unwrap().into_parts().0, stored)
}

#[test]
fn a_response_has_one_known_coding_or_none() {
    let content = |value| coding(200, &[("content-encoding", value)], true);
    assert_eq!(coding(200, &[], true), Ok(None));
    assert_eq!(content("identity, "), Ok(None));
    assert_eq!(content(" X-GZip"), Ok(Some(Coding::Gzip)));
    assert_eq!(content("deflate"), Ok(Some(Coding::Deflate)));
    assert_eq!(content("identity, br"), Ok(Some(Coding::Brotli)));
    for unknown in ["zstd", "compress", "gzip;q=1", "aws-chunked", "g\"zip"] {
        assert_eq!(content(unknown), Err(CodingError::Unknown(unknown.to_owned())));
    }
    assert_eq!(content("gzip, gzip"), Err(CodingError::Several));
    assert_eq!(
        coding(200, &[("content-encoding", "br"), ("content-encoding", "br")], true),
        Err(CodingError::Several)
    );
    assert_eq!(coding(200, &[("transfer-encoding", "chunked")], true), Ok(None));
    assert_eq!(
        coding(200, &[("transfer-encoding", "gzip, chunked")], true),
        Ok(Some(Coding::Gzip))
    );
}

#[test]
fn a_part_of_a_compressed_response_passes_only_where_it_is_stored_content() {
    let part = |range, stored| {
        coding(206, &[("content-encoding", "gzip"), ("content-range", range)], stored)
    };
    for stored in [true, false] {
        assert_eq!(part("bytes 0-99/200", stored), Ok(Some(Coding::Gzip)));
    }
    for range in ["bytes 1-99/200", "bytes */200", "items 0-1", ""] {
        assert_eq!(part(range, true), Ok(None), "{range}");
        assert_eq!(part(range, false), Err(CodingError::Partial), "{range}");
    }
    assert_eq!(coding(206, &[("content-encoding", "gzip")], false), Err(CodingError::Partial));
    assert_eq!(coding(206, &[("content-range", "bytes 1-2/3")], false), Ok(None));
}

#[test]
fn a_response_without_a_token_goes_on_as_it_came() {
    let text = "eyJhbGciOiJub25lIn0.eyJ ".repeat(100);
    let members = [gzip(text.as_bytes()), gzip(b""), gzip(text.as_bytes())].concat();
    for piece in [1, 7, 1000] {
        assert_eq!(search(Coding::Gzip, &members, piece), (members.clone(), Ok(())));
        let zlib = zlib(text.as_bytes());
        assert_eq!(search(Coding::Deflate, &zlib, piece), (zlib.clone(), Ok(())));
        let brotli = bytes(BROTLI_WITHOUT);
        assert_eq!(search(Coding::Brotli, &brotli, piece), (brotli.clone(), Ok(())));
    }
}

#[test]
fn the_bytes_behind_which_a_token_ends_do_not_leave() {
    let text = format!("{{\"sent\": \"Bearer {TOKEN}\"}}");
    let halves = text.split_at(30);
    let members = [gzip(halves.0.as_bytes()), gzip(halves.1.as_bytes())].concat();
    for (coding, input) in [
        (Coding::Gzip, gzip(text.as_bytes())),
        (Coding::Gzip, members),
        (Coding::Deflate, zlib(text.as_bytes())),
        (Coding::Brotli, bytes(BROTLI_WITH_TOKEN)),
    ] {
        for piece in [1, 7, 1000] {
            let (out, ended) = search(coding, &input, piece);
            assert_eq!(ended, Err(CodingError::Token), "{coding:?} in pieces of {piece}");
            let mut scanner = CodedScanner::new(coding, scanner_for(&TOKEN[..8]));
            let left = scanner.push(Bytes::from(out));
            assert!(left.is_ok(), "{coding:?} in pieces of {piece}: eight bytes of the token left");
        }
    }
}

#[test]
fn a_token_in_what_decoders_skip_does_not_leave() {
    for builder in [
        GzBuilder::new().filename(TOKEN),
        GzBuilder::new().comment(format!("sent by {TOKEN}")),
        GzBuilder::new().extra(TOKEN.as_bytes()),
    ] {
        let input = builder.write(Vec::new(), Compression::best()).finish().unwrap();
        for piece in [1, 7, 1000] {
            let (out, ended) = search(Coding::Gzip, &input, piece);
            assert_eq!(ended, Err(CodingError::Token), "in pieces of {piece}");
            assert!(!String::from_utf8_lossy(&out).contains(&TOKEN[..8]), "in pieces of {piece}");
        }
    }
}

#[test]
fn a_response_in_no_coding_is_malformed() {
    let mut torn = gzip(TOKEN.as_bytes());
    torn.splice(12..14, [0xFF, 0xFF]);
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
    raw.write_all(TOKEN.as_bytes()).unwrap();
    for (coding, input) in [
        (Coding::Gzip, TOKEN.as_bytes().to_vec()),
        (Coding::Gzip, torn),
        (Coding::Gzip, [gzip(b"text"), TOKEN.as_bytes().to_vec()].concat()),
        (Coding::Deflate, raw.finish().unwrap()),
        (Coding::Deflate, [zlib(b"text"), TOKEN.as_bytes().to_vec()].concat()),
        (Coding::Brotli, vec![0xFF; 100]),
        (Coding::Brotli, [bytes(BROTLI_WITHOUT), TOKEN.as_bytes().to_vec()].concat()),
    ] {
        for piece in [1, 1000] {
            let (_, ended) = search(coding, &input, piece);
            assert_eq!(ended, Err(CodingError::Malformed), "{coding:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_decompression_bomb_is_too_large() {
    let bomb = gzip(&vec![0; 64 << 20]);
    for piece in [1000, 1 << 20] {
        assert_eq!(search(Coding::Gzip, &bomb, piece).1, Err(CodingError::TooLarge));
    }
    assert_eq!(decode_whole(Coding::Gzip, &bomb, 1000), Err(CodingError::TooLarge));
}

#[test]
fn a_short_response_may_expand_more() {
    let zeros = gzip(&vec![0; 1 << 20]);
    assert!((1 << 20) / zeros.len() as u64 > MAX_RATIO);
    assert_eq!(search(Coding::Gzip, &zeros, 100), (zeros.clone(), Ok(())));
}

#[test]
fn the_beginning_of_a_token_at_the_end_goes_on_when_the_response_has_ended() {
    let input = gzip(&TOKEN.as_bytes()[..20]);
    assert_eq!(search(Coding::Gzip, &input, 1000), (input.clone(), Ok(())));
}

#[test]
fn a_long_response_may_expand_in_proportion_to_its_length() {
    // Pseudo-random bytes between zeros: it expands less than a hundredfold, to over 8 MiB.
    let mut text = vec![0; 9 << 20];
    let mut state = 1_u32;
    for start in (0..text.len()).step_by(3000) {
        for byte in text.iter_mut().skip(start).take(40) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
    }
    let input = gzip(&text);
    assert!(text.len() as u64 > FIXED_OUTPUT && text.len() < 200 * input.len());
    assert_eq!(search(Coding::Gzip, &input, 10_000), (input.clone(), Ok(())));
}

#[test]
fn at_most_a_mebibyte_is_held_back_until_a_possible_token_ends() {
    // Members without content, whose headers go on behind what may be the beginning of a token.
    let comment = || GzBuilder::new().comment("x".repeat(60_000));
    let empty = || comment().write(Vec::new(), Compression::best()).finish().unwrap();
    let beginning = gzip(format!("sent: {}", &TOKEN[..20]).as_bytes());
    let input = [beginning, (0..18).flat_map(|_| empty()).collect()].concat();
    assert!(input.len() > MAX_HELD);
    let mut scanner = CodedScanner::new(Coding::Gzip, scanner_for(TOKEN));
    for chunk in input[..MAX_HELD].chunks(1 << 16) {
        assert_eq!(scanner.push(Bytes::copy_from_slice(chunk)), Ok(Bytes::new()));
    }
    assert_eq!(scanner.held(), MAX_HELD);
    let next = Bytes::copy_from_slice(&input[MAX_HELD..MAX_HELD + 10]);
    assert_eq!(scanner.push(next), Err(CodingError::TooLarge));
}

#[test]
fn a_whole_response_is_decoded() {
    for (coding, input) in
        [(Coding::Gzip, [gzip(b"te"), gzip(b"xt")].concat()), (Coding::Deflate, zlib(b"text"))]
    {
        assert_eq!(decode_whole(coding, &input, 4).as_deref(), Ok(&b"text"[..]));
        assert_eq!(decode_whole(coding, &input, 3), Err(CodingError::TooLarge));
        assert_eq!(decode_whole(coding, b"text", 3), Err(CodingError::Malformed));
    }
    let decoded = decode_whole(Coding::Brotli, &bytes(BROTLI_WITH_TOKEN), 100).unwrap();
    assert_eq!(decoded, format!("{{\"sent\": \"Bearer {TOKEN}\"}}"));
}
