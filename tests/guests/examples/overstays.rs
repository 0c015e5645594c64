//! Responds, and then goes on.

use guests::bindings::wasi::clocks::monotonic_clock::subscribe_duration;

guests::handler!(|_request, out| {
    guests::respond(out, "all of it");
    loop {
        subscribe_duration(10_000_000).block();
        keyward_plugin::log("still here");
    }
});
