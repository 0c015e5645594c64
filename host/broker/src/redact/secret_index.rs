//! An index of secrets for a search in one pass, whatever their number.
//!
//! A text is looked at every few bytes: the eight bytes there, a *gram*, are looked up among those
//! of the secrets. What is searched for is so long that each occurrence contains a gram at one of
//! these positions, and a bitmap rules out nearly all other text.

use bytes::Bytes;
use keyward_identity::locked_memory;
use memchr::memmem;
use zeroize::{Zeroize, Zeroizing};

use super::forms::forms;

/// What a secret is redacted with, byte for byte, so that no length changes.
const BLANK: u8 = b'*';

/// So many bytes in a row of a token's signature are a part of it. Fewer are no use to anybody who
/// guesses the rest: a signature has 342 characters with RS256, and each has 6 bits.
pub(super) const FRAGMENT: usize = 16;

/// How many bytes are looked up at a time.
const GRAM: usize = 8;

/// How far apart they are: each `FRAGMENT` bytes in a row contain a gram.
const STRIDE: usize = FRAGMENT - GRAM + 1;

/// The longest prefix of a form without an indexed gram in it at all alignments.
const SHORT_PREFIX: usize = STRIDE + GRAM - 2;

/// Bits of the bitmap for each gram. A gram of other text is in it with this inverse probability.
const BITS_PER_GRAM: usize = 64;

/// Secrets, in all forms that are redacted, and the signatures of tokens.
#[derive(Default)]
pub(crate) struct SecretIndex {
    /// Whole secrets, long enough to contain grams.
    forms: Vec<Bytes>,
    /// Whole secrets that are shorter.
    short: Vec<Bytes>,
    signatures: Vec<Bytes>,
    /// The grams of the secrets in ascending order, as bytes in little-endian order.
    grams: Bytes,
    /// Where each of them occurs.
    occurrences: Vec<Occurrence>,
    bitmap: Vec<u64>,
    /// How far a gram's hash is shifted to be a bit's number.
    shift: u32,
}

/// A gram of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occurrence {
    /// At this offset in a form.
    Form { form: usize, offset: usize },
    /// At this offset in a signature.
    Signature { signature: usize, offset: usize },
}

/// A gram of a text that is a signature's too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignatureHit {
    position: usize,
    signature: usize,
    offset: usize,
}

/// What is in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Where whole secrets are.
    pub(super) secrets: Vec<std::ops::Range<usize>>,
    /// How many bytes at the end may be the beginning of a secret.
    pub(super) possible_prefix: usize,
    /// Where parts of signatures may be.
    pub(super) signatures: Vec<SignatureHit>,
}

impl SecretIndex {
    /// Tokens, of which parts are searched for too. They are opaque: only those that have three
    /// parts, like a JWT ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)), have a signature.
    /// The index is in locked memory, as tokens are.
    pub(crate) fn of_tokens(tokens: impl IntoIterator<Item = Bytes>) -> Self {
        let tokens: Vec<Bytes> = tokens.into_iter().collect();
        let signatures = tokens.iter().filter_map(signature).collect();
        Self::new(tokens.iter(), signatures).locked()
    }

