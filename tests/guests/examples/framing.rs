//! Attempts to frame a request differently from the host. The report has a line for each attempt.

use guests::bindings::wasi::http::types::{Fields, OutgoingRequest};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let mut report = String::new();
    for (name, value) in [
        ("host", "evil.example"),
        ("Host", "evil.example"),
        ("transfer-encoding", "chunked"),
        ("Transfer-Encoding", "identity, chunked"),
        ("connection", "close"),
        ("upgrade", "websocket"),
        ("te", "trailers"),
        ("trailer", "authorization"),
        ("expect", "100-continue"),
        ("proxy-authorization", "Basic eA=="),
        ("content-length", "-1"),
        ("content-length", "+1"),
        ("content-length", "1, 2"),
        ("content-length", "0x1"),
        ("x-a", "b\r\nauthorization: Bearer x"),
        ("x-a", "b\nx: y"),
        ("x-a", "b\0"),
        ("x-a\r\nhost", "evil.example"),
        ("x a", "b"),
        ("", "b"),
        (":authority", "evil.example"),
    ] {
        let fields = Fields::new();
        report.push_str(&format!(
            "{name:?}={value:?}: {:?}\n",
            fields.append(name, value.as_bytes())
        ));
    }
    let fields = Fields::new();
    let _ = fields.append("content-length", b"1");
    report
        .push_str(&format!("second content-length: {:?}\n", fields.append("content-length", b"2")));
    let request = OutgoingRequest::new(Fields::new());
    for path in
        ["/a\r\nhost: evil.example", "/a b", "/a HTTP/1.1\r\n\r\nGET /b", "http://evil.example/"]
    {
        report.push_str(&format!("path {path:?}: {:?}\n", request.set_path_with_query(Some(path))));
    }
    for authority in ["evil.example\r\nx: y", "evil example", "a/b"] {
        report.push_str(&format!(
            "authority {authority:?}: {:?}\n",
            request.set_authority(Some(authority))
        ));
    }
    report
}
