//! A client without Keyward: it gets a token, and speaks HTTP/1.1 over TLS.

use keyward_emulator::Emulator;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const BLOB: &str = "contoso.blob.core.windows.net";
pub const DFS: &str = "contoso.dfs.core.windows.net";
pub const LAKE: &str = "contoso.azuredatalakestore.net";
pub const STORAGE: &str = "https%3A%2F%2Fstorage.azure.com%2F";
pub const VERSION: &str = "2023-11-03";

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn code(&self) -> &str {
        self.header("x-ms-error-code").unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Self {
        let end =
            bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("there is no response");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }
}

/// Gets a token of an identity. The resource is percent-encoded.
pub async fn token(emulator: &Emulator, resource: &str, identity: &str) -> String {
    let mut stream = TcpStream::connect(emulator.imds_url().replace("http://", "")).await.unwrap();
    let path = format!(
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{identity}"
    );
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: imds\r\nconnection: close\r\nmetadata: true\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Response::parse(&bytes).json()["access_token"].as_str().unwrap().to_owned()
}

/// Sends bytes, and reads until the connection is closed.
pub async fn raw(emulator: &Emulator, bytes: &[u8]) -> Vec<u8> {
    let mut stream = emulator.connect().await.unwrap();
    // The emulator can respond and close before it has read everything.
    if let Ok(()) = stream.write_all(bytes).await {
        drop(stream.flush().await);
    }
    let mut response = Vec::new();
    drop(stream.read_to_end(&mut response).await);
    response
}

pub async fn send(
    emulator: &Emulator,
    host: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let fields: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length =
        if line.starts_with("GET") || line.starts_with("HEAD") || line.starts_with("DELETE") {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
    let head =
        format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}{fields}\r\n");
    Response::parse(&raw(emulator, &[head.as_bytes(), body].concat()).await)
}

/// A client with a token of the system-assigned identity.
pub struct Client<'a> {
    pub emulator: &'a Emulator,
    pub host: &'a str,
    pub bearer: String,
}

impl<'a> Client<'a> {
    pub async fn new(emulator: &'a Emulator, host: &'a str, resource: &str) -> Self {
        let bearer = format!("Bearer {}", token(emulator, resource, "").await);
        Self { emulator, host, bearer }
    }

    pub async fn request(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut all = vec![("authorization", self.bearer.as_str()), ("x-ms-version", VERSION)];
        all.extend_from_slice(headers);
        send(self.emulator, self.host, line, &all, body).await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(&format!("GET {path}"), &[], b"").await
    }

    pub async fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.request(&format!("PUT {path}"), headers, body).await
    }
}
