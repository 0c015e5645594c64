//! Follows the tokens that a server sends ([MS-TDS], 2.2.7), on their way to `tiberius`, for two things that it does not tell:
//! whether a transaction is open, and what a `money` value is to its last digit. It makes a float of that; so the columns'
//! types are rewritten, of `money` into those of integers with the same bytes.
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::handshake::{HEADER, body_length};
use super::value::DataType;

/// What was learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Learnt {
    /// Whether a transaction is open.
    pub(super) transaction: bool,
    /// For each result set that began, which of its columns are money.
    pub(super) money: Vec<Vec<Option<DataType>>>,
    /// Whether something came that is not known, so that nothing more was learnt.
    pub(super) lost: bool,
}

/// The bytes at hand, and what was learnt from those before.
#[derive(Default)]
struct Shared {
    bytes: Vec<u8>,
    at: usize,
    learnt: Learnt,
    /// Whether somebody asks which columns are money.
    wanted: bool,
    /// Whether a token began.
    began: bool,
}

/// Follows one connection's answers.
pub(super) struct Follower {
    source: Source,
    tokens: Pin<Box<dyn Future<Output = ()> + Send>>,
    header: [u8; HEADER],
    have: usize,
    left: usize,
}

impl Default for Follower {
    fn default() -> Self {
        let source = Source::default();
        let tokens = Box::pin(follow(source.clone()));
        Self { source, tokens, header: [0; HEADER], have: 0, left: 0 }
    }
}

impl Follower {
    /// Takes bytes that came, and rewrites them where need be.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let (Some(slot), Some(byte)) = (self.header.get_mut(self.have), bytes.first()) else { return };
                *slot = *byte;
                self.have += 1;
                bytes = bytes.get_mut(1..).unwrap_or_default();
                if self.have == HEADER {
                    self.have = 0;
                    self.left = body_length(&self.header).unwrap_or_default();
                }
                continue;
            }
            let part = self.left.min(bytes.len());
            let (now, later) = bytes.split_at_mut(part);
            self.left -= part;
            self.tokens(now);
            bytes = later;
        }
    }

    fn tokens(&mut self, body: &mut [u8]) {
        {
            let mut shared = self.source.lock();
            if shared.learnt.lost {
                return;
            }
            shared.bytes.clear();
            shared.bytes.extend_from_slice(body);
            shared.at = 0;
        }
        let ended = self.tokens.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let mut shared = self.source.lock();
        shared.learnt.lost = ended;
        body.copy_from_slice(&shared.bytes);
    }

    /// Whether a token began since the last look. What came before it is read by then, or dropped.
    pub(super) fn token_began(&self) -> bool {
        std::mem::take(&mut self.source.lock().began)
    }

    /// What was learnt so far, where a look from elsewhere can find it.
    pub(super) fn source(&self) -> Source {
        self.source.clone()
    }
}

/// Where bytes come from, and what was learnt goes to. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Source(Arc<Mutex<Shared>>);

impl Source {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is certain that no transaction is open.
    pub(super) fn is_idle(&self) -> bool {
        let shared = self.lock();
        !shared.learnt.transaction && !shared.learnt.lost
    }

    /// Which columns of the result set that began first are money, of those that nobody asked for yet.
    pub(super) fn next_money(&self) -> Vec<Option<DataType>> {
        let mut shared = self.lock();
        if shared.learnt.money.is_empty() { Vec::new() } else { shared.learnt.money.remove(0) }
    }

    /// Forgets result sets that nobody asked for; says whether somebody will ask for those that come.
    pub(super) fn want_money(&self, wanted: bool) {
        let mut shared = self.lock();
        shared.learnt.money.clear();
        shared.wanted = wanted;
    }

