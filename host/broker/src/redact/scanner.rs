//! Finds secrets in a stream, wherever it is cut.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::secret_index::{FRAGMENT, SecretIndex, SignatureHit, blank};

/// Looks for secrets in what it is fed. Bytes that may be the beginning of one are held back until
/// what follows shows whether they are.
pub(crate) struct Scanner {
    indexes: Vec<Arc<SecretIndex>>,
    held: BytesMut,
    /// The last bytes that went on: a part of a token can begin in them.
    passed: BytesMut,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// What may go on. It can be empty.
    pub(crate) bytes: Bytes,
    /// Whether a secret was in it, and is redacted.
    pub(crate) found: bool,
}

/// What is in a text that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// The text without secrets and parts of signatures; `None` if it has none.
    pub(crate) redacted: Option<Vec<u8>>,
    /// Whether there was a part of a signature that is not a part of a whole token.
    pub(crate) has_fragment: bool,
}

/// A part of a token's signature is in a text, which must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenFragment;

impl Scanner {
    /// Looks for the secrets of indexes.
    pub(crate) fn new(indexes: impl IntoIterator<Item = Arc<SecretIndex>>) -> Self {
        let indexes = indexes.into_iter().filter(|index| !index.is_empty()).collect();
        Self { indexes, held: BytesMut::new(), passed: BytesMut::new() }
    }

    /// A scanner for the same secrets in another stream.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.indexes.iter().cloned())
    }

    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// A part of a token's signature is in them. The stream must end without them.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Scanned, TokenFragment> {
        let chunk = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            self.held.split().freeze()
        };
        let Redacted { mut bytes, found, possible_prefix, signatures } = self.redact(chunk);
        let held = bytes.split_off(bytes.len() - possible_prefix);
        let is_part = |(index, hit): &(Arc<SecretIndex>, SignatureHit)| {
            index.fragment_at(*hit, &bytes).is_some()
        };
        if signatures.iter().any(is_part) {
            return Err(TokenFragment);
        }
        self.pass(&bytes)?;
        self.held.extend_from_slice(&held);
        Ok(Scanned { bytes, found })
    }

    /// The stream has ended: what was held back was no secret.
    ///
    /// # Errors
    ///
    /// A part of a token's signature is in it.
    pub(crate) fn finish(&mut self) -> Result<Bytes, TokenFragment> {
        let rest = self.held.split().freeze();
        if self.indexes.iter().any(|index| index.find_fragment(&rest).is_some()) {
            return Err(TokenFragment);
        }
        self.pass(&rest)?;
        Ok(rest)
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Redacts the secrets in a text that is whole, and parts of signatures.
    pub(crate) fn inspect(&self, text: &[u8]) -> Inspected {
        let mut inspected = Inspected { redacted: None, has_fragment: false };
        for index in &self.indexes {
            let findings = index.find(inspected.redacted.as_deref().unwrap_or(text));
            for range in findings.secrets {
                blank(inspected.redacted.get_or_insert_with(|| text.to_vec()), range);
            }
            for hit in findings.signatures {
                let current = inspected.redacted.as_deref().unwrap_or(text);
                if let Some(range) = index.fragment_at(hit, current) {
                    inspected.has_fragment = true;
                    blank(inspected.redacted.get_or_insert_with(|| text.to_vec()), range);
                }
            }
        }
        inspected
    }

    /// Whether a secret is in a text, in whatever case.
    pub(crate) fn has_ignoring_case(&self, text: &str) -> bool {
        self.indexes.iter().any(|index| index.has_ignoring_case(text))
    }

    /// Redacts whole secrets.
    fn redact(&self, chunk: Bytes) -> Redacted {
        let mut changed: Option<BytesMut> = None;
        let mut possible_prefix = 0;
        let mut signatures = Vec::new();
        for index in &self.indexes {
            let findings = index.find(changed.as_deref().unwrap_or(&chunk));
            possible_prefix = possible_prefix.max(findings.possible_prefix);
            signatures.extend(findings.signatures.into_iter().map(|hit| (Arc::clone(index), hit)));
            for range in findings.secrets {
                blank(changed.get_or_insert_with(|| BytesMut::from(&chunk[..])), range);
            }
        }
        let Some(changed) = changed else {
            return Redacted { bytes: chunk, found: false, possible_prefix, signatures };
        };
        // A redacted secret can end within what looked like the beginning of another.
        let bytes = changed.freeze();
        let prefixes = self.indexes.iter().map(|index| index.find(&bytes).possible_prefix);
        let possible_prefix = prefixes.max().unwrap_or_default();
        Redacted { bytes, found: true, possible_prefix, signatures }
    }

    /// Checks for a part of a signature that begins in what went before, and notes the end of what
    /// goes on.
    fn pass(&mut self, bytes: &[u8]) -> Result<(), TokenFragment> {
        const CONTEXT: usize = FRAGMENT - 1;
        let beginning = bytes.get(..CONTEXT).unwrap_or(bytes);
        if !self.passed.is_empty() && !beginning.is_empty() {
            let mut border = [0; 2 * CONTEXT];
            let length = self.passed.len() + beginning.len();
            for (to, from) in border.iter_mut().zip(self.passed.iter().chain(beginning)) {
                *to = *from;
            }
            let border = border.get(..length).unwrap_or_default();
            if self.indexes.iter().any(|index| index.find_fragment(border).is_some()) {
                return Err(TokenFragment);
            }
        }
        let end = bytes.get(bytes.len().saturating_sub(CONTEXT)..).unwrap_or_default();
        if end.len() == CONTEXT {
            self.passed.clear();
        }
        self.passed.extend_from_slice(end);
        let excess = self.passed.len().saturating_sub(CONTEXT);
        let _ = self.passed.split_to(excess);
        Ok(())
    }
}

