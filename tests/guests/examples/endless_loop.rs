//! Computes forever.

guests::handler!(|_request, _out| {
    guests::log_tokens();
    let mut number = 1_u64;
    loop {
        number =
            std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
});
