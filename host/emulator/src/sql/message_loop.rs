//! The messages of a session and their responses. The client can cancel a response.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use super::batch::STACK_SIZE;
use super::field_reader::{self, FieldReader};
use super::packet::{ATTENTION, BATCH, Message, PacketReader, RPC, TRANSACTION, invalid_data};
use super::packet_writer::PacketWriter;
use super::query::Variables;
use super::response_stream::{Cancellation, ResponseStream};
use super::rpc::{self, Call};
use super::session::Session;
use super::sql_error::{SqlError, StatementError};
use super::sql_fault::SqlFault;
use super::tds_token;
use super::transaction_request::TransactionRequest;
use crate::Azure;
use crate::request_log::LoggedRequest;

/// Limit of packets that wait for the client.
const MAX_QUEUED_PACKETS: usize = 4;

/// A connection after the login.
pub(super) struct LoggedIn<R, W> {
    pub(super) incoming: PacketReader,
    pub(super) read: R,
    pub(super) writer: PacketWriter<W>,
    pub(super) host: String,
    pub(super) identity: Option<String>,
    pub(super) cancellation: Arc<Cancellation>,
    pub(super) session: Session,
}

/// A request of the client.
#[derive(Clone, Debug)]
enum ClientRequest {
    Batch(String),
    Calls(Vec<Call>),
    Transaction(TransactionRequest),
}

impl ClientRequest {
    fn parse(message: &Message) -> Option<Self> {
        match message.kind {
            BATCH => {
                let mut reader = FieldReader::new(&message.body);
                reader.skip_headers()?;
                Some(Self::Batch(field_reader::utf16(reader.rest())))
            }
            RPC => rpc::parse(&message.body).map(Self::Calls),
            TRANSACTION => TransactionRequest::parse(&message.body).map(Self::Transaction),
            _ => None,
        }
    }

    /// The kind and the statement for the log, without the values of parameters.
    fn for_log(&self) -> (&'static str, String) {
        match self {
            Self::Batch(text) => ("BATCH", text.clone()),
            Self::Calls(calls) => {
                ("RPC", calls.iter().map(Call::for_log).collect::<Vec<_>>().join("; "))
            }
            Self::Transaction(request) => ("TRANSACTION", request.for_log().to_owned()),
        }
    }
}