    /// Other secrets, which are searched for whole. An empty one is nowhere.
    pub(crate) fn of_secrets<'s>(secrets: impl IntoIterator<Item = &'s Bytes>) -> Self {
        Self::new(secrets, Vec::new())
    }

    fn new<'s>(secrets: impl IntoIterator<Item = &'s Bytes>, signatures: Vec<Bytes>) -> Self {
        let all: Vec<Bytes> = secrets.into_iter().flat_map(|secret| forms(secret)).collect();
        Self::of_forms(all, signatures)
    }

    /// These forms, and no others.
    pub(crate) fn of_forms(all: Vec<Bytes>, signatures: Vec<Bytes>) -> Self {
        let (forms, short): (Vec<Bytes>, Vec<Bytes>) = all
            .into_iter()
            .filter(|form| !form.is_empty())
            .partition(|form| form.len() > SHORT_PREFIX);
        // It does not grow, which would leave parts of secrets in memory that is not zeroed.
        let of_signatures: usize = signatures.iter().map(Bytes::len).sum();
        let mut grams: Vec<(u64, Occurrence)> =
            Vec::with_capacity(forms.len() * STRIDE + of_signatures);
        for (form, text) in forms.iter().enumerate() {
            let beginning = text.windows(GRAM).enumerate().take(STRIDE);
            grams.extend(beginning.filter_map(|(offset, window)| {
                Some((gram(window)?, Occurrence::Form { form, offset }))
            }));
        }
        for (signature, text) in signatures.iter().enumerate() {
            let all = text.windows(GRAM).enumerate();
            grams.extend(all.filter_map(|(offset, window)| {
                Some((gram(window)?, Occurrence::Signature { signature, offset }))
            }));
        }
        grams.sort_unstable_by_key(|(gram, _)| *gram);
        let mut in_order = Zeroizing::new(Vec::with_capacity(8 * grams.len()));
        grams.iter().for_each(|(gram, _)| in_order.extend_from_slice(&gram.to_le_bytes()));
        let bits = (grams.len() * BITS_PER_GRAM).next_power_of_two().max(64);
        let mut index = Self {
            forms,
            short,
            signatures,
            bitmap: vec![0; bits / 64],
            shift: 64 - bits.ilog2(),
            grams: Bytes::from_owner(in_order),
            occurrences: grams.iter().map(|(_, occurrence)| *occurrence).collect(),
        };
        for (gram, _) in &mut grams {
            let bit = index.bit(*gram);
            if let Some(word) = index.bitmap.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
            gram.zeroize();
        }
        index
    }

    /// Moves all parts of secrets to locked memory. This takes some system calls.
    fn locked(mut self) -> Self {
        let parts = self.forms.iter().chain(&self.short).chain([&self.grams]);
        let parts: Vec<&[u8]> = parts.map(AsRef::as_ref).collect();
        let mut memory = locked_memory::concat(&parts);
        for part in self.forms.iter_mut().chain(&mut self.short).chain([&mut self.grams]) {
            *part = memory.split_to(part.len());
        }
        self
    }

    /// Whether there is nothing to search for.
    pub(super) fn is_empty(&self) -> bool {
        self.grams.is_empty() && self.short.is_empty()
    }

    /// Finds whole secrets, and what may be parts of signatures, or the beginning of a secret at the
    /// end of the text.
    pub(super) fn find(&self, text: &[u8]) -> Findings {
        let mut findings = Findings::default();
        self.for_each_hit(text, &mut |position, occurrence| match occurrence {
            Occurrence::Form { form, offset } => {
                let form = self.forms.get(form).map_or(&[][..], |form| form);
                let Some(start) = position.checked_sub(offset) else { return };
                let rest = text.get(start..).unwrap_or_default();
                if rest.starts_with(form) {
                    findings.secrets.push(start..start + form.len());
                } else if form.starts_with(rest) {
                    findings.possible_prefix = findings.possible_prefix.max(rest.len());
                }
            }
            Occurrence::Signature { signature, offset } => {
                findings.signatures.push(SignatureHit { position, signature, offset });
            }
        });
        for form in self.short.iter().filter(|form| form.len() <= text.len()) {
            let starts = memmem::find_iter(text, form);
            findings.secrets.extend(starts.map(|start| start..start + form.len()));
        }
        for form in self.forms.iter().chain(&self.short) {
            let prefix = short_prefix_at_end_of(text, form);
            findings.possible_prefix = findings.possible_prefix.max(prefix);
        }
        findings
    }

    /// The part of a signature around a gram that was found, if it is long enough.
    pub(super) fn fragment_at(
        &self,
        hit: SignatureHit,
        text: &[u8],
    ) -> Option<std::ops::Range<usize>> {
        let SignatureHit { position, signature, offset } = hit;
        let signature = self.signatures.get(signature)?;
        let equal = |(one, other): &(&u8, &u8)| one == other;
        let before = text.get(..position)?.iter().rev();
        let left = before.zip(signature.get(..offset)?.iter().rev()).take_while(equal).count();
        let behind = text.get(position..)?.iter();
        let right = behind.zip(signature.get(offset..)?).take_while(equal).count();
        (left + right >= FRAGMENT).then(|| position - left..position + right)
    }

    /// The first part of a signature in a text.
    pub(super) fn find_fragment(&self, text: &[u8]) -> Option<std::ops::Range<usize>> {
        if self.signatures.is_empty() {
            return None;
        }
        let mut hits = self.find(text).signatures.into_iter();
        hits.find_map(|hit| self.fragment_at(hit, text))
    }

    /// Whether a secret is in a text, in whatever case.
    pub(super) fn has_ignoring_case(&self, text: &str) -> bool {
        let is_in = |form: &Bytes| {
            let mut windows = text.as_bytes().windows(form.len());
            windows.any(|window| window.eq_ignore_ascii_case(form))
        };
        self.forms.iter().chain(&self.short).any(is_in)
    }

    /// Calls a function with each gram of the text that is a secret's too, and its position.
    fn for_each_hit(&self, text: &[u8], hit: &mut dyn FnMut(usize, Occurrence)) {
        // Four at a time, since nearly none is found.
        const AT_ONCE: usize = 4 * STRIDE;
        let mut position = 0;
        for chunk in text.chunks(AT_ONCE) {
            let mut any = false;
            for part in chunk.chunks(STRIDE) {
                any |= gram(part).is_some_and(|gram| self.may_have(gram));
            }
            if any {
                self.look_up(chunk, position, hit);
            }
            position += AT_ONCE;
        }
    }

    #[cold]
    fn look_up(&self, chunk: &[u8], start: usize, hit: &mut dyn FnMut(usize, Occurrence)) {
        for (index, part) in chunk.chunks(STRIDE).enumerate() {
            let Some(gram) = gram(part).filter(|gram| self.may_have(*gram)) else { continue };
            let (grams, _) = self.grams.as_chunks();
            let first = grams.partition_point(|other| u64::from_le_bytes(*other) < gram);
            let equal = grams.iter().zip(&self.occurrences).skip(first);
            for (_, occurrence) in equal.take_while(|(other, _)| **other == gram.to_le_bytes()) {
                hit(start + index * STRIDE, *occurrence);
            }
        }
    }

    #[inline]
    fn may_have(&self, gram: u64) -> bool {
        let bit = self.bit(gram);
        self.bitmap.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// The bit of a gram in the bitmap, by a multiplicative hash.
    #[inline]
    fn bit(&self, gram: u64) -> usize {
        usize::try_from(gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift).unwrap_or_default()
    }
}

