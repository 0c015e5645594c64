//! A connection, up to its login.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::answer::Cancel;
use super::exchange::{self, Connected};
use super::gate::{self, Principal};
use super::login::{Login, Proof, token_message};
use super::packet::{FEDAUTH, HEADER, Incoming, LOGIN7, PRELOGIN, RESULT, bad, packet};
use super::prelogin::Prelogin;
use super::session::Session;
use super::sql_error::SqlError;
use super::token;
use super::translate::SessionInfo;
use super::wrapped::Wrapped;
use super::writer::Writer;
use super::{Tls, exchange::Fault};
use crate::log::Seen;
use crate::{Azure, TENANT};

/// The first byte of a client that speaks TLS before anything else.
const TLS_HANDSHAKE: u8 = 0x16;

/// The size of packets before a login, and the sizes that may be asked for.
const PACKET: usize = 4096;
const PACKETS: std::ops::RangeInclusive<usize> = 512..=32_767;

/// How long a connection that was refused stays open, so that the client can read why.
const LINGER: Duration = Duration::from_millis(500);

pub(super) async fn serve(mut stream: TcpStream, tls: &Tls, azure: &Azure) -> io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(());
    }
    let [first] = first;
    let mut incoming = Incoming::default();
    if first == TLS_HANDSHAKE {
        let mut stream = TlsAcceptor::from(tls.strict.clone()).accept(Wrapped::new(stream, false)).await?;
        let prelogin = prelogin(&mut incoming, &mut stream).await?;
        stream.write_all(&packet(RESULT, true, 1, &prelogin.answer(true))).await?;
        stream.flush().await?;
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        return login(incoming, stream, prelogin, name, azure).await;
    }
    let prelogin = prelogin(&mut incoming, &mut stream).await?;
    stream.write_all(&packet(RESULT, true, 1, &prelogin.answer(false))).await?;
    if !prelogin.can_encrypt() {
        return Err(bad("the client does not encrypt"));
    }
    if !incoming.is_clean() {
        return Err(bad("the client did not wait for the answer"));
    }
    let mut stream = TlsAcceptor::from(tls.within.clone()).accept(Wrapped::new(stream, true)).await?;
    stream.get_mut().0.unwrap_now();
    let name = stream.get_ref().1.server_name().map(str::to_owned);
    login(incoming, stream, prelogin, name, azure).await
}

