//! Allocates memory until allocation fails.

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 1 << 20]);
        std::hint::black_box(&all);
    }
}
