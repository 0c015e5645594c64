//! Ends without a response.

guests::handler!(|_request, _out| {
    guests::log_tokens();
});
