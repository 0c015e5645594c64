//! A daemon that listens at a socket, over TCP and over TLS, and raw connections to each.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::process::Daemon;
use crate::storage::config;

pub(crate) const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\ntcp = \"127.0.0.1:0\"\n\
                                 tcp_callers = \"anybody-on-this-machine\"\n\
                                 [listen.tls]\naddress = \"127.0.0.1:0\"\n\
                                 callers = \"anybody-on-this-machine\"\ndirectory = \"tls\"\n";

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The addresses of a daemon's listeners.
pub(crate) struct Listeners {
    pub socket: PathBuf,
    pub tcp: u16,
    pub tls: u16,
    pub ca: PathBuf,
}

/// A connection to a listener.
pub(crate) struct Connected {
    /// The listener's name.
    pub name: &'static str,
    /// The `host` of requests to it.
    pub host: String,
    pub stream: Box<dyn Stream>,
}

/// Starts a daemon with the mounts of a storage account, and further sections.
pub(crate) async fn start(sections: &str) -> (Daemon, Listeners) {
    let with =
        |emulator: &keyward_emulator::Emulator| config("public", "core.windows.net", emulator);
    start_with(with, &format!("{LISTEN}{sections}")).await
}

/// Starts a daemon with a configuration, of which the sections include those of [`LISTEN`].
pub(crate) async fn start_with(
    config: impl FnOnce(&keyward_emulator::Emulator) -> String,
    sections: &str,
) -> (Daemon, Listeners) {
    let mut daemon = Daemon::quiet(config, sections).await;
    let port = |line: &str, scheme: &str| -> u16 {
        let (_, rest) = line.split_once(&format!("{scheme}://127.0.0.1:")).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let tcp = port(&daemon.log_line("http://127.0.0.1:").await, "http");
    let line = daemon.log_line("https://127.0.0.1:").await;
    let (_, ca) = line.split_once("clients must trust ").unwrap();
    let ca = PathBuf::from(ca.split(')').next().unwrap());
    let listeners = Listeners { socket: daemon.socket(), tcp, tls: port(&line, "https"), ca };
    (daemon, listeners)
}

impl Listeners {
    /// A connection to each listener.
    pub(crate) async fn connect_to_each(&self) -> Vec<Connected> {
        let stream = Box::new(UnixStream::connect(&self.socket).await.unwrap());
        let unix = Connected { name: "unix", host: "localhost".to_owned(), stream };
        let mut connected = vec![unix];
        connected.extend(self.connect_to_loopback().await);
        connected
    }

    /// A connection to each listener that web pages can reach.
    pub(crate) async fn connect_to_loopback(&self) -> Vec<Connected> {
        let [tcp, tls] = [self.tcp, self.tls].map(|port| format!("localhost:{port}"));
        let stream = Box::new(TcpStream::connect(("127.0.0.1", self.tcp)).await.unwrap());
        let tcp = Connected { name: "tcp", host: tcp, stream };
        vec![tcp, Connected { name: "tls", host: tls, stream: self.connect_tls().await }]
    }

    async fn connect_tls(&self) -> Box<dyn Stream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(("127.0.0.1", self.tls)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Box::new(
            tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, tcp).await.unwrap(),
        )
    }
}

/// Reads until the text has something, or the connection ends.
pub(crate) async fn read_until(
    stream: &mut (impl AsyncRead + Unpin),
    text: &mut String,
    end: &str,
) {
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return,
            count => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
}
