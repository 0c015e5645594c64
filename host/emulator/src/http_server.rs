//! The HTTP listeners, and the way of each request to its service.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::HOST;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::fault_response::respond_with_fault;
use crate::faults::{Fault, FaultKind, delay};
use crate::messages::{Request, Response, ResponseBody};
use crate::request_body::RequestBody;
use crate::request_log::LoggedRequest;
use crate::{Azure, arm, imds, storage, vault};

/// Limit of a body that is read into memory for a service. Storage takes longer ones.
const MAX_BODY: usize = 64 << 20;

/// The path of the interface for faults, on the listener of the metadata service.
const FAULTS: &str = "/emulator/faults";

/// How long a connection stays open after a response that did not wait for the request's body.
const LINGER: Duration = Duration::from_millis(500);

/// Which listener accepted a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListenerKind {
    Imds,
    Tls,
}

/// How a connection is closed.
#[derive(Default)]
struct Closing {
    /// The body of the last request was not read to its end.
    body_unread: AtomicBool,
    /// Close without lingering.
    at_once: AtomicBool,
}

pub(crate) async fn serve_imds(listener: TcpListener, azure: Arc<Azure>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(serve_connection(stream, ListenerKind::Imds, Arc::clone(&azure)));
        while connections.try_join_next().is_some() {}
    }
}

pub(crate) async fn serve_tls(listener: TcpListener, config: Arc<ServerConfig>, azure: Arc<Azure>) {
    let acceptor = TlsAcceptor::from(config);
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, azure) = (acceptor.clone(), Arc::clone(&azure));
        connections.spawn(async move {
            drop(stream.set_nodelay(true));
            match acceptor.accept(stream).await {
                Ok(stream) => serve_connection(stream, ListenerKind::Tls, azure).await,
                Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    listener: ListenerKind,
    azure: Arc<Azure>,
) {
    let closing = Closing::default();
    let service = service_fn(|request| Box::pin(handle(&azure, listener, &closing, request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = poll_fn(|context| connection.poll_without_shutdown(context)).await {
        tracing::debug!(%error, "connection failed");
        return;
    }
    let mut stream = connection.into_parts().io.into_inner();
    drop(stream.shutdown().await);
    // Closing a socket with unread bytes resets it, and the client could lose the response.
    if closing.body_unread.load(Ordering::Relaxed) && !closing.at_once.load(Ordering::Relaxed) {
        tokio::time::sleep(LINGER).await;
    }
}

/// The service at a host.
fn service_of(listener: ListenerKind, host: &str) -> &'static str {
    match host {
        _ if listener == ListenerKind::Imds => "imds",
        _ if host.starts_with("management.") => "arm",
        _ if host.contains(".vault.") || host.contains(".managedhsm.") => "vault",
        _ if host.contains(".blob.core.") || host.contains(".blob.storage.") => "blob",
        _ if host.contains(".dfs.core.") || host.contains(".dfs.storage.") => "dfs",
        _ if host.ends_with(".azuredatalakestore.net") => "datalake",
        _ => "nowhere",
    }
}

/// Responds to a request and logs it.
async fn handle(
    azure: &Azure,
    listener: ListenerKind,
    closing: &Closing,
    request: http::Request<Incoming>,
) -> io::Result<http::Response<ResponseBody>> {
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(body);
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_owned();
    let service = service_of(listener, &host);
    let query = parts.uri.query().unwrap_or_default();
    let mut request = Request::new(parts.method, host, parts.uri.path(), query, parts.headers);
    if service == "imds" && request.path == FAULTS {
        request.body = body.bytes(MAX_BODY).await?;
        return Ok(configure_faults(azure, &request).into_http());
    }

    let mut logged = LoggedRequest {
        service,
        host: request.host.clone(),
        method: request.method.to_string(),
        path: request.path.clone(),
        query: request.raw_query.clone(),
        headers: logged_headers(&request),
        identity: None,
        body_bytes: 0,
        body_unread: false,
        status: 0,
    };
    let response =
        respond(azure, service, &mut request, &mut body, &mut logged.identity, closing).await;
    logged.body_bytes = body.bytes_read();
    logged.body_unread = body.is_unread();
    closing.body_unread.store(logged.body_unread, Ordering::Relaxed);
    logged.status = response.as_ref().map_or(0, |response| response.status().as_u16());
    azure.log.push(logged);
    response
}

fn logged_headers(request: &Request) -> Vec<(String, String)> {
    let headers = request.headers.iter().filter(|(name, _)| *name != "authorization");
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// Responds with the service, or with the fault that is set for the request.
async fn respond(
    azure: &Azure,
    service: &'static str,
    request: &mut Request,
    body: &mut RequestBody,
    identity: &mut Option<String>,
    closing: &Closing,
) -> io::Result<http::Response<ResponseBody>> {
    closing.at_once.store(false, Ordering::Relaxed);
    let mut changes = azure.faults.changes();
    let fault = azure.faults.take(service, &request.path);
    match &fault {
        Some(FaultKind::DiscardBody) => {
            body.discard().await?;
            return Ok(Response::new(201).into_http());
        }
        Some(FaultKind::CloseAfterRequestBytes(bytes)) => {
            body.discard_first(*bytes).await?;
            return Err(io::Error::other("closed on purpose"));
        }
        Some(FaultKind::RespondEarly { status, read, at_once }) => {
            body.discard_first(*read).await?;
            closing.at_once.store(*at_once, Ordering::Relaxed);
            let response =
                Response::error(*status, "Early", "The service did not wait for the body.");
            return Ok(response.into_http());
        }
        Some(FaultKind::Redirect(location)) => {
            return Ok(Response::new(307).header("location", location).into_http());
        }
        Some(FaultKind::HoldBody) => drop(changes.changed().await),
        _ => {}
    }
    let is_storage = storage::SERVICES.contains(&service);
    if !is_storage {
        request.body = body.bytes(MAX_BODY).await?;
    }
    match &fault {
        Some(FaultKind::Delay(milliseconds)) => tokio::time::sleep(delay(*milliseconds)).await,
        Some(FaultKind::Hang) => drop(changes.changed().await),
        _ => {}
    }
    let (response, name) = match service {
        "imds" => (imds::handle(azure, request), None),
        "vault" => vault::handle(azure, request),
        "arm" => arm::handle(azure, request),
        _ if is_storage => storage::handle(azure, service, request, body).await?,
        _ => (Response::error(404, "NoSuchHost", "The emulator has no such service."), None),
    };
    *identity = name;
    match fault {
        Some(fault) => respond_with_fault(fault, response, request, &azure.faults),
        None => Ok(response.into_http()),
    }
}

/// Sets the faults of a JSON list (`PUT`), or removes all (`DELETE`).
fn configure_faults(azure: &Azure, request: &Request) -> Response {
    match request.method.as_str() {
        "DELETE" => azure.faults.clear(),
        "PUT" => match serde_json::from_slice::<Vec<Fault>>(&request.body) {
            Ok(faults) => faults.into_iter().for_each(|fault| azure.faults.add(fault)),
            Err(error) => return Response::error(400, "BadFaults", &error.to_string()),
        },
        _ => return Response::new(405),
    }
    Response::new(204)
}
