//! Responses with secrets, kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio::sync::Mutex as AsyncMutex;

use super::SealedResponse;
use crate::sealed_value::SealedValue;

/// How many answers one mount keeps. Each is for one blob or container, in storage's case.
const MOST: usize = 1024;

/// What makes two requests the same: everything that the service sees of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// The responses that a mount keeps, each asked for once at a time.
#[derive(Default)]
pub(crate) struct ResponseCache(Mutex<HashMap<Key, Arc<Slot>>>);

/// One answer, or none yet. Whoever asks the service holds the lock.
type Slot = AsyncMutex<Option<Entry>>;

struct Entry {
    answer: Arc<SealedResponse>,
    until: Instant,
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

impl ResponseCache {
    /// The response to a request, asked for where none is kept; and whether it was kept.
    pub(crate) async fn get<E>(
        &self,
        key: Key,
        ask: impl Future<Output = Result<Arc<SealedResponse>, E>>,
    ) -> Result<(Arc<SealedResponse>, bool), E> {
        let slot = self.slot(key);
        let mut entry = slot.lock().await;
        if let Some(Entry { answer, until }) = entry.as_ref()
            && Instant::now() < *until
        {
            return Ok((Arc::clone(answer), true));
        }
        *entry = None;
        let answer = ask.await?;
        if let Some(keep) = answer.keep() {
            *entry = Some(Entry { answer: Arc::clone(&answer), until: Instant::now() + keep });
        }
        Ok((answer, false))
    }

    /// Keeps the response that a value is of no longer: a service would not take it.
    pub(crate) fn forget(&self, value: &Arc<SealedValue>) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is locked is being asked for again.
        let is_of = |slot: &Slot| {
            slot.try_lock()
                .is_ok_and(|entry| entry.as_ref().is_some_and(|entry| entry.answer.has(value)))
        };
        slots.retain(|_, slot| !is_of(slot));
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST && !slots.contains_key(&key) {
            make_room(&mut slots);
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

/// Lets go of what is over; where all of it is fresh, of the half that ends first.
fn make_room(slots: &mut HashMap<Key, Arc<Slot>>) {
    let now = Instant::now();
    let until = |slot: &Slot| match slot.try_lock() {
        Ok(entry) => entry.as_ref().map(|entry| entry.until),
        // It is in use.
        Err(_) => Some(now + std::time::Duration::from_secs(u32::MAX.into())),
    };
    slots.retain(|_, slot| {
        Arc::strong_count(slot) > 1 || until(slot).is_some_and(|until| until > now)
    });
    if slots.len() < MOST {
        return;
    }
    let mut ends: Vec<Instant> = slots.values().filter_map(|slot| until(slot)).collect();
    ends.sort();
    if let Some(middle) = ends.get(ends.len() / 2) {
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || until(slot).is_some_and(|until| until > *middle)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::redact::Scanner;
    use keyward_policy::grant::Seal;
    use keyward_policy::manifest::SpendPlace;

    fn answer(keep: Option<Duration>) -> Arc<SealedResponse> {
        let seal = Seal {
            field: "/s".to_owned(),
            spend: Some("blob".into()),
            place: SpendPlace::Query,
            keep,
            export: None,
            imposed: false,
        };
        let token = Scanner::new([Bytes::from_static(b"token")]);
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
    async fn many_who_ask_at_once_ask_once() {
        let (kept, asked) = (Arc::new(ResponseCache::default()), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (kept, asked) = (Arc::clone(&kept), Arc::clone(&asked));
            tasks.spawn(async move {
                let ask = async {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(answer(Some(Duration::from_secs(60))))
                };
                kept.get(Key::of([b"a".as_slice()]), ask).await.unwrap()
            });
        }
        tasks.join_all().await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_again_when_it_is_over_or_refused_or_not_to_be_kept() {
        let kept = ResponseCache::default();
        let get = async |key: &str, keep| {
            let (answer, kept) = kept
                .get(Key::of([key.as_bytes()]), async { Ok::<_, ()>(answer(keep)) })
                .await
                .unwrap();
            (answer, kept)
        };
        let minute = Some(Duration::from_secs(60));
        assert!(!get("a", minute).await.1);
        let (answer, again) = get("a", minute).await;
        assert!(again);
        kept.forget(answer.values().next().unwrap());
        assert!(!get("a", minute).await.1, "refused");
        assert!(!get("b", None).await.1 && !get("b", None).await.1, "not to be kept");
        assert!(!get("c", Some(Duration::ZERO)).await.1 && !get("c", minute).await.1, "over");
        assert!(kept.get(Key::of([b"d".as_slice()]), async { Err(()) }).await.is_err());
        assert!(!get("d", minute).await.1, "an error is not kept");
    }

    #[tokio::test]
    async fn there_are_never_more_than_so_many() {
        let kept = ResponseCache::default();
        for number in 0..3 * MOST {
            let ask = async { Ok::<_, ()>(answer(Some(Duration::from_secs(60)))) };
            kept.get(Key::of([number.to_string().as_bytes()]), ask).await.unwrap();
            assert!(kept.0.lock().unwrap().len() <= MOST);
        }
    }

    #[test]
    fn parts_cannot_be_shifted_into_one_another() {
        let key = |parts: &[&[u8]]| Key::of(parts.iter().copied());
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
    }
}
