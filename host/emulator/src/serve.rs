//! Listens, and brings each request to its service.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::exchange::{Received, Reply, ReplyBody, chunks};
use crate::faults::{Fault, Misbehaviour, delay};
use crate::log::Seen;
use crate::{Azure, arm, imds, vault};

/// The longest body that is taken.
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

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, door: &'static str, azure: Arc<Azure>) {
    let service = service_fn(|request| exchange(&azure, door, request));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Which service a host is.
fn service_of(door: &'static str, host: &str) -> &'static str {
    match host {
        _ if door == "imds" => "imds",
        _ if host.starts_with("management.") => "arm",
        _ if host.contains(".vault.") => "vault",
        _ => "nowhere",
    }
}

async fn exchange(azure: &Azure, door: &'static str, request: Request<Incoming>) -> io::Result<Response<ReplyBody>> {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_owned();
    let service = service_of(door, &host);
    let body = Limited::new(body, LONGEST).collect().await.map_err(io::Error::other)?.to_bytes();
    let query = parts.uri.query().unwrap_or_default();
    let request = Received::new(parts.method, host, parts.uri.path(), query, parts.headers, body);
    if service == "imds" && request.path == FAULTS {
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
        body_bytes: request.body.len(),
        status: 0,
    };
    let misbehaviour = azure.faults.take(service, &request.path);
    match &misbehaviour {
        Some(Misbehaviour::Delay(milliseconds)) => tokio::time::sleep(delay(*milliseconds)).await,
        Some(Misbehaviour::Hang) => azure.faults.changed().await,
        _ => {}
    }
    let (reply, identity) = match service {
        "imds" => (imds::answer(azure, &request), None),
        "vault" => vault::answer(azure, &request),
        "arm" => arm::answer(azure, &request),
        _ => (Reply::error(404, "NoSuchHost", "The emulator has no such service."), None),
    };
    seen.identity = identity;
    let response = misbehave(misbehaviour, reply, &request, azure).await;
    seen.status = response.as_ref().map_or(0, |response| response.status().as_u16());
    azure.log.push(seen);
    response
}

fn headers_seen(request: &Received) -> Vec<(String, String)> {
    let shown = request.headers.iter().filter(|(name, _)| *name != "authorization");
    shown.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

async fn misbehave(
    misbehaviour: Option<Misbehaviour>,
    reply: Reply,
    request: &Received,
    azure: &Azure,
) -> io::Result<Response<ReplyBody>> {
    let body = reply.body.clone();
    let announced = |body: ReplyBody, length: usize| {
        let mut response = reply.clone().into_response().map(|_| body);
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        response
    };
    Ok(match misbehaviour {
        None | Some(Misbehaviour::Delay(_) | Misbehaviour::Hang) => reply.into_response(),
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
        Some(Misbehaviour::Tear(bytes)) => {
            announced(chunks(vec![body.slice(..bytes.min(body.len()))], true), body.len())
        }
        Some(Misbehaviour::HalfBody) => {
            let half = body.slice(..body.len() / 2);
            announced(chunks(vec![half.clone()], false), half.len())
        }
        Some(Misbehaviour::Stall(bytes)) => announced(stall(body.slice(..bytes.min(body.len())), azure), body.len()),
        Some(Misbehaviour::Echo(piece)) => {
            let bearer = request.header("authorization").unwrap_or_default().to_owned();
            let text = Bytes::from(format!("{{\"you sent\": \"{bearer}\", \"and again\": \"{bearer}\"}}"));
            let pieces = text.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
            let mut response = announced(chunks(pieces, false), text.len());
            if let Ok(value) = HeaderValue::from_str(&bearer) {
                response.headers_mut().insert("x-echo", value);
            }
            response
        }
        Some(Misbehaviour::Bytes(count)) => {
            let length = usize::try_from(count).unwrap_or(usize::MAX);
            let mut response = announced(zeros(count), length);
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/octet-stream"));
            response
        }
    })
}

/// These bytes, and then nothing until the faults change.
fn stall(bytes: Bytes, azure: &Azure) -> ReplyBody {
    let faults = azure.faults.clone();
    let (sender, body) = http_body_util::channel::Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let mut sender = sender;
        drop(sender.send_data(bytes).await);
        faults.changed().await;
        sender.abort(io::Error::other("stalled on purpose"));
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
