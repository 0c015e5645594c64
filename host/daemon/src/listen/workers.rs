//! Threads that serve connections: one for each processor, each with a runtime of its own.
//!
//! A connection stays on its thread, and so does all that its calls do: the guest, the connection
//! to the service, the timers. No other processor is woken for them. Measured with small GETs on
//! two processors: twice the rate of one runtime over both.

use std::io;
use std::pin::Pin;
use std::thread::available_parallelism;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Serves one connection.
type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The worker threads.
#[derive(Debug)]
pub(crate) struct Workers {
    workers: Vec<Worker>,
    /// One token for each thread that has not ended.
    threads: TaskTracker,
    shutdown: CancellationToken,
    abort: CancellationToken,
}

#[derive(Debug)]
struct Worker {
    queue: mpsc::UnboundedSender<Connection>,
    /// Tracks its connections, from when they are queued until they end.
    connections: TaskTracker,
}

impl Workers {
    /// Starts the threads.
    pub(crate) fn start() -> io::Result<Self> {
        let count = available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = TaskTracker::new();
        let (shutdown, abort) = (CancellationToken::new(), CancellationToken::new());
        let workers = (0..count).map(|number| {
            let (queue, receiver) = mpsc::unbounded_channel();
            let connections = TaskTracker::new();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (connected, stop, abort) = (connections.clone(), shutdown.clone(), abort.clone());
            let running = run(receiver, connected, stop, abort);
            let token = threads.token();
            std::thread::Builder::new().name(format!("keyward-{number}")).spawn(move || {
                runtime.block_on(running);
                // Connections that did not end in time are dropped here.
                drop(runtime);
                drop(token);
            })?;
            Ok(Worker { queue, connections })
        });
        let workers = workers.collect::<io::Result<Vec<Worker>>>()?;
        threads.close();
        Ok(Self { workers, threads, shutdown, abort })
    }

    /// Spawns a connection on the thread with the fewest connections.
    pub(crate) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let fewest = self.workers.iter().min_by_key(|worker| worker.connections.len());
        let Some(worker) = fewest else { return };
        let connection = worker.connections.track_future(connection);
        // A worker receives until `shutdown`, after which nothing is spawned.
        drop(worker.queue.send(Box::pin(connection)));
    }

    /// Waits until every thread has run something, which shows that none is stuck.
    pub(crate) async fn respond(&self) {
        for worker in &self.workers {
            let (sender, receiver) = oneshot::channel();
            let respond = async move {
                let _ = sender.send(());
            };
            if worker.queue.send(Box::pin(respond)).is_ok() {
                drop(receiver.await);
            }
        }
    }

    /// Ends all connections at once, also those that [`shutdown`](Self::shutdown) waits for.
    pub(crate) fn abort(&self) {
        self.shutdown.cancel();
        self.abort.cancel();
    }

    /// Waits until all connections have ended. Nothing may be spawned any more.
    pub(crate) async fn shutdown(&self) {
        self.shutdown.cancel();
        self.threads.wait().await;
    }
}

/// Runs connections as they are queued, and on shutdown waits for them.
async fn run(
    mut queue: mpsc::UnboundedReceiver<Connection>,
    connections: TaskTracker,
    shutdown: CancellationToken,
    abort: CancellationToken,
) {
    loop {
        tokio::select! {
            // Connections that were queued before the shutdown are served.
            biased;
            connection = queue.recv() => match connection {
                Some(connection) => drop(tokio::spawn(connection)),
                None => break,
            },
            () = shutdown.cancelled() => break,
        }
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = abort.cancelled() => {}
    }
}
