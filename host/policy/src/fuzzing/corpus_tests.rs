use std::path::Path;

/// Reads the corpus of a fuzz target.
fn check_corpus(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        check(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_request_of_the_corpus_has_the_properties() {
    check_corpus("authorize", super::check_authorize);
}

#[test]
fn every_configuration_of_the_corpus_has_the_properties() {
    check_corpus("config", super::check_config);
}

#[test]
fn every_host_of_the_corpus_has_the_properties() {
    check_corpus("host", super::check_host);
}

#[test]
fn every_manifest_of_the_corpus_has_the_properties() {
    check_corpus("manifest", super::check_manifest);
}

#[test]
fn every_path_of_the_corpus_has_the_properties() {
    check_corpus("path", super::check_path);
}

#[test]
fn every_pattern_of_the_corpus_has_the_properties() {
    check_corpus("pattern", super::check_pattern);
}
