//! The least that a proxy of hyper does: it adds a header field to each request and passes it on,
//! over TLS, with one runtime for each processor. What Keyward needs beyond it is what the sandbox
//! and the rules cost.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::Result;

/// What the proxy stands before.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
}

/// Runs the proxy until its process is ended.
pub(crate) fn serve(port: u16, upstream: &Upstream, ca: &Path) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());

    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let threads = std::thread::available_parallelism()?.get();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (listener, upstream, tls) =
                (listener.try_clone()?, upstream.clone(), Arc::clone(&tls));
            Ok(std::thread::spawn(move || work(listener, upstream, tls).map_err(|e| e.to_string())))
        })
        .collect::<Result<_>>()?;
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}

fn work(listener: TcpListener, upstream: Upstream, tls: Arc<ClientConfig>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connector = Connector { upstream: upstream.clone(), tls: TlsConnector::from(tls) };
        let client: Client<_, Incoming> =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(128).build(connector);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (client, host) = (client.clone(), upstream.host.clone());
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| pass(&client, &host, request));
                let connection = hyper::server::conn::http1::Builder::new();
                // A client that goes away is no error of the proxy.
                drop(connection.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

type Answer = std::result::Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible>;

/// Passes a request on, without the first segment of its path.
async fn pass(
    client: &Client<Connector, Incoming>,
    host: &str,
    mut request: Request<Incoming>,
) -> Answer {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let path = path.get(1..).and_then(|path| path.find('/').and_then(|at| path.get(at..)));
    let uri = Uri::builder().scheme("https").authority(host).path_and_query(path.unwrap_or("/"));
    let Ok(uri) = uri.build() else { return refuse(StatusCode::BAD_REQUEST) };
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.remove(header::HOST);
    // As long as a token is.
    let token = format!("Bearer {}", "x".repeat(1600));
    if let Ok(token) = HeaderValue::from_str(&token) {
        headers.insert(header::AUTHORIZATION, token);
    }
    match client.request(request).await {
        Ok(response) => Ok(response.map(BodyExt::boxed)),
        Err(_) => refuse(StatusCode::BAD_GATEWAY),
    }
}

fn refuse(status: StatusCode) -> Answer {
    let body = Empty::new().map_err(|never: Infallible| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    Ok(response)
}

#[derive(Clone)]
struct Connector {
    upstream: Upstream,
    tls: TlsConnector,
}

struct Tls(TokioIo<TlsStream<TcpStream>>);

impl Service<Uri> for Connector {
    type Response = Tls;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Tls>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { upstream, tls } = self.clone();
        Box::pin(async move {
            let name = ServerName::try_from(upstream.host).map_err(std::io::Error::other)?;
            let tcp = TcpStream::connect(upstream.address).await?;
            tcp.set_nodelay(true)?;
            Ok(Tls(TokioIo::new(tls.connect(name, tcp).await?)))
        })
    }
}

impl Connection for Tls {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