async fn prelogin(incoming: &mut Incoming, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Prelogin> {
    let message = incoming.next(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let prelogin = Prelogin::parse(&message.body).filter(|_| message.kind == PRELOGIN);
    prelogin.ok_or_else(|| bad("no PRELOGIN"))
}

async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    mut incoming: Incoming,
    stream: S,
    prelogin: Prelogin,
    name: Option<String>,
    azure: &Azure,
) -> io::Result<()> {
    let (mut read, write) = tokio::io::split(stream);
    let mut writer = Writer::new(write, PACKET - HEADER);
    let message = incoming.next(&mut read).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let login = Login::parse(&message.body).filter(|_| message.kind == LOGIN7).ok_or_else(|| bad("no LOGIN7"))?;
    let audience = gate::audience(&login.server, name.as_deref());
    let host = name.unwrap_or_else(|| login.server.clone());

    let fault = Fault::take(azure, "LOGIN").await?;
    let mut token = None;
    if let Proof::TokenToCome { .. } = login.proof {
        let mut info = Vec::new();
        let authority = format!("https://login.microsoftonline.com/{TENANT}");
        token::fedauth_info(&mut info, &authority, audience);
        writer.answer(&info).await?;
        let message = incoming.next(&mut read).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let found = token_message(&message.body).filter(|_| message.kind == FEDAUTH);
        token = Some(found.ok_or_else(|| bad("no token"))?);
    }
    let admitted = match &fault {
        Some(Fault::Error(number)) => Err(SqlError::numbered(*number, &login.database)),
        _ if !echoes(prelogin, &login.proof) => Err(SqlError::numbered(18456, "")),
        _ => gate::admit(azure, &login, token.as_deref(), audience),
    };
    let database = match login.database.as_str() {
        "" => "master",
        name => {
            azure.sql.options.databases.iter().find(|own| own.eq_ignore_ascii_case(name)).map_or(name, String::as_str)
        }
    };
    azure.log.push(Seen {
        service: "sql",
        host: host.clone(),
        method: "LOGIN".to_owned(),
        path: database.to_owned(),
        query: String::new(),
        headers: vec![("user-agent".to_owned(), login.application.clone())],
        identity: admitted.as_ref().ok().and_then(|principal| principal.identity.clone()),
        body_bytes: message.body.len(),
        body_unread: false,
        status: admitted.as_ref().map_or_else(exchange::status, |_| 200),
    });
    if let Some(Fault::Route(node, port)) = &fault {
        writer.answer(&greeting(&login, database, PACKET, Some((node, *port)))).await?;
        return writer.close().await;
    }
    if let Some(fault) = fault {
        fault.apply(&mut writer).await?;
    }
    let principal = match admitted {
        Ok(principal) => principal,
        Err(failure) => {
            let mut refusal = Vec::new();
            token::failure(&mut refusal, &failure, "", 1);
            token::done(&mut refusal, token::DONE, token::ERROR, 0);
            writer.answer(&refusal).await?;
            writer.close().await?;
            let gone = async { while read.read(&mut [0; 256]).await.is_ok_and(|count| count > 0) {} };
            drop(tokio::time::timeout(LINGER, gone).await);
            return Ok(());
        }
    };

    let asked = usize::try_from(login.packet_size).unwrap_or_default();
    let size = if asked == 0 { PACKET } else { asked.clamp(*PACKETS.start(), *PACKETS.end()) };
    let session = session(&login, &principal, database, azure)?;
    writer.answer(&greeting(&login, database, size, None)).await?;
    writer.piece = size - HEADER;
    if let Some(fault) = Fault::take(azure, "READY").await? {
        fault.apply(&mut writer).await?;
    }
    let cancel = Cancel::new(session.connection.get_interrupt_handle());
    let connected = Connected { incoming, read, writer, host, identity: principal.identity, cancel, session };
    connected.serve(azure).await
}

/// Whether the login tells again what the client and the server had agreed on about tokens.
fn echoes(prelogin: Prelogin, proof: &Proof) -> bool {
    match proof {
        Proof::Token { echo, .. } | Proof::TokenToCome { echo } => *echo == prelogin.echoes_fedauth(),
        Proof::Password(..) => true,
    }
}

fn session(login: &Login, principal: &Principal, database: &str, azure: &Azure) -> io::Result<Session> {
    let known = SessionInfo {
        database: database.to_owned(),
        login: principal.login.clone(),
        host: login.host.clone(),
        application: login.application.clone(),
        session_id: azure.sql.sessions.fetch_add(1, Ordering::Relaxed),
        ..SessionInfo::default()
    };
    let connection = azure.sql.database.connect().map_err(io::Error::other)?;
    Ok(Session::new(connection, known, azure.sql.options.databases.clone()))
}

/// What somebody hears who was admitted, or is sent on to another node.
fn greeting(login: &Login, database: &str, size: usize, route: Option<(&str, u16)>) -> Vec<u8> {
    let mut greeting = Vec::new();
    token::changed(&mut greeting, 1, database, "master");
    token::collation(&mut greeting);
    token::changed(&mut greeting, 2, "us_english", "");
    token::login_ack(&mut greeting, login.version);
    token::changed(&mut greeting, 4, &size.to_string(), &PACKET.to_string());
    match &login.proof {
        Proof::Token { nonce, .. } => token::fedauth_ack(&mut greeting, nonce.as_deref()),
        Proof::TokenToCome { .. } => token::fedauth_ack(&mut greeting, None),
        Proof::Password(..) => {}
    }
    if let Some((node, port)) = route {
        token::route(&mut greeting, node, port);
    }
    token::done(&mut greeting, token::DONE, 0, 0);
    greeting
}
