use http::Method;

use super::*;
use crate::cloud::Cloud;

/// A grant for a host of the public cloud, with its operations.
fn grant(endpoint: &str) -> Grant {
    let grant = Grant::example(endpoint);
    let semantics = Cloud::named("public").unwrap().semantics(&grant.endpoint.host, "");
    Grant {
        operations: semantics.named_operations().collect(),
        paths: semantics.paths,
        paths_ignore_case: semantics.paths_ignore_case,
        minting: Minting::of(&semantics),
        ..grant
    }
}

fn patterns(lines: &[&str]) -> Vec<Pattern> {
    lines.iter().map(|line| Pattern::parse(line).unwrap()).collect()
}

fn blobs() -> Grant {
    grant("https://contoso.blob.core.windows.net")
}

fn vault() -> Grant {
    grant("https://contoso.vault.azure.net")
}

/// The line for a request, which allows it and nothing else does.
fn line(grant: &Grant, method: &str, uri: &str) -> String {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let head = RequestHead { query: Some(query), ..RequestHead::of_method(&method) };
    let narrowed = grant.clone().allowing(&["OPTIONS /nothing"]);
    let path = narrowed.read(path).unwrap().unwrap();
    assert_eq!(narrowed.covers(&head, &path), Err(NotCovered::NotAllowed));
    let line = narrowed.line_for(&head, &path);
    assert_eq!(grant.clone().allowing(&[&line]).covers(&head, &path), Ok(()), "{line}");
    line
}

#[test]
fn the_line_for_a_request_has_its_operation_or_else_its_method() {
    assert_eq!(line(&blobs(), "GET", "/c/a.txt"), "read /c/a.txt");
    assert_eq!(line(&blobs(), "GET", "/c?restype=container&comp=list"), "list /c");
    assert_eq!(line(&blobs(), "PUT", "/c/a.txt?comp=unknown"), "PUT /c/a.txt");
    assert_eq!(line(&blobs(), "GET", "/c/a//b"), "read /c/a/**");
    assert_eq!(line(&vault(), "POST", "/keys/k/1/sign"), "sign /keys/k/1/sign");
    assert_eq!(line(&vault(), "POST", "/keys/k/backup"), "POST /keys/k/backup");
    let own = Grant::example("https://own.example");
    assert_eq!(line(&own, "GET", "/a*"), "GET /a%2A");
}

#[test]
fn the_line_for_a_request_whose_method_no_pattern_has_begins_with_a_star() {
    for method in ["PURGE", "get", "TRACE"] {
        assert_eq!(line(&vault(), method, "/secrets/db"), "* /secrets/db");
    }
}

#[test]
fn a_request_must_be_declared_and_allowed_in_all_readings_of_its_path() {
    let head = RequestHead::of_method(&Method::GET);
    let covers = |declared: Option<&[&str]>, allowed: Option<&[&str]>, path: &str| {
        let [declared, allowed] = [declared, allowed].map(|lines| lines.map(patterns));
        let grant = Grant { declared, allowed, ..blobs() };
        grant.covers(&head, &grant.read(path).unwrap().unwrap())
    };
    let (any, other) = (&["GET /**"][..], &["GET /other/*"][..]);
    assert_eq!(covers(None, None, "/c/a"), Ok(()));
    assert_eq!(covers(Some(any), Some(any), "/c/a"), Ok(()));
    assert_eq!(covers(Some(other), Some(any), "/c/a"), Err(NotCovered::NotDeclared));
    assert_eq!(covers(Some(any), Some(other), "/c/a"), Err(NotCovered::NotAllowed));
    assert_eq!(covers(None, Some(&["GET /c/*"]), "/c/a//b"), Err(NotCovered::NotAllowed));
    assert_eq!(covers(None, Some(&["GET /c/*/*", "GET /c/*/*/*", "GET /c/**"]), "/c/a//b"), Ok(()));
}

#[test]
fn an_ambiguous_parameter_is_reported_only_if_no_line_covers_the_request_without_it() {
    let head = RequestHead {
        query: Some("restype=container&comp=list&COMP=acl"),
        ..RequestHead::of_method(&Method::GET)
    };
    let covers = |lines: &[&str]| {
        let grant = blobs().allowing(lines);
        grant.covers(&head, &grant.read("/c").unwrap().unwrap())
    };
    let ambiguous = NotCovered::AmbiguousParameter(AmbiguousParameter("comp".to_owned()));
    assert_eq!(covers(&["list /c"]), Err(ambiguous));
    assert_eq!(covers(&["list /other"]), Err(NotCovered::NotAllowed));
    assert_eq!(covers(&["list /c", "GET /c"]), Ok(()));
}

