//! In-memory implementation for native tests: see [`crate::testing`].

use std::cell::RefCell;

use crate::body_error::BodyError;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}

/// Header fields, as a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    pub(crate) fn copy(&self) -> Self {
        self.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Vec<Vec<u8>> {
        self.0
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
            .collect()
    }

    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        self.remove(name);
        self.append(name, value)
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        if name.is_empty() || value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(());
        }
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    pub(crate) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.0.clone()
    }
}

/// An incoming stream: a list of chunks, the last of which may be an error.
pub(crate) struct Incoming(RefCell<std::vec::IntoIter<Result<Vec<u8>, BodyError>>>);

impl Incoming {
    pub(crate) fn new(chunks: Vec<Result<Vec<u8>, BodyError>>) -> Self {
        Self(RefCell::new(chunks.into_iter()))
    }

    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, BodyError> {
        self.0.borrow_mut().next().transpose()
    }
}

#[allow(clippy::print_stderr)]
pub(crate) fn log(line: &str) {
    eprintln!("{line}");
}
