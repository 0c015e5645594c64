//! Messages of a session, and their answers. While an answer is made the client may say that it wants no more of it.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};

use super::answer::{Answer, Cancel};
use super::batch::STACK_SIZE;
use super::packet::{ATTENTION, BATCH, Incoming, Message, RPC, TRANSACTION, bad};
use super::reader::{self, Reader};
use super::rpc::{self, Call};
use super::session::{Session, Variables};
use super::sql_error::{SqlError, Stop};
use super::token;
use super::transaction::Request;
use super::writer::{Limit, Writer};
use crate::Azure;
use crate::faults::{Misbehaviour, delay};
use crate::log::Seen;

/// How many packets an answer may be ahead of its client.
const AHEAD: usize = 4;

/// Somebody who has logged in.
pub(super) struct Connected<R, W> {
    pub(super) incoming: Incoming,
    pub(super) read: R,
    pub(super) writer: Writer<W>,
    pub(super) host: String,
    pub(super) identity: Option<String>,
    pub(super) cancel: Arc<Cancel>,
    pub(super) session: Session,
}

/// What a message asks.
#[derive(Clone, Debug)]
enum Work {
    Batch(String),
    Calls(Vec<Call>),
    Transaction(Request),
}

impl Work {
    fn parse(message: &Message) -> Option<Self> {
        match message.kind {
            BATCH => {
                let mut reader = Reader::new(&message.body);
                reader.skip_headers()?;
                Some(Self::Batch(reader::utf16(reader.rest())))
            }
            RPC => rpc::parse(&message.body).map(Self::Calls),
            TRANSACTION => Request::parse(&message.body).map(Self::Transaction),
            _ => None,
        }
    }

    /// The name of its kind, and its words without the values of parameters.
    fn shown(&self) -> (&'static str, String) {
        match self {
            Self::Batch(text) => ("BATCH", text.clone()),
            Self::Calls(calls) => ("RPC", calls.iter().map(Call::shown).collect::<Vec<_>>().join("; ")),
            Self::Transaction(request) => ("TRANSACTION", request.shown().to_owned()),
        }
    }
}