fn operations_of(grant: &Grant, line: &str) -> Vec<&'static str> {
    let found = grant.operations_of(&Pattern::parse(line).unwrap());
    found.into_iter().map(|operation| operation.name.as_str()).collect()
}

#[test]
fn a_line_with_a_method_covers_the_operations_that_may_have_it_at_its_path() {
    assert_eq!(operations_of(&vault(), "PUT /secrets/*"), ["write"]);
    assert_eq!(operations_of(&vault(), "GET /secrets"), ["list"]);
    let posts = operations_of(&vault(), "POST /keys/**");
    assert!(posts.contains(&"sign") && posts.contains(&"decrypt"), "{posts:?}");
    assert!(!posts.contains(&"recover") && !posts.contains(&"read"), "{posts:?}");
    let all = operations_of(&vault(), "* /**");
    assert_eq!(all.len(), vault().operations[0].iter().count());
    assert_eq!(operations_of(&vault(), "read /secrets/*"), [""; 0], "it has an operation");
    for conditioned in ["PUT /secrets/*?a=b", "* /secrets/*?a=b"] {
        assert_eq!(operations_of(&vault(), conditioned), [""; 0], "it has a condition");
    }
    let puts = operations_of(&blobs(), "PUT /c/*");
    assert!(puts.contains(&"write") && puts.contains(&"set-tier"), "{puts:?}");
}

#[test]
fn a_line_covers_no_operation_that_the_manifest_does_not_declare() {
    let declaring = |lines: &[&str]| Grant { declared: Some(patterns(lines)), ..vault() };
    for (declared, expected) in [
        (&["POST /keys/*/*/sign"][..], &["sign"][..]),
        (&["sign /keys/**"], &["sign"]),
        (&["sign /secrets/**"], &[]),
        (&["GET /keys/**"], &[]),
        (&["verify /keys/**", "* /keys/*/rotate"], &["rotate", "verify"]),
    ] {
        assert_eq!(operations_of(&declaring(declared), "POST /keys/**"), expected, "{declared:?}");
    }
}

#[test]
fn a_line_is_described_by_its_operation_or_its_method() {
    let describe = |line: &str| vault().describe(&Pattern::parse(line).unwrap());
    assert_eq!(
        describe("rotate /keys/*"),
        "creates a new version of a key (POST; paths /keys/*/rotate)"
    );
    assert_eq!(describe("GET /secrets/*"), "GET, whatever its parameters and header fields are");
    assert_eq!(
        describe("* /secrets/*"),
        "any method, whatever its parameters and header fields are"
    );
    assert_eq!(
        describe("PUT /a?op=CREATE&x=y"),
        "PUT with op=CREATE and x=y, whatever its other parameters are"
    );
}

#[test]
fn a_segment_is_allowed_literally_if_a_line_that_covers_the_request_writes_it_without_a_star() {
    let grant = grant("https://management.azure.com");
    let post = RequestHead::of_method(&Method::POST);
    let literally = |lines: &[&str], segment: usize| {
        grant.clone().allowing(lines).allows_literally(&post, "/a/b/listkeys", segment)
    };
    assert!(literally(&["POST /*/*/listKeys"], 2), "the service ignores case");
    assert!(literally(&["GET /a", "* /a/*/listKeys"], 0));
    assert!(!literally(&["POST /*/*/listKeys"], 1));
    assert!(!literally(&["POST /**"], 2));
    assert!(!literally(&["GET /*/*/listKeys"], 2), "another method");
    assert!(!literally(&["POST /x/*/listKeys"], 2), "another path");
    assert!(!grant.allows_literally(&post, "/a/b/listkeys", 2), "there is no `allow`");
}

#[test]
fn a_grant_with_patterns_of_either_kind_is_narrowed() {
    let lines = Some(patterns(&["GET /a"]));
    assert!(!vault().is_narrowed());
    assert!(Grant { declared: lines.clone(), ..vault() }.is_narrowed());
    assert!(Grant { allowed: lines, ..vault() }.is_narrowed());
}

#[test]
fn the_minting_operations_are_those_of_the_endpoints_services() {
    let mut arm = grant("https://management.azure.com").minting;
    assert!(!arm.is_storage() && blobs().minting.is_storage());
    assert!(arm.names().any(|name| name == "listServiceSas"));
    assert!(!vault().minting.names().any(|name| name == "listServiceSas"));
    let operation = arm.operation_with_secret("/serviceSasToken").unwrap();
    assert_eq!(operation.name, "listServiceSas");
    assert!(arm.operation_with_secret("/other").is_none());
    assert!(!arm.hands_out("listServiceSas"));
    arm.hand_out.insert("listServiceSas".to_owned());
    assert!(arm.hands_out("listServiceSas") && !arm.hands_out("listAccountSas"));
}
