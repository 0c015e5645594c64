//! Gives the plugin a stack that the parser of SQL fits on.
//!
//! It is recursive, and one level takes up to 14 KiB. With `DEPTH` levels (`src/read_only.rs`) 315
//! KiB were the most that a search for the worst query found.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=524288");
    }
}
