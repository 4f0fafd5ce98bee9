use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use switchyard_call_control::carriers::http::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::pace::Pace;
use super::places::Place;

/// A connection's bytes, counted. It lives on in a WebSocket. It ends when the [`Connection`] is closed, and when the
/// client takes nothing of what is written for [`STALL`].
pub(super) struct Stream<S> {
    inner: S,
    /// One for each direction: two tasks may wait, one of them to read and the other to write.
    closed_to_reader: Closed,
    closed_to_writer: Closed,
    /// Runs while the client takes nothing of what is written.
    stall: Option<Pin<Box<Sleep>>>,
    connection: Connection,
    pace: Arc<Pace>,
    /// Free again when the stream is dropped.
    _place: Place,
}

type Closed = Pin<Box<WaitForCancellationFutureOwned>>;

impl<S> Stream<S> {
    pub(super) fn new(inner: S, connection: Connection, pace: Arc<Pace>, place: Place) -> Self {
        let closed = || Box::pin(connection.closed().clone().cancelled_owned());
        let (closed_to_reader, closed_to_writer) = (closed(), closed());
        Self { inner, closed_to_reader, closed_to_writer, stall: None, connection, pace, _place: place }
    }

    /// Called when nothing could be written: an error once the connection is closed, or has stalled for too long.
    fn wait_to_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.closed_to_writer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(closed()));
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
        stall.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn conclude(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            return self.wait_to_write(context);
        }
        self.stall = None;
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed_to_reader.as_mut().poll(context).is_ready() {
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
        self.conclude(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.conclude(written, context)
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

/// How long a client may take nothing of what is written: about as long as an unanswered heartbeat keeps a socket.
pub(super) const STALL: Duration = Duration::from_secs(20);
