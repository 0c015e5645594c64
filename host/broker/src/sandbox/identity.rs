//! The interface `identity`, as plugins see it: surrogates, and never a token.

use std::sync::Arc;

use keyward_identity::TokenError;
use wasmtime::component::{HasData, Linker};

use super::bindings::identity;
use super::state::State;
use crate::call::Call;

struct Identity;

impl HasData for Identity {
    type Data<'a> = View;
}

struct View(Arc<Call>);

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    identity::add_to_linker::<State, Identity>(linker, |state| View(Arc::clone(&state.call)))
}

impl identity::Host for View {
    async fn get_token(
        &mut self,
        audience: String,
    ) -> wasmtime::Result<Result<identity::Token, identity::Error>> {
        let mount = Arc::clone(self.0.mount());
        let Some(grant) = self.0.grant(&audience) else {
            self.0.note_denied_audience(&audience);
            let refused = match mount.manifest.audience(&audience) {
                Some(_) => identity::Error::NotGranted(mount.not_granted(&audience)),
                None => identity::Error::NotDeclared,
            };
            return Ok(Err(refused));
        };
        // A lock drops the token; a call that it is about to end must not have another fetched.
        if let Err(locked) = self.0.check_lock() {
            return Ok(Err(identity::Error::Unavailable(locked.to_string())));
        }
        match grant.token().expires_on().await {
            Ok(expires_on) => {
                self.0.progress();
                let bearer = self.0.surrogates().for_token(&grant.name).as_str().to_owned();
                Ok(Ok(identity::Token { bearer, expires_on }))
            }
            Err(TokenError::Throttled { retry_after }) => {
                let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX);
                Ok(Err(identity::Error::Throttled(seconds.max(1))))
            }
            Err(error) => Ok(Err(identity::Error::Unavailable(error.message_and_help()))),
        }
    }
}
