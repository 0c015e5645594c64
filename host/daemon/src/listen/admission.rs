//! Connections at the Unix socket. Root and the daemon's own user can connect there even if callers
//! have all `connections`: `keyward lock` must work then, too.

use keyward::Caller;
use tokio::sync::mpsc::{self, Sender};

use super::connection_shares::Share;
use super::{ConnectionPermit, Listener, Server, cannot_accept, control, identify, warn_of_closed};

/// The most connections of root and the daemon's own user beyond all `connections`.
pub(super) const RESERVED: usize = 4;

/// The most connections that wait for others to close. Further ones are closed.
const WAITING: usize = 64;

/// A connection that waits.
type Waiting<C> = (C, Caller, Share);

impl Server {
    /// Accepts connections until shutdown. Who connects is known only then, so each is accepted
    /// before there is a permit for it.
    pub(super) async fn accept_at_socket<L: Listener>(self, listener: L) {
        // One more waits outside of the channel, for the next permit.
        let (sender, mut receiver) = mpsc::channel(WAITING - 1);
        let (server, listener) = (&self, &listener);
        let accept = async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = server.shutdown.cancelled() => break,
                };
                match accepted {
                    Ok(accepted) => {
                        if let Some((connection, caller)) = identify(listener, accepted) {
                            server.admit(listener, connection, caller, &sender);
                        }
                    }
                    Err(error) => cannot_accept(&error).await,
                }
            }
        };
        let serve_waiting = async move {
            while let Some((connection, caller, share)) = receiver.recv().await {
                let Some(permit) = server.connection_permit().await else { break };
                let permit = ConnectionPermit { _connection: permit, share: Some(share) };
                listener.serve(connection, caller, server, permit);
            }
        };
        tokio::join!(accept, serve_waiting);
    }

    /// Serves a connection, or lets it wait.
    fn admit<L: Listener>(
        &self,
        listener: &L,
        connection: L::Connection,
        caller: Caller,
        waiting: &Sender<Waiting<L::Connection>>,
    ) {
        let share = self.shares.begin(&caller);
        let permits = [
            share.is_ok().then_some(&self.connection_permits),
            control::may_control(&caller).then_some(&self.reserved_permits),
        ];
        let mut permits = permits.into_iter().flatten();
        if let Some(permit) = permits.find_map(|permits| permits.clone().try_acquire_owned().ok()) {
            let permit = ConnectionPermit { _connection: permit, share: share.ok() };
            return listener.serve(connection, caller, self, permit);
        }
        let share = match share {
            Ok(share) => share,
            Err(taken) => return warn_of_closed(&caller, taken),
        };
        if let Err(error) = waiting.try_send((connection, caller, share)) {
            let (_, caller, _) = error.into_inner();
            warn_of_closed(&caller, "all `connections` are in use");
        }
    }
}
