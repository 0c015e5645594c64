//! The start of a connection: PRELOGIN, TLS and login.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::Tls;
use super::login_check::{self, Principal};
use super::login7::{Credentials, Login, token_message};
use super::message_loop::{self, LoggedIn};
use super::packet::{
    FEDAUTH, HEADER, LOGIN7, PRELOGIN, PacketReader, RESULT, invalid_data, packet,
};
use super::packet_writer::PacketWriter;
use super::prelogin::Prelogin;
use super::prelogin_stream::PreloginStream;
use super::response_stream::Cancellation;
use super::session::Session;
use super::sql_error::SqlError;
use super::sql_fault::SqlFault;
use super::tds_token;
use super::translate::SessionInfo;
use crate::request_log::LoggedRequest;
use crate::{Azure, TENANT};

/// The first byte of a client that starts with TLS.
const TLS_HANDSHAKE: u8 = 0x16;

/// The size of packets before the login, and the range that a client can choose from.
const PACKET_SIZE: usize = 4096;
const PACKET_SIZES: std::ops::RangeInclusive<usize> = 512..=32_767;

/// How long a connection stays open after a failed login, so that the client can read the error.
const LINGER: Duration = Duration::from_millis(500);

pub(super) async fn serve(mut stream: TcpStream, tls: &Tls, azure: &Azure) -> io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(());
    }
    let [first] = first;
    let mut incoming = PacketReader::default();
    if first == TLS_HANDSHAKE {
        let mut stream =
            TlsAcceptor::from(tls.tds8.clone()).accept(PreloginStream::new(stream, false)).await?;
        let prelogin = prelogin(&mut incoming, &mut stream).await?;
        stream.write_all(&packet(RESULT, true, 1, &prelogin.response(true))).await?;
        stream.flush().await?;
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        return login(incoming, stream, prelogin, name, azure).await;
    }
    let prelogin = prelogin(&mut incoming, &mut stream).await?;
    stream.write_all(&packet(RESULT, true, 1, &prelogin.response(false))).await?;
    if !prelogin.can_encrypt() {
        return Err(invalid_data("the client does not support encryption"));
    }
    if !incoming.is_empty() {
        return Err(invalid_data("the client did not wait for the response"));
    }
    let mut stream =
        TlsAcceptor::from(tls.in_tds.clone()).accept(PreloginStream::new(stream, true)).await?;
    stream.get_mut().0.end_handshake();
    let name = stream.get_ref().1.server_name().map(str::to_owned);
    login(incoming, stream, prelogin, name, azure).await
}

