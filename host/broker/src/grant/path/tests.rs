use proptest::prelude::*;

use super::*;

#[test]
fn one_path_has_one_form() {
    let normal = |path| NormalPath::parse(path).unwrap().0;
    assert_eq!(normal("/"), "/");
    assert_eq!(normal("/secrets/db"), "/secrets/db");
    assert_eq!(normal("/secrets/"), "/secrets/");
    assert_eq!(normal("/%73ecrets/%64%62"), "/secrets/db");
    assert_eq!(normal("/a%3ab%c3%a4"), "/a%3Ab%C3%A4");
    assert_eq!(normal("/100%25"), "/100%25");
    assert_eq!(normal("/a%252x"), "/a%252x");
    assert_eq!(normal("/a%252e"), "/a%252e");
    assert_eq!(normal("/50%25%20off"), "/50%25%20off");
    assert_eq!(normal("/what%3F/c%23"), "/what%3F/c%23");
    assert_eq!(normal("/a#b?c"), "/a%23b%3Fc");
    assert_eq!(normal("/a+b,c=d&e@f:g'(h)!*$"), "/a+b,c=d&e@f:g'(h)!*$");
    assert_eq!(normal("/%E2%82%AC/%F0%9F%94%91"), "/%E2%82%AC/%F0%9F%94%91");
    assert_eq!(normal("/..."), "/...");
    assert_eq!(normal("/.well-known/a..b"), "/.well-known/a..b");
    assert_eq!(normal("/ä"), "/%C3%A4");
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    use PathError::*;
    for (path, error) in [
        ("", NotAbsolute),
        ("secrets", NotAbsolute),
        ("/a/../b", DotSegment),
        ("/a/.", DotSegment),
        ("/a/%2e%2E/b", DotSegment),
        ("/a/.%2e/b", DotSegment),
        ("/a/..;x=1/b", DotSegment),
        ("/a//b", EmptySegment),
        ("//a", EmptySegment),
        ("//", EmptySegment),
        ("/a/%2f", EncodedSlash),
        ("/a%2Fb", EncodedSlash),
        ("/a\\b", Backslash),
        ("/a%5cb", Backslash),
        ("/a%", BrokenEncoding),
        ("/a%4", BrokenEncoding),
        ("/a%zz", BrokenEncoding),
        ("/a%+1", BrokenEncoding),
        ("/a;x", Semicolon),
        ("/;x", Semicolon),
        ("/a/;", Semicolon),
        ("/a%3Bb", Semicolon),
        ("/a%3bb/c", Semicolon),
        ("/a/..;x", DotSegment),
        ("/a/..%3Bx", DotSegment),
        ("/a/%2e%2e%3bx/b", DotSegment),
        ("/a/.%3Fx", DotSegment),
        ("/a/..%23", DotSegment),
        ("/a/..%20/b", DotSegment),
        ("/a%252fb", EncodedTwice),
        ("/a%25%32%66b", EncodedTwice),
        ("/a%25%32fb", EncodedTwice),
        ("/a%%32%66b", BrokenEncoding),
        ("/a%25252fb", EncodedTwice),
        ("/a%2525252525252fb", EncodedTwice),
        ("/a%25253Bb", EncodedTwice),
        ("/..%253Bx", EncodedTwice),
        ("/a%25u002fb", EncodedTwice),
        ("/a%25U005Cb", EncodedTwice),
        ("/a%250d", EncodedTwice),
        ("/%252e/b", EncodedTwice),
        ("/a%c0%afb", Overlong),
        ("/%c0%ae%c0%ae/b", Overlong),
        ("/a%e0%80%afb", Overlong),
        ("/a%25c0%25afb", EncodedTwice),
        ("/a%2525252525252525252525", EncodedTwice),
        ("/%252e%252e/b", EncodedTwice),
        ("/a%255cb", EncodedTwice),
        ("/a%00", Control),
        ("/a%0d%0ab", Control),
        ("/a\r\nb", Control),
    ] {
        assert_eq!(NormalPath::parse(path), Err(error), "{path:?}");
    }
}

#[test]
fn a_prefix_is_whole_segments() {
    let behind = |path, prefix| NormalPath::parse(path).unwrap().behind(prefix).map(|path| path.0);
    assert_eq!(behind("/tenant/a", "/tenant").as_deref(), Some("/a"));
    assert_eq!(behind("/tenant", "/tenant").as_deref(), Some("/"));
    assert_eq!(behind("/tenants/a", "/tenant"), None);
    assert_eq!(behind("/a", "").as_deref(), Some("/a"));
}

/// Paths that are made of what paths are attacked with.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "a", "b", ".", "..", ";", "%", "%25", "%32", "%66", "%46", "%2f", "%2F", "%252f", "%3B", "%3b",
        "%253B", "%2e", "%2E", "%65", "%35", "%5c", "%255c", "\\", "25", "2f", "2e", "3B", "%u002f", "%25u002e",
        "%c0%af", "%25c0", "%ae", "%00", "%23", "#", "?", "%20", " ", "\u{e4}", "%C3%A4",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_is_read_in_one_way(path in hostile()) {
        property::check(&path);
    }

    #[test]
    fn whatever_is_written_is_read_in_one_way(path in "/\\PC{0,40}") {
        property::check(&path);
    }

    #[test]
    fn a_name_without_what_is_refused_passes_in_its_usual_encoding(name in "[^;/\\\\\\.%\\s\\p{Cc}][^;/\\\\%\\p{Cc}]{0,20}") {
        let encoded = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
        prop_assert!(NormalPath::parse(&format!("/{encoded}")).is_ok(), "{}", encoded);
    }
}

#[test]
fn the_corpus_of_the_fuzz_target_holds() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/path");
    let mut count = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        property::check(&String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()));
        count += 1;
    }
    assert!(count > 10);
}