/// Stops what a session does when its connection ends.
struct StopOnDrop(Arc<Cancel>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connected<R, W> {
    pub(super) async fn serve(self, azure: &Azure) -> io::Result<()> {
        let Self { mut incoming, mut read, mut writer, host, identity, cancel, mut session } = self;
        let stop = StopOnDrop(Arc::clone(&cancel));
        let mut next = None;
        loop {
            let message = match next.take() {
                Some(message) => message,
                None => match incoming.next(&mut read).await? {
                    Some(message) => message,
                    None => break,
                },
            };
            if message.kind == ATTENTION || message.ignored {
                let mut done = Vec::new();
                let status = if message.ignored { token::ERROR } else { token::ATTENTION };
                token::done(&mut done, token::DONE, status, 0);
                writer.answer(&done).await?;
                continue;
            }
            let work = Work::parse(&message).ok_or_else(|| bad("a message that nobody understands"))?;
            let (method, query) = work.shown();
            let database = session.known.database.clone();
            let mut seen = Seen {
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
            let fault = Fault::take(azure, method).await;
            if let Ok(Some(fault)) = &fault
                && let Some(failure) = fault.failure(&database)
            {
                seen.status = status(&failure);
                azure.log.push(seen);
                writer.answer(&refusal(&failure, message.kind == RPC)).await?;
                continue;
            }
            let Ok(fault) = fault else {
                azure.log.push(seen);
                return writer.close().await;
            };
            if let Some(fault) = fault {
                azure.log.push(seen.clone());
                fault.apply(&mut writer).await?;
            }

            cancel.forget();
            let (sender, mut pieces) = mpsc::channel(AHEAD);
            let answer = Answer::new(writer.piece, sender, Arc::clone(&cancel));
            let reset = message.reset.then_some(message.keep_transaction);
            let (made_sender, made) = oneshot::channel();
            let make = move || drop(made_sender.send(make(session, work, reset, answer)));
            std::thread::Builder::new().name("sql".to_owned()).stack_size(STACK_SIZE).spawn(make)?;
            let (mut stopped, mut has_begun) = (false, false);
            let sent: io::Result<()> = loop {
                tokio::select! {
                    piece = pieces.recv() => match piece {
                        Some(piece) => {
                            has_begun = true;
                            if let Err(error) = writer.packet(&piece, false).await {
                                break Err(error);
                            }
                        }
                        None => break Ok(()),
                    },
                    message = incoming.next(&mut read), if next.is_none() => match message {
                        Ok(Some(message)) if message.kind == ATTENTION => {
                            stopped = true;
                            cancel.cancel();
                        }
                        Ok(Some(message)) => next = Some(message),
                        Ok(None) => break Err(io::ErrorKind::UnexpectedEof.into()),
                        Err(error) => break Err(error),
                    },
                }
            };
            if sent.is_err() {
                cancel.cancel();
                azure.log.push(seen);
                return sent;
            }
            let made = made.await.map_err(io::Error::other)?;
            session = made.session;
            seen.status = made.first_error.map_or(200, |number| u16::try_from(number).unwrap_or(u16::MAX));
            azure.log.push(seen);
            // Of an answer that was broken off before any of it was sent there is an empty message.
            let is_unsent = made.is_broken && !has_begun;
            writer.packet(if is_unsent { &[] } else { &made.last }, true).await?;
            if stopped {
                // What was broken off is a message, and the word that it was is another: tedious waits for both.
                let mut done = Vec::new();
                token::done(&mut done, token::DONE, token::ATTENTION, 0);
                writer.answer(&done).await?;
            }
        }
        drop(stop);
        writer.close().await
    }
}

/// What became of a message.
struct Made {
    session: Session,
    last: Vec<u8>,
    /// Whether the answer was broken off.
    is_broken: bool,
    first_error: Option<i32>,
}

/// Does what a message asks.
fn make(mut session: Session, work: Work, reset: Option<bool>, mut answer: Answer) -> Made {
    let done = (|| {
        if let Some(keep_transaction) = reset {
            session.reset(keep_transaction)?;
            answer.add(token::reset)?;
        }
        match work {
            Work::Batch(text) => session.batch(&text, &mut Variables::new(), &mut answer),
            Work::Calls(calls) => session.calls(calls, &mut answer),
            Work::Transaction(request) => session.manage(&request, &mut answer),
        }
    })();
    let first_error = answer.first_error;
    let is_broken = matches!(done, Err(Stop::Cancelled | Stop::Gone));
    let last = match done {
        Ok(()) => answer.finish(),
        Err(Stop::Failed(failure)) => {
            drop(answer.failed(&failure, 1));
            answer.finish()
        }
        Err(Stop::Cancelled | Stop::Gone) => answer.break_off(),
    };
    Made { session, last, is_broken, first_error }
}

/// The status of a failure in the log.
pub(super) fn status(failure: &SqlError) -> u16 {
    u16::try_from(failure.number).unwrap_or(u16::MAX)
}

fn refusal(failure: &SqlError, in_procedure: bool) -> Vec<u8> {
    let mut refusal = Vec::new();
    token::failure(&mut refusal, failure, "", 1);
    let kind = if in_procedure { token::DONE_PROCEDURE } else { token::DONE };
    token::done(&mut refusal, kind, token::ERROR, 0);
    refusal
}

/// What a fault does here.
#[derive(Debug)]
pub(super) enum Fault {
    /// Answers with this error.
    Error(i32),
    /// Sends the client that logs in on to another node.
    Route(String, u16),
    /// Answers with bytes that are no packet, and goes.
    Garbage(Vec<u8>),
    Stall(usize, watch::Receiver<u64>),
    Tear(usize),
}

impl Fault {
    /// The fault at a place: `LOGIN`, `READY` (behind the login), `BATCH`, `RPC`, `TRANSACTION`. What waits has waited, and
    /// what closes the connection is an error.
    pub(super) async fn take(azure: &Azure, place: &str) -> io::Result<Option<Self>> {
        let mut changes = azure.faults.changes();
        Ok(match azure.faults.take("sql", place) {
            Some(Misbehaviour::SqlError(number)) => Some(Self::Error(number)),
            Some(Misbehaviour::SqlRoute { host, port }) if place == "LOGIN" => Some(Self::Route(host, port)),
            Some(Misbehaviour::Delay(milliseconds)) => {
                tokio::time::sleep(delay(milliseconds)).await;
                None
            }
            Some(Misbehaviour::Hang) => {
                drop(changes.changed().await);
                None
            }
            Some(Misbehaviour::Close) => return Err(io::Error::other("closed on purpose")),
            Some(Misbehaviour::Tear(bytes)) => Some(Self::Tear(bytes)),
            Some(Misbehaviour::Stall(bytes)) => Some(Self::Stall(bytes, changes)),
            Some(Misbehaviour::Html) => Some(Self::Garbage(b"<!doctype html><title>A page</title>".to_vec())),
            Some(Misbehaviour::Bytes(count)) => {
                Some(Self::Garbage(vec![0; usize::try_from(count).unwrap_or_default()]))
            }
            _ => None,
        })
    }

    fn failure(&self, database: &str) -> Option<SqlError> {
        match self {
            Self::Error(number) => Some(SqlError::numbered(*number, database)),
            Self::Route(..) | Self::Garbage(_) | Self::Stall(..) | Self::Tear(_) => None,
        }
    }

    /// Has it do its work on the next answer.
    pub(super) async fn apply<W: AsyncWrite + Unpin>(self, writer: &mut Writer<W>) -> io::Result<()> {
        match self {
            Self::Error(_) | Self::Route(..) => {}
            Self::Garbage(bytes) => {
                writer.raw(&bytes).await?;
                writer.close().await?;
                return Err(io::Error::other("garbage on purpose"));
            }
            Self::Stall(bytes, changes) => writer.limit = Limit::Stall(bytes, changes),
            Self::Tear(bytes) => writer.limit = Limit::Tear(bytes),
        }
        Ok(())
    }
}