async fn prelogin(
    incoming: &mut PacketReader,
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Prelogin> {
    let message = incoming.next_message(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let prelogin = Prelogin::parse(&message.body).filter(|_| message.kind == PRELOGIN);
    prelogin.ok_or_else(|| invalid_data("expected PRELOGIN"))
}

async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    mut incoming: PacketReader,
    stream: S,
    prelogin: Prelogin,
    name: Option<String>,
    azure: &Azure,
) -> io::Result<()> {
    let (mut read, write) = tokio::io::split(stream);
    let mut writer = PacketWriter::new(write, PACKET_SIZE - HEADER);
    let message = incoming.next_message(&mut read).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let login = Login::parse(&message.body)
        .filter(|_| message.kind == LOGIN7)
        .ok_or_else(|| invalid_data("expected LOGIN7"))?;
    let audience = login_check::audience(&login.server, name.as_deref());
    let host = name.unwrap_or_else(|| login.server.clone());

    let fault = SqlFault::take(azure, "LOGIN").await?;
    let mut token = None;
    if let Credentials::TokenRequested { .. } = login.credentials {
        let mut info = Vec::new();
        let authority = format!("https://login.microsoftonline.com/{TENANT}");
        tds_token::fedauth_info(&mut info, &authority, audience);
        writer.write_message(&info).await?;
        let message =
            incoming.next_message(&mut read).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let token_in = token_message(&message.body).filter(|_| message.kind == FEDAUTH);
        token = Some(token_in.ok_or_else(|| invalid_data("expected a token"))?);
    }
    let authenticated = match &fault {
        Some(SqlFault::Error(number)) => Err(SqlError::numbered(*number, &login.database)),
        _ if !repeats_negotiated(prelogin, &login.credentials) => {
            Err(SqlError::numbered(18456, ""))
        }
        _ => login_check::authenticate(azure, &login, token.as_deref(), audience),
    };
    let database = match login.database.as_str() {
        "" => "master",
        name => azure
            .sql
            .options
            .databases
            .iter()
            .find(|database| database.eq_ignore_ascii_case(name))
            .map_or(name, String::as_str),
    };
    azure.log.push(LoggedRequest {
        service: "sql",
        host: host.clone(),
        method: "LOGIN".to_owned(),
        path: database.to_owned(),
        query: String::new(),
        headers: vec![("user-agent".to_owned(), login.application.clone())],
        identity: authenticated.as_ref().ok().and_then(|principal| principal.identity.clone()),
        body_bytes: message.body.len(),
        body_unread: false,
        status: authenticated.as_ref().map_or_else(message_loop::log_status, |_| 200),
    });
    if let Some(SqlFault::Route(node, port)) = &fault {
        writer
            .write_message(&login_response(&login, database, PACKET_SIZE, Some((node, *port))))
            .await?;
        return writer.close().await;
    }
    if let Some(fault) = fault {
        fault.apply(&mut writer).await?;
    }
    let principal = match authenticated {
        Ok(principal) => principal,
        Err(error) => {
            let mut error_response = Vec::new();
            tds_token::error(&mut error_response, &error, "", 1);
            tds_token::done(&mut error_response, tds_token::DONE, tds_token::ERROR, 0);
            writer.write_message(&error_response).await?;
            writer.close().await?;
            let disconnected =
                async { while read.read(&mut [0; 256]).await.is_ok_and(|count| count > 0) {} };
            drop(tokio::time::timeout(LINGER, disconnected).await);
            return Ok(());
        }
    };

    let requested = usize::try_from(login.packet_size).unwrap_or_default();
    let size = if requested == 0 {
        PACKET_SIZE
    } else {
        requested.clamp(*PACKET_SIZES.start(), *PACKET_SIZES.end())
    };
    let session = session(&login, &principal, database, azure)?;
    writer.write_message(&login_response(&login, database, size, None)).await?;
    writer.max_body = size - HEADER;
    if let Some(fault) = SqlFault::take(azure, "READY").await? {
        fault.apply(&mut writer).await?;
    }
    let cancellation = Cancellation::new(session.connection.get_interrupt_handle());
    let logged_in = LoggedIn {
        incoming,
        read,
        writer,
        host,
        identity: principal.identity,
        cancellation,
        session,
    };
    logged_in.serve(azure).await
}

/// Whether the login repeats what PRELOGIN negotiated about tokens.
fn repeats_negotiated(prelogin: Prelogin, credentials: &Credentials) -> bool {
    match credentials {
        Credentials::Token { echo, .. } | Credentials::TokenRequested { echo } => {
            *echo == prelogin.offers_fedauth()
        }
        Credentials::Password(..) => true,
    }
}

fn session(
    login: &Login,
    principal: &Principal,
    database: &str,
    azure: &Azure,
) -> io::Result<Session> {
    let info = SessionInfo {
        database: database.to_owned(),
        login: principal.login.clone(),
        host: login.host.clone(),
        application: login.application.clone(),
        session_id: azure.sql.sessions.fetch_add(1, Ordering::Relaxed),
        ..SessionInfo::default()
    };
    let connection = azure.sql.database.connect().map_err(io::Error::other)?;
    Ok(Session::new(connection, info, azure.sql.options.databases.clone()))
}

/// The response to a login that succeeds or is sent to another node.
fn login_response(
    login: &Login,
    database: &str,
    size: usize,
    route: Option<(&str, u16)>,
) -> Vec<u8> {
    let mut login_response = Vec::new();
    tds_token::env_change(&mut login_response, 1, database, "master");
    tds_token::collation(&mut login_response);
    tds_token::env_change(&mut login_response, 2, "us_english", "");
    tds_token::login_ack(&mut login_response, login.version);
    tds_token::env_change(&mut login_response, 4, &size.to_string(), &PACKET_SIZE.to_string());
    match &login.credentials {
        Credentials::Token { nonce, .. } => {
            tds_token::fedauth_ack(&mut login_response, nonce.as_deref());
        }
        Credentials::TokenRequested { .. } => tds_token::fedauth_ack(&mut login_response, None),
        Credentials::Password(..) => {}
    }
    if let Some((node, port)) = route {
        tds_token::route(&mut login_response, node, port);
    }
    tds_token::done(&mut login_response, tds_token::DONE, 0, 0);
    login_response
}
