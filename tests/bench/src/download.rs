//! A download, read as fast as it comes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Result;

/// The length of the file.
pub(crate) const GIBIBYTE: u64 = 1 << 30;

/// Downloads a gibibyte, and says how long that took.
pub(crate) fn gibibyte(port: u16, path: &str) -> Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET /vault{path}?api-version=7.4 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            read => total += read as u64,
        }
    }
    // The head comes on top.
    if !(GIBIBYTE..GIBIBYTE + 4096).contains(&total) {
        return Err(format!("{total} bytes came, where a gibibyte was wanted").into());
    }
    Ok(began.elapsed())
}
