//! Responses with secrets, cached for as long as their rules allow.

use std::sync::Arc;
use std::time::Instant;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction, EntryResult};
use sha2::{Digest, Sha256};

use super::SealedResponse;
use crate::sealed_value::SealedValue;

/// How many responses a mount caches. In storage's case, each is for one blob or container.
const CAPACITY: usize = 1024;

/// Identifies a request by everything that the service sees of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// The cached responses of a mount. Concurrent requests with one key are sent once.
pub(crate) struct ResponseCache(Cache<Key, Entry, UnitWeighter, std::hash::RandomState>);

#[derive(Clone)]
struct Entry {
    response: Arc<SealedResponse>,
    expires: Instant,
}

impl Key {
    /// The key of a request, by its parts in an order that is the same each time.
    pub(crate) fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

impl Default for ResponseCache {
    fn default() -> Self {
        Self(Cache::with(
            CAPACITY,
            CAPACITY as u64,
            UnitWeighter,
            std::hash::RandomState::default(),
            DefaultLifecycle::default(),
        ))
    }
}

impl ResponseCache {
    /// The response to a request, and whether it was cached. If none is, `fetch` sends the request
    /// while others with the same key wait.
    pub(crate) async fn get<E>(
        &self,
        key: Key,
        fetch: impl Future<Output = Result<Arc<SealedResponse>, E>>,
    ) -> Result<(Arc<SealedResponse>, bool), E> {
        let entry = self.0.entry_async(&key, |_, entry| {
            if Instant::now() < entry.expires {
                EntryAction::Retain(Arc::clone(&entry.response))
            } else {
                EntryAction::ReplaceWithGuard
            }
        });
        let guard = match entry.await {
            EntryResult::Retained(response) => return Ok((response, true)),
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => Some(guard),
            // The closure removes nothing, and without a timeout there is none.
            EntryResult::Removed(..) | EntryResult::Timeout => None,
        };
        let response = fetch.await?;
        if let (Some(guard), Some(keep)) = (guard, response.keep()) {
            let expires = Instant::now() + keep;
            // Fails if `forget` ran meanwhile; the next request is sent again.
            let _ = guard.insert(Entry { response: Arc::clone(&response), expires });
        }
        Ok((response, false))
    }

    /// Removes the response that holds a value which a service rejected.
    pub(crate) fn forget(&self, value: &Arc<SealedValue>) {
        self.0.retain(|_, entry| !entry.response.has(value));
    }

    /// Removes all responses.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::redact::Scanner;
    use keyward_policy::grant::Seal;
    use keyward_policy::manifest::SpendPlace;

    const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

    fn response(keep: Option<Duration>) -> Arc<SealedResponse> {
        let seal = Seal {
            field: "/s".to_owned(),
            spend: Some("blob".into()),
            place: SpendPlace::Query,
            keep,
            export: None,
            imposed: false,
        };
        let token = Scanner::new([Arc::default()]);
        Arc::new(
            SealedResponse::take_apart(
                StatusCode::OK,
                br#"{"s":"sig=0123456789abcdef"}"#,
                &[seal],
                &token,
            )
            .unwrap(),
        )
    }

    #[tokio::test]
    async fn concurrent_requests_with_one_key_are_sent_once() {
        let (cache, sent) = (Arc::new(ResponseCache::default()), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (cache, sent) = (Arc::clone(&cache), Arc::clone(&sent));
            tasks.spawn(async move {
                let fetch = async {
                    sent.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(response(MINUTE))
                };
                cache.get(Key::of([b"a".as_slice()]), fetch).await.unwrap()
            });
        }
        tasks.join_all().await;
        assert_eq!(sent.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_next_request_is_sent_when_the_one_before_fails_or_is_dropped() {
        let cache = Arc::new(ResponseCache::default());
        let key = || Key::of([b"a".as_slice()]);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move {
                let fetch = async {
                    started.send(()).unwrap();
                    std::future::pending::<Result<_, ()>>().await
                };
                cache.get(key(), fetch).await
            }
        });
        has_started.await.unwrap();
        let mut second =
            std::pin::pin!(cache.get(key(), async { Err::<Arc<SealedResponse>, _>(()) }));
        assert!(futures_poll_once(second.as_mut()).await.is_none(), "it waits for the first");
        first.abort();
        assert!(second.await.is_err(), "it was sent, and failed");
        let (_, cached) = cache.get(key(), async { Ok::<_, ()>(response(MINUTE)) }).await.unwrap();
        assert!(!cached, "an error is not cached");
    }

    /// The output of a future that is ready when it is polled once.
    async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn a_response_is_fetched_again_once_it_expires_is_rejected_or_may_not_be_cached() {
        let cache = ResponseCache::default();
        let get = async |key: &str, keep| {
            let fetch = async { Ok::<_, ()>(response(keep)) };
            cache.get(Key::of([key.as_bytes()]), fetch).await.unwrap()
        };
        assert!(!get("a", MINUTE).await.1);
        let (response, cached) = get("a", MINUTE).await;
        assert!(cached);
        cache.forget(response.values().next().unwrap());
        assert!(!get("a", MINUTE).await.1, "rejected");
        assert!(!get("b", None).await.1 && !get("b", None).await.1, "may not be cached");
        assert!(!get("c", Some(Duration::ZERO)).await.1 && !get("c", MINUTE).await.1, "expired");
        assert!(get("c", MINUTE).await.1);
        cache.clear();
        assert!(!get("c", MINUTE).await.1, "cleared");
    }

    #[tokio::test]
    async fn the_number_of_cached_responses_is_bounded() {
        let cache = ResponseCache::default();
        for index in 0..3 * CAPACITY {
            let fetch = async { Ok::<_, ()>(response(MINUTE)) };
            cache.get(Key::of([index.to_string().as_bytes()]), fetch).await.unwrap();
            assert!(cache.0.len() <= CAPACITY);
        }
    }

    #[test]
    fn parts_cannot_be_shifted_into_one_another() {
        let key = |parts: &[&[u8]]| Key::of(parts.iter().copied());
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
    }
}
