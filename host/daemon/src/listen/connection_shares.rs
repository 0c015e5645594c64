//! How many connections one caller may have open, so that others still get some.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keyward::Caller;

/// Counts the open connections of each caller.
#[derive(Clone, Debug)]
pub(super) struct ConnectionShares {
    open: Arc<Mutex<HashMap<String, u32>>>,
    /// The most of one caller; `None` for no limit.
    most: Option<u32>,
}

/// A connection that counts for a caller. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Share {
    open: Arc<Mutex<HashMap<String, u32>>>,
    caller: String,
}

impl ConnectionShares {
    /// No caller has more than three quarters of all connections, if callers are told apart.
    pub(super) fn new(connections: u32, tells_callers_apart: bool) -> Self {
        let most = connections.saturating_sub(connections.div_ceil(4)).max(1);
        Self { open: Arc::default(), most: tells_callers_apart.then_some(most) }
    }

    /// Counts a connection; `None` if the caller has too many.
    pub(super) fn begin(&self, caller: &Caller) -> Option<Share> {
        let caller = key(caller);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&caller).copied().unwrap_or_default();
        if self.most.is_some_and(|most| count >= most) {
            return None;
        }
        open.insert(caller.clone(), count + 1);
        drop(open);
        Some(Share { open: Arc::clone(&self.open), caller })
    }
}

/// A caller that proved nothing yet counts with all others at its address.
fn key(caller: &Caller) -> String {
    let proof = caller.proof();
    match proof.peer {
        Some(peer) if !proof.identifies() => format!("anybody at {}", peer.ip().to_canonical()),
        Some(_) | None => caller.identity(),
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward::caller::Proof;

    use super::*;

    fn user(uid: u32) -> Caller {
        Proof { uid: Some(uid), ..Proof::default() }.into()
    }

    #[test]
    fn a_caller_leaves_a_quarter_of_the_connections_to_others() {
        let shares = ConnectionShares::new(8, true);
        let held: Vec<Share> = (0..6).map(|_| shares.begin(&user(1)).unwrap()).collect();
        assert!(shares.begin(&user(1)).is_none());
        assert!(shares.begin(&user(2)).is_some());
        drop(held);
        assert!(shares.begin(&user(1)).is_some());
        assert!(shares.open.lock().unwrap().is_empty());
    }

    #[test]
    fn callers_that_prove_nothing_count_by_their_address() {
        let at = |peer: &str| -> Caller {
            Proof { peer: Some(peer.parse().unwrap()), ..Proof::default() }.into()
        };
        let shares = ConnectionShares::new(1, true);
        let _held = shares.begin(&at("127.0.0.1:1")).unwrap();
        assert!(shares.begin(&at("127.0.0.1:2")).is_none());
        assert!(shares.begin(&at("[::ffff:127.0.0.1]:3")).is_none());
        assert!(shares.begin(&at("10.0.0.1:1")).is_some());
    }

    #[test]
    fn without_sections_of_callers_there_is_no_limit() {
        let shares = ConnectionShares::new(1, false);
        let held = [shares.begin(&user(1)), shares.begin(&user(1))];
        assert!(held.iter().all(Option::is_some));
    }
}
