//! WebAssembly features that plugins cannot use, and their names.
//!
//! A component that uses one is refused when it is loaded, by the feature's name, so that its
//! author knows which compiler flag to drop. The engine has them off too (`sandbox::engine`).

use wasmparser::{Validator, WasmFeatures};

/// A feature that is off.
struct Off {
    /// What people call it, and the name of its proposal.
    name: &'static str,
    /// The feature, without those that it builds on.
    feature: WasmFeatures,
    /// With those.
    needs: WasmFeatures,
}

const fn off(name: &'static str, feature: WasmFeatures) -> Off {
    Off { name, feature, needs: feature }
}

/// All that are off. The engine's configuration turns off those of them that the engine has on by
/// itself. None is needed by the bundled plugins, or by the usual compilers of Rust, C, Go,
/// JavaScript and Python; each is code that can have bugs: two advisories on wasmtime 48.0.8 are
/// about its heap for garbage collection.
const OFF: [Off; 12] = [
    off("typed function references (`function-references`)", WasmFeatures::FUNCTION_REFERENCES),
    Off {
        name: "garbage collection (`gc`)",
        feature: WasmFeatures::GC,
        needs: WasmFeatures::GC.union(WasmFeatures::FUNCTION_REFERENCES),
    },
    off("exceptions (`exception-handling`)", WasmFeatures::EXCEPTIONS),
    Off {
        name: "legacy exceptions (`exception-handling`)",
        feature: WasmFeatures::LEGACY_EXCEPTIONS,
        needs: WasmFeatures::LEGACY_EXCEPTIONS.union(WasmFeatures::EXCEPTIONS),
    },
    off("threads (`threads`)", WasmFeatures::THREADS),
    off("64-bit memories (`memory64`)", WasmFeatures::MEMORY64),
    off("relaxed SIMD (`relaxed-simd`)", WasmFeatures::RELAXED_SIMD),
    off("wide arithmetic (`wide-arithmetic`)", WasmFeatures::WIDE_ARITHMETIC),
    off("custom page sizes (`custom-page-sizes`)", WasmFeatures::CUSTOM_PAGE_SIZES),
    off("async functions of WASI 0.3 (`component-model-async`)", WasmFeatures::CM_ASYNC),
    off(
        "shared-everything threads (`shared-everything-threads`)",
        WasmFeatures::SHARED_EVERYTHING_THREADS,
    ),
    Off {
        name: "stack switching (`stack-switching`)",
        feature: WasmFeatures::STACK_SWITCHING,
        needs: WasmFeatures::STACK_SWITCHING
            .union(WasmFeatures::EXCEPTIONS)
            .union(WasmFeatures::FUNCTION_REFERENCES)
            .union(WasmFeatures::GC),
    },
];

/// What plugins may use: what wasmtime has on by itself, without those.
fn on() -> WasmFeatures {
    OFF.iter().fold(WasmFeatures::default(), |features, off| features.difference(off.feature))
}

/// The features that a component uses and that are off, by their names. Empty where it uses none,
/// or is invalid for another reason.
#[must_use]
pub fn used_but_off(component: &[u8]) -> Vec<&'static str> {
    let is_valid = |features: WasmFeatures| {
        Validator::new_with_features(features).validate_all(component).is_ok()
    };
    if is_valid(on()) {
        return Vec::new();
    }
    if let Some(one) = OFF.iter().find(|off| is_valid(on().union(off.needs))) {
        return vec![one.name];
    }
    let all = OFF.iter().fold(on(), |features, off| features.union(off.needs));
    if !is_valid(all) {
        return Vec::new();
    }
    OFF.iter().filter(|off| !is_valid(all.difference(off.feature))).map(|off| off.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_invalid_for_another_reason_uses_none() {
        assert!(used_but_off(b"\0asm\x0d\0\x01\0").is_empty(), "an empty component");
        assert!(used_but_off(b"\0asm\x0d\0\x01\0\x01\x01\0").is_empty());
    }
}
