//! Listens for callers, and hands their requests to the broker.

mod http;
mod tcp;
#[cfg(unix)]
mod unix;

use std::sync::Arc;
use std::time::Duration;

use keyward::{Broker, Caller};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::Listen;
use crate::exit::Failure;

/// How long calls may go on after the daemon was asked to stop.
const GRACE: Duration = Duration::from_secs(30);

/// The daemon's doors, open.
#[derive(Debug)]
pub(crate) struct Listening {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// Where it listens, for people.
    pub(crate) places: Vec<String>,
}

/// What all doors share.
#[derive(Clone)]
struct House {
    broker: Broker,
    places: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

/// Opens the doors.
pub(crate) async fn open(listen: &Listen, broker: Broker) -> Result<Listening, Failure> {
    let (stop, stopped) = watch::channel(false);
    let house = House { broker, places: Arc::new(Semaphore::new(listen.connections as usize)), stop: stopped };
    let mut tasks = JoinSet::new();
    let mut places = Vec::new();
    if let Some(socket) = &listen.socket {
        #[cfg(unix)]
        {
            let listener = unix::bind(socket, listen.mode)?;
            places.push(format!("unix socket {}", socket.display()));
            tasks.spawn(unix::serve(listener, house.clone()));
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
        places.push(format!("http://{address}"));
        tasks.spawn(tcp::serve(listener, house.clone()));
    }
    Ok(Listening { tasks, stop, places })
}

impl Listening {
    /// Closes the doors: no new connection, no new request, and calls that run may end, within their time.
    pub(crate) async fn close(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("calls that still run after {} s are cut off", GRACE.as_secs());
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

    /// Waits until the daemon stops.
    async fn stopped(&mut self) {
        drop(self.stop.wait_for(|stop| *stop).await);
    }

    /// Serves one connection, until its caller or the daemon ends it.
    async fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        caller: Caller,
        door: http::Door,
        place: OwnedSemaphorePermit,
    ) {
        http::serve(stream, self, caller, door).await;
        drop(place);
    }
}
