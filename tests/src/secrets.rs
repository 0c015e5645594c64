//! Searches for what must not be found.

/// Secrets, and every piece of them that is long enough to be one.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<String>);

/// How long a piece of a token must be, to be taken for one. Tokens of one issuer begin alike, and there is nothing secret
/// in that: their first part is skipped.
const PIECE: usize = 16;

impl Secrets {
    /// Tokens: each is looked for piece by piece, behind the header that they all have.
    #[must_use]
    pub fn tokens(tokens: Vec<String>) -> Self {
        Self(tokens)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Looks for every piece of every secret.
    ///
    /// # Panics
    ///
    /// One is found.
    pub fn assert_absent(&self, place: &str, text: &[u8]) {
        for secret in &self.0 {
            let body = secret.split_once('.').map_or(secret.as_str(), |(_, body)| body);
            let pieces = body.as_bytes().windows(PIECE).step_by(PIECE / 2);
            for piece in pieces {
                let found = text.windows(PIECE).position(|window| window == piece);
                assert!(found.is_none(), "a piece of a token is in {place}, at byte {}", found.unwrap_or_default());
            }
        }
    }
}
