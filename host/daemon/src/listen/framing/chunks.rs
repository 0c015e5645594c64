//! Finds the end of a chunked body (RFC 9112, section 7.1), without decoding it.

/// The most bytes of all chunk extensions of a body together, and of its trailers.
const MAX_IGNORED_BYTES: usize = 16 << 10;

/// The longest chunk size, in digits.
const MAX_SIZE_DIGITS: u32 = 15;

/// A position in a chunked body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    state: State,
    /// Bytes of extensions and trailers.
    ignored: usize,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        digits: u32,
        size: u64,
    },
    /// Blanks, which only an extension may follow.
    Blank {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        remaining: u64,
    },
    DataCr,
    DataLf,
    /// The beginning of a trailer field, or of the empty line at the end.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { digits: 0, size: 0 }
    }
}

/// The body is not what the RFC says, so that its end is unknown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Chunks {
    /// Advances over the bytes that follow. Returns how many of them belong to the body, once its
    /// end is among them.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut rest = bytes;
        while let Some((byte, following)) = rest.split_first() {
            if let State::Data { remaining } = self.state {
                let skipped = usize::try_from(remaining).map_or(rest.len(), |n| n.min(rest.len()));
                rest = rest.get(skipped..).unwrap_or_default();
                self.state = match remaining - skipped as u64 {
                    0 => State::DataCr,
                    remaining => State::Data { remaining },
                };
                continue;
            }
            rest = following;
            if self.state == State::EndLf && *byte == b'\n' {
                return Ok(Some(bytes.len() - rest.len()));
            }
            self.state = self.next(*byte)?;
        }
        Ok(None)
    }

    fn next(&mut self, byte: u8) -> Result<State, Malformed> {
        let next = match (self.state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                if digits == MAX_SIZE_DIGITS {
                    return Err(Malformed);
                }
                State::Size { digits: digits + 1, size: size * 16 + u64::from(digit) }
            }
            (State::Size { digits: 0, .. }, _) => return Err(Malformed),
            (State::Size { size, .. }, b' ' | b'\t') => State::Blank { size },
            (State::Size { size, .. } | State::Extension { size }, b'\r') => State::SizeLf { size },
            (State::Blank { size }, b' ' | b'\t') => self.ignore(State::Blank { size })?,
            (State::Size { size, .. } | State::Blank { size }, b';') => State::Extension { size },
            (State::Extension { .. } | State::TrailerStart | State::Trailer, b'\n') => {
                return Err(Malformed);
            }
            (State::Extension { size }, _) => self.ignore(State::Extension { size })?,
            (State::SizeLf { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLf { size }, b'\n') => State::Data { remaining: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::default(),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, _) => self.ignore(State::Trailer)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            _ => return Err(Malformed),
        };
        Ok(next)
    }

    fn ignore(&mut self, next: State) -> Result<State, Malformed> {
        self.ignored += 1;
        if self.ignored > MAX_IGNORED_BYTES { Err(Malformed) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a body ends: in one piece, and byte by byte.
    fn end(text: &str) -> Result<Option<usize>, Malformed> {
        let whole = Chunks::default().advance(text.as_bytes());
        let mut chunks = Chunks::default();
        let single = (|| {
            for (index, byte) in text.bytes().enumerate() {
                if chunks.advance(&[byte])?.is_some() {
                    return Ok(Some(index + 1));
                }
            }
            Ok(None)
        })();
        assert_eq!(whole, single, "{text:?}");
        whole
    }

    #[test]
    fn the_end_is_found_wherever_the_body_is_cut() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A\r\n0\r\n\r\n0\r\n\r\n\r\n000\r\n\r\n",
            "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n",
            "5 \t ; a\r\nhello\r\n0\r\n\r\n",
            "1\r\nx\r\n0\r\na: b\r\nc: d\r\n\r\n",
        ] {
            assert_eq!(end(body), Ok(Some(body.len())), "{body:?}");
            assert_eq!(end(&format!("{body}GET / HTTP/1.1\r\n")), Ok(Some(body.len())), "{body:?}");
            assert_eq!(end(&body[..body.len() - 1]), Ok(None), "{body:?}");
        }
    }

    #[test]
    fn what_servers_read_in_different_ways_is_malformed() {
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x5\r\nhello",
            " 5\r\nhello",
            "5\nhello",
            "5 \r\nhello",
            "5 5\r\nhello",
            "5;a\nhello",
            "5\r\rhello",
            "5\r\nhelloX",
            "5\r\nhello\n0\r\n",
            "5\r\nhello\rX",
            "0\r\n\n",
            "0\r\na: b\nc: d\r\n\r\n",
            "0\r\na: b\rc: d\r\n\r\n",
            "0\r\n\rX",
            "1000000000000000\r\n",
            "fffffffffffffffff\r\n",
        ] {
            assert_eq!(end(body), Err(Malformed), "{body:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = "x".repeat(MAX_IGNORED_BYTES + 1);
        assert_eq!(end(&format!("5;{long}")), Err(Malformed));
        assert_eq!(end(&format!("0\r\n{long}")), Err(Malformed));
        assert_eq!(end(&"1;xxx\r\nx\r\n".repeat(MAX_IGNORED_BYTES / 3 + 1)), Err(Malformed));
    }
}
