//! The macros that make a crate a plugin.

/// Embeds the manifest, a TOML file, into the component. The path is relative to the file of the
/// invocation.
///
/// It becomes the custom section `keyward:manifest`, which the broker reads without running the
/// component.
#[macro_export]
macro_rules! manifest {
    ($path:literal) => {
        const _: () = {
            const TEXT: &[u8] = include_bytes!($path);
            #[used]
            #[cfg_attr(
                target_family = "wasm",
                allow(unsafe_code),
                unsafe(link_section = "keyward:manifest")
            )]
            static MANIFEST: [u8; TEXT.len()] = {
                let mut bytes = [0; TEXT.len()];
                bytes.copy_from_slice(TEXT);
                bytes
            };
        };
    };
}

/// Exports a [`Plugin`](crate::Plugin) as the component's HTTP handler.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::bindings::exports::wasi::http::incoming_handler as http;

            struct Handler;
            impl http::Guest for Handler {
                fn handle(request: http::IncomingRequest, out: http::ResponseOutparam) {
                    $crate::__serve(request, out, <$plugin as $crate::Plugin>::handle);
                }
            }
    $crate::bindings::export!(Handler with_types_in $crate::bindings);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn(
            $crate::Request,
            &$crate::Context,
        ) -> Result<$crate::Response, $crate::Problem> = <$plugin as $crate::Plugin>::handle;
    };
}
