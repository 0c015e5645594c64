//! Checks whether programs of other users can reach the metadata service, and so bypass the broker.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, SERVER};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use keyward::Plan;
use tokio::net::TcpStream;

use super::finding::{Check, Finding};
use super::restriction::Restriction;
use super::socket::BrokerUser;
use super::tokens;

/// The timeout for connecting. The service is on the local link and accepts within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The timeout for its response, which needs no other service.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The size limit of a response, in bytes. The service's own has less than a hundred.
const MAX_RESPONSE_BYTES: usize = 4 << 10;

/// The server at the address of the metadata service.
#[derive(Debug)]
pub(super) enum MetadataServer {
    /// The metadata service.
    Imds,
    /// A server with another response or none.
    Other(String),
    /// No server accepts connections.
    Unreachable(String),
}

impl fmt::Display for MetadataServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imds => f.write_str("169.254.169.254 responds as IMDS"),
            Self::Other(response) => {
                write!(f, "the server at 169.254.169.254 does not respond as IMDS ({response})")
            }
            Self::Unreachable(reason) => write!(f, "cannot connect to 169.254.169.254 ({reason})"),
        }
    }
}

/// Connects to the address, and sends a request without the header field `Metadata`. IMDS rejects
/// it with a characteristic message, and issues no token.
#[allow(clippy::disallowed_methods, reason = "no other connector may connect to this address")]
pub(super) async fn probe(address: SocketAddr) -> MetadataServer {
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return MetadataServer::Unreachable(error.to_string()),
        Err(_) => return MetadataServer::Unreachable("connection timed out".to_owned()),
    };
    match tokio::time::timeout(RESPONSE_TIMEOUT, identify(stream)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => MetadataServer::Other(error.to_string()),
        Err(_) => MetadataServer::Other("no response in time".to_owned()),
    }
}

async fn identify(
    stream: TcpStream,
) -> Result<MetadataServer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let request = Request::get("/metadata/identity/oauth2/token?api-version=2018-02-01");
        let request = request.header(HOST, "169.254.169.254").body(Empty::<Bytes>::new())?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?.to_bytes();
        Ok(match is_imds(parts.status, parts.headers.get(SERVER), &body) {
            true => MetadataServer::Imds,
            false => MetadataServer::Other(format!("status {}", parts.status.as_u16())),
        })
    };
    // The exchange fails too when the connection ends, and with a better error.
    let connection = async {
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        server = exchange => server,
        never = connection => never,
    }
}

/// Whether a response is from IMDS. Other clouds and Docker Desktop have servers at this address
/// too.
fn is_imds(status: StatusCode, server: Option<&HeaderValue>, body: &[u8]) -> bool {
    let has_name = server.is_some_and(|server| server.as_bytes().starts_with(b"IMDS/"));
    let message = String::from_utf8_lossy(body).to_ascii_lowercase();
    let is_rejection = message.contains("required metadata header not specified");
    has_name || (status == StatusCode::BAD_REQUEST && is_rejection)
}

#[cfg(target_os = "linux")]
pub(super) fn check(server: &MetadataServer, broker: &BrokerUser) -> Finding {
    evaluate(server, rustix::process::geteuid().as_raw(), broker, Restriction::of_this_machine())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn check(server: &MetadataServer, _: &BrokerUser) -> Finding {
    let finding = Finding::about(Check::Metadata, "169.254.169.254");
    match server {
        MetadataServer::Imds => {
            let found = "this process can reach it, and others may too: firewall rules are not \
                         checked on this system";
            finding.warning(found).fix("Block it for all users but the broker's with a firewall")
        }
        MetadataServer::Other(_) | MetadataServer::Unreachable(_) => {
            finding.ok(format!("not reachable from this process: {server}"))
        }
    }
}

/// Evaluates the server as the user `me`. Firewall rules cannot be read without being root, but a
/// user other than the broker's who can reach the service proves that others can.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn evaluate(
    server: &MetadataServer,
    me: u32,
    broker: &BrokerUser,
    restriction: Restriction,
) -> Finding {
    let finding = Finding::about(Check::Metadata, "169.254.169.254");
    match server {
        MetadataServer::Imds if broker.known && me != broker.id && me != 0 => {
            let found = format!(
                "user {me} can reach it, and is not the broker's user ({}): programs can bypass \
                 the broker",
                broker.id
            );
            return finding.problem(found).fix(restriction.fix(broker.id));
        }
        MetadataServer::Imds => {
            let found =
                format!("user {me} can reach it, and so can others unless {}", restriction.stops());
            return finding.warning(found).fix(restriction.fix(broker.id));
        }
        MetadataServer::Other(_) | MetadataServer::Unreachable(_) => {}
    }
    let found = format!("not reachable for user {me}: {server}");
    if me == broker.id {
        return finding.ok(format!("{found}. This machine probably has no metadata service"));
    }
    finding.ok(found)
}

/// Lists the identities with other endpoints, which the firewall rules do not cover.
pub(super) fn other_endpoints(plan: &Plan) -> Vec<Finding> {
    let identities = plan.identities().iter();
    let others =
        identities.filter_map(|(name, identity)| Some((name, tokens::endpoint(identity)?)));
    let findings = others.map(|(name, endpoint)| {
        let found = format!(
            "its endpoint is {endpoint}, which firewall rules for 169.254.169.254 do not cover"
        );
        Finding::about(Check::Metadata, format!("identity {name}")).skipped(found)
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_user_other_than_the_brokers_who_can_reach_it_is_a_problem() {
        let broker = BrokerUser { id: 990, known: true };
        let refused = || MetadataServer::Unreachable("refused".to_owned());
        let firewall = Restriction::Firewall;
        let status = |server, me| evaluate(&server, me, &broker, firewall).status;
        assert_eq!(status(MetadataServer::Imds, 1000), Status::Problem);
        assert_eq!(status(MetadataServer::Imds, 990), Status::Warning);
        assert_eq!(status(MetadataServer::Imds, 0), Status::Warning);
        assert_eq!(status(refused(), 1000), Status::Ok);
        assert_eq!(status(refused(), 990), Status::Ok);
        assert_eq!(status(MetadataServer::Other("status 404".to_owned()), 1000), Status::Ok);
        let unknown = BrokerUser { id: 1000, known: false };
        let finding = evaluate(&MetadataServer::Imds, 1000, &unknown, firewall);
        assert_eq!(finding.status, Status::Warning);
        let rule = "ip daddr 169.254.169.254 meta skuid != 1000 reject";
        assert!(finding.fix.unwrap().contains(rule));
    }

    #[test]
    fn only_a_response_of_imds_is_taken_for_imds() {
        let rejection = br#"{"error":"invalid_request","error_description":"Required metadata header not specified"}"#;
        let server = |name| Some(HeaderValue::from_static(name));
        let is = |status, server: Option<HeaderValue>, body: &[u8]| {
            is_imds(StatusCode::from_u16(status).unwrap(), server.as_ref(), body)
        };
        assert!(is(400, None, rejection));
        assert!(is(429, server("IMDS/150.870.65.1854"), b""));
        assert!(!is(404, server("EC2ws"), b"<html>404"), "Amazon");
        assert!(!is(403, server("Metadata Server for VM"), b"<html>"), "Google");
        assert!(!is(403, None, b"connecting to 169.254.169.254:80: connectex"), "Docker Desktop");
        assert!(!is(200, server("nginx"), b"{}"));
        assert!(!is(400, server("nginx"), b"<html>400 Bad Request"));
    }
}
