//! Traps before it responds.

guests::handler!(|_request, _out| {
    guests::log_tokens();
    std::process::abort();
});
