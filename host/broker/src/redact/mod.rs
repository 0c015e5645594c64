//! Redaction: finds secrets in what passes, and replaces them, across chunk borders.

mod coding;
mod scanner;

pub(crate) use coding::{CodedScanner, CodingError, decode_whole, of as coding_of};
pub(crate) use scanner::Scanner;
