//! Reads the tokens of responses on their way to `tiberius`, for two things that it does not
//! expose.
//!
//! One is whether a transaction is open. The other is the exact value of money: `tiberius` reads it
//! as a float. So money types are replaced by the integer types whose values have the same bytes,
//! and which columns they were is recorded.

use std::pin::Pin;
use std::task::{Context, Waker};

use super::packet::{PacketPosition, Part};
use super::token_parser;
use super::token_source::TokenSource;

/// The responses of one connection.
pub(crate) struct TokenStream {
    position: PacketPosition,
    source: TokenSource,
    /// Ends when it cannot read any further.
    parser: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Default for TokenStream {
    fn default() -> Self {
        let source = TokenSource::default();
        let parser = Box::pin(token_parser::parse(source.clone()));
        Self { position: PacketPosition::default(), source, parser }
    }
}

impl TokenStream {
    /// Reads bytes that arrived, and replaces money types in them.
    pub(crate) fn read(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            match self.position.advance(bytes) {
                Part::Header(length) => bytes = bytes.get_mut(length..).unwrap_or_default(),
                Part::Body(length) => {
                    let (body, rest) = bytes.split_at_mut(length);
                    self.read_body(body);
                    bytes = rest;
                }
            }
        }
    }

    fn read_body(&mut self, body: &mut [u8]) {
        if !self.source.load(body) {
            return;
        }
        let ended = self.parser.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        self.source.unload(body, ended);
    }

    /// Whether a token began since the last call.
    pub(crate) fn take_token_began(&self) -> bool {
        self.source.take_token_began()
    }

    /// A handle on what the tokens say.
    pub(crate) fn source(&self) -> TokenSource {
        self.source.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{HEADER_LENGTH, TABULAR_RESULT, header};
    use super::super::token::{COLMETADATA, DONE, ENVCHANGE, NBCROW, ROW, env_change};
    use super::super::type_code::{
        IMAGETYPE, INT8TYPE, INTNTYPE, MONEYNTYPE, MONEYTYPE, NVARCHARTYPE, XMLTYPE,
    };
    use super::*;
    use crate::value::DataType;

    fn packet(body: &[u8]) -> Vec<u8> {
        [&header(TABULAR_RESULT, body.len())[..], body].concat()
    }

    /// Columns: a fixed money, a nullable smallmoney, an nvarchar(max), an xml, an image; each with
    /// the name `a`.
    fn columns() -> Vec<u8> {
        let name = [1, b'a', 0];
        let user_type_and_flags = [0; 6];
        let types: [&[u8]; 5] = [
            &[MONEYTYPE],
            &[MONEYNTYPE, 4],
            &[NVARCHARTYPE, 0xff, 0xff, 1, 2, 3, 4, 5],
            &[XMLTYPE, 0],
            &[IMAGETYPE, 0, 0, 0, 0, 1, 1, 0, b't', 0],
        ];
        let mut all = vec![COLMETADATA, 5, 0];
        for type_info in types {
            all.extend([&user_type_and_flags[..], type_info, &name].concat());
        }
        all
    }

    fn rows() -> Vec<u8> {
        let unknown_length = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let chunks = [&unknown_length[..], &[2, 0, 0, 0, b'x', 0, 0, 0, 0, 0]].concat();
        let money = [1, 0, 0, 0, 2, 0, 0, 0];
        let image =
            [&[16][..], &[0; 24], &[3, 0, 0, 0, COLMETADATA, COLMETADATA, COLMETADATA]].concat();
        let row = [&[ROW][..], &money, &[4, 9, 0, 0, 0], &chunks, &[0xff; 8], &image].concat();
        let sparse = [&[NBCROW, 0b11110][..], &money].concat();
        [row, sparse].concat()
    }

    fn begin_transaction() -> [u8; 14] {
        [ENVCHANGE, 11, 0, env_change::BEGIN_TRANSACTION, 8, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    }

    fn done() -> [u8; 13] {
        let mut done = [0; 13];
        done[0] = DONE;
        done
    }

    fn packets() -> [Vec<u8>; 2] {
        let first = [&begin_transaction()[..], &columns(), &rows()].concat();
        let second = [&done()[..], &columns(), &done()].concat();
        [packet(&first), packet(&second)]
    }

    #[test]
    fn money_types_are_replaced_wherever_the_stream_is_cut() {
        let [first, second] = packets();
        let whole = [&first[..], &second].concat();
        let mut expected = whole.clone();
        // The types of the first two columns, behind the token's start, the user type and the
        // flags.
        let (fixed, nullable) = (3 + 6, 3 + 6 + 4 + 6);
        for columns in [HEADER_LENGTH + 14, first.len() + HEADER_LENGTH + 13] {
            assert_eq!(
                (whole[columns + fixed], whole[columns + nullable]),
                (MONEYTYPE, MONEYNTYPE)
            );
            expected[columns + fixed] = INT8TYPE;
            expected[columns + nullable] = INTNTYPE;
        }
        for cut in 0..whole.len() {
            let mut stream = TokenStream::default();
            stream.source().record_money(true);
            let mut read = whole.clone();
            let (before, after) = read.split_at_mut(cut);
            stream.read(before);
            stream.read(after);
            assert_eq!(read, expected, "{cut}");
            let source = stream.source();
            assert!(!source.is_transaction_free(), "a transaction began");
            for _ in 0..2 {
                let money =
                    vec![Some(DataType::Money), Some(DataType::Smallmoney), None, None, None];
                assert_eq!(source.next_money_columns(), Some(money));
            }
            assert_eq!(source.next_money_columns(), None);
            stream.read(&mut packet(&[ENVCHANGE, 2, 0, env_change::COMMIT_TRANSACTION, 0]));
            assert!(source.is_transaction_free(), "all of it was read");
        }
    }

    #[test]
    fn a_stream_with_an_unknown_token_passes_unchanged() {
        let mut stream = TokenStream::default();
        let garbage = packet(&[0x00, MONEYTYPE, COLMETADATA, 1, 2, 3]);
        let mut read = garbage.clone();
        stream.read(&mut read);
        assert_eq!(read, garbage);
        assert!(!stream.source().is_transaction_free(), "nothing is certain any more");
        let mut later = packets().concat();
        stream.read(&mut later);
        assert_eq!(later, packets().concat());
    }

    #[test]
    fn a_transaction_ends_in_any_of_four_ways() {
        for end in [
            env_change::COMMIT_TRANSACTION,
            env_change::ROLLBACK_TRANSACTION,
            env_change::DEFECT_TRANSACTION,
            env_change::TRANSACTION_ENDED,
        ] {
            let mut stream = TokenStream::default();
            stream.read(&mut packet(&[ENVCHANGE, 2, 0, env_change::BEGIN_TRANSACTION, 0]));
            assert!(!stream.source().is_transaction_free());
            stream.read(&mut packet(&[ENVCHANGE, 2, 0, end, 0]));
            assert!(stream.source().is_transaction_free(), "{end}");
        }
    }
}
