//! The beginning of a connection: PRELOGIN, and TLS within TDS packets ([MS-TDS], 2.2.6.5 and 3.2.5.2).
//!
//! `tiberius` would do this too, but with a TLS of its own. So the host does it, by the same rules as for HTTP, and what
//! `tiberius` then sees is a server that wants no encryption.
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::socket::Socket;

/// The length of a packet's header.
pub(super) const HEADER: usize = 8;

/// The type of a PRELOGIN packet, and of TLS records before the login.
pub(super) const PRELOGIN: u8 = 0x12;

/// The type of an answer.
const ANSWER: u8 = 0x04;

/// The status of a message's last packet.
const LAST: u8 = 0x01;

const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const THREAD: u8 = 3;
const MARS: u8 = 4;
const FEDAUTH: u8 = 6;
const NONCE: u8 = 7;
const TERMINATOR: u8 = 0xff;

const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUPPORTED: u8 = 2;
const ENCRYPT_REQUIRED: u8 = 3;

/// Makes an encrypted connection to a server, and the answer to PRELOGIN for a client that is not to encrypt. `token` says
/// whether the login will be with one.
pub(super) async fn secure(
    socket: Socket,
    tls: &TlsConnector,
    name: ServerName<'static>,
    token: bool,
) -> io::Result<(TlsStream<Framed>, Vec<u8>)> {
    let mut socket = socket;
    let options: [(u8, &[u8]); 6] = [
        (VERSION, &[0, 0, 0, 0, 0, 0]),
        (ENCRYPTION, &[ENCRYPT_ON]),
        (INSTANCE, &[0]),
        (THREAD, &[0, 0, 0, 0]),
        (MARS, &[0]),
        (FEDAUTH, &[1]),
    ];
    let sent = if token { &options[..] } else { options.get(..5).unwrap_or_default() };
    socket.write_all(&prelogin(PRELOGIN, sent)).await?;
    let answer = Prelogin::read(&mut socket).await?;
    if !matches!(answer.encryption, Some(ENCRYPT_ON | ENCRYPT_REQUIRED)) {
        return Err(invalid("the server offers no encryption"));
    }
    let framed = Arc::new(AtomicBool::new(true));
    let stream = Framed {
        socket,
        framed: Arc::clone(&framed),
        header: [0; HEADER],
        have: 0,
        left: 0,
        flight: Vec::new(),
        out: Vec::new(),
    };
    let stream = tls.connect(name, stream).await?;
    framed.store(false, Ordering::Relaxed);
    Ok((stream, answer.without_encryption()))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A packet of PRELOGIN options.
fn prelogin(packet: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut offset = options.len() * 5 + 1;
    let mut body = Vec::new();
    for (option, value) in options {
        body.push(*option);
        body.extend(u16::try_from(offset).unwrap_or_default().to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        offset += value.len();
    }
    body.push(TERMINATOR);
    for (_, value) in options {
        body.extend_from_slice(value);
    }
    [header(packet, body.len()).as_slice(), &body].concat()
}

fn header(packet: u8, body: usize) -> [u8; HEADER] {
    let [high, low] = u16::try_from(body + HEADER).unwrap_or(u16::MAX).to_be_bytes();
    [packet, LAST, high, low, 0, 0, 0, 0]
}

/// The length of a packet's body, by its header.
pub(super) fn body_length(header: &[u8; HEADER]) -> Option<usize> {
    let [_, _, high, low, ..] = *header;
    usize::from(u16::from_be_bytes([high, low])).checked_sub(HEADER)
}

/// What a server says before the login.
struct Prelogin {
    version: Vec<u8>,
    encryption: Option<u8>,
    fedauth: Option<u8>,
    nonce: Option<Vec<u8>>,
}

impl Prelogin {
    async fn read(socket: &mut Socket) -> io::Result<Self> {
        let mut header = [0; HEADER];
        socket.read_exact(&mut header).await?;
        let length = body_length(&header).filter(|_| matches!(header, [ANSWER, status, ..] if status & LAST != 0));
        let mut body = vec![0; length.ok_or_else(|| invalid("what answers is no SQL Server"))?];
        socket.read_exact(&mut body).await?;
        Self::parse(&body).ok_or_else(|| invalid("what answers is no SQL Server"))
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let mut all = Self { version: vec![0; 6], encryption: None, fedauth: None, nonce: None };
        for option in body.chunks(5) {
            let [option, start @ .., length_high, length_low] = option else {
                return (option.first() == Some(&TERMINATOR)).then_some(all);
            };
            if *option == TERMINATOR {
                return Some(all);
            }
            let start = usize::from(u16::from_be_bytes(start.try_into().ok()?));
            let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
            let value = body.get(start..start.checked_add(length)?)?;
            match *option {
                VERSION if length == 6 => all.version = value.to_vec(),
                ENCRYPTION => all.encryption = value.first().copied(),
                FEDAUTH => all.fedauth = value.first().copied(),
                NONCE if length == 32 => all.nonce = Some(value.to_vec()),
                _ => {}
            }
        }
        None
    }

    /// The same, as an answer that offers no encryption.
    fn without_encryption(&self) -> Vec<u8> {
        let fedauth = self.fedauth.map(|required| [required]);
        let mut options: Vec<(u8, &[u8])> =
            vec![(VERSION, &self.version), (ENCRYPTION, &[ENCRYPT_NOT_SUPPORTED]), (INSTANCE, &[0]), (MARS, &[0])];
        if let Some(fedauth) = &fedauth {
            options.push((FEDAUTH, fedauth));
        }
        if let Some(nonce) = &self.nonce {
            options.push((NONCE, nonce));
        }
        prelogin(ANSWER, &options)
    }
}

/// A socket on which TLS records travel in TDS packets, until the handshake is over.
pub(super) struct Framed {
    socket: Socket,
    framed: Arc<AtomicBool>,
    header: [u8; HEADER],
    /// How many bytes of the header have come.
    have: usize,
    /// How many bytes of the packet's body are to come.
    left: usize,
    /// What was written since the last flush.
    flight: Vec<u8>,
    /// What is to go out: the rest of a packet.
    out: Vec<u8>,
}

impl Framed {
    fn is_framed(&self) -> bool {
        self.framed.load(Ordering::Relaxed)
    }

    /// Reads a packet's header.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left == 0 {
            let mut buffer = ReadBuf::new(self.header.get_mut(self.have..).unwrap_or_default());
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.have += buffer.filled().len();
            if self.have == HEADER {
                self.have = 0;
                let length = body_length(&self.header).filter(|_| self.header.first() == Some(&PRELOGIN));
                self.left = length.ok_or_else(|| invalid("the server sends no TLS"))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Framed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.is_framed() {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        ready!(self.poll_header(cx))?;
        let this = &mut *self;
        let mut part = buffer.take(this.left);
        ready!(Pin::new(&mut this.socket).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        this.left -= read;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Framed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.is_framed() {
            return Pin::new(&mut self.socket).poll_write(cx, bytes);
        }
        // What is written until the next flush is one message: servers expect a whole flight in each.
        let room = (usize::from(u16::MAX) - HEADER).saturating_sub(self.flight.len());
        if room == 0 {
            ready!(self.as_mut().poll_flush(cx))?;
            return self.poll_write(cx, bytes);
        }
        let part = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.flight.extend_from_slice(part);
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        if !self.flight.is_empty() {
            let flight = std::mem::take(&mut self.flight);
            self.out = [header(PRELOGIN, flight.len()).as_slice(), &flight].concat();
            ready!(self.poll_out(cx))?;
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prelogin_is_read_as_it_is_written() {
        let nonce = [7; 32];
        let options: [(u8, &[u8]); 4] =
            [(VERSION, &[16, 0, 0, 0, 0, 0]), (ENCRYPTION, &[ENCRYPT_REQUIRED]), (FEDAUTH, &[1]), (NONCE, &nonce)];
        let packet = prelogin(ANSWER, &options);
        let parsed = Prelogin::parse(&packet[HEADER..]).unwrap();
        assert_eq!((parsed.encryption, parsed.fedauth), (Some(ENCRYPT_REQUIRED), Some(1)));
        assert_eq!(parsed.nonce.as_deref(), Some(&nonce[..]));
        let again = Prelogin::parse(&parsed.without_encryption()[HEADER..]).unwrap();
        assert_eq!((again.encryption, again.version), (Some(ENCRYPT_NOT_SUPPORTED), parsed.version));
        assert_eq!(again.nonce, parsed.nonce);
    }

    #[test]
    fn nothing_else_is_one() {
        for body in [&b""[..], &[0], &[1, 0, 99, 0, 1, 0xff], &[1, 0xff, 0xff, 0xff, 0xff, 0xff], &[1, 0, 6, 0, 1]] {
            assert!(Prelogin::parse(body).is_none(), "{body:?}");
        }
        assert!(Prelogin::parse(&[0xff]).is_some());
        assert_eq!(body_length(&[4, 1, 0, 7, 0, 0, 0, 0]), None);
    }
}
