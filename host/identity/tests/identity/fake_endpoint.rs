//! A scripted identity endpoint.

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
    Respond {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Closes the connection without a response.
    Close,
    /// Keeps the connection open without a response. The options' clock advances by [`HANG`].
    Hang,
    /// Sends something other than HTTP.
    Garble,
    /// Closes the connection in the middle of the body.
    Truncate,
}

impl Step {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Respond { status, headers: Vec::new(), body: body.into() }
    }

    pub fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Respond { status, mut headers, body } => {
                headers.push((name, value.into()));
                Self::Respond { status, headers, body }
            }
            other => other,
        }
    }
}

/// By how much a request that hangs advances the clock.
pub const HANG: Duration = Duration::from_secs(5);

/// Options of the endpoint.
#[derive(Default)]
pub struct Options {
    /// Uses TLS.
    pub tls: Option<TlsAcceptor>,
    /// Responds to requests without authorization with a challenge that names this file.
    pub challenge: Option<PathBuf>,
    /// How long a response takes.
    pub delay: Duration,
    /// The clock that delays and hanging requests advance. Without one, delays are in real time.
    pub clock: Option<ManualClock>,
}

pub struct FakeEndpoint {
    pub origin: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    steps: Mutex<Vec<Step>>,
    options: Options,
    /// Heads and bodies, without the requests that got a challenge.
    requests: Mutex<Vec<String>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl FakeEndpoint {
    /// Does one step for each request, and repeats the last one.
    pub async fn start(steps: Vec<Step>, options: Options) -> Self {
        Self::start_at("127.0.0.1:0", steps, options).await
    }

    /// The same, at an address.
    pub async fn start_at(address: &str, steps: Vec<Step>, options: Options) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
        let steps = Mutex::new(steps.into_iter().rev().collect());
        let shared = Arc::new(Shared {
            steps,
            options,
            requests: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        match shared.options.tls.clone() {
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

    /// The largest number of requests in flight.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }
}

impl Drop for FakeEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) {
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        let request = read(&mut stream).await;
        match &self.options.clock {
            None => tokio::time::sleep(self.options.delay).await,
            Some(clock) => clock.advance(self.options.delay),
        }
        let step = request.map(|request| self.step(&request));
        // Before the response: a client that has it may send the next request at once.
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if let Some(step) = step {
            self.run(&mut stream, step).await;
        }
    }

    fn step(&self, request: &str) -> Step {
        if let Some(file) = &self.options.challenge
            && !request.to_ascii_lowercase().contains("\r\nauthorization: ")
        {
            let challenge = format!("Basic realm={}", file.display());
            return Step::new(401, "").header("www-authenticate", challenge);
        }
        self.requests.lock().unwrap().push(request.to_owned());
        let mut steps = self.steps.lock().unwrap();
        if steps.len() > 1 { steps.pop().unwrap() } else { steps.last().unwrap().clone() }
    }

    async fn run<S: AsyncWrite + Unpin>(&self, stream: &mut S, step: Step) {
        let text = match step {
            Step::Respond { status, headers, body } => {
                let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
                let (headers, length) = (headers.collect::<String>(), body.len());
                format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}")
            }
            Step::Close => return,
            Step::Hang => {
                if let Some(clock) = &self.options.clock {
                    clock.advance(HANG);
                }
                return std::future::pending().await;
            }
            Step::Garble => "\u{15}\u{3}\u{1}\r\n\r\n".to_owned(),
            Step::Truncate => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
                format!("{head}{{\"access_token\":\"eyJsecret")
            }
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
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
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
