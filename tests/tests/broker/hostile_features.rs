//! Components with WebAssembly features that no plugin needs are rejected when they are loaded,
//! with the feature's name.

use std::path::Path;

use keyward::{Plan, Plugins};
use keyward_policy::config::Config;

/// Plans a mount of a component that holds this core module.
fn plan(module: &str) -> Result<Plan, String> {
    let mut component = wat::parse_str(format!("(component (core module {module}))")).unwrap();
    let manifest = b"name = \"wat\"\n[audience.vault]\ncloud = \"vault\"\n";
    component.extend([0, u8::try_from(1 + 16 + manifest.len()).unwrap(), 16]);
    component.extend(b"keyward:manifest");
    component.extend(manifest);
    let text = "[identity.default]\nsource = \"imds\"\n[mount.m]\nplugin = \"wat\"\n\
                endpoint = \"https://contoso.vault.azure.net\"\n";
    let config = Config::from_toml(Path::new("keyward.toml"), text).unwrap();
    keyward::plan(config, &Plugins::new().with("wat", component)).map_err(|error| error.to_string())
}

fn assert_rejected(module: &str, feature: &str) {
    let error = plan(module).unwrap_err();
    let start = "keyward.toml:4:10: the plugin wat cannot be used: it uses ";
    assert!(error.starts_with(&format!("{start}{feature}, which is disabled")), "{error}");
    assert!(error.contains("expected: a component built without it"), "{error}");
}

#[test]
fn a_component_with_garbage_collection_is_rejected() {
    assert_rejected("(type (struct (field i32)))", "garbage collection (`gc`)");
    assert_rejected("(func (result i31ref) (ref.i31 (i32.const 1)))", "garbage collection (`gc`)");
    let array =
        "(type $a (array (mut i8))) (func (drop (array.new_default $a (i32.const 1000000))))";
    assert_rejected(array, "garbage collection (`gc`)");
}

#[test]
fn a_component_with_exceptions_is_rejected() {
    assert_rejected("(tag $e) (func (throw $e))", "exceptions (`exception-handling`)");
    assert_rejected(
        "(func (param exnref) (throw_ref (local.get 0)))",
        "exceptions (`exception-handling`)",
    );
}

#[test]
fn a_component_with_typed_function_references_is_rejected() {
    let call = "(type $f (func)) (func (param (ref null $f)) (call_ref $f (local.get 0)))";
    assert_rejected(call, "typed function references (`function-references`)");
}

#[test]
fn a_component_with_threads_is_rejected() {
    assert_rejected("(memory 1 1 shared)", "threads (`threads`)");
}

#[test]
fn a_component_with_64_bit_memories_is_rejected() {
    assert_rejected("(memory i64 1)", "64-bit memories (`memory64`)");
}

#[test]
fn a_component_with_relaxed_simd_is_rejected() {
    let add = "(func (param v128 v128 v128) (result v128)
        (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))";
    assert_rejected(add, "relaxed SIMD (`relaxed-simd`)");
}

#[test]
fn a_component_with_stack_switching_is_rejected() {
    let error =
        plan("(type $f (func)) (type $c (cont $f)) (func (param (ref null $c)))").unwrap_err();
    assert!(error.contains("stack switching (`stack-switching`)"), "{error}");
}

#[test]
fn all_features_of_a_component_with_several_are_named() {
    let error = plan("(tag $e) (func (throw $e)) (memory i64 1)").unwrap_err();
    let names = "it uses exceptions (`exception-handling`) and 64-bit memories (`memory64`), which";
    assert!(error.contains(names), "{error}");
}

#[test]
fn the_output_of_common_compilers_is_accepted() {
    for module in [
        "(table 1 externref) (table 1 funcref) (func (param externref) (result funcref) (ref.null \
         func))",
        "(func (param v128) (result v128) (i32x4.add (local.get 0) (local.get 0)))",
        "(func $f (result i32) (return_call $f))",
        "(func (result i32 i64) (i32.const 1) (i64.const 2))",
        "(memory 1) (func (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)))",
        "(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))",
        "(global $g (import \"env\" \"g\") i32) (global i32 (i32.add (global.get $g) (i32.const \
         1)))",
    ] {
        plan(module).unwrap_or_else(|error| panic!("{module}: {error}"));
    }
}
