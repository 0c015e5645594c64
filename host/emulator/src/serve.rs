//! Listens, and brings each request to its service.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::body::RequestBody;
use crate::content::Content;
use crate::exchange::{Received, Reply, ReplyBody, chunks};
use crate::faults::{Fault, Misbehaviour, delay};
use crate::log::Seen;
use crate::{Azure, arm, imds, storage, vault};

/// The longest body that is taken whole. Storage takes longer ones.
const LONGEST: usize = 64 << 20;

/// Where faults are switched on over HTTP, beside the metadata service.
const FAULTS: &str = "/emulator/faults";

pub(crate) async fn plain(listener: TcpListener, azure: Arc<Azure>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(connection(stream, "imds", Arc::clone(&azure)));
        while connections.try_join_next().is_some() {}
    }
}

pub(crate) async fn tls(listener: TcpListener, config: Arc<ServerConfig>, azure: Arc<Azure>) {
    let acceptor = TlsAcceptor::from(config);
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, azure) = (acceptor.clone(), Arc::clone(&azure));
        connections.spawn(async move {
            drop(stream.set_nodelay(true));
            match acceptor.accept(stream).await {
                Ok(stream) => connection(stream, "tls", azure).await,
                Err(error) => tracing::debug!(%error, "no TLS"),
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// How long a connection stays open behind an answer that was given before the request's body had come.
const LINGER: Duration = Duration::from_millis(500);

/// How a connection ends.
#[derive(Default)]
struct Ending {
    /// A request's body was not read to its end.
    unread: AtomicBool,
    /// It is closed without lingering.
    at_once: AtomicBool,
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, door: &'static str, azure: Arc<Azure>) {
    let ending = Ending::default();
    let service = service_fn(|request| Box::pin(exchange(&azure, door, &ending, request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = poll_fn(|context| connection.poll_without_shutdown(context)).await {
        tracing::debug!(%error, "a connection ended");
        return;
    }
    let mut stream = connection.into_parts().io.into_inner();
    drop(stream.shutdown().await);
    // Closing a socket with unread bytes resets it, and the client might lose the answer that it has not read yet.
    if ending.unread.load(Ordering::Relaxed) && !ending.at_once.load(Ordering::Relaxed) {
        tokio::time::sleep(LINGER).await;
    }
}

/// Which service a host is.
fn service_of(door: &'static str, host: &str) -> &'static str {
    match host {
        _ if door == "imds" => "imds",
        _ if host.starts_with("management.") => "arm",
        _ if host.contains(".vault.") || host.contains(".managedhsm.") => "vault",
        _ if host.contains(".blob.core.") || host.contains(".blob.storage.") => "blob",
        _ if host.contains(".dfs.core.") || host.contains(".dfs.storage.") => "dfs",
        _ if host.ends_with(".azuredatalakestore.net") => "datalake",
        _ => "nowhere",
    }
}

async fn exchange(
    azure: &Azure,
    door: &'static str,
    ending: &Ending,
    request: Request<Incoming>,
) -> io::Result<Response<ReplyBody>> {
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(body);
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_owned();
    let service = service_of(door, &host);
    let query = parts.uri.query().unwrap_or_default();
    let mut request = Received::new(parts.method, host, parts.uri.path(), query, parts.headers);
    if service == "imds" && request.path == FAULTS {
        request.body = body.at_most(LONGEST).await?;
        return Ok(switch_faults(azure, &request).into_response());
    }

    let mut seen = Seen {
        service,
        host: request.host.clone(),
        method: request.method.to_string(),
        path: request.path.clone(),
        query: request.raw_query.clone(),
        headers: headers_seen(&request),
        identity: None,
        body_bytes: 0,
        body_unread: false,
        status: 0,
    };
    let response = respond(azure, service, &mut request, &mut body, &mut seen.identity, ending).await;
    seen.body_bytes = body.read();
    seen.body_unread = body.is_unread();
    ending.unread.store(seen.body_unread, Ordering::Relaxed);
    seen.status = response.as_ref().map_or(0, |response| response.status().as_u16());
    azure.log.push(seen);
    response
}

async fn respond(
    azure: &Azure,
    service: &'static str,
    request: &mut Received,
    body: &mut RequestBody,
    identity: &mut Option<String>,
    ending: &Ending,
) -> io::Result<Response<ReplyBody>> {
    ending.at_once.store(false, Ordering::Relaxed);
    let mut changes = azure.faults.changes();
    let misbehaviour = azure.faults.take(service, &request.path);
    match &misbehaviour {
        Some(Misbehaviour::Swallow) => {
            body.discard().await?;
            return Ok(Reply::new(201).into_response());
        }
        Some(Misbehaviour::TearAfterRequestBytes(bytes)) => {
            body.discard_first(*bytes).await?;
            return Err(io::Error::other("torn on purpose"));
        }
        Some(Misbehaviour::AnswerEarly { status, read, at_once }) => {
            body.discard_first(*read).await?;
            ending.at_once.store(*at_once, Ordering::Relaxed);
            return Ok(Reply::error(*status, "Early", "The service did not wait for the body.").into_response());
        }
        Some(Misbehaviour::Redirect(location)) => {
            return Ok(Reply::new(307).header("location", location).into_response());
        }
        Some(Misbehaviour::HoldBody) => drop(changes.changed().await),
        _ => {}
    }
    let is_storage = storage::SERVICES.contains(&service);
    if !is_storage {
        request.body = body.at_most(LONGEST).await?;
    }
    match &misbehaviour {
        Some(Misbehaviour::Delay(milliseconds)) => tokio::time::sleep(delay(*milliseconds)).await,
        Some(Misbehaviour::Hang) => drop(changes.changed().await),
        _ => {}
    }
    let (reply, named) = match service {
        "imds" => (imds::answer(azure, request), None),
        "vault" => vault::answer(azure, request),
        "arm" => arm::answer(azure, request),
        _ if is_storage => storage::answer(azure, service, request, body).await?,
        _ => (Reply::error(404, "NoSuchHost", "The emulator has no such service."), None),
    };
    *identity = named;
    misbehave(misbehaviour, reply, request, azure)
}

fn headers_seen(request: &Received) -> Vec<(String, String)> {
    let shown = request.headers.iter().filter(|(name, _)| *name != "authorization");
    shown.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

fn misbehave(
    misbehaviour: Option<Misbehaviour>,
    reply: Reply,
    request: &Received,
    azure: &Azure,
) -> io::Result<Response<ReplyBody>> {
    let body = reply.body.clone();
    let announced = |body: ReplyBody, length: u64| {
        let mut response = reply.clone().into_response().map(|_| body);
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        response
    };
    let compressed = |body: &[u8], piece: usize| {
        let compressed = Bytes::from(gzip(body));
        let pieces = compressed.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
        let mut response = announced(chunks(pieces), compressed.len() as u64);
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        response
    };
    Ok(match misbehaviour {
        Some(Misbehaviour::Close) => return Err(io::Error::other("closed on purpose")),
        Some(Misbehaviour::Answer { status, headers, body }) => {
            let mut answer = Reply::new(status);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
                    answer.headers.insert(name, value);
                }
            }
            answer.body = body.into();
            answer.into_response()
        }
        Some(Misbehaviour::Html) => {
            let mut answer = Reply::new(200).header("content-type", "text/html");
            answer.body = "<!doctype html><title>A page</title>".into();
            answer.into_response()
        }
        Some(Misbehaviour::Tear(bytes)) => announced(torn(body.slice(0, bytes as u64)), body.len()),
        Some(Misbehaviour::HalfBody) => {
            let half = body.slice(0, body.len() / 2);
            let length = half.len();
            announced(chunks(half.into_chunks()), length)
        }
        Some(Misbehaviour::Stall(bytes)) => announced(stall(body.slice(0, bytes as u64), azure), body.len()),
        Some(Misbehaviour::Echo(piece)) => {
            let bearer = request.header("authorization").unwrap_or_default().to_owned();
            let text = Bytes::from(format!("{{\"you sent\": \"{bearer}\", \"and again\": \"{bearer}\"}}"));
            let pieces = text.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
            let mut response = announced(chunks(pieces), text.len() as u64);
            if let Ok(value) = HeaderValue::from_str(&bearer) {
                response.headers_mut().insert("x-echo", value);
            }
            response
        }
        Some(Misbehaviour::EchoCompressed(piece)) => {
            let bearer = request.header("authorization").unwrap_or_default();
            compressed(format!("{{\"you sent\": \"{bearer}\"}}").as_bytes(), piece)
        }
        Some(Misbehaviour::Gzip) => compressed(&body.into_chunks().concat(), usize::MAX),
        Some(Misbehaviour::Bytes(count)) => {
            let mut response = announced(zeros(count), count);
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/octet-stream"));
            response
        }
        // These were taken care of before the service answered.
        None
        | Some(
            Misbehaviour::Delay(_)
            | Misbehaviour::Hang
            | Misbehaviour::HoldBody
            | Misbehaviour::Swallow
            | Misbehaviour::TearAfterRequestBytes(_)
            | Misbehaviour::AnswerEarly { .. }
            | Misbehaviour::Redirect(_)
            | Misbehaviour::SqlError(_)
            | Misbehaviour::SqlRoute { .. },
        ) => reply.into_response(),
    })
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Read as _;

    let mut compressed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(text, flate2::Compression::best());
    // Reading from memory does not fail.
    drop(encoder.read_to_end(&mut compressed));
    compressed
}

/// These bytes, and then nothing until the faults change.
fn stall(content: Content, azure: &Azure) -> ReplyBody {
    let mut changes = azure.faults.changes();
    let (sender, body) = http_body_util::channel::Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let mut sender = sender;
        for chunk in content.into_chunks() {
            drop(sender.send_data(chunk).await);
        }
        drop(changes.changed().await);
        sender.abort(io::Error::other("stalled on purpose"));
    });
    body.boxed_unsync()
}

/// These bytes, and then an error, which ends the connection.
fn torn(content: Content) -> ReplyBody {
    /// An error throws away what is not sent yet.
    const SENT: Duration = Duration::from_millis(20);
    let (sender, body) = http_body_util::channel::Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let mut sender = sender;
        for chunk in content.into_chunks() {
            drop(sender.send_data(chunk).await);
        }
        tokio::time::sleep(SENT).await;
        sender.abort(io::Error::other("torn on purpose"));
    });
    body.boxed_unsync()
}

/// So many zeros, in large pieces.
fn zeros(count: u64) -> ReplyBody {
    const PIECE: usize = 256 << 10;
    static ZEROS: [u8; PIECE] = [0; PIECE];
    let (sender, body) = http_body_util::channel::Channel::<Bytes, io::Error>::new(2);
    tokio::spawn(async move {
        let (mut sender, mut left) = (sender, count);
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let Some(bytes) = ZEROS.get(..piece) else { return };
            if sender.send_data(Bytes::from_static(bytes)).await.is_err() {
                return;
            }
            left -= piece as u64;
        }
    });
    body.boxed_unsync()
}

/// `PUT` adds the faults of a list in JSON, `DELETE` switches all off.
fn switch_faults(azure: &Azure, request: &Received) -> Reply {
    match request.method.as_str() {
        "DELETE" => azure.faults.clear(),
        "PUT" => match serde_json::from_slice::<Vec<Fault>>(&request.body) {
            Ok(faults) => faults.into_iter().for_each(|fault| azure.faults.add(fault)),
            Err(error) => return Reply::error(400, "BadFaults", &error.to_string()),
        },
        _ => return Reply::new(405),
    }
    Reply::new(204)
}