    async fn array<const N: usize>(&self) -> [u8; N] {
        let mut array = [0; N];
        let mut have = 0;
        std::future::poll_fn(|_| {
            let mut shared = self.lock();
            let shared = &mut *shared;
            let rest = shared.bytes.get(shared.at..).unwrap_or_default();
            let copied = array.iter_mut().skip(have).zip(rest).map(|(to, from)| *to = *from).count();
            have += copied;
            shared.at += copied;
            if have == N { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        array
    }

    async fn u8(&self) -> u8 {
        u8::from_le_bytes(self.array().await)
    }

    async fn u16(&self) -> u16 {
        u16::from_le_bytes(self.array().await)
    }

    async fn u32(&self) -> u32 {
        u32::from_le_bytes(self.array().await)
    }

    async fn skip(&self, bytes: u64) {
        let mut left = bytes;
        std::future::poll_fn(|_| {
            let mut shared = self.lock();
            let there = shared.bytes.len() - shared.at;
            let passed = usize::try_from(left).unwrap_or(usize::MAX).min(there);
            shared.at += passed;
            left -= passed as u64;
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Skips a text of UTF-16, whose length in code units is one byte.
    async fn skip_short_text(&self) {
        let units = self.u8().await;
        self.skip(u64::from(units) * 2).await;
    }

    /// Skips a text of UTF-16, whose length in code units is two bytes.
    async fn skip_text(&self) {
        let units = self.u16().await;
        self.skip(u64::from(units) * 2).await;
    }

    /// Writes another byte in place of the one that was read last, which is still at hand.
    fn rewrite(&self, byte: u8) {
        let mut shared = self.lock();
        let at = shared.at.wrapping_sub(1);
        if let Some(last) = shared.bytes.get_mut(at) {
            *last = byte;
        }
    }
}

/// How a value's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Fixed(u8),
    /// One byte says how long it is.
    Byte,
    /// Two bytes do, or that there is none.
    Short,
    /// Four bytes do.
    Long,
    /// A pointer and a time stand before it, where there is one.
    Pointed,
    /// It comes in chunks.
    Chunks,
}

const COLUMNS: u8 = 0x81;
const ROW: u8 = 0xd1;
const ROW_WITH_NULLS: u8 = 0xd2;
const RETURN_VALUE: u8 = 0xac;
const CHANGE: u8 = 0xe3;
const FEATURES: u8 = 0xae;

const MONEY: u8 = 0x3c;
const SMALLMONEY: u8 = 0x7a;
const MONEY_OR_NULL: u8 = 0x6e;
const BIGINT: u8 = 0x7f;
const INT: u8 = 0x38;
const INTEGER_OR_NULL: u8 = 0x26;

/// Ends where a token comes that is not known.
async fn follow(source: Source) {
    let mut columns: Vec<Length> = Vec::new();
    loop {
        let token = source.u8().await;
        source.lock().began = true;
        match token {
            COLUMNS => match begin(&source).await {
                Some(Some(new)) => columns = new,
                Some(None) => {}
                None => return,
            },
            ROW => {
                for length in &columns {
                    value(&source, *length).await;
                }
            }
            ROW_WITH_NULLS => {
                let mut nulls = Vec::with_capacity(columns.len().div_ceil(8));
                for _ in 0..columns.len().div_ceil(8) {
                    nulls.push(source.u8().await);
                }
                for (number, length) in columns.iter().enumerate() {
                    let is_null = nulls.get(number / 8).is_some_and(|bits| bits >> (number % 8) & 1 == 1);
                    if !is_null {
                        value(&source, *length).await;
                    }
                }
            }
            RETURN_VALUE => {
                source.skip(2).await;
                source.skip_short_text().await;
                source.skip(1 + 4 + 2).await;
                match kind(&source, false).await {
                    Some((length, _)) => value(&source, length).await,
                    None => return,
                }
            }
            CHANGE => change(&source).await,
            FEATURES => loop {
                if source.u8().await == 0xff {
                    break;
                }
                let bytes = source.u32().await;
                source.skip(bytes.into()).await;
            },
            // DONE, and its kinds; the status that a procedure returns.
            0xfd..=0xff => source.skip(12).await,
            0x79 => source.skip(4).await,
            // Errors, messages, orders, names of tables and columns, the acknowledgement of the login.
            0xaa | 0xab | 0xad | 0xa9 | 0xa4 | 0xa5 | 0xed => {
                let bytes = source.u16().await;
                source.skip(bytes.into()).await;
            }
            0xe4 | 0xee => {
                let bytes = source.u32().await;
                source.skip(bytes.into()).await;
            }
            _ => return,
        }
    }
}

/// A result set begins, or not: `Some(None)` for no columns, `None` for a type that is not known.
async fn begin(source: &Source) -> Option<Option<Vec<Length>>> {
    let count = source.u16().await;
    if count == 0xffff {
        return Some(None);
    }
    let (mut lengths, mut money) = (Vec::new(), Vec::new());
    for _ in 0..count {
        source.skip(4 + 2).await;
        let (length, is_money) = kind(source, true).await?;
        if length == Length::Pointed {
            // The names of the table that it is of.
            let parts = source.u8().await;
            for _ in 0..parts {
                source.skip_text().await;
            }
        }
        source.skip_short_text().await;
        lengths.push(length);
        money.push(is_money);
    }
    let mut shared = source.lock();
    if shared.wanted {
        shared.learnt.money.push(money);
    }
    Some(Some(lengths))
}

/// A type, and whether it is money.
async fn kind(source: &Source, rewrite: bool) -> Option<(Length, Option<DataType>)> {
    let kind = source.u8().await;
    let length = match kind {
        0x1f => Length::Fixed(0),
        0x30 | 0x32 => Length::Fixed(1),
        0x34 => Length::Fixed(2),
        0x38 | 0x3a | 0x3b | SMALLMONEY => Length::Fixed(4),
        0x3d | 0x3e | MONEY | BIGINT => Length::Fixed(8),
        0x24 | INTEGER_OR_NULL | 0x68 | 0x6d | MONEY_OR_NULL | 0x6f | 0x29..=0x2b => {
            if rewrite && kind == MONEY_OR_NULL {
                source.rewrite(INTEGER_OR_NULL);
            }
            let size = source.u8().await;
            let money = if size == 4 { DataType::Smallmoney } else { DataType::Money };
            return Some((Length::Byte, (rewrite && kind == MONEY_OR_NULL).then_some(money)));
        }
        0x28 => Length::Byte,
        0x6a | 0x6c | 0x37 | 0x3f => {
            source.skip(3).await;
            Length::Byte
        }
        0xa5 | 0xad => sized(source, 0).await,
        0xa7 | 0xaf | 0xe7 | 0xef => sized(source, 5).await,
        0xf1 => {
            if source.u8().await == 1 {
                source.skip_short_text().await;
                source.skip_short_text().await;
                source.skip_text().await;
            }
            Length::Chunks
        }
        0xf0 => {
            source.skip(2).await;
            for _ in 0..3 {
                source.skip_short_text().await;
            }
            source.skip_text().await;
            Length::Chunks
        }
        0x23 | 0x63 => {
            source.skip(4 + 5).await;
            Length::Pointed
        }
        0x22 => {
            source.skip(4).await;
            Length::Pointed
        }
        0x62 => {
            source.skip(4).await;
            Length::Long
        }
        _ => return None,
    };
    let money = match kind {
        MONEY if rewrite => {
            source.rewrite(BIGINT);
            Some(DataType::Money)
        }
        SMALLMONEY if rewrite => {
            source.rewrite(INT);
            Some(DataType::Smallmoney)
        }
        _ => None,
    };
    Some((length, money))
}

/// A type of which the longest value is told; what has no longest comes in chunks.
async fn sized(source: &Source, collation: u64) -> Length {
    let longest = source.u16().await;
    source.skip(collation).await;
    if longest == 0xffff { Length::Chunks } else { Length::Short }
}

async fn value(source: &Source, length: Length) {
    match length {
        Length::Fixed(bytes) => source.skip(bytes.into()).await,
        Length::Byte => {
            let bytes = source.u8().await;
            source.skip(bytes.into()).await;
        }
        Length::Short => match source.u16().await {
            0xffff => {}
            bytes => source.skip(bytes.into()).await,
        },
        Length::Long => {
            let bytes = source.u32().await;
            source.skip(bytes.into()).await;
        }
        Length::Pointed => {
            let pointer = source.u8().await;
            if pointer > 0 {
                source.skip(u64::from(pointer) + 8).await;
                let bytes = source.u32().await;
                source.skip(bytes.into()).await;
            }
        }
        Length::Chunks => {
            if source.array::<8>().await == [0xff; 8] {
                return;
            }
            loop {
                match source.u32().await {
                    0 => return,
                    bytes => source.skip(bytes.into()).await,
                }
            }
        }
    }
}

/// Something about the connection changed: a transaction began, or ended one way or another.
async fn change(source: &Source) {
    let bytes = source.u16().await;
    if bytes == 0 {
        return;
    }
    let what = source.u8().await;
    source.skip(u64::from(bytes) - 1).await;
    match what {
        8 | 11 => source.lock().learnt.transaction = true,
        9 | 10 | 12 | 17 => source.lock().learnt.transaction = false,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(body: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(body.len() + HEADER).unwrap().to_be_bytes();
        [&[4, 1, high, low, 0, 0, 0, 0], body].concat()
    }

    /// Columns: a fixed money, a nullable smallmoney, an nvarchar(max), an xml, an image; each with the name `a`.
    fn columns() -> Vec<u8> {
        let name = [1, b'a', 0];
        let start = [0, 0, 0, 0, 0, 0];
        let kinds: [&[u8]; 5] = [
            &[MONEY],
            &[MONEY_OR_NULL, 4],
            &[0xe7, 0xff, 0xff, 1, 2, 3, 4, 5],
            &[0xf1, 0],
            &[0x22, 0, 0, 0, 0, 1, 1, 0, b't', 0],
        ];
        let mut all = vec![COLUMNS, 5, 0];
        for kind in kinds {
            all.extend([&start[..], kind, &name].concat());
        }
        all
    }

    fn rows() -> Vec<u8> {
        let chunks = [&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, b'x', 0, 0, 0, 0, 0][..]].concat();
        let money = [1, 0, 0, 0, 2, 0, 0, 0];
        let image = [&[16][..], &[0; 24], &[3, 0, 0, 0, 0x81, 0x81, 0x81]].concat();
        let row = [&[ROW][..], &money, &[4, 9, 0, 0, 0], &chunks, &[0xff; 8], &image].concat();
        let sparse = [&[ROW_WITH_NULLS, 0b11110][..], &money].concat();
        [row, sparse].concat()
    }

    fn stream() -> Vec<u8> {
        let begin = [CHANGE, 11, 0, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1, 0];
        let done = [&[0xfd_u8][..], &[0; 12]].concat();
        let (one, two) = ([&begin[..], &columns(), &rows()].concat(), [&done[..], &columns(), &done].concat());
        [packet(&one), packet(&two)].concat()
    }

    #[test]
    fn money_is_rewritten_wherever_the_stream_is_cut() {
        let whole = stream();
        let mut expected = whole.clone();
        let (fixed, nullable) = (HEADER + 14 + 3 + 6, HEADER + 14 + 3 + 6 + 4 + 6);
        assert_eq!((whole[fixed], whole[nullable]), (MONEY, MONEY_OR_NULL));
        let second =
            packet(&[&[CHANGE, 11, 0, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1, 0][..], &columns(), &rows()].concat()).len();
        for at in [0, second + HEADER + 13 - (HEADER + 14)] {
            expected[at + fixed] = BIGINT;
            expected[at + nullable] = INTEGER_OR_NULL;
        }
        for cut in 0..whole.len() {
            let mut follower = Follower::default();
            follower.source().want_money(true);
            let mut passed = whole.clone();
            let (before, after) = passed.split_at_mut(cut);
            follower.pass(before);
            follower.pass(after);
            assert_eq!(passed, expected, "{cut}");
            let source = follower.source();
            assert!(!source.is_idle(), "a transaction began");
            assert!(!source.lock().learnt.lost);
            for _ in 0..2 {
                let money = [Some(DataType::Money), Some(DataType::Smallmoney), None, None, None];
                assert_eq!(source.next_money(), money);
            }
            assert!(source.next_money().is_empty());
        }
    }

    #[test]
    fn what_is_not_known_passes_as_it_is() {
        let mut follower = Follower::default();
        let garbage = packet(&[0x00, MONEY, 0x81, 1, 2, 3]);
        let mut passed = garbage.clone();
        follower.pass(&mut passed);
        assert_eq!(passed, garbage);
        assert!(!follower.source().is_idle(), "nothing is certain any more");
        let mut again = stream();
        follower.pass(&mut again);
        assert_eq!(again, stream());
    }

    #[test]
    fn a_transaction_ends_one_way_or_another() {
        for end in [9, 10, 12, 17] {
            let mut follower = Follower::default();
            follower.pass(&mut packet(&[CHANGE, 2, 0, 8, 0]));
            assert!(!follower.source().is_idle());
            follower.pass(&mut packet(&[CHANGE, 2, 0, end, 0]));
            assert!(follower.source().is_idle(), "{end}");
        }
    }
}
