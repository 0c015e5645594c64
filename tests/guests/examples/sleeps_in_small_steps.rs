//! Sleeps for a millisecond, again and again, for ever.

use guests::bindings::wasi::clocks::monotonic_clock::subscribe_duration;

guests::handler!(|_request, _out| {
    guests::log_tokens();
    loop {
        subscribe_duration(1_000_000).block();
    }
});
