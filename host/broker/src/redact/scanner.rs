//! Finds secrets in a stream, wherever it is cut.

use bytes::{Bytes, BytesMut};
use memchr::{memchr_iter, memmem};

/// What a secret is redacted with, byte for byte, so that no length changes.
const BLANK: u8 = b'*';

/// How much of a secret's beginning is searched for, before the rest is compared. Preparing a
/// search takes time by the length of what is searched for, and a token is two kilobytes long:
/// measured with small GETs, that was 4 % of a call.
const BEGINNING: usize = 32;

/// Looks for secrets in what it is fed. Bytes that may be the beginning of one are held back until
/// what follows shows whether they are.
pub(crate) struct Scanner {
    secrets: Vec<Secret>,
    held: BytesMut,
}

struct Secret(Bytes);

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// What may go on. It can be empty.
    pub(crate) bytes: Bytes,
    /// Whether a secret was in it, and is redacted.
    pub(crate) found: bool,
}

impl Scanner {
    /// Looks for these. An empty one is nowhere.
    pub(crate) fn new(secrets: impl IntoIterator<Item = Bytes>) -> Self {
        let secrets = secrets.into_iter().filter(|bytes| !bytes.is_empty()).map(Secret).collect();
        Self { secrets, held: BytesMut::new() }
    }

    /// A scanner for the same secrets in another stream.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.secrets.iter().map(|secret| secret.0.clone()))
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Scanned {
        let chunk = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            self.held.split().freeze()
        };
        let (mut bytes, found) = self.redact(chunk);
        let keep =
            self.secrets.iter().map(|secret| secret.beginning_at_end_of(&bytes)).max().unwrap_or(0);
        let held = bytes.split_off(bytes.len() - keep);
        self.held.extend_from_slice(&held);
        Scanned { bytes, found }
    }

    /// The stream has ended: what was held back was no secret.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Blanks out the secrets in a text that is whole; `None` where there is none in it.
    pub(crate) fn redacted(&self, text: &[u8]) -> Option<Vec<u8>> {
        let is_in = self.secrets.iter().any(|secret| secret.places(text).next().is_some());
        is_in.then(|| self.redact(Bytes::copy_from_slice(text)).0.to_vec())
    }

    /// Whether a secret is in a text, in whatever case.
    pub(crate) fn has_ignoring_case(&self, text: &str) -> bool {
        let windows = |secret: &Secret| {
            let mut windows = text.as_bytes().windows(secret.0.len());
            windows.any(|window| window.eq_ignore_ascii_case(&secret.0))
        };
        self.secrets.iter().any(windows)
    }

    fn redact(&self, chunk: Bytes) -> (Bytes, bool) {
        let mut changed: Option<BytesMut> = None;
        for secret in &self.secrets {
            let text = changed.as_deref().unwrap_or(&chunk);
            let starts: Vec<usize> = secret.places(text).collect();
            if starts.is_empty() {
                continue;
            }
            let copy = changed.get_or_insert_with(|| BytesMut::from(&chunk[..]));
            for start in starts {
                if let Some(place) = copy.get_mut(start..start + secret.0.len()) {
                    place.fill(BLANK);
                }
            }
        }
        match changed {
            Some(changed) => (changed.freeze(), true),
            None => (chunk, false),
        }
    }
}

impl Secret {
    /// Where it begins in a text, whole.
    fn places<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = usize> + 't {
        let beginning = self.0.get(..BEGINNING).unwrap_or(&self.0);
        let whole =
            move |start: &usize| text.get(*start..).is_some_and(|rest| rest.starts_with(&self.0));
        // Most texts are header fields and small bodies, and too short: then no search is prepared.
        let fits = text.len() >= self.0.len();
        fits.then(|| memmem::find_iter(text, beginning)).into_iter().flatten().filter(whole)
    }

    /// How many bytes at the end of a text are the beginning of this.
    fn beginning_at_end_of(&self, text: &[u8]) -> usize {
        let Some((first, _)) = self.0.split_first() else { return 0 };
        let longest = (self.0.len() - 1).min(text.len());
        let tail = text.get(text.len() - longest..).unwrap_or_default();
        let begins =
            |start: &usize| tail.get(*start..).is_some_and(|rest| self.0.starts_with(rest));
        memchr_iter(*first, tail).find(begins).map_or(0, |start| tail.len() - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when a text is fed in pieces of this length, and whether a secret was found.
    fn scan(text: &[u8], piece: usize, secrets: &[&'static str]) -> (Vec<u8>, bool) {
        let mut scanner =
            Scanner::new(secrets.iter().map(|secret| Bytes::from_static(secret.as_bytes())));
        let (mut out, mut found) = (Vec::new(), false);
        for chunk in text.chunks(piece) {
            let scanned = scanner.push(Bytes::copy_from_slice(chunk));
            found |= scanned.found;
            out.extend_from_slice(&scanned.bytes);
            assert!(scanner.held() < 10);
        }
        out.extend_from_slice(&scanner.finish());
        (out, found)
    }

    #[test]
    fn a_secret_is_redacted_wherever_the_stream_is_cut() {
        let text = b"{\"echo\": \"eyJ.secret\", \"eyJ\": \"eyJ.secreeyJ.secret\"} eyJ.secre";
        let expected = b"{\"echo\": \"**********\", \"eyJ\": \"eyJ.secre**********\"} eyJ.secre";
        for piece in 1..=text.len() {
            let (out, found) = scan(text, piece, &["eyJ.secret"]);
            assert_eq!(
                String::from_utf8_lossy(&out),
                String::from_utf8_lossy(expected),
                "in pieces of {piece}"
            );
            assert!(found);
        }
    }

    #[test]
    fn a_secret_that_begins_like_itself_is_found() {
        for piece in 1..=9 {
            assert_eq!(scan(b"aabaabaac", piece, &["aabaac"]).0, b"aab******");
        }
    }

    #[test]
    fn several_secrets_are_found_side_by_side() {
        for piece in 1..=12 {
            assert_eq!(scan(b"xsecretysigz", piece, &["secret", "sig"]).0, b"x******y***z");
        }
    }

    #[test]
    fn what_has_no_secret_in_it_passes_uncopied() {
        let mut scanner = Scanner::new([Bytes::from_static(b"secret")]);
        let chunk = Bytes::from_static(b"nothing to hide");
        let scanned = scanner.push(chunk.clone());
        assert_eq!(scanned, Scanned { bytes: chunk.clone(), found: false });
        assert_eq!(scanned.bytes.as_ptr(), chunk.as_ptr());
    }
}
