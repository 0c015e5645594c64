//! Memory for tokens: it is never written to swap, and in no core dump.
//!
//! Each secret has pages of its own, mostly one of 4 KiB. A process may lock so many as its limit
//! allows (`RLIMIT_MEMLOCK`, on Windows the minimum working set). Above it, secrets are kept in
//! memory that is not locked, and the log says so once.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use memmap2::MmapMut;
use region::LockGuard;
use zeroize::{Zeroize, Zeroizing};

/// How much memory [`check`] locks: enough for some tokens.
const CHECKED: usize = 64 * 1024;

/// Memory that cannot be locked.
#[derive(Debug, thiserror::Error)]
#[error("memory cannot be locked, so tokens may be written to swap")]
pub struct CannotLock(#[source] std::io::Error);

impl CannotLock {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        if cfg!(windows) {
            "Give the process a larger minimum working set, or encrypt the page file"
        } else {
            "Raise the limit of locked memory to 8 MiB: with LimitMEMLOCK=8M in a systemd unit, \
             `ulimit -l 8192` in a shell, or `--ulimit memlock=8388608` for a container. Or use \
             encrypted swap, or none"
        }
    }
}

/// Copies a secret, which is the concatenation of these parts. The copy is zeroed when its last
/// clone is dropped. Memory that cannot be locked is used all the same.
#[must_use]
pub fn concat(parts: &[&[u8]]) -> Bytes {
    let length = parts.iter().map(|part| part.len()).sum();
    if length == 0 {
        return Bytes::new();
    }
    let mut pages = match Pages::allocate(length) {
        Ok(pages) => pages,
        Err(error) => {
            report(&error);
            return Bytes::from_owner(Zeroizing::new(parts.concat()));
        }
    };
    pages.lock().unwrap_or_else(|error| report(&error));
    pages.fill(parts);
    Bytes::from_owner(pages)
}

/// Checks whether memory for some tokens can be locked.
///
/// # Errors
///
/// [`CannotLock`] if not.
pub fn check() -> Result<(), CannotLock> {
    Pages::allocate(CHECKED).and_then(|mut pages| pages.lock())
}

/// Logs once that memory is not locked.
fn report(error: &CannotLock) {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if !REPORTED.swap(true, Ordering::Relaxed) {
        let (help, reason) = (error.help(), &error.0);
        tracing::warn!(%reason, help, "{error}");
    }
}

/// Pages that contain nothing but a secret.
struct Pages {
    /// Dropped before the memory that it unlocks.
    lock: Option<LockGuard>,
    memory: MmapMut,
}

impl Pages {
    fn allocate(length: usize) -> Result<Self, CannotLock> {
        let memory = MmapMut::map_anon(length).map_err(CannotLock)?;
        // Core dumps and child processes do not have these pages. Linux always knows this advice,
        // but a sandbox that imitates Linux may not.
        #[cfg(target_os = "linux")]
        for advice in [memmap2::Advice::DontDump, memmap2::Advice::DontFork] {
            let _ = memory.advise(advice);
        }
        Ok(Self { lock: None, memory })
    }

    fn lock(&mut self) -> Result<(), CannotLock> {
        let lock = region::lock(self.memory.as_ptr(), self.memory.len());
        self.lock = Some(lock.map_err(|error| CannotLock(error.into()))?);
        Ok(())
    }

    fn fill(&mut self, parts: &[&[u8]]) {
        let bytes = parts.iter().copied().flatten();
        self.memory.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }
}

impl AsRef<[u8]> for Pages {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.memory.as_mut().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_concatenation_of_its_parts() {
        for (parts, expected) in [
            (&[][..], &b""[..]),
            (&[&b""[..]], b""),
            (&[b"Bearer ", b"", b"eyJsecret"], b"Bearer eyJsecret"),
            (&[&[7; 3000], &[7; 3000]], &[7; 6000]),
        ] {
            assert_eq!(concat(parts), expected);
        }
    }

    #[test]
    fn pages_that_are_not_locked_contain_the_secret_too() {
        let mut pages = Pages::allocate(9).unwrap();
        pages.fill(&[b"eyJ", b"secret"]);
        assert_eq!(pages.as_ref(), b"eyJsecret");
    }

    /// The flags of the pages of an address: see `VmFlags` in proc(5).
    #[cfg(target_os = "linux")]
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let has_address = |line: &&str| {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let number = |digits| usize::from_str_radix(digits, 16).ok();
            let range = range.and_then(|(from, to)| Some(number(from)?..number(to)?));
            range.is_some_and(|range| range.contains(&address))
        };
        let mut lines = maps.lines().skip_while(|line| !has_address(line));
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:"));
        format!("{} ", flags.unwrap())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_secret_is_locked_and_neither_dumped_nor_inherited() {
        let secret = concat(&[b"eyJsecret"]);
        let flags = flags(secret.as_ptr().addr());
        assert!(flags.contains(" dd ") && flags.contains(" dc "), "{flags}");
        // Where the limit is zero, nothing is locked.
        assert_eq!(flags.contains(" lo "), check().is_ok(), "{flags}");
    }
}