/// Cancels the running statement when the connection ends.
struct CancelOnDrop(Arc<Cancellation>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> LoggedIn<R, W> {
    pub(super) async fn serve(self, azure: &Azure) -> io::Result<()> {
        let Self { mut incoming, mut read, mut writer, host, identity, cancellation, mut session } =
            self;
        let cancel_on_drop = CancelOnDrop(Arc::clone(&cancellation));
        let mut next = None;
        loop {
            let message = match next.take() {
                Some(message) => message,
                None => match incoming.next_message(&mut read).await? {
                    Some(message) => message,
                    None => break,
                },
            };
            if message.kind == ATTENTION || message.ignored {
                let mut done = Vec::new();
                let status = if message.ignored { tds_token::ERROR } else { tds_token::ATTENTION };
                tds_token::done(&mut done, tds_token::DONE, status, 0);
                writer.write_message(&done).await?;
                continue;
            }
            let client_request =
                ClientRequest::parse(&message).ok_or_else(|| invalid_data("unknown message"))?;
            let (method, query) = client_request.for_log();
            let database = session.info.database.clone();
            let mut logged = LoggedRequest {
                service: "sql",
                host: host.clone(),
                method: method.to_owned(),
                path: database.clone(),
                query,
                headers: Vec::new(),
                identity: identity.clone(),
                body_bytes: message.body.len(),
                body_unread: false,
                status: 0,
            };
            let fault = SqlFault::take(azure, method).await;
            if let Ok(Some(fault)) = &fault
                && let Some(error) = fault.error(&database)
            {
                logged.status = log_status(&error);
                azure.log.push(logged);
                writer.write_message(&error_response(&error, message.kind == RPC)).await?;
                continue;
            }
            let Ok(fault) = fault else {
                azure.log.push(logged);
                return writer.close().await;
            };
            if let Some(fault) = fault {
                azure.log.push(logged.clone());
                fault.apply(&mut writer).await?;
            }

            cancellation.reset();
            let (sender, mut packets) = mpsc::channel(MAX_QUEUED_PACKETS);
            let response = ResponseStream::new(writer.max_body, sender, Arc::clone(&cancellation));
            let reset = message.reset.then_some(message.keep_transaction);
            let (completed_sender, completed) = oneshot::channel();
            let run_request =
                move || drop(completed_sender.send(run(session, client_request, reset, response)));
            std::thread::Builder::new()
                .name("sql".to_owned())
                .stack_size(STACK_SIZE)
                .spawn(run_request)?;
            let (mut stopped, mut has_started) = (false, false);
            let sent: io::Result<()> = loop {
                tokio::select! {
                    packet = packets.recv() => match packet {
                        Some(packet) => {
                            has_started = true;
                            if let Err(error) = writer.write_packet(&packet, false).await {
                                break Err(error);
                            }
                        }
                        None => break Ok(()),
                    },
                    message = incoming.next_message(&mut read), if next.is_none() => match message {
                        Ok(Some(message)) if message.kind == ATTENTION => {
                            stopped = true;
                            cancellation.cancel();
                        }
                        Ok(Some(message)) => next = Some(message),
                        Ok(None) => break Err(io::ErrorKind::UnexpectedEof.into()),
                        Err(error) => break Err(error),
                    },
                }
            };
            if sent.is_err() {
                cancellation.cancel();
                azure.log.push(logged);
                return sent;
            }
            let completed = completed.await.map_err(io::Error::other)?;
            session = completed.session;
            logged.status = completed
                .first_error
                .map_or(200, |number| u16::try_from(number).unwrap_or(u16::MAX));
            azure.log.push(logged);
            // A response that was cancelled before its first packet is an empty message.
            let is_unsent = completed.is_cancelled && !has_started;
            writer.write_packet(if is_unsent { &[] } else { &completed.last }, true).await?;
            if stopped {
                // The acknowledgement is a message of its own: tedious waits for both.
                let mut done = Vec::new();
                tds_token::done(&mut done, tds_token::DONE, tds_token::ATTENTION, 0);
                writer.write_message(&done).await?;
            }
        }
        drop(cancel_on_drop);
        writer.close().await
    }
}

/// A completed request.
struct Completed {
    session: Session,
    last: Vec<u8>,
    /// Whether the response was cancelled.
    is_cancelled: bool,
    first_error: Option<i32>,
}

/// Runs a request.
fn run(
    mut session: Session,
    client_request: ClientRequest,
    reset: Option<bool>,
    mut response: ResponseStream,
) -> Completed {
    let done = (|| {
        if let Some(keep_transaction) = reset {
            session.reset(keep_transaction)?;
            response.write(tds_token::reset)?;
        }
        match client_request {
            ClientRequest::Batch(text) => {
                session.run_batch(&text, &mut Variables::new(), &mut response)
            }
            ClientRequest::Calls(calls) => session.run_calls(calls, &mut response),
            ClientRequest::Transaction(request) => {
                session.run_transaction_request(&request, &mut response)
            }
        }
    })();
    let first_error = response.first_error;
    let is_cancelled =
        matches!(done, Err(StatementError::Cancelled | StatementError::Disconnected));
    let last = match done {
        Ok(()) => response.finish(),
        Err(StatementError::Sql(error)) => {
            drop(response.write_error(&error, 1));
            response.finish()
        }
        Err(StatementError::Cancelled | StatementError::Disconnected) => response.abort(),
    };
    Completed { session, last, is_cancelled, first_error }
}

/// The status of an error in the log.
pub(super) fn log_status(error: &SqlError) -> u16 {
    u16::try_from(error.number).unwrap_or(u16::MAX)
}

fn error_response(error: &SqlError, in_procedure: bool) -> Vec<u8> {
    let mut error_response = Vec::new();
    tds_token::error(&mut error_response, error, "", 1);
    let kind = if in_procedure { tds_token::DONE_PROCEDURE } else { tds_token::DONE };
    tds_token::done(&mut error_response, kind, tds_token::ERROR, 0);
    error_response
}
