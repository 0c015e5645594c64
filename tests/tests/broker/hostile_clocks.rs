//! A guest that measures time.

use keyward_tests::{Rig, get};

/// The smallest step of a guest's clock, in nanoseconds.
const GRAIN: u64 = 100_000;

#[tokio::test]
async fn the_clocks_of_a_guest_are_coarse() {
    let rig = Rig::hostile("reads_the_clocks").start().await;
    let answer = rig.call(get("/", &[])).await;
    let text = answer.text();
    for (clock, line) in ["monotonic", "wall"].into_iter().zip(text.lines()) {
        let numbers: Vec<u64> =
            line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
        let [step, resolution] = numbers[..] else { panic!("{clock}: {text}") };
        assert!(line.starts_with(clock), "{text}");
        assert!(step >= GRAIN && step.is_multiple_of(GRAIN), "{clock}: a step of {step} ns");
        assert!(resolution >= GRAIN, "{clock}: a resolution of {resolution} ns");
    }
    assert_eq!(text.lines().count(), 2, "{text}");
}
