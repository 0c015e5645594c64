//! Listens for callers, and hands their requests to the broker.

mod control;
mod http;
mod linger;
mod tcp;
mod tls;
#[cfg(unix)]
mod unix;
mod workers;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use keyward::{Broker, Caller};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

#[cfg(unix)]
pub(crate) use control::FORGET;
use workers::Workers;

use crate::config::Listen;
use crate::exit::Failure;

/// How long calls may go on after the daemon was asked to stop.
const GRACE: Duration = Duration::from_secs(30);

/// How long to wait where no connection can be taken.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// The daemon's doors, open.
#[derive(Debug)]
pub(crate) struct Listening {
    doors: JoinSet<()>,
    workers: Arc<Workers>,
    stop: watch::Sender<bool>,
    /// Where it listens, for people.
    pub(crate) places: Vec<String>,
}

/// What all doors share.
#[derive(Clone)]
struct House {
    broker: Broker,
    workers: Arc<Workers>,
    places: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

/// A listener. Its connections are taken without a runtime's registration: each worker watches its own.
trait TakesConnections: Send + Sync {
    type Connection: Send;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Connection, Caller)>> + Send;

    fn serve(&self, connection: Self::Connection, caller: Caller, house: &House, place: OwnedSemaphorePermit);
}

/// Opens the doors.
pub(crate) async fn open(listen: &Listen, broker: Broker) -> Result<Listening, Failure> {
    let (stop, stopped) = watch::channel(false);
    let workers = Arc::new(Workers::start(GRACE).map_err(Failure::system)?);
    let places = Arc::new(Semaphore::new(listen.connections as usize));
    let house = House { broker, workers: Arc::clone(&workers), places, stop: stopped };
    let mut doors = JoinSet::new();
    let mut at = Vec::new();
    if let Some(socket) = &listen.socket {
        #[cfg(unix)]
        {
            let listener = unix::bind(socket, listen.mode)?;
            at.push(format!("unix socket {}", socket.display()));
            doors.spawn(house.clone().take(listener));
        }
        #[cfg(not(unix))]
        return Err(Failure::config(format!(
            "[listen] socket = {:?}: there are no Unix sockets on this system. Use `tcp`",
            socket.display()
        )));
    }
    if let Some(address) = listen.tcp {
        let listener = tcp::bind(address).await?;
        let address = listener.local_addr().map_err(Failure::system)?;
        at.push(format!("http://{address}"));
        doors.spawn(house.clone().take(listener));
    }
    if let Some(listen) = &listen.tls {
        let tls = tls::open(listen).await?;
        let address = tls.listener.local_addr().map_err(Failure::system)?;
        at.push(match &tls.ca {
            Some(ca) => format!("https://{address} (clients must trust {})", ca.display()),
            None => format!("https://{address}"),
        });
        doors.spawn(house.clone().take(tls));
    }
    Ok(Listening { doors, workers, stop, places: at })
}

impl Listening {
    /// Closes the doors: no new connection, no new request, and calls that run may end, within their time.
    pub(crate) async fn close(mut self) {
        self.stop.send_replace(true);
        while self.doors.join_next().await.is_some() {}
        // The doors were all that held them beside this.
        if let Ok(workers) = Arc::try_unwrap(self.workers) {
            workers.end().await;
        }
    }
}

impl House {
    /// Waits for a place for another connection; `None` once the daemon stops.
    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            place = Arc::clone(&self.places).acquire_owned() => place.ok(),
            _ = self.stop.wait_for(|stop| *stop) => None,
        }
    }

    /// Takes connections until the daemon stops, each once there is a place for it.
    async fn take(mut self, door: impl TakesConnections) {
        while let Some(place) = self.place().await {
            let accepted = tokio::select! {
                accepted = door.accept() => accepted,
                () = self.stopped() => break,
            };
            match accepted {
                Ok((connection, caller)) => door.serve(connection, caller, &self, place),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    // With no file descriptors left, accepting fails at once, again and again.
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        tokio::time::sleep(EXHAUSTED).await;
                    }
                }
            }
        }
    }

    /// Waits until the daemon stops.
    async fn stopped(&mut self) {
        drop(self.stop.wait_for(|stop| *stop).await);
    }

    /// Has a worker serve a connection, until its caller or the daemon ends it. `stream` is made there.
    fn serve<S, F>(
        &self,
        stream: impl FnOnce() -> F + Send + 'static,
        caller: Caller,
        door: http::Door,
        place: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = std::io::Result<S>> + Send + 'static,
    {
        // What the connection holds of the house is no worker, so that the last to hold those is who closes the doors.
        let (broker, mut stop) = (self.broker.clone(), self.stop.clone());
        self.workers.serve(move || async move {
            match stream().await {
                Ok(stream) => {
                    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
                    http::serve(stream, broker, caller, door, stopped).await;
                }
                Err(error) => tracing::debug!(%error, "a connection could not be taken"),
            }
            drop(place);
        });
    }
}
