//! What has come of a response's body by the time its head is taken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::wasi_body::size_hint_after;

/// How many frames are read ahead: that of a small body, and the end.
const FRAMES: usize = 2;

type Item = Result<Frame<Bytes>, Error>;

/// Frames that are read ahead of a body, and whether they are all.
#[derive(Default)]
pub(crate) struct ReadAhead {
    frames: VecDeque<Item>,
    /// Nothing comes after the frames.
    is_whole: bool,
}

impl ReadAhead {
    /// Reads what is there of a body, without waiting. Returns whether that is all.
    pub(super) fn read(&mut self, body: &mut WasiBody, cx: &mut Context<'_>) -> bool {
        while !self.is_whole && self.frames.len() < FRAMES {
            if body.is_end_stream() {
                self.is_whole = true;
                break;
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(item)) => {
                    self.is_whole = item.is_err();
                    self.frames.push_back(item);
                }
                Poll::Ready(None) => self.is_whole = true,
                Poll::Pending => break,
            }
        }
        self.is_whole
    }

    /// The next frame: one that was read ahead, or else of the body itself.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut WasiBody,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Item>> {
        match self.frames.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if self.is_whole => Poll::Ready(None),
            None => Pin::new(body).poll_frame(cx),
        }
    }

    pub(crate) fn is_end_stream(&self, body: &WasiBody) -> bool {
        self.frames.is_empty() && (self.is_whole || body.is_end_stream())
    }

    pub(crate) fn size_hint(&self, body: &WasiBody) -> SizeHint {
        let frames = self.frames.iter().flatten();
        let ahead: u64 = frames.filter_map(|frame| Some(frame.data_ref()?.len() as u64)).sum();
        if self.is_whole {
            return SizeHint::with_exact(ahead);
        }
        size_hint_after(ahead, &body.size_hint())
    }
}
