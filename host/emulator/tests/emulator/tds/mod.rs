//! `tiberius` with TLS by rustls and ring, since its own needs another provider: it speaks without
//! TLS to a pipe, whose other end does PRELOGIN and TLS with the server.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use keyward_emulator::Emulator;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tiberius::{AuthMethod, Client, Config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

pub type Tiberius = Client<Compat<DuplexStream>>;

/// The host name of the server in the public cloud.
pub const SERVER: &str = "contoso.database.windows.net";

/// The configuration of a login.
pub fn config(server: &str, auth: AuthMethod) -> Config {
    let mut config = Config::new();
    config.host(server);
    config.database("shop");
    config.authentication(auth);
    config
}

pub async fn connect(emulator: &Emulator, config: Config) -> tiberius::Result<Tiberius> {
    Client::connect(config, bridge(emulator, SERVER).await.compat()).await
}

/// Connects with TDS 8.0.
pub async fn connect_strictly(emulator: &Emulator, config: Config) -> tiberius::Result<Tiberius> {
    let tcp = TcpStream::connect(emulator.sql_address()).await.unwrap();
    let mut tls = client(emulator, &[b"tds/8.0"])
        .connect(ServerName::try_from(SERVER).unwrap(), tcp)
        .await
        .unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"tds/8.0"[..]));
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut tls).await });
    Client::connect(config, near.compat()).await
}

fn client(emulator: &Emulator, alpn: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(emulator.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// Reads a packet: its header and its body.
pub async fn packet(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut header = vec![0; 8];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
    stream.read_exact(&mut body).await?;
    Ok((header, body))
}

/// The position of the value of ENCRYPTION in a PRELOGIN.
pub fn encryption(prelogin: &[u8]) -> usize {
    let option = prelogin.chunks(5).find(|option| option[0] == 1).unwrap();
    usize::from(u16::from_be_bytes([option[1], option[2]]))
}

async fn bridge(emulator: &Emulator, server: &'static str) -> DuplexStream {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let mut tcp = TcpStream::connect(emulator.sql_address()).await.unwrap();
    let connector = client(emulator, &[]);
    tokio::spawn(async move {
        let (header, mut prelogin) = packet(&mut far).await?;
        let at = encryption(&prelogin);
        prelogin[at] = 1;
        tcp.write_all(&[header, prelogin].concat()).await?;
        let (header, mut response) = packet(&mut tcp).await?;
        let at = encryption(&response);
        assert_eq!(response[at], 1, "the server requires encryption");
        response[at] = 2;
        let framed = Arc::new(AtomicBool::new(true));
        let stream = Framed {
            tcp,
            framed: Arc::clone(&framed),
            header: Vec::new(),
            left: 0,
            out: Vec::new(),
        };
        let mut tls: TlsStream<Framed> =
            connector.connect(ServerName::try_from(server).unwrap(), stream).await?;
        framed.store(false, Ordering::SeqCst);
        far.write_all(&[header, response].concat()).await?;
        tokio::io::copy_bidirectional(&mut far, &mut tls).await?;
        io::Result::Ok(())
    });
    near
}

/// The side of the client of TLS within TDS.
struct Framed {
    tcp: TcpStream,
    framed: Arc<AtomicBool>,
    header: Vec<u8>,
    left: usize,
    out: Vec<u8>,
}

impl AsyncRead for Framed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.framed.load(Ordering::SeqCst) {
            return Pin::new(&mut self.tcp).poll_read(cx, buffer);
        }
        let mut bytes = vec![
            0;
            if self.left == 0 {
                8 - self.header.len()
            } else {
                self.left.min(buffer.remaining())
            }
        ];
        let mut part = ReadBuf::new(&mut bytes);
        std::task::ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut part))?;
        let got = part.filled();
        if got.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if self.left == 0 {
            self.header.extend_from_slice(got);
            if self.header.len() == 8 {
                assert_eq!(self.header[0], 0x12);
                self.left = usize::from(u16::from_be_bytes([self.header[2], self.header[3]])) - 8;
                self.header.clear();
            }
            return self.poll_read(cx, buffer);
        }
        self.left -= got.len();
        buffer.put_slice(got);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Framed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.framed.load(Ordering::SeqCst) {
            return Pin::new(&mut self.tcp).poll_write(cx, bytes);
        }
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.out.is_empty() {
            let body = std::mem::take(&mut self.out);
            let length = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
            let bytes = [&[0x12, 1, length[0], length[1], 0, 0, 0, 0], body.as_slice()].concat();
            // A handshake fits the buffer of the socket.
            assert_eq!(self.tcp.try_write(&bytes)?, bytes.len());
        }
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