#[inline]
fn gram(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The signature of a token that has three parts.
fn signature(token: &Bytes) -> Option<Bytes> {
    let mut dots = memchr::memchr_iter(b'.', token);
    let (_, second, None) = (dots.next()?, dots.next()?, dots.next()) else { return None };
    Some(token.slice(second + 1..)).filter(|signature| signature.len() >= FRAGMENT)
}

/// How many bytes at the end of a text are the beginning of a form, where they are few.
fn short_prefix_at_end_of(text: &[u8], form: &[u8]) -> usize {
    let longest = SHORT_PREFIX.min(form.len().saturating_sub(1)).min(text.len());
    let tail = text.get(text.len() - longest..).unwrap_or_default();
    let begins = |start: &usize| tail.get(*start..).is_some_and(|rest| form.starts_with(rest));
    (0..tail.len()).find(begins).map_or(0, |start| tail.len() - start)
}

/// Overwrites a part of a text.
pub(super) fn blank(text: &mut [u8], range: std::ops::Range<usize>) {
    if let Some(part) = text.get_mut(range) {
        part.fill(BLANK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text of so many different bytes.
    fn secret(length: usize) -> Bytes {
        (0..length).map(|at| b'A' + u8::try_from(at).unwrap()).collect()
    }

    #[test]
    fn a_secret_of_any_length_is_found_at_any_position() {
        for length in 1..=40 {
            let secret = secret(length);
            let index = SecretIndex::of_forms(vec![secret.clone()], Vec::new());
            for before in 0..=2 * STRIDE {
                let text = [&vec![b'.'; before][..], &secret, b"...."].concat();
                let found = index.find(&text);
                let range = before..before + length;
                assert_eq!(found.secrets, [range], "{length} at {before}");
                assert_eq!(found.possible_prefix, 0, "{length} at {before}");
            }
        }
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_of_a_text_is_found() {
        for length in [1, 2, 8, 15, 16, 17, 40] {
            let secret = secret(length);
            let index = SecretIndex::of_forms(vec![secret.clone()], Vec::new());
            for before in 0..=2 * STRIDE {
                for cut in 0..length {
                    let text = [&vec![b'.'; before][..], &secret[..cut]].concat();
                    let found = index.find(&text);
                    assert_eq!(found.possible_prefix, cut, "{cut} of {length} at {before}");
                    assert!(found.secrets.is_empty(), "{cut} of {length} at {before}");
                }
            }
        }
    }

    #[test]
    fn a_gram_is_the_first_eight_bytes() {
        assert_eq!(gram(b"abcdefghi"), gram(b"abcdefgh"));
        assert_ne!(gram(b"abcdefgh"), gram(b"bbcdefgh"));
        assert_eq!(gram(b"abcdefg"), None);
    }

    #[test]
    fn a_gram_of_other_text_is_seldom_looked_up() {
        let index = SecretIndex::of_forms(vec![secret(40)], vec![secret(40)]);
        let others = (1..=10_000_u64).map(|at| at.wrapping_mul(0xd134_2543_de82_ef95));
        let looked_up = others.filter(|gram| index.may_have(*gram)).count();
        assert!(looked_up < 500, "{looked_up} of 10000");
    }

    #[test]
    fn an_index_has_enough_bits_for_its_grams() {
        for length in [16, 40] {
            let index = SecretIndex::of_forms(vec![secret(length)], vec![secret(length)]);
            assert!(!index.grams.is_empty());
            assert!(index.bitmap.len() * 64 >= index.occurrences.len() * BITS_PER_GRAM);
        }
    }

    #[test]
    fn a_secret_is_found_in_whatever_case() {
        for secret in ["short", "a-longer-Secret-of-30-bytes-xy"] {
            let secret = Bytes::from_static(secret.as_bytes());
            let index = SecretIndex::of_secrets([&secret]);
            let text = String::from_utf8(secret.to_vec()).unwrap();
            assert!(index.has_ignoring_case(&format!("x-{}-y", text.to_uppercase())));
            assert!(index.has_ignoring_case(&text.to_lowercase()));
            assert!(!index.has_ignoring_case(&text[1..]));
        }
        assert!(!SecretIndex::default().has_ignoring_case("any"));
    }

    #[test]
    fn a_part_of_a_signature_is_found_with_its_position() {
        let signature = secret(40);
        let index = SecretIndex::of_forms(Vec::new(), vec![signature.clone()]);
        for start in 0..=40 - FRAGMENT {
            for length in [FRAGMENT - 1, FRAGMENT, 40 - start] {
                for before in 0..=STRIDE {
                    let part = &signature[start..start + length];
                    let text = [&vec![b'.'; before][..], part, b".."].concat();
                    let expected = (length >= FRAGMENT).then_some(before..before + length);
                    assert_eq!(index.find_fragment(&text), expected, "{start} {length} {before}");
                }
            }
        }
    }

    #[test]
    fn only_a_token_of_three_parts_with_a_long_last_one_has_a_signature() {
        let of = |token: &'static str| signature(&Bytes::from_static(token.as_bytes()));
        assert_eq!(of("a.b.0123456789abcdef").unwrap(), "0123456789abcdef");
        for token in ["a.b.0123456789abcde", "a.0123456789abcdef", "a.b.c.0123456789abcdef", "a"] {
            assert_eq!(of(token), None, "{token}");
        }
    }
}
