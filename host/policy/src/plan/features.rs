//! WebAssembly features that are disabled in the sandbox.
//!
//! A component that uses one is rejected when it is loaded, with the feature's name, so that its
//! author knows which compiler flag to drop. The engine disables them too (`sandbox::engine`).

use wasmparser::{Validator, WasmFeatures};

/// A disabled feature.
struct DisabledFeature {
    /// Its usual name, with the name of its proposal.
    name: &'static str,
    /// The feature, without the features that it depends on.
    feature: WasmFeatures,
    /// The feature and those that it depends on.
    with_dependencies: WasmFeatures,
}

const fn disabled(name: &'static str, feature: WasmFeatures) -> DisabledFeature {
    DisabledFeature { name, feature, with_dependencies: feature }
}

/// All disabled features. Neither the bundled plugins nor the usual compilers of Rust, C, Go,
/// JavaScript and Python need them, and their code in the engine can have bugs: two advisories on
/// wasmtime 48.0.8 are about its heap for garbage collection.
const DISABLED: [DisabledFeature; 12] = [
    disabled(
        "typed function references (`function-references`)",
        WasmFeatures::FUNCTION_REFERENCES,
    ),
    DisabledFeature {
        name: "garbage collection (`gc`)",
        feature: WasmFeatures::GC,
        with_dependencies: WasmFeatures::GC.union(WasmFeatures::FUNCTION_REFERENCES),
    },
    disabled("exceptions (`exception-handling`)", WasmFeatures::EXCEPTIONS),
    DisabledFeature {
        name: "legacy exceptions (`exception-handling`)",
        feature: WasmFeatures::LEGACY_EXCEPTIONS,
        with_dependencies: WasmFeatures::LEGACY_EXCEPTIONS.union(WasmFeatures::EXCEPTIONS),
    },
    disabled("threads (`threads`)", WasmFeatures::THREADS),
    disabled("64-bit memories (`memory64`)", WasmFeatures::MEMORY64),
    disabled("relaxed SIMD (`relaxed-simd`)", WasmFeatures::RELAXED_SIMD),
    disabled("wide arithmetic (`wide-arithmetic`)", WasmFeatures::WIDE_ARITHMETIC),
    disabled("custom page sizes (`custom-page-sizes`)", WasmFeatures::CUSTOM_PAGE_SIZES),
    disabled("async functions of WASI 0.3 (`component-model-async`)", WasmFeatures::CM_ASYNC),
    disabled(
        "shared-everything threads (`shared-everything-threads`)",
        WasmFeatures::SHARED_EVERYTHING_THREADS,
    ),
    DisabledFeature {
        name: "stack switching (`stack-switching`)",
        feature: WasmFeatures::STACK_SWITCHING,
        with_dependencies: WasmFeatures::STACK_SWITCHING
            .union(WasmFeatures::EXCEPTIONS)
            .union(WasmFeatures::FUNCTION_REFERENCES)
            .union(WasmFeatures::GC),
    },
];

/// The features that plugins may use: wasmtime's default features, without the disabled ones.
fn enabled() -> WasmFeatures {
    let default = WasmFeatures::default();
    DISABLED.iter().fold(default, |features, disabled| features.difference(disabled.feature))
}

/// Returns the names of the disabled features that a component uses. Empty if it uses none, or is
/// invalid for another reason.
#[must_use]
pub fn disabled_features_of(component: &[u8]) -> Vec<&'static str> {
    let is_valid = |features: WasmFeatures| {
        Validator::new_with_features(features).validate_all(component).is_ok()
    };
    if is_valid(enabled()) {
        return Vec::new();
    }
    if let Some(one) =
        DISABLED.iter().find(|disabled| is_valid(enabled().union(disabled.with_dependencies)))
    {
        return vec![one.name];
    }
    let all = DISABLED
        .iter()
        .fold(enabled(), |features, disabled| features.union(disabled.with_dependencies));
    if !is_valid(all) {
        return Vec::new();
    }
    let used = DISABLED.iter().filter(|disabled| !is_valid(all.difference(disabled.feature)));
    used.map(|disabled| disabled.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_is_invalid_for_another_reason_uses_no_disabled_features() {
        assert!(disabled_features_of(b"\0asm\x0d\0\x01\0").is_empty(), "an empty component");
        assert!(disabled_features_of(b"\0asm\x0d\0\x01\0\x01\x01\0").is_empty());
    }
}
