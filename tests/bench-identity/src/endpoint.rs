//! A fake identity endpoint of App Service, on a thread of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crate::Result;

/// The length of a token, about that of Entra's.
const TOKEN: usize = 1500;

pub(crate) struct Endpoint {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                drop(respond(&stream));
            }
        });
        Ok(Self { address, requests })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/msi/token", self.address)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

fn respond(mut stream: &TcpStream) -> Result<()> {
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let end =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + Duration::from_secs(24 * 3600);
    let (token, end) = ("x".repeat(TOKEN), end.as_secs());
    let body = format!(
        r#"{{"access_token":"eyJ0.{token}","expires_on":"{end}","token_type":"Bearer",
            "resource":"https://vault.azure.net"}}"#
    );
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )?;
    Ok(())
}