/// A text without the whole secrets in it.
struct Redacted {
    bytes: Bytes,
    found: bool,
    /// How many bytes at the end may be the beginning of a secret.
    possible_prefix: usize,
    /// Where parts of signatures may be.
    signatures: Vec<(Arc<SecretIndex>, SignatureHit)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(secrets: &[&'static str]) -> Scanner {
        let secrets = secrets.iter().map(|secret| Bytes::from_static(secret.as_bytes()));
        let index = SecretIndex::of_forms(secrets.collect(), Vec::new());
        Scanner::new([Arc::new(index)])
    }

    /// What comes out when a text is fed in pieces of this length, and whether a secret was found.
    fn scan(text: &[u8], piece: usize, scanner: &Scanner) -> Result<(Vec<u8>, bool), Vec<u8>> {
        let mut scanner = scanner.another();
        let (mut out, mut found) = (Vec::new(), false);
        for chunk in text.chunks(piece) {
            let Ok(scanned) = scanner.push(Bytes::copy_from_slice(chunk)) else { return Err(out) };
            found |= scanned.found;
            out.extend_from_slice(&scanned.bytes);
        }
        let Ok(rest) = scanner.finish() else { return Err(out) };
        out.extend_from_slice(&rest);
        Ok((out, found))
    }

    #[test]
    fn a_secret_is_redacted_wherever_the_stream_is_cut() {
        let cases: [(&'static str, &str, &str); 2] = [
            (
                "eyJ.secret",
                "{\"echo\": \"eyJ.secret\", \"eyJ\": \"eyJ.secreeyJ.secret\"} eyJ.secre",
                "{\"echo\": \"**********\", \"eyJ\": \"eyJ.secre**********\"} eyJ.secre",
            ),
            (
                "eyJ.a-longer-secret-of-30-byte",
                "a eyJ.a-longer-secret-of-30-byte, eyJ.a-longer-secret-eyJ.a-longer-secret-of-30-byte",
                "a ******************************, eyJ.a-longer-secret-******************************",
            ),
        ];
        for (secret, text, expected) in cases {
            let scanner = scanner(&[secret]);
            for piece in 1..=text.len() {
                let (out, found) = scan(text.as_bytes(), piece, &scanner).unwrap();
                assert_eq!(String::from_utf8_lossy(&out), expected, "in pieces of {piece}");
                assert!(found);
            }
        }
    }

    #[test]
    fn a_secret_that_begins_like_itself_is_found() {
        let scanner = scanner(&["aabaac", "xyxyxyxyxyxyxyxyxyxyz"]);
        for piece in 1..=9 {
            assert_eq!(scan(b"aabaabaac", piece, &scanner).unwrap().0, b"aab******");
            let (out, _) = scan(b"xyxyxyxyxyxyxyxyxyxyxyz", piece, &scanner).unwrap();
            assert_eq!(out, b"xy*********************");
        }
    }

    #[test]
    fn several_secrets_are_found_side_by_side() {
        let scanner = scanner(&["secret", "sig"]);
        for piece in 1..=12 {
            assert_eq!(scan(b"xsecretysigz", piece, &scanner).unwrap().0, b"x******y***z");
        }
    }

    #[test]
    fn what_has_no_secret_in_it_passes_uncopied() {
        let mut scanner = scanner(&["secret", "a-longer-secret-of-some-length"]);
        let chunk = Bytes::from_static(b"nothing to hide, and of some length");
        let scanned = scanner.push(chunk.clone()).unwrap();
        assert_eq!(scanned, Scanned { bytes: chunk.clone(), found: false });
        assert_eq!(scanned.bytes.as_ptr(), chunk.as_ptr());
    }

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL3ZhdWx0LmF6dXJlLm5ldCJ9.\
                         q0Zb3Hn1xVf8KpTgW5sYcJmD7uLrE2aQ-X6oIwBv9yPzN4dGtRkCeMhUjSlFiA_3";

    fn token_scanner() -> Scanner {
        Scanner::new([Arc::new(SecretIndex::of_tokens([Bytes::from_static(TOKEN.as_bytes())]))])
    }

    #[test]
    fn a_whole_token_is_redacted_in_all_its_forms() {
        let scanner = token_scanner();
        for form in super::super::forms::forms(TOKEN.as_bytes()) {
            let text = [b"before ", &form[..], b" behind"].concat();
            let expected = [b"before ", &vec![b'*'; form.len()][..], b" behind"].concat();
            for piece in [1, 7, 16, 33, text.len()] {
                let (out, found) = scan(&text, piece, &scanner).unwrap();
                assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
                assert!(found);
            }
        }
    }

    #[test]
    fn the_sixteenth_byte_of_a_signature_does_not_leave() {
        let scanner = token_scanner();
        let signature = TOKEN.rsplit('.').next().unwrap();
        for start in 0..=signature.len() - 16 {
            for length in 16..=signature.len() - start {
                let part = &signature[start..start + length];
                let text = format!("some text and {part} more");
                for piece in [1, 3, 15, 16, 17, 40, text.len()] {
                    let out = scan(text.as_bytes(), piece, &scanner).unwrap_err();
                    let out = String::from_utf8(out).unwrap();
                    assert!(!out.contains(&signature[start..start + 16]), "{out}");
                }
            }
        }
    }

    #[test]
    fn fifteen_bytes_of_a_signature_pass() {
        let scanner = token_scanner();
        let signature = TOKEN.rsplit('.').next().unwrap();
        for start in 0..=signature.len() - 15 {
            let text = format!("some text and {}! more", &signature[start..start + 15]);
            for piece in [1, 8, text.len()] {
                assert_eq!(
                    scan(text.as_bytes(), piece, &scanner),
                    Ok((text.clone().into_bytes(), false))
                );
            }
        }
    }

    #[test]
    fn a_token_that_is_cut_short_ends_the_stream() {
        let scanner = token_scanner();
        let dot = TOKEN.rfind('.').unwrap();
        for piece in [1, 10, TOKEN.len()] {
            // The header and the claims are those of other tokens, too.
            let shared = &TOKEN[..dot + 16];
            assert_eq!(scan(shared.as_bytes(), piece, &scanner).unwrap().0, shared.as_bytes());
            let cut = &TOKEN[..TOKEN.len() - 1];
            assert!(scan(cut.as_bytes(), piece, &scanner).is_err());
            assert!(scan(format!("{cut} and more").as_bytes(), piece, &scanner).is_err());
        }
    }

    #[test]
    fn a_token_of_the_same_tenant_passes() {
        let scanner = token_scanner();
        let (shared, _) = TOKEN.rsplit_once('.').unwrap();
        let other = format!("{shared}.{}", "Lm4".repeat(30));
        for piece in [1, 9, 64, other.len()] {
            assert_eq!(scan(other.as_bytes(), piece, &scanner).unwrap().0, other.as_bytes());
        }
    }

    #[test]
    fn whole_texts_are_redacted_with_parts_of_signatures() {
        let scanner = token_scanner();
        let signature = TOKEN.rsplit('.').next().unwrap();
        let part = &signature[5..30];
        let inspect = |text: &str| {
            let Inspected { redacted, has_fragment } = scanner.inspect(text.as_bytes());
            (redacted.map(|text| String::from_utf8(text).unwrap()), has_fragment)
        };
        assert!(inspect(part).1);
        assert_eq!(inspect(&format!("x{part}y")).0, Some(format!("x{}y", "*".repeat(25))));
        assert_eq!(inspect(TOKEN), (Some("*".repeat(TOKEN.len())), false), "it is whole");
        assert_eq!(inspect("nothing of it"), (None, false));
    }

    #[test]
    fn a_scanner_with_a_secret_is_not_empty() {
        assert!(Scanner::new([]).is_empty());
        assert!(Scanner::new([Arc::new(SecretIndex::default())]).is_empty());
        assert!(!scanner(&["short"]).is_empty() && !token_scanner().is_empty());
        assert!(!token_scanner().another().is_empty());
    }

    #[test]
    fn what_may_be_the_beginning_of_a_secret_is_held() {
        let mut scanner = scanner(&["a-secret-of-some-length"]);
        assert_eq!(scanner.held(), 0);
        scanner.push(Bytes::from_static(b"text and a-sec")).unwrap();
        assert_eq!(scanner.held(), 5);
        scanner.push(Bytes::from_static(b"ond text")).unwrap();
        assert_eq!(scanner.held(), 0);
    }

    #[test]
    fn a_secret_in_another_case_is_found_on_demand() {
        let scanner = scanner(&["secret", "another-secret-of-some-length"]);
        assert!(scanner.has_ignoring_case("x-SECRET"));
        assert!(scanner.has_ignoring_case("x-Another-Secret-Of-Some-Length-y"));
        assert!(!scanner.has_ignoring_case("x-secre"));
    }
}
