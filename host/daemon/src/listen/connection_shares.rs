//! How many connections one caller may have open, so that others still get some.
//!
//! A caller that is proved counts by its identity. One that proved nothing yet counts by where it
//! connected from, and all of them together have half of the connections at most: an address is no
//! proof, and one program can have many of them. Once a connection proves its caller, by a
//! certificate or by a token in a request, it counts for that caller.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use keyward::Caller;

/// Counts the open connections of each caller.
#[derive(Clone, Debug)]
pub(super) struct ConnectionShares {
    open: Arc<Mutex<Open>>,
    /// `None` for no limits.
    most: Option<Most>,
}

/// How many connections may be open.
#[derive(Clone, Copy, Debug)]
struct Most {
    /// Of one caller that is proved.
    proved: u32,
    /// Of all callers that proved nothing.
    all_unproved: u32,
    /// Of those at one address.
    unproved: u32,
}

/// The open connections.
#[derive(Debug, Default)]
struct Open {
    by_holder: HashMap<Holder, u32>,
    unproved: u32,
}

/// Whom a connection counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holder {
    /// A caller, by its identity.
    Proved(String),
    /// The programs of this machine of which nothing is proved. They have all of 127.0.0.0/8.
    Loopback,
    /// Callers elsewhere of which nothing is proved, by their network: an IPv4 address, or the 64
    /// bits of an IPv6 address that one machine does not choose.
    Network(IpAddr),
}

/// A connection that counts for a caller. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Share {
    shares: ConnectionShares,
    holder: Mutex<Holder>,
}

/// A caller has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShareTaken {
    /// It is proved.
    Proved,
    /// Nothing is proved about it.
    Unproved,
}

impl ConnectionShares {
    /// No caller has more than three quarters of all connections, and those that prove nothing not
    /// more than half, if callers are told apart.
    pub(super) fn new(connections: u32, tells_callers_apart: bool) -> Self {
        let three_quarters = |all: u32| all.saturating_sub(all.div_ceil(4)).max(1);
        let all_unproved = (connections / 2).max(1);
        let most = Most {
            proved: three_quarters(connections),
            all_unproved,
            unproved: three_quarters(all_unproved),
        };
        Self { open: Arc::default(), most: tells_callers_apart.then_some(most) }
    }

    /// Counts a connection.
    ///
    /// # Errors
    ///
    /// The caller has too many.
    pub(super) fn begin(&self, caller: &Caller) -> Result<Share, ShareTaken> {
        let holder = Holder::of(caller);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.add(&holder, self.most)?;
        drop(open);
        Ok(Share { shares: self.clone(), holder: Mutex::new(holder) })
    }
}

impl Share {
    /// Counts the connection for the caller that is proved now, if nothing was proved before.
    ///
    /// # Errors
    ///
    /// That caller has too many.
    pub(super) fn prove(&self, caller: &Caller) -> Result<(), ShareTaken> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*holder, Holder::Proved(_)) {
            return Ok(());
        }
        let proved = Holder::of(caller);
        if !matches!(proved, Holder::Proved(_)) {
            return Ok(());
        }
        let mut open = self.shares.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.add(&proved, self.shares.most)?;
        open.remove(&holder);
        *holder = proved;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let holder = self.holder.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.shares.open.lock().unwrap_or_else(PoisonError::into_inner).remove(holder);
    }
}

impl Open {
    fn add(&mut self, holder: &Holder, most: Option<Most>) -> Result<(), ShareTaken> {
        let count = self.by_holder.get(holder).copied().unwrap_or_default();
        let is_proved = matches!(holder, Holder::Proved(_));
        match most {
            Some(most) if is_proved && count >= most.proved => return Err(ShareTaken::Proved),
            Some(most)
                if !is_proved && (count >= most.unproved || self.unproved >= most.all_unproved) =>
            {
                return Err(ShareTaken::Unproved);
            }
            Some(_) | None => {}
        }
        self.by_holder.insert(holder.clone(), count + 1);
        self.unproved += u32::from(!is_proved);
        Ok(())
    }

    fn remove(&mut self, holder: &Holder) {
        if let Some(count) = self.by_holder.get_mut(holder) {
            *count -= 1;
            if *count == 0 {
                self.by_holder.remove(holder);
            }
            self.unproved -= u32::from(!matches!(holder, Holder::Proved(_)));
        }
    }
}

