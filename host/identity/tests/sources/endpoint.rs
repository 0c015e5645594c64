//! An identity endpoint that does what it is told to.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward_identity::clock::ManualClock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the endpoint does with a request.
#[derive(Clone, Debug)]
pub enum Step {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Closes the connection without a word.
    Close,
    /// Says nothing, and keeps the connection. The manner's clock is moved on by [`HANG`].
    Hang,
    /// Speaks something else than HTTP.
    Garble,
    /// Announces more than it sends.
    Truncate,
}

impl Step {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Answer { status, mut headers, body } => {
                headers.push((name, value.into()));
                Self::Answer { status, headers, body }
            }
            other => other,
        }
    }
}

/// By how much time a request that hangs moves the clock on.
pub const HANG: Duration = Duration::from_secs(5);

/// How it behaves, beside its steps.
#[derive(Default)]
pub struct Manner {
    /// Speaks TLS.
    pub tls: Option<TlsAcceptor>,
    /// Answers a request without authorization with a challenge that names this file.
    pub challenge: Option<PathBuf>,
    /// How long it thinks.
    pub delay: Duration,
    /// The clock that its delays and hanging requests move on. Without one it waits in real time.
    pub clock: Option<ManualClock>,
}

pub struct Endpoint {
    pub origin: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    steps: Mutex<Vec<Step>>,
    manner: Manner,
    /// Heads and bodies, without the first request of a challenge.
    requests: Mutex<Vec<String>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Endpoint {
    /// Takes one step for each request; the last one again and again.
    pub async fn start(steps: Vec<Step>, manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0", steps, manner).await
    }

    /// The same, at an address.
    pub async fn start_at(address: &str, steps: Vec<Step>, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let scheme = if manner.tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
        let steps = Mutex::new(steps.into_iter().rev().collect());
        let (requests, under_way, most) = (Mutex::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { steps, manner, requests, under_way, most });
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        match shared.manner.tls.clone() {
                            None => shared.serve(stream).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    shared.serve(stream).await;
                                }
                            }
                        }
                    });
                }
            }
        });
        Self { origin, shared, task }
    }

    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests were under way at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let request = read(&mut stream).await;
        match &self.manner.clock {
            None => tokio::time::sleep(self.manner.delay).await,
            Some(clock) => clock.advance(self.manner.delay),
        }
        if let Some(request) = request {
            let step = self.step(&request);
            // Before the answer: who has it may ask again at once.
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            self.take(&mut stream, step).await;
        } else {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn step(&self, request: &str) -> Step {
        if let Some(file) = &self.manner.challenge
            && !request.to_ascii_lowercase().contains("\r\nauthorization: ")
        {
            return Step::new(401, "").header("www-authenticate", format!("Basic realm={}", file.display()));
        }
        self.requests.lock().unwrap().push(request.to_owned());
        let mut steps = self.steps.lock().unwrap();
        if steps.len() > 1 { steps.pop().unwrap() } else { steps.last().unwrap().clone() }
    }

    async fn take<S: AsyncWrite + Unpin>(&self, stream: &mut S, step: Step) {
        let text = match step {
            Step::Answer { status, headers, body } => {
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
            }
            Step::Close => return,
            Step::Hang => {
                if let Some(clock) = &self.manner.clock {
                    clock.advance(HANG);
                }
                return std::future::pending().await;
            }
            Step::Garble => "\u{15}\u{3}\u{1}\r\n\r\n".to_owned(),
            Step::Truncate => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"access_token\":\"eyJsecret".to_owned(),
        };
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
