//! Ends without an answer.

guests::handler!(|_request, _out| {
    guests::confess();
});
