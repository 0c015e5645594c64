//! Sets a stack size that is large enough for the SQL parser.
//!
//! The parser is recursive, and a level takes up to 14 KiB. With `MAX_DEPTH` levels
//! (`src/read_only.rs`) the worst query that a search found took 315 KiB.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=524288");
    }
}
