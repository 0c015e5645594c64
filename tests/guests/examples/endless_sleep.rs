//! Sleeps forever.

use guests::bindings::wasi::clocks::monotonic_clock::subscribe_duration;

guests::handler!(|_request, _out| {
    guests::log_tokens();
    subscribe_duration(u64::MAX).block();
});
