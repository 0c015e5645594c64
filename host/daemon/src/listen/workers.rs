//! Threads that serve connections: one for each processor, each with a runtime of its own.
//!
//! A connection stays on its thread, and so does all that its calls do: the guest, the connection to the service, the
//! timers. No other processor is ever woken for them. Measured with small GETs on two processors: twice the rate of one
//! runtime over both.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// A connection that begins on the thread that it is given to.
type Connection = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The threads.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    connections: mpsc::UnboundedSender<Counted>,
    /// How many connections it has.
    load: Arc<AtomicUsize>,
    /// Told when all have ended.
    ended: oneshot::Receiver<()>,
}

/// A connection that is counted until it is dropped.
struct Counted {
    connection: Connection,
    count: Count,
}

struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts the threads. `grace` is how long connections may go on after the end was asked for.
    pub(crate) fn start(grace: Duration) -> io::Result<Self> {
        let threads = available_parallelism().map_or(1, std::num::NonZero::get);
        (0..threads).map(|number| Worker::start(number, grace)).collect::<io::Result<Vec<_>>>().map(Self)
    }

    /// Gives a connection to the thread that has the fewest.
    pub(crate) fn serve<F>(&self, connection: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else { return };
        worker.load.fetch_add(1, Ordering::Relaxed);
        let count = Count(Arc::clone(&worker.load));
        let connection: Connection = Box::new(|| Box::pin(connection()));
        // A worker ends only after this was dropped.
        drop(worker.connections.send(Counted { connection, count }));
    }

    /// Waits until all connections have ended, or their time is over.
    pub(crate) async fn end(self) {
        for Worker { connections, ended, .. } in self.0 {
            drop(connections);
            drop(ended.await);
        }
    }
}

impl Worker {
    fn start(number: usize, grace: Duration) -> io::Result<Self> {
        let (connections, mut receiver) = mpsc::unbounded_channel::<Counted>();
        let (tell, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(format!("keyward-{number}")).spawn(move || {
            runtime.block_on(async {
                let mut running = JoinSet::new();
                while let Some(Counted { connection, count }) = receiver.recv().await {
                    running.spawn(async move {
                        connection().await;
                        drop(count);
                    });
                    while running.try_join_next().is_some() {}
                }
                let all = async { while running.join_next().await.is_some() {} };
                if tokio::time::timeout(grace, all).await.is_err() {
                    tracing::warn!("calls that still run after {} s are cut off", grace.as_secs());
                }
            });
            let _ = tell.send(());
        })?;
        Ok(Self { connections, load: Arc::default(), ended })
    }
}
