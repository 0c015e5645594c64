//! The interface `caller-state`, as plugins see it.

use std::sync::Arc;
use std::time::SystemTime;

use wasmtime::component::{HasData, Linker};

use super::bindings::caller_state;
use super::state::State;
use crate::call::Call;
use crate::seal::SealError;

struct CallerState;

impl HasData for CallerState {
    type Data<'a> = View;
}

struct View(Arc<Call>);

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    caller_state::add_to_linker::<State, CallerState>(linker, |state| View(Arc::clone(&state.call)))
}

impl caller_state::Host for View {
    async fn seal(
        &mut self,
        state: String,
    ) -> wasmtime::Result<Result<String, caller_state::Error>> {
        // A request that a later call sends with this state may be to where a service redirects
        // now.
        let redirects = self.0.redirects().to_text();
        let sealed = self.0.mount().states.seal(
            &redirects,
            &state,
            &self.0.caller().identity(),
            SystemTime::now(),
        );
        Ok(sealed.map_err(|error| match error {
            SealError::TooLong => caller_state::Error::TooLong,
            SealError::Unavailable => caller_state::Error::Unavailable,
        }))
    }

    async fn open(&mut self, sealed: String) -> wasmtime::Result<Option<String>> {
        let opened =
            self.0.mount().states.open(&sealed, &self.0.caller().identity(), SystemTime::now());
        Ok(opened.map(|(redirects, state)| {
            self.0.redirects().add(&redirects);
            state
        }))
    }
}
