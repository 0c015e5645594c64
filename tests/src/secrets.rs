//! Searches for leaked secrets.

use std::collections::HashSet;

/// Secrets, and every piece of them that is long enough to be one.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<String>);

/// Length of a piece of a token that counts as a leak. The first part of a token is skipped, since
/// all tokens of one issuer share it.
const PIECE: usize = 16;

impl Secrets {
    /// Tokens: each is looked for piece by piece, behind the header that they all have.
    #[must_use]
    pub fn tokens(tokens: Vec<String>) -> Self {
        Self(tokens)
    }

    /// And shared access signatures: of each only the signature is a secret, as it stands in a
    /// query and as it is.
    #[must_use]
    pub fn and_signatures(mut self, signatures: impl IntoIterator<Item = String>) -> Self {
        for sas in signatures {
            let signature = sas
                .split('&')
                .find_map(|pair| pair.strip_prefix("sig="))
                .unwrap_or_default()
                .to_owned();
            self.0.push(signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="));
            self.0.push(signature);
        }
        self
    }

    /// The number of secrets.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Asserts that no piece of a secret is in `bytes`.
    ///
    /// # Panics
    ///
    /// If one is found.
    pub fn assert_absent(&self, place: &str, text: &[u8]) {
        // Every window of twice the stride has a piece that begins at a multiple of it.
        let pieces: HashSet<&[u8]> = self.0.iter().flat_map(|secret| pieces(secret)).collect();
        let found = text.windows(PIECE).position(|window| pieces.contains(window));
        assert!(
            found.is_none(),
            "a piece of a token is in {place}, at byte {}",
            found.unwrap_or_default()
        );
    }
}

fn pieces(secret: &str) -> impl Iterator<Item = &[u8]> {
    let body = secret.split_once('.').map_or(secret, |(_, body)| body);
    body.as_bytes().windows(PIECE).step_by(PIECE / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str =
        "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3ZhdWx0LmF6dXJlLm5ldCJ9.c2lnbmF0dXJl";

    #[test]
    #[should_panic(expected = "a piece of a token is in a log")]
    fn a_part_of_a_token_is_found() {
        Secrets::tokens(vec![TOKEN.to_owned()])
            .assert_absent("a log", format!("x {} y", &TOKEN[30..60]).as_bytes());
    }

    #[test]
    fn the_common_start_of_tokens_is_not_secret() {
        Secrets::tokens(vec![TOKEN.to_owned()]).assert_absent("a log", b"eyJhbGciOiJFUzI1NiJ9");
    }
}
