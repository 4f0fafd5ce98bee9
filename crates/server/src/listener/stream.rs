use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use switchyard_call_control::carriers::http::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::pace::Pace;
use super::places::Place;

/// A connection's bytes, counted. It lives on in a WebSocket, and ends when the [`Connection`] is closed.
pub(super) struct Stream<S> {
    inner: S,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    connection: Connection,
    pace: Arc<Pace>,
    /// Free again when the stream is dropped.
    _place: Place,
}

impl<S> Stream<S> {
    pub(super) fn new(inner: S, connection: Connection, pace: Arc<Pace>, place: Place) -> Self {
        let closed = Box::pin(connection.closed().clone().cancelled_owned());
        Self { inner, closed, connection, pace, _place: place }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(closed()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        if read > 0 {
            self.pace.read();
        }
        if self.connection.spend(read) { Poll::Ready(Ok(())) } else { Poll::Ready(Err(closed())) }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.pace.wrote(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.pace.wrote(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
