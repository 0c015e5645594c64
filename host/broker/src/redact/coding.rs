//! The search for tokens in compressed responses.
//!
//! The host asks for `accept-encoding: identity` with every credential, but a service may compress
//! its response all the same, and a stored blob has the coding that its owner gave it. Such a
//! response is decoded for the search only: its own bytes go to the plugin, except those behind
//! which a token may end, which wait until the search is past it. They are searched as they come,
//! too: decoders skip comments and metadata, which can have any text in them.

use std::io::{self, Read, Write};
use std::mem;

use brotli_decompressor::DecompressorWriter;
use bytes::{Bytes, BytesMut};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode, response};

use super::scanner::{Scanner, TokenFragment};

/// The most bytes that a response may expand to: a fixed part, and a multiple of what was received.
/// Logs and JSON were seen to compress to a hundredth.
const FIXED_OUTPUT: u64 = 8 << 20;
const MAX_RATIO: u64 = 256;

/// The most bytes of a response that wait for the end of a possible token.
const MAX_HELD: usize = 1 << 20;

/// The size of Brotli's output buffer.
const BROTLI_BUFFER: usize = 32 << 10;

/// A content coding that the host can decode ([RFC 9110,
/// 8.4.1](https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// `gzip`, members one behind the other.
    Gzip,
    /// `deflate`: a zlib stream. One without zlib's header, as some servers send it, is malformed.
    Deflate,
    /// `br`.
    Brotli,
}

impl Coding {
    /// What decoding holds at most, in bytes: the window of the decoder, and what waits.
    pub(crate) fn max_memory(self) -> u64 {
        let window = match self {
            Self::Gzip | Self::Deflate => 64 << 10,
            // [RFC 7932, 9.1](https://www.rfc-editor.org/rfc/rfc7932#section-9.1).
            Self::Brotli => 16 << 20,
        };
        window + MAX_HELD as u64
    }
}

/// Why a compressed response cannot be searched, or must not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodingError {
    /// A coding that the host cannot decode.
    #[error(
        "its coding {0:?} is unknown: gzip, deflate and br are supported. The host asks for \
         `accept-encoding: identity`; \
         if the coding is a stored object's own, change the object's Content-Encoding"
    )]
    Unknown(String),
    /// More than one coding.
    #[error("it has more than one content coding")]
    Several,
    /// A partial response, which cannot be decoded without what comes before it.
    #[error(
        "it is a part of a compressed response, which cannot be decoded alone; ask without `range`"
    )]
    Partial,
    /// The body is not in the coding that its header field names.
    #[error("it is not in the coding that its header fields name")]
    Malformed,
    /// It expands to too much.
    #[error("it expands to more than {MAX_RATIO} times its size")]
    TooLarge,
    /// A token was found, or a part of one.
    #[error("the service sent a token back in it")]
    Token,
}

/// The coding of a response, if any. `stored` says that a partial response is a part of what a
/// client stored.
///
/// # Errors
///
/// A response that cannot be decoded.
pub(crate) fn of(response: &response::Parts, stored: bool) -> Result<Option<Coding>, CodingError> {
    let headers = &response.headers;
    // HTTP/1.1's `chunked` is decoded already.
    let content = names(headers, &CONTENT_ENCODING).filter(|name| name != "identity");
    let transfer = names(headers, &TRANSFER_ENCODING).filter(|name| name != "chunked");
    let mut names = content.chain(transfer).filter(|name| !name.is_empty());
    let Some(name) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return Err(CodingError::Several);
    }
    if response.status == StatusCode::PARTIAL_CONTENT && !is_from_start(headers) {
        // No service puts a request's token into what somebody stored before.
        return if stored { Ok(None) } else { Err(CodingError::Partial) };
    }
    match name.as_str() {
        "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
        "deflate" => Ok(Some(Coding::Deflate)),
        "br" => Ok(Some(Coding::Brotli)),
        unknown => Err(CodingError::Unknown(unknown.chars().take(40).collect())),
    }
}

fn names<'h>(headers: &'h HeaderMap, field: &HeaderName) -> impl Iterator<Item = String> + use<'h> {
    let values = headers
        .get_all(field)
        .into_iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    values.flat_map(|value| {
        value.split(',').map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>()
    })
}

/// Whether a partial response begins with the first byte.
fn is_from_start(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(CONTENT_RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return false };
    range.as_bytes().strip_prefix(b"bytes ").is_some_and(|range| range.starts_with(b"0-"))
}

