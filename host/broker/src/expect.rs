//! `Expect: 100-continue`, end to end: a caller that sent it gets `100 Continue` when the service
//! wants the body, and not when a plugin begins to forward it.
//!
//! Servers send `100 Continue` to a caller when its body is first read. So here the body of such a
//! caller is held back while a request of the plugin's that has a body, and goes with `expect` too,
//! waits for the service: until its own `100 Continue`, or for a second, as curl waits for a server
//! that knows no `expect`. A plugin that reads the body for itself is not held back.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, Version, header};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a body is held back for a service that says nothing.
const WAIT: Duration = Duration::from_secs(1);

/// What one call knows of its caller's expectation.
#[derive(Default)]
pub(crate) struct Expectation {
    /// The caller waits to be told to continue.
    is_set: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    until: Option<Instant>,
    reader: Option<Waker>,
}

impl Expectation {
    /// Notes what the caller sent.
    pub(crate) fn read(&self, version: Version, headers: &HeaderMap) {
        let value = headers.get(header::EXPECT);
        if version > Version::HTTP_10
            && value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        {
            self.is_set.store(true, Ordering::Relaxed);
        }
    }

    /// Holds the caller's body back for a request of the plugin's. Returns whether it has to ask
    /// the service.
    pub(crate) fn hold(&self) -> bool {
        self.hold_for(WAIT)
    }

    fn hold_for(&self, time: Duration) -> bool {
        let is_set = self.is_set.load(Ordering::Relaxed);
        if is_set {
            self.lock().until = Some(Instant::now() + time);
        }
        is_set
    }

    /// The service wants the body.
    pub(crate) fn proceed(&self) {
        let mut held = self.lock();
        held.until = None;
        if let Some(reader) = held.reader.take() {
            reader.wake();
        }
    }

    /// Waits until the caller's body may be read. From then on it is read freely.
    pub(crate) fn poll_wanted(
        &self,
        sleep: &mut Option<Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if !self.is_set.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let mut held = self.lock();
        if let Some(until) = held.until {
            let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if sleep.deadline() != until {
                sleep.as_mut().reset(until);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                held.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        self.is_set.store(false, Ordering::Relaxed);
        Poll::Ready(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use http::HeaderValue;

    use super::*;

    fn expecting(version: Version, value: &'static str) -> Arc<Expectation> {
        let mut headers = HeaderMap::new();
        headers.insert(header::EXPECT, HeaderValue::from_static(value));
        let expectation = Expectation::default();
        expectation.read(version, &headers);
        Arc::new(expectation)
    }

    async fn wanted(expectation: &Expectation) {
        let mut sleep = None;
        poll_fn(|cx| expectation.poll_wanted(&mut sleep, cx)).await;
    }

    #[tokio::test]
    async fn a_body_is_held_back_until_the_service_wants_it() {
        let expectation = expecting(Version::HTTP_11, "100-Continue");
        assert!(expectation.hold_for(Duration::from_secs(3600)));
        let reader = tokio::spawn({
            let expectation = Arc::clone(&expectation);
            async move { wanted(&expectation).await }
        });
        tokio::task::yield_now().await;
        assert!(!reader.is_finished());
        expectation.proceed();
        reader.await.unwrap();
        assert!(!expectation.hold(), "a caller that was told to continue is not told again");
    }

    #[tokio::test]
    async fn a_service_that_says_nothing_is_not_waited_for_forever() {
        let expectation = expecting(Version::HTTP_11, "100-continue");
        assert!(expectation.hold_for(Duration::from_millis(1)));
        wanted(&expectation).await;
    }

    #[tokio::test]
    async fn a_body_is_read_at_once_where_no_service_is_asked() {
        wanted(&expecting(Version::HTTP_11, "100-continue")).await;
        for nothing in [
            expecting(Version::HTTP_11, "200-ok"),
            expecting(Version::HTTP_10, "100-continue"),
            Arc::default(),
        ] {
            assert!(!nothing.hold());
            wanted(&nothing).await;
        }
    }
}
