//! Downloads and uploads of a gibibyte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Result;

/// The length of the file.
pub(crate) const GIBIBYTE: u64 = 1 << 30;

/// Downloads a gibibyte, and returns the duration.
pub(crate) fn download(port: u16, path: &str) -> Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n")?;
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

/// Uploads a gibibyte, and returns the duration.
pub(crate) fn upload(port: u16, path: &str) -> Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-ms-blob-type: \
         BlockBlob\r\ncontent-length: \
         {GIBIBYTE}\r\n\
         connection: close\r\n\r\n"
    )?;
    let piece = vec![7; 256 << 10];
    let mut left = GIBIBYTE;
    while left > 0 {
        stream.write_all(&piece)?;
        left -= piece.len() as u64;
    }
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    if !response.starts_with("HTTP/1.1 201 ") {
        return Err(format!("unexpected response to the upload: {response}").into());
    }
    Ok(began.elapsed())
}