impl Holder {
    fn of(caller: &Caller) -> Self {
        let proof = caller.proof();
        let address =
            proof.peer.filter(|_| !proof.identifies()).map(|peer| peer.ip().to_canonical());
        match address {
            None => Self::Proved(caller.identity()),
            Some(address) if address.is_loopback() => Self::Loopback,
            Some(IpAddr::V4(address)) => Self::Network(address.into()),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Self::Network(Ipv6Addr::from_bits(network).into())
            }
        }
    }
}

impl fmt::Display for ShareTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proved => "the caller has three quarters of all `connections`",
            Self::Unproved => {
                "callers that prove nothing have half of all `connections`, or those at this \
                 address three quarters of that"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use keyward::caller::Proof;

    use super::*;

    fn user(uid: u32) -> Caller {
        Proof { uid: Some(uid), ..Proof::default() }.into()
    }

    fn at(peer: &str) -> Caller {
        Proof { peer: Some(peer.parse().unwrap()), ..Proof::default() }.into()
    }

    #[test]
    fn a_caller_leaves_a_quarter_of_the_connections_to_others() {
        let shares = ConnectionShares::new(8, true);
        let held: Vec<Share> = (0..6).map(|_| shares.begin(&user(1)).unwrap()).collect();
        assert_eq!(shares.begin(&user(1)).err(), Some(ShareTaken::Proved));
        assert!(shares.begin(&user(2)).is_ok());
        drop(held);
        assert!(shares.begin(&user(1)).is_ok());
        assert!(shares.open.lock().unwrap().by_holder.is_empty());
    }

    #[test]
    fn a_program_does_not_count_anew_at_each_address_that_it_may_use() {
        let most = |addresses: &[&str]| {
            let shares = ConnectionShares::new(16, true);
            let callers = addresses.iter().cycle().map(|address| at(address)).take(16);
            callers.map_while(|caller| shares.begin(&caller).ok()).collect::<Vec<Share>>().len()
        };
        assert_eq!(most(&["127.0.0.1:1", "127.0.0.2:1", "127.9.9.9:2", "[::1]:1"]), 6);
        assert_eq!(most(&["[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.2]:1"]), 6);
        assert_eq!(most(&["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::ff:3]:1"]), 6);
        assert_eq!(most(&["10.0.0.1:1", "10.0.0.1:2"]), 6);
        // Several machines have half together.
        assert_eq!(most(&["10.0.0.1:1", "10.0.0.2:1", "[2001:db8:0:1::1]:1"]), 8);
    }

    #[test]
    fn callers_that_prove_nothing_leave_half_of_the_connections_to_those_that_do() {
        let shares = ConnectionShares::new(8, true);
        let held: Vec<Share> =
            (0..4).map(|host| shares.begin(&at(&format!("10.0.0.{host}:1"))).unwrap()).collect();
        assert_eq!(shares.begin(&at("10.0.0.9:1")).err(), Some(ShareTaken::Unproved));
        let proved: Vec<Share> = (0..4).map(|uid| shares.begin(&user(uid)).unwrap()).collect();
        drop((held, proved));
        let open = shares.open.lock().unwrap();
        assert_eq!((open.by_holder.len(), open.unproved), (0, 0));
    }

    #[test]
    fn a_connection_counts_for_the_caller_that_it_proves() {
        let shares = ConnectionShares::new(4, true);
        let held: Vec<Share> = (1..=3)
            .map(|host| {
                let share = shares.begin(&at(&format!("10.0.0.{host}:1"))).unwrap();
                share.prove(&at("10.0.0.9:1")).unwrap();
                assert_eq!(shares.open.lock().unwrap().unproved, 1, "nothing is proved");
                share.prove(&user(1)).unwrap();
                assert_eq!(shares.open.lock().unwrap().unproved, 0);
                share
            })
            .collect();
        let fourth = shares.begin(&at("10.0.0.4:1")).unwrap();
        assert_eq!(fourth.prove(&user(1)), Err(ShareTaken::Proved));
        drop((held, fourth));
        let open = shares.open.lock().unwrap();
        assert_eq!((open.by_holder.len(), open.unproved), (0, 0));
    }

    #[test]
    fn without_sections_of_callers_there_is_no_limit() {
        let shares = ConnectionShares::new(1, false);
        let held =
            [shares.begin(&user(1)), shares.begin(&user(1)), shares.begin(&at("10.0.0.1:1"))];
        assert!(held.iter().all(Result::is_ok));
    }
}
