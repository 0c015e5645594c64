//! The interfaces of the broker's own, as the host implements them.

use std::sync::Arc;

use crate::database::{DatabaseResults, DatabaseSession};

// What is generated exports them again, and so they cannot be less than public.
/// What a plugin's handle on a connection stands for.
#[allow(unreachable_pub)]
pub struct Connection(pub(super) Arc<DatabaseSession>);

/// What a plugin's handle on the results of a query stands for.
#[allow(unreachable_pub)]
pub struct Results(pub(super) DatabaseResults);

#[allow(missing_docs)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package keyward:host;
                 world host {
                     import keyward:broker/forwarding@0.1.0;
                     import keyward:broker/identity@0.1.0;
                     import keyward:broker/caller-state@0.1.0;
                     import keyward:broker/sql@0.1.0;
                 }",
        world: "keyward:host/host",
        imports: {
            "keyward:broker/forwarding.head-of": trappable,
            "keyward:broker/forwarding.reply": trappable,
            default: async | trappable,
        },
        with: {
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "keyward:broker/sql.connection": crate::sandbox::bindings::Connection,
            "keyward:broker/sql.results": crate::sandbox::bindings::Results,
        },
    });
}

pub(super) use generated::keyward::broker::{caller_state, forwarding, identity, sql};
