//! Reads both clocks many times, and reports the smallest step of each in nanoseconds.

use guests::bindings::wasi::clocks::{monotonic_clock, wall_clock};

guests::attack!(attack);

/// How many steps of each clock are looked at.
const STEPS: usize = 200;

fn attack<R>(_: &R) -> String {
    let monotonic = smallest_step(monotonic_clock::now);
    let wall = smallest_step(|| {
        let now = wall_clock::now();
        now.seconds * 1_000_000_000 + u64::from(now.nanoseconds)
    });
    let resolution = wall_clock::resolution().nanoseconds;
    format!(
        "monotonic {monotonic}, resolution {}\nwall {wall}, resolution {resolution}\n",
        monotonic_clock::resolution()
    )
}

fn smallest_step(read: impl Fn() -> u64) -> u64 {
    let (mut last, mut smallest, mut steps) = (read(), u64::MAX, 0);
    while steps < STEPS {
        let now = read();
        // The wall clock may be set back.
        if now > last {
            smallest = smallest.min(now - last);
            steps += 1;
        }
        last = now;
    }
    smallest
}
