//! The beginning of a connection: PRELOGIN, then a TLS handshake within TDS packets.
//!
//! `tiberius` could do this, but with a TLS of its own. So it is done here, with the configuration
//! that the caller trusts, and `tiberius` sees a server that does not encrypt.

use std::io;

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::framed::Framed;
use crate::socket::Socket;
use crate::tds::prelogin::{self, Prelogin};

/// Encrypts a connection to a server. Returns the server's response to the PRELOGIN too.
///
/// `with_token` announces a login with an access token.
pub(crate) async fn encrypt(
    mut socket: Socket,
    tls: &TlsConnector,
    host: &str,
    with_token: bool,
) -> io::Result<(TlsStream<Framed>, Prelogin)> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    socket.write_all(&prelogin::request(with_token)).await?;
    let response = Prelogin::read(&mut socket).await?;
    if !response.offers_encryption() {
        let message = "the server offers no encryption";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let (framed, framing) = Framed::new(socket);
    let stream = tls.connect(name, framed).await?;
    framing.end();
    Ok((stream, response))
}
