//! Traps before it answers.

guests::handler!(|_request, _out| {
    guests::confess();
    std::process::abort();
});
