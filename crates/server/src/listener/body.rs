//! Bodies that tell the connection's [`Pace`] where the request is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use super::pace::{Pace, Step};

/// A request's body. The step ends when the body is read to its end, or dropped.
pub(super) struct RequestBody<B> {
    inner: B,
    pace: Arc<Pace>,
}

/// A response's body. The connection is idle when it is sent, or dropped.
pub(super) struct ResponseBody<B> {
    inner: B,
    pace: Arc<Pace>,
}

impl<B: Body> RequestBody<B> {
    pub(super) fn new(inner: B, pace: Arc<Pace>) -> Self {
        pace.enter(if inner.is_end_stream() { Step::Answer } else { Step::Body });
        Self { inner, pace }
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }
}

impl<B: Body + Unpin> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || self.inner.is_end_stream() {
            self.pace.body_read();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for RequestBody<B> {
    fn drop(&mut self) {
        self.pace.body_read();
    }
}

impl<B> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        self.pace.enter(Step::Idle);
    }
}
