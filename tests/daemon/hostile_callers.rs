//! Requests that no program with good intentions sends, as raw bytes to each listener.

use keyward_emulator::Fault;
use keyward_emulator::FaultKind;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::listeners::{Connected, Listeners, read_until, start};
use crate::process::Daemon;

const ALLOWED: &str = "https://app.example";

/// A response, read until the connection ended.
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        Self { head: format!("{head}\r\n"), body: body.to_owned() }
    }

    fn status(&self) -> u16 {
        let status = self.head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{}", self.head))
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn problem(&self) -> Value {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

async fn send(mut connected: Connected, request: &[u8]) -> Answer {
    // The daemon may close the connection before it has read it all.
    drop(connected.stream.write_all(request).await);
    let mut text = Vec::new();
    connected.stream.read_to_end(&mut text).await.unwrap();
    Answer::parse(&String::from_utf8_lossy(&text))
}

/// Asserts that a response is a rejection with a problem, and that the audit has it.
async fn assert_refused(daemon: &mut Daemon, answer: &Answer, status: u16, what: &str) -> Value {
    assert_eq!(answer.status(), status, "{what}: {} {}", answer.head, answer.body);
    let problem = answer.problem();
    assert_eq!(problem["status"], status, "{what}");
    assert!(problem["type"].as_str().unwrap().starts_with("urn:keyward:problem:"), "{what}");
    let call = answer.field("x-keyward-call").unwrap_or_else(|| panic!("{what}: {}", answer.head));
    let record = daemon.record(&format!("\"{call}\"")).await;
    assert_eq!(
        (&record["status"], &record["problem"]),
        (&status.into(), &problem["detail"]),
        "{what}: {record}"
    );
    record
}

/// Sends a request to every listener, with `HOST` replaced, and asserts that each refuses it.
async fn refused_everywhere(
    daemon: &mut Daemon,
    listeners: &Listeners,
    request: &[u8],
    status: u16,
) {
    let what = String::from_utf8_lossy(request.get(..request.len().min(100)).unwrap()).into_owned();
    for connected in listeners.connect_to_each().await {
        let what = format!("{} {what:?}", connected.name);
        let request = replace(request, &connected.host);
        let answer = send(connected, &request).await;
        let record = assert_refused(daemon, &answer, status, &what).await;
        assert_eq!(record["outcome"], "failed", "{what}: {record}");
    }
}

fn replace(request: &[u8], host: &str) -> Vec<u8> {
    match request.windows(4).position(|bytes| bytes == b"HOST") {
        None => request.to_vec(),
        Some(at) => [&request[..at], host.as_bytes(), &request[at + 4..]].concat(),
    }
}

fn put(fields: &str) -> Vec<u8> {
    format!(
        "PUT /blobs/hello/x?comp=block HTTP/1.1\r\nhost: HOST\r\nx-ms-blob-type: BlockBlob\r\n\
         {fields}"
    )
    .into_bytes()
}

fn assert_nothing_was_sent(daemon: &Daemon) {
    assert!(daemon.emulator.log().for_service("blob").is_empty(), "a service got a request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_servers_delimit_in_different_ways_is_refused() {
    let (mut daemon, listeners) = start("").await;
    for (fields, status) in [
        ("content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n", 400),
        ("content-length: 5\r\ncontent-length: 5\r\n\r\nhello", 400),
        ("content-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400),
        ("content-length: 5, 5\r\n\r\nhello", 400),
        ("content-length: +5\r\n\r\nhello", 400),
        ("content-length: 9223372036854775808\r\n\r\n", 413),
        ("transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        ("transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        ("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("transfer-encoding: identity\r\n\r\n", 400),
        ("transfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        ("expect: 200-ok\r\ncontent-length: 5\r\n\r\nhello", 417),
    ] {
        refused_everywhere(&mut daemon, &listeners, &put(fields), status).await;
    }
    let old = b"PUT /blobs/x HTTP/1.0\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    refused_everywhere(&mut daemon, &listeners, old, 400).await;
    assert_nothing_was_sent(&daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_servers_split_in_different_ways_is_refused() {
    let (mut daemon, listeners) = start("").await;
    for request in [
        &b"GET /blobs/hello/world.txt HTTP/1.1\nhost: HOST\n\n"[..],
        b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\nx: y\r\n\r\n",
        b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\nx: y\n\r\n",
        b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\nx: y\rz: a\r\n\r\n",
        b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\nx: y\r\n z\r\n\r\n",
        b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\nx: \0\r\n\r\n",
        b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\nx y: z\r\n\r\n",
        b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\nno colon\r\n\r\n",
        b"\nGET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\n\r\n",
    ] {
        refused_everywhere(&mut daemon, &listeners, request, 400).await;
    }
    assert_nothing_was_sent(&daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_line_that_is_not_one_is_refused() {
    let (mut daemon, listeners) = start("").await;
    let method = "M".repeat(10_000);
    let long = "x".repeat(70_000);
    for (line, status) in [
        (format!("{method} /blobs/hello/world.txt HTTP/1.1"), 400),
        ("GET /blobs/hello/world.txt?q=\u{e4} HTTP/1.1".to_owned(), 400),
        ("GET /blobs/hello/\u{6f22} HTTP/1.1".to_owned(), 400),
        ("GET /blobs/hello/world.txt#x HTTP/1.1".to_owned(), 400),
        ("GET blobs/hello/world.txt HTTP/1.1".to_owned(), 400),
        ("GET /blobs/hello/world.txt HTTP/1.2".to_owned(), 400),
        ("GET /blobs/hello/world.txt HTTP/3".to_owned(), 400),
        ("GET /blobs/hello/world.txt".to_owned(), 400),
        ("GET  /blobs/hello/world.txt HTTP/1.1".to_owned(), 400),
        ("OPTIONS * HTTP/1.1".to_owned(), 400),
        ("PRI * HTTP/2.0".to_owned(), 400),
        (format!("GET /blobs/hello/{long} HTTP/1.1"), 414),
    ] {
        let request = format!("{line}\r\nhost: HOST\r\nconnection: close\r\n\r\n");
        refused_everywhere(&mut daemon, &listeners, request.as_bytes(), status).await;
    }
    // A client that speaks TLS to a listener without it gets the rejection at once.
    for connected in listeners.connect_to_each().await {
        let answer = send(connected, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
        let record = assert_refused(&mut daemon, &answer, 400, "a TLS client").await;
        assert_eq!((&record["method"], &record["mount"]), (&"-".into(), &"".into()), "{record}");
    }
    assert_nothing_was_sent(&daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn header_fields_that_are_too_many_or_too_long_are_refused() {
    let (mut daemon, listeners) = start("").await;
    let get = "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\n";
    for fields in [
        "x: y\r\n".repeat(101),
        format!("x: {}\r\n", "y".repeat(140 << 10)),
        // Longer than a plugin of this mount could pass on.
        format!("x: {}\r\nconnection: close\r\n", "y".repeat(120 << 10)),
    ] {
        let request = format!("{get}{fields}\r\n");
        refused_everywhere(&mut daemon, &listeners, request.as_bytes(), 431).await;
    }
    assert_nothing_was_sent(&daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_is_the_callers_mistake() {
    let (mut daemon, listeners) = start("").await;
    for body in [
        "x\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n-1\r\n",
        "fffffffffffffffff\r\nhello",
        "5;a\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\na b: c\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5\r\nhello\r\n0\r\nx: y\n\r\n\r\n",
    ] {
        let request = put(&format!("transfer-encoding: chunked\r\n\r\n{body}"));
        refused_everywhere(&mut daemon, &listeners, &request, 400).await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_is_the_callers_mistake() {
    let (mut daemon, listeners) = start("").await;
    for body in ["content-length: 50\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhel"] {
        for mut connected in listeners.connect_to_each().await {
            let what = format!("{} {body:?}", connected.name);
            let request = replace(&put(body), &connected.host);
            connected.stream.write_all(&request).await.unwrap();
            // It closes its side of the connection, and still reads.
            connected.stream.shutdown().await.unwrap();
            let answer = send(connected, b"").await;
            let record = assert_refused(&mut daemon, &answer, 400, &what).await;
            assert_eq!(record["outcome"], "abandoned", "{what}: {record}");
        }
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_ends_early_is_refused() {
    let (mut daemon, listeners) = start("").await;
    for mut connected in listeners.connect_to_each().await {
        let what = connected.name;
        connected.stream.write_all(b"GET /blobs/hello/world.txt HTTP/1.1\r\nho").await.unwrap();
        connected.stream.shutdown().await.unwrap();
        let answer = send(connected, b"").await;
        assert_refused(&mut daemon, &answer, 400, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_follows_the_responses_to_the_requests_before() {
    let (mut daemon, listeners) = start("").await;
    daemon.emulator.faults().add(Fault::always("blob", FaultKind::DiscardBody).at("/hello/up"));
    for connected in listeners.connect_to_each().await {
        let (name, host) = (connected.name, connected.host.clone());
        let get = format!("GET /blobs/hello/world.txt HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let upload = format!(
            "PUT /blobs/hello/up.txt HTTP/1.1\r\nhost: {host}\r\nx-ms-blob-type: BlockBlob\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let bad = format!("{}\n", get.replace("\r\n", "\n"));
        let answer = send(connected, format!("{get}{upload}{get}{bad}{get}").as_bytes()).await;
        let text = format!("{}{}", answer.head, answer.body);
        let statuses: Vec<&str> =
            text.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
        assert_eq!(statuses, ["200", "201", "200", "400"], "{name}: {text}");
        assert!(text.contains("line feed alone"), "{name}: {text}");
    }
    daemon.record("line feed alone").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_reaches_a_caller_that_sends_its_whole_body_before_it_reads() {
    let (mut daemon, listeners) = start("").await;
    for mut connected in listeners.connect_to_each().await {
        let what = connected.name;
        let body = vec![7; 8 << 20];
        let head = put(&format!("content-length: {0}\r\ncontent-length: {0}\r\n\r\n", body.len()));
        let request = [replace(&head, &connected.host), body].concat();
        connected
            .stream
            .write_all(&request)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let answer = send(connected, b"").await;
        assert_refused(&mut daemon, &answer, 400, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_framing_leaves_correct_requests_as_they_are() {
    let (daemon, listeners) = start("").await;
    daemon.emulator.faults().add(Fault::always("blob", FaultKind::DiscardBody).at("/hello/up"));
    for connected in listeners.connect_to_each().await {
        let Connected { name, host, mut stream } = connected;
        let requests = [
            format!("\r\nGET /blobs/hello/world.txt HTTP/1.1\r\nHOST:{host}\r\n\r\n"),
            format!("GET /blobs/hello/world.txt HTTP/1.1\r\nhost: \t{host} \t\r\n\r\n"),
            format!(
                "PUT /blobs/hello/up HTTP/1.1\r\nhost: {host}\r\nx-ms-blob-type: BlockBlob\r\n\
                 Transfer-Encoding: Chunked\r\n\r\n2;x=\"y\"\r\nHe\r\n0B\r\nllo, world!\r\n\
                 000\r\nx-trailer: y\r\n\r\n"
            ),
            format!(
                "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"
            ),
        ];
        for request in requests {
            // In pieces, as a network might deliver it.
            for piece in request.as_bytes().chunks(7) {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
            }
            let end = if request.contains("PUT") { "\r\n\r\n" } else { "Hello, world!" };
            let mut text = String::new();
            read_until(&mut stream, &mut text, end).await;
            assert!(text.starts_with("HTTP/1.1 20"), "{name} {request:?}: {text}");
        }
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_host_is_not_served() {
    let (mut daemon, listeners) = start("").await;
    let get = |target: &str, fields: &str| {
        format!("GET {target} HTTP/1.1\r\n{fields}connection: close\r\n\r\n").into_bytes()
    };
    let path = "/blobs/hello/world.txt";
    let cases: [(Vec<u8>, u16); 17] = [
        (get(path, ""), 400),
        (get(path, "host: HOST\r\nhost: evil.example\r\n"), 400),
        (get(path, "host: evil.example\r\nhost: HOST\r\n"), 400),
        (b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: \xff\xfe\r\nconnection: close\r\n\r\n".to_vec(), 400),
        (b"GET /blobs/hello/world.txt HTTP/1.1\r\nhost: evil.example\xe4\r\nconnection: close\r\n\r\n".to_vec(), 400),
        (get(path, "host: evil.example@HOST\r\n"), 400),
        (get(path, "host: HOST@evil.example\r\n"), 400),
        (get(&format!("http://evil.example{path}"), "host: HOST\r\n"), 400),
        (get(&format!("http://localhost{path}"), "host: evil.example\r\n"), 400),
        (get(path, "host: localhost:99999\r\n"), 400),
        (get(path, "host: localhost:abc\r\n"), 400),
        (get(path, "host:\r\n"), 400),
        (b"GET /blobs/hello/world.txt HTTP/1.0\r\n\r\n".to_vec(), 400),
        (get(path, "host: localhost\r\n"), 421),
        (get(path, "host: localhost:1\r\n"), 421),
        (get(path, "host: evil.example\r\n"), 421),
        (get(&format!("http://evil.example{path}"), "host: evil.example\r\n"), 421),
    ];
    for (request, status) in cases {
        for connected in listeners.connect_to_loopback().await {
            let what = format!("{} {}", connected.name, String::from_utf8_lossy(&request));
            let request = replace(&request, &connected.host);
            let answer = send(connected, &request).await;
            let record = assert_refused(&mut daemon, &answer, status, &what).await;
            let expected = if status == 421 { "host" } else { "bad-request" };
            assert_eq!(record["rule"], expected, "{what}");
        }
    }
    assert_nothing_was_sent(&daemon);
    for connected in listeners.connect_to_loopback().await {
        let (name, host) = (connected.name, connected.host.clone());
        let scheme = if name == "tls" { "https" } else { "http" };
        let target = format!("{scheme}://{host}{path}");
        let answer = send(connected, &get(&target, &format!("host: {host}\r\n"))).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, "Hello, world!"), "{name}");
    }
    daemon.stop().await;
}

/// What browsers send for pages, and old browsers, which lack `sec-fetch-site`.
const PAGES: [(&str, &str); 11] = [
    ("origin: https://evil.example\r\n", "origin"),
    ("origin: null\r\n", "origin"),
    ("origin: http://HOST\r\n", "origin"),
    ("origin: https://HOST\r\n", "origin"),
    ("origin: https://app.example\r\norigin: https://evil.example\r\n", "origin"),
    ("sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n", "sec-fetch-site"),
    ("sec-fetch-site: same-origin\r\n", "sec-fetch-site"),
    ("sec-fetch-site: none\r\nsec-fetch-mode: navigate\r\n", "sec-fetch-site"),
    ("referer: https://evil.example/page\r\n", "referer"),
    ("referer: http://localhost:1/\r\n", "referer"),
    ("referer: http://HOST@evil.example/\r\n", "referer"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_is_not_a_caller() {
    let (mut daemon, listeners) = start("").await;
    for (fields, rule) in PAGES {
        for request in [
            "GET /blobs/hello/world.txt HTTP/1.1\r\n",
            "POST /blobs/hello/x HTTP/1.1\r\ncontent-length: 0\r\n",
            "OPTIONS /blobs/hello/x HTTP/1.1\r\naccess-control-request-method: PUT\r\n",
        ] {
            for connected in listeners.connect_to_loopback().await {
                let what = format!("{} {request} {fields}", connected.name);
                let fields = fields.replace("HOST", &connected.host);
                let host = &connected.host;
                let request = format!("{request}host: {host}\r\n{fields}connection: close\r\n\r\n");
                let answer = send(connected, request.as_bytes()).await;
                let record = assert_refused(&mut daemon, &answer, 403, &what).await;
                assert_eq!(answer.problem()["type"], "urn:keyward:problem:web-page");
                assert_eq!(
                    (&record["outcome"], &record["rule"], &record["mount"]),
                    (&"denied".into(), &rule.into(), &"blobs".into()),
                    "{what}: {record}"
                );
                assert!(!answer.head.contains("access-control-"), "{what}: {}", answer.head);
            }
        }
    }
    assert_nothing_was_sent(&daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_not_taken_for_web_pages() {
    let (daemon, listeners) = start("").await;
    for fields in [
        "",
        // Node's `fetch`.
        "sec-fetch-mode: cors\r\n",
        // Go's client, after a redirect.
        "referer: SCHEME://HOST/blobs/hello?comp=list\r\n",
        "referer: SCHEME://127.0.0.1:PORT/\r\n",
    ] {
        for connected in listeners.connect_to_loopback().await {
            let (name, host) = (connected.name, connected.host.clone());
            let scheme = if name == "tls" { "https" } else { "http" };
            let port = host.rsplit(':').next().unwrap();
            let fields =
                fields.replace("SCHEME", scheme).replace("HOST", &host).replace("PORT", port);
            let request = format!(
                "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: {host}\r\n{fields}connection: \
                 close\r\n\r\n"
            );
            let answer = send(connected, request.as_bytes()).await;
            assert_eq!((answer.status(), answer.body.as_str()), (200, "Hello, world!"), "{name}");
        }
    }
    // No browser reaches a socket.
    let mut stream = UnixStream::connect(&listeners.socket).await.unwrap();
    let request = "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: localhost\r\norigin: \
                   https://evil.example\r\nsec-fetch-site: cross-site\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    read_until(&mut stream, &mut text, "Hello, world!").await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    daemon.stop().await;
}

/// A page as a service might send it, for its own host.
fn page() -> FaultKind {
    let fields = [
        ("content-type", "text/html"),
        ("set-cookie", "a=b"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-secret"),
        ("strict-transport-security", "max-age=31536000"),
        ("clear-site-data", "\"*\""),
        ("refresh", "0; url=http://evil.example/"),
        ("reporting-endpoints", "a=\"https://evil.example/\""),
        ("alt-svc", "h3=\":443\""),
        ("content-security-policy", "default-src *"),
        ("x-kept", "yes"),
    ];
    let headers = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    FaultKind::Respond { status: 200, headers, body: "<script>".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_to_browsers_does_not_come_through() {
    let (daemon, listeners) = start("").await;
    daemon.emulator.faults().add(Fault::always("blob", page()));
    for connected in listeners.connect_to_each().await {
        let (name, host) = (connected.name, connected.host.clone());
        let request = format!(
            "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: {host}\r\ncookie: a=b\r\nconnection: \
             close\r\n\r\n"
        );
        let answer = send(connected, request.as_bytes()).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, "<script>"), "{name}");
        for dropped in [
            "access-control-",
            "set-cookie",
            "strict-transport",
            "clear-site",
            "alt-svc",
            "refresh",
            "report",
        ] {
            assert!(!answer.head.contains(dropped), "{name} {dropped}: {}", answer.head);
        }
        assert_eq!(answer.field("x-kept"), Some("yes"), "{name}");
        let seen = daemon.emulator.log().for_service("blob").pop().unwrap();
        assert_eq!(seen.header("cookie"), None, "{name}");
        let policy = answer.field("content-security-policy");
        if name == "unix" {
            assert_eq!(policy, Some("default-src *"), "{}", answer.head);
        } else {
            assert_protected(&answer);
        }
    }
    daemon.stop().await;
}

fn assert_protected(answer: &Answer) {
    let policy = answer.field("content-security-policy").unwrap_or_default();
    for directive in ["default-src 'none'", "sandbox", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|found| found == directive), "{}", answer.head);
    }
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{}", answer.head);
    let resource = answer.field("cross-origin-resource-policy");
    assert_eq!(resource, Some("same-origin"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_of_a_loopback_listener_is_protected() {
    let (mut daemon, listeners) = start("").await;
    for request in [
        "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\n",
        "GET /nowhere/x HTTP/1.1\r\nhost: HOST\r\n",
        "GET /-/tokens/forget HTTP/1.1\r\nhost: HOST\r\n",
        "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: evil.example\r\n",
        "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\norigin: null\r\n",
        "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: HOST\r\nx: \0\r\n",
    ] {
        for connected in listeners.connect_to_loopback().await {
            let request = request.replace("HOST", &connected.host);
            let what = format!("{} {request}", connected.name);
            let request = format!("{request}connection: close\r\n\r\n");
            let answer = send(connected, request.as_bytes()).await;
            assert_protected(&answer);
            if answer.status() != 200 {
                assert_refused(&mut daemon, &answer, answer.status(), &what).await;
            }
        }
    }
    daemon.stop().await;
}

fn with_origins() -> String {
    let origins = format!("origins = [\"{ALLOWED}\"]\n");
    crate::listeners::LISTEN
        .replace("tcp_callers", &format!("{origins}tcp_callers"))
        .replace("directory", &format!("{origins}directory"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_named_origin_calls_with_fetch() {
    let config = |emulator: &keyward_emulator::Emulator| {
        crate::storage::config("public", "core.windows.net", emulator)
    };
    let (mut daemon, listeners) = crate::listeners::start_with(config, &with_origins()).await;
    daemon.emulator.faults().add(Fault::always("blob", page()));
    let browser = format!(
        "origin: {ALLOWED}\r\nreferer: {ALLOWED}/\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: \
         cors\r\nconnection: close\r\n"
    );
    for connected in listeners.connect_to_loopback().await {
        let request = format!(
            "OPTIONS /blobs/hello/x HTTP/1.1\r\nhost: {}\r\n{browser}access-control-request-method: \
             PUT\r\naccess-control-request-headers: x-ms-blob-type\r\n\r\n",
            connected.host
        );
        let answer = send(connected, request.as_bytes()).await;
        assert_eq!(answer.status(), 204, "{}", answer.head);
        assert_eq!(answer.field("access-control-allow-origin"), Some(ALLOWED));
        assert_eq!(answer.field("access-control-allow-methods"), Some("PUT"));
        assert_eq!(answer.field("access-control-allow-headers"), Some("x-ms-blob-type"));
        assert_eq!(answer.field("vary"), Some("origin"));
    }
    assert_nothing_was_sent(&daemon);
    for connected in listeners.connect_to_loopback().await {
        let request =
            format!("GET /blobs/hello/x HTTP/1.1\r\nhost: {}\r\n{browser}\r\n", connected.host);
        let answer = send(connected, request.as_bytes()).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, "<script>"));
        assert_eq!(answer.field("access-control-allow-origin"), Some(ALLOWED));
        assert_eq!(answer.field("access-control-expose-headers"), Some("*"));
        assert!(!answer.head.contains("credentials"), "{}", answer.head);
        let count = answer.head.matches("access-control-").count();
        assert_eq!(count, 2, "none of the service's: {}", answer.head);
        assert_protected(&answer);
        let seen = daemon.emulator.log().for_service("blob").pop().unwrap();
        assert_eq!(seen.header("origin"), None);
    }
    // The page may read errors, too; other pages may not call.
    for connected in listeners.connect_to_loopback().await {
        let request =
            format!("GET /nowhere/x HTTP/1.1\r\nhost: {}\r\n{browser}\r\n", connected.host);
        let answer = send(connected, request.as_bytes()).await;
        assert_refused(&mut daemon, &answer, 404, "an unknown mount").await;
        assert_eq!(answer.field("access-control-allow-origin"), Some(ALLOWED));
    }
    for connected in listeners.connect_to_loopback().await {
        let browser = browser.replace("app.example", "evil.example");
        let request =
            format!("GET /blobs/hello/x HTTP/1.1\r\nhost: {}\r\n{browser}\r\n", connected.host);
        let section = if connected.name == "tls" { "[listen.tls]" } else { "[listen]" };
        let answer = send(connected, request.as_bytes()).await;
        let record = assert_refused(&mut daemon, &answer, 403, "another page").await;
        let line = format!("write origins = [\"https://evil.example\"] in {section}");
        assert!(record["problem"].as_str().unwrap().contains(&line), "{record}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_an_unknown_mount_has_an_id_and_a_record() {
    let (mut daemon, listeners) = start("").await;
    for connected in listeners.connect_to_each().await {
        let what = connected.name;
        let request = format!(
            "GET /nowhere/x?secret=1 HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            connected.host
        );
        let answer = send(connected, request.as_bytes()).await;
        let record = assert_refused(&mut daemon, &answer, 404, what).await;
        assert_eq!(
            (&record["mount"], &record["path"], &record["method"]),
            (&"nowhere".into(), &"/x".into(), &"GET".into())
        );
        assert!(!record.to_string().contains("secret"), "{record}");
    }
}