/// Searches a compressed response for secrets.
pub(crate) struct CodedScanner {
    /// Searches the bytes as they come.
    undecoded: Scanner,
    decoder: Decoder,
    received: u64,
    held: BytesMut,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<SearchWriter>>),
    Deflate(Box<ZlibDecoder<SearchWriter>>),
    Brotli(Box<DecompressorWriter<SearchWriter>>),
}

impl CodedScanner {
    /// Searches with a scanner.
    pub(crate) fn new(coding: Coding, scanner: Scanner) -> Self {
        let undecoded = scanner.another();
        let search = SearchWriter { scanner, output: 0, max_output: FIXED_OUTPUT };
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(search))),
            Coding::Deflate => Decoder::Deflate(Box::new(ZlibDecoder::new(search))),
            Coding::Brotli => {
                Decoder::Brotli(Box::new(DecompressorWriter::new(search, BROTLI_BUFFER)))
            }
        };
        Self { undecoded, decoder, received: 0, held: BytesMut::new() }
    }

    /// Takes the next bytes, and returns those that may go on. It is not called again after an
    /// error.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Bytes, CodingError> {
        self.received += chunk.len() as u64;
        self.decoder.search().max_output =
            FIXED_OUTPUT.saturating_add(self.received.saturating_mul(MAX_RATIO));
        self.decoder.decode(&chunk).map_err(|error| {
            let own = error.get_ref().and_then(|error| error.downcast_ref::<CodingError>());
            own.cloned().unwrap_or(CodingError::Malformed)
        })?;
        search(&mut self.undecoded, chunk.clone())?;
        if self.decoder.search().scanner.held() == 0 && self.undecoded.held() == 0 {
            if self.held.is_empty() {
                return Ok(chunk);
            }
            self.held.extend_from_slice(&chunk);
            return Ok(mem::take(&mut self.held).freeze());
        }
        if self.held.len() + chunk.len() > MAX_HELD {
            return Err(CodingError::TooLarge);
        }
        self.held.extend_from_slice(&chunk);
        Ok(Bytes::new())
    }

    /// The response has ended: what was held back completes no token.
    ///
    /// # Errors
    ///
    /// A part of a token is at its end.
    pub(crate) fn finish(&mut self) -> Result<Bytes, CodingError> {
        self.undecoded.finish()?;
        self.decoder.search().scanner.finish()?;
        Ok(mem::take(&mut self.held).freeze())
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }
}

/// Searches bytes of a response that must not contain a token.
fn search(scanner: &mut Scanner, bytes: Bytes) -> Result<(), CodingError> {
    if scanner.push(bytes)?.found { Err(CodingError::Token) } else { Ok(()) }
}

impl From<TokenFragment> for CodingError {
    fn from(_: TokenFragment) -> Self {
        Self::Token
    }
}

impl Decoder {
    /// Decodes as much as the input allows.
    fn decode(&mut self, input: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => write_and_flush(decoder, input),
            Self::Deflate(decoder) => write_and_flush(decoder, input),
            Self::Brotli(decoder) => write_and_flush(decoder, input),
        }
    }

    fn search(&mut self) -> &mut SearchWriter {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
        }
    }
}

/// The decoders keep output for their next call unless they are flushed.
fn write_and_flush(decoder: &mut impl Write, input: &[u8]) -> io::Result<()> {
    decoder.write_all(input)?;
    decoder.flush()
}

/// Searches decoded bytes, and counts them.
struct SearchWriter {
    scanner: Scanner,
    output: u64,
    max_output: u64,
}

impl Write for SearchWriter {
    fn write(&mut self, decoded: &[u8]) -> io::Result<usize> {
        self.output += decoded.len() as u64;
        if self.output > self.max_output {
            return Err(io::Error::other(CodingError::TooLarge));
        }
        search(&mut self.scanner, Bytes::copy_from_slice(decoded)).map_err(io::Error::other)?;
        Ok(decoded.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a response that is whole, to at most so many bytes.
///
/// # Errors
///
/// It is malformed, or too large.
pub(crate) fn decode_whole(
    coding: Coding,
    body: &[u8],
    max_output: usize,
) -> Result<Bytes, CodingError> {
    let mut decoder: Box<dyn Read> = match coding {
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
        Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(body)),
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER)),
    };
    let mut decoded = Vec::new();
    let limit = u64::try_from(max_output).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.by_ref().take(limit).read_to_end(&mut decoded);
    read.map_err(|_| CodingError::Malformed)?;
    if decoded.len() > max_output { Err(CodingError::TooLarge) } else { Ok(decoded.into()) }
}

#[cfg(test)]
mod tests;
