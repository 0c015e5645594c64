//! Queries: `tiberius` alone with a pool of connections, and Keyward with as many.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tiberius::{AuthMethod, Client, Config, QueryItem};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::Result;
use crate::load::Measured;

/// The server.
pub(crate) const SERVER: &str = "contoso.database.windows.net";

/// Connections, and callers.
pub(crate) const CONNECTIONS: u32 = 16;

/// Number of streamed rows.
pub(crate) const ROWS: u64 = 1_000_000;

const ONE: &str = "select id, customer, total from orders where id = @P1";

/// The database server and its address.
pub(crate) struct Database<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: &'a str,
    pub(crate) runtime: &'a tokio::runtime::Runtime,
}

type Direct = Client<Compat<TlsStream<TcpStream>>>;

impl Database<'_> {
    /// A connection of `tiberius`, over TLS as TDS 8.0 has it: its own TLS wants another
    /// cryptography than the rest here.
    async fn connect(&self) -> Result<Direct> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"tds/8.0".to_vec()];
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let tls =
            TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from(SERVER)?, tcp).await?;
        let mut config = Config::new();
        config.host(SERVER);
        config.database("shop");
        config.authentication(AuthMethod::sql_server("app", "correct-horse-battery"));
        Ok(Client::connect(config, tls.compat()).await?)
    }

    /// Single rows per second with `tiberius`.
    pub(crate) fn direct(&self, seconds: u64) -> Result<f64> {
        self.runtime.block_on(async {
            let mut clients = Vec::new();
            for _ in 0..CONNECTIONS {
                clients.push(self.connect().await?);
            }
            let (began, length) = (Instant::now(), Duration::from_secs(seconds));
            let tasks = clients.into_iter().map(|mut client| {
                tokio::spawn(async move {
                    let mut count = 0_u64;
                    while began.elapsed() < length {
                        let row = client.query(ONE, &[&1]).await?.into_row().await?;
                        count += u64::from(row.is_some());
                    }
                    tiberius::Result::Ok(count)
                })
            });
            let mut total = 0;
            for task in tasks.collect::<Vec<_>>() {
                total += task.await??;
            }
            // Far fewer than a float can count.
            #[allow(clippy::cast_precision_loss)]
            Ok(total as f64 / began.elapsed().as_secs_f64())
        })
    }

    /// Time to read all rows with `tiberius`.
    pub(crate) fn direct_rows(&self) -> Result<Duration> {
        self.runtime.block_on(async {
            let mut client = self.connect().await?;
            let began = Instant::now();
            let mut rows = client.query(many(), &[]).await?;
            let mut count = 0;
            while let Some(item) = rows.try_next().await? {
                count += u64::from(matches!(item, QueryItem::Row(_)));
            }
            drop(rows);
            if count == ROWS {
                Ok(began.elapsed())
            } else {
                Err(format!("{count} rows came").into())
            }
        })
    }
}

fn many() -> String {
    format!("select value, 'some text that is sent with it' as t from generate_series(1, {ROWS})")
}

/// The same through Keyward.
pub(crate) fn through(port: u16, seconds: u32, at: &Path) -> Result<Measured> {
    let body = ONE.replace("@P1", "@id");
    let script = at.join("query.lua");
    std::fs::write(
        &script,
        format!(
            "wrk.method = \"POST\"\nwrk.headers[\"content-type\"] = \"application/json\"\n\
             wrk.body = '{{\"sql\": \"{body}\", \"params\": {{\"id\": 1}}}}'\n"
        ),
    )?;
    let mut command = Command::new("wrk");
    command
        .arg("-t1")
        .arg(format!("-c{CONNECTIONS}"))
        .arg(format!("-d{seconds}s"))
        .arg("--latency")
        .arg("-s");
    command.arg(&script).arg(format!("http://127.0.0.1:{port}/orders/query"));
    Measured::of(command)
}

/// Time to stream all rows with Keyward.
pub(crate) fn rows_through(port: u16) -> Result<Duration> {
    let began = Instant::now();
    let mut stream = StdTcpStream::connect(("127.0.0.1", port))?;
    let body = format!("{{\"sql\": \"{}\"}}", many());
    write!(
        stream,
        "POST /orders/query HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: \
         application/json\r\naccept: application/x-ndjson\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let (mut buffer, mut end) = (vec![0; 256 << 10], Vec::new());
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            read => {
                end.extend_from_slice(buffer.get(..read).unwrap_or_default());
                end.drain(..end.len().saturating_sub(1000));
            }
        }
    }
    let end = String::from_utf8_lossy(&end);
    if end.contains(&format!("{{\"end\":{{\"rows\":{ROWS}}}}}")) {
        Ok(began.elapsed())
    } else {
        Err(format!("it ended: {end}").into())
    }
}
