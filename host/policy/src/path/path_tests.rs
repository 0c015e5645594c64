use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::reading::Purpose;
use super::*;

#[test]
fn equivalent_paths_have_one_normal_form() {
    let normal = |path| NormalPath::parse(path).unwrap().text;
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
fn an_ambiguous_path_is_rejected() {
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
        ("/a/..%20.%20/b", DotSegment),
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
fn only_a_prefix_of_whole_segments_is_stripped() {
    let stripped =
        |path, prefix| NormalPath::parse(path).unwrap().strip_prefix(prefix).map(|path| path.text);
    assert_eq!(stripped("/tenant/a", "/tenant").as_deref(), Some("/a"));
    assert_eq!(stripped("/tenant", "/tenant").as_deref(), Some("/"));
    assert_eq!(stripped("/tenants/a", "/tenant"), None);
    assert_eq!(stripped("/a", "").as_deref(), Some("/a"));
}

/// Paths that are composed of characters and encodings that attacks on paths use.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "a", "b", ".", "..", ";", "%", "%25", "%32", "%66", "%46", "%2f", "%2F", "%252f",
        "%3B", "%3b", "%253B", "%2e", "%2E", "%65", "%35", "%5c", "%255c", "\\", "25", "2f", "2e",
        "3B", "%u002f", "%25u002e", "%c0%af", "%25c0", "%ae", "%00", "%23", "#", "?", "%20", " ",
        "\u{e4}", "%C3%A4",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1024,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_hostile_path_that_is_accepted_has_one_reading(path in hostile()) {
        property::check(&path);
    }

    #[test]
    fn any_path_that_is_accepted_has_one_reading(path in "/\\PC{0,40}") {
        property::check(&path);
    }

    #[test]
    fn an_encoded_name_without_special_characters_is_accepted(
        name in "[^;/\\\\\\.%\\s\\p{Cc}][^;/\\\\%\\p{Cc}]{0,20}"
    ) {
        let encoded = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        prop_assert!(NormalPath::parse(&format!("/{encoded}")).is_ok(), "{}", encoded);
    }
}

const BLOB: PathReading = PathReading::Names { after: 1 };
const LAKE: PathReading = PathReading::Files { after: 1 };
const CONFIG: PathReading = PathReading::Keys { after: 1 };

fn compared(reading: PathReading, path: &str) -> Result<Vec<String>, PathError> {
    let read = reading.read(path, "", Purpose::Compare)?.unwrap();
    Ok(read.readings().map(str::to_owned).collect())
}

#[test]
fn a_name_is_compared_and_sent_as_the_service_reads_it() {
    for (path, readings) in [
        ("/c/a", vec!["/c/a"]),
        ("/c/a/b.txt", vec!["/c/a/b.txt"]),
        ("/c/a%2Fb", vec!["/c/a/b"]),
        ("/c/back%5cslash", vec!["/c/back/slash"]),
        ("/c/back\\slash", vec!["/c/back/slash"]),
        ("/c/a;b=1,c+d", vec!["/c/a%3Bb%3D1%2Cc%2Bd"]),
        ("/c/100%25", vec!["/c/100%25"]),
        ("/c/%c3%a4", vec!["/c/%C3%A4"]),
        ("/c/..a/b..c", vec!["/c/..a/b..c"]),
        ("/c/a//b", vec!["/c/a//b", "/c/a/b"]),
        ("/c//lead", vec!["/c//lead", "/c/lead"]),
        ("/c/trail/", vec!["/c/trail/", "/c/trail"]),
        ("/c//", vec!["/c//", "/c"]),
        ("/c/dot.", vec!["/c/dot.", "/c/dot"]),
        ("/c/a%252Fb", vec!["/c/a%252Fb", "/c/a/b"]),
        ("/c/a%255cb", vec!["/c/a%255cb", "/c/a%5Cb", "/c/a/b"]),
        ("/c", vec!["/c"]),
        ("/c/", vec!["/c/"]),
        ("/", vec!["/"]),
    ] {
        assert_eq!(compared(BLOB, path).unwrap(), readings, "{path}");
    }
}

#[test]
fn several_slashes_in_the_name_of_a_file_are_one_and_in_a_key_they_are_data() {
    assert_eq!(compared(LAKE, "/webhdfs/v1//x//y").unwrap(), ["/webhdfs/v1/x/y"]);
    assert_eq!(compared(LAKE, "/webhdfs/v1/x/").unwrap(), ["/webhdfs/v1/x/", "/webhdfs/v1/x"]);
    assert_eq!(
        compared(LAKE, "/webhdfs/v1/a%5Cb").unwrap(),
        ["/webhdfs/v1/a%5Cb", "/webhdfs/v1/a/b"]
    );
    assert_eq!(compared(CONFIG, "/kv/app%2fk1").unwrap(), ["/kv/app%2Fk1"]);
    assert_eq!(compared(CONFIG, "/kv/a%5Cb").unwrap(), ["/kv/a%5Cb"]);
    assert_eq!(compared(CONFIG, "/kv/a/b").unwrap(), ["/kv/a/b"]);
}

#[test]
fn an_ambiguous_name_is_rejected_if_it_is_compared() {
    use PathError::*;
    for (path, error) in [
        ("//c/a", EmptySegment),
        ("/c%2Fa/b", EncodedSlash),
        ("/c\\a/b", Backslash),
        ("/../a/b", DotSegment),
        ("/c;x/a", Semicolon),
        ("/c/../d/a", DotSegment),
        ("/c/a/.", DotSegment),
        ("/c/%2e%2E/d", DotSegment),
        ("/c/a%2f..%2fd", DotSegment),
        ("/c/a\\..\\..\\d", DotSegment),
        ("/c/a%5C%2e%2e%5Cd", DotSegment),
        ("/c/..;x/d", DotSegment),
        ("/c/..%20/d", DotSegment),
        ("/c/..%3Fx", DotSegment),
        ("/c/..%20./d", DotSegment),
        ("/c/%252e%252e/d", EncodedTwice),
        ("/c/a%252f..%252fd", EncodedTwice),
        ("/c/%25u002e%25u002e/d", EncodedTwice),
        ("/c/a%2500", EncodedTwice),
        ("/c/a%25c0%25af", EncodedTwice),
        ("/c/a%2525252525252525252525", EncodedTwice),
        ("/c/a%", BrokenEncoding),
        ("/c/a%zz", BrokenEncoding),
        ("/c/a%u002fb", BrokenEncoding),
        ("/c/a%00", Control),
        ("/c/a%0d%0ab", Control),
        ("/c/a%c0%afb", Overlong),
        ("/c/a%fe", Overlong),
        ("/c/a%80", NotUtf8),
    ] {
        assert_eq!(compared(BLOB, path), Err(error), "{path:?}");
    }
    assert_eq!(compared(CONFIG, "/kv/..%2Fsecret"), Err(DotSegment));
    assert_eq!(compared(LAKE, "/webhdfs/v1/public/..%5Csecret"), Err(DotSegment));
}

#[test]
fn a_name_that_is_not_compared_is_sent_unchanged_and_stays_below_its_container() {
    let forwarded = |path: &str, prefix| {
        BLOB.read(path, prefix, Purpose::Forward).map(|read| read.map(|path| path.text))
    };
    for path in [
        "/c/a//b",
        "/c//lead",
        "/c/back\\slash",
        "/c/a%2Fb",
        "/c/a%252fb",
        "/c/a%zz",
        "/c/a%00",
        "/c/a%fe;x",
        "/c/a/../b",
        "/c/a%2f..%2Fb",
        "/c/./a",
    ] {
        assert_eq!(forwarded(path, ""), Ok(Some(path.to_owned())), "{path}");
        let below = format!("/account{path}");
        assert_eq!(forwarded(&below, "/account"), Ok(Some(path.to_owned())), "{path}");
    }
    for path in [
        "/c/../d",
        "/c/a/../../d",
        "/c//../d",
        "/c/%2e%2e/d",
        "/c/a%2fb/../../d",
        "/c/a%2fb/../../../d",
        "/c/a%5cb/..%5c..%5c..",
        "/c/..\\d",
        "/c/%252e%252e/d",
        "/c/..;x/d",
        "/c/%2e./d",
    ] {
        assert!(forwarded(path, "").is_err(), "{path}");
        assert!(forwarded(&format!("/account{path}"), "/account").is_err(), "{path}");
    }
    assert_eq!(forwarded("/accounts/c/a", "/account"), Ok(None));
    assert_eq!(forwarded("/account", "/account"), Ok(Some("/".to_owned())));
    assert!(forwarded("/account/../c/a", "/account").is_err());
}

#[test]
fn a_name_may_be_all_of_a_path() {
    let all = PathReading::Names { after: 0 };
    let compared = all.read("/a%2Fb//c", "", Purpose::Compare).unwrap().unwrap();
    assert_eq!(compared.readings().collect::<Vec<_>>(), ["/a/b//c", "/a/b/c"]);
    let below = all.read("/tenant/a%2Fb", "/tenant", Purpose::Compare).unwrap().unwrap();
    assert_eq!(below.as_str(), "/a/b");
    for path in
        ["/tenant/../b", "/tenant/a/../../b", "/tenant/%2e%2e/b", "/tenant%2Fa", "/tenants/a"]
    {
        for purpose in [Purpose::Compare, Purpose::Forward] {
            assert!(matches!(all.read(path, "/tenant", purpose), Err(_) | Ok(None)), "{path}");
        }
    }
}

#[test]
fn a_path_that_is_sent_unchanged_is_compared_in_both_readings_of_a_backslash() {
    let read = BLOB.read("/c/a%5Cb", "", Purpose::CompareUnchanged).unwrap().unwrap();
    assert_eq!(read.readings().collect::<Vec<_>>(), ["/c/a/b", "/c/a%5Cb"]);
}

#[test]
fn the_covering_pattern_of_a_path_covers_all_its_readings() {
    let covering =
        |path: &str| BLOB.read(path, "", Purpose::Compare).unwrap().unwrap().covering_pattern();
    assert_eq!(covering("/c/a%2Fb c"), "/c/a/b%20c");
    assert_eq!(covering("/c/a//b"), "/c/a/**");
    assert_eq!(covering("/c//lead"), "/c/**");
    assert_eq!(covering("/c/a%252Fb"), "/c/**");
    assert_eq!(covering("/c//"), "/**");
}

#[test]
fn the_covering_pattern_of_a_path_with_a_star_covers_no_other_path() {
    let covering = |path: &str| NormalPath::parse(path).unwrap().covering_pattern();
    assert_eq!(covering("/secrets/*"), "/secrets/%2A");
    assert_eq!(covering("/**"), "/%2A%2A");
    let read = BLOB.read("/*/a//b", "", Purpose::Compare).unwrap().unwrap();
    assert_eq!(read.covering_pattern(), "/%2A/a/**");
}

#[test]
fn the_covering_pattern_of_a_key_with_a_backslash_is_valid() {
    let covering =
        |path: &str| CONFIG.read(path, "", Purpose::Compare).unwrap().unwrap().covering_pattern();
    assert_eq!(covering("/kv/a%5Cb*"), "/kv/a*b%2A");
    assert_eq!(covering("/kv/%5C%5C%5C"), "/kv/*");
}

#[test]
fn an_encoding_is_two_hexadecimal_digits_in_a_name_too() {
    for path in ["/c/a%4z", "/c/a%z4", "/c/a%4", "/c/%"] {
        assert_eq!(compared(BLOB, path), Err(PathError::BrokenEncoding), "{path}");
    }
    assert_eq!(compared(BLOB, "/c/a%4A").unwrap(), ["/c/aJ"]);
}

#[test]
fn so_many_rounds_of_decoding_are_checked_and_a_path_with_more_is_rejected() {
    let encoded = |rounds: usize| format!("/c/a%{}7a", "25".repeat(rounds - 1));
    for (purpose, most) in
        [(Purpose::Forward, 8), (Purpose::Compare, 9), (Purpose::CompareUnchanged, 9)]
    {
        let read = |rounds| BLOB.read(&encoded(rounds), "", purpose);
        assert!(read(most).is_ok(), "{purpose:?}");
        assert_eq!(read(most + 1), Err(PathError::EncodedTwice), "{purpose:?}");
        assert_eq!(read(40), Err(PathError::EncodedTwice), "{purpose:?}");
    }
    assert!(NormalPath::parse(&encoded(8)).is_ok());
    assert_eq!(NormalPath::parse(&encoded(9)), Err(PathError::EncodedTwice));
}

#[test]
fn a_reading_has_a_name_and_a_number_of_segments_before_names() {
    for (reading, name, after) in [
        (PathReading::Segments, "segments", None),
        (PathReading::Names { after: 2 }, "names", Some(2)),
        (PathReading::Files { after: 3 }, "files", Some(3)),
        (PathReading::Keys { after: 4 }, "keys", Some(4)),
    ] {
        assert_eq!((reading.as_str(), reading.names_after()), (name, after));
    }
}

#[test]
fn a_path_is_shown_as_it_is_sent() {
    assert_eq!(NormalPath::parse("/%61%20b").unwrap().to_string(), "/a%20b");
}

#[test]
fn the_first_of_several_mistakes_in_a_segment_is_reported() {
    for path in ["/a%00\\b", "/a\n\\b", "/a%1F%5Cb", "/a\t%2fb"] {
        assert_eq!(NormalPath::parse(path), Err(PathError::Control), "{path:?}");
    }
    assert_eq!(NormalPath::parse("/a%5C%00"), Err(PathError::Backslash));
}
