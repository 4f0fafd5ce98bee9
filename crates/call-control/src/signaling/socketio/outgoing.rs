//! Events on their way to one socket.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::disconnect;
use crate::signaling::hub::{Closing, Frame, Outlet, SlowSocket};

/// Where the hub puts a socket's events, and where its task takes them from.
pub(super) fn queue(socket: SocketRef) -> (SocketOutlet, Outgoing) {
    let (sender, waiting) = mpsc::channel(MAX_WAITING);
    (SocketOutlet { socket: socket.clone(), waiting: sender }, Outgoing { socket, waiting, next: None })
}

pub(super) struct SocketOutlet {
    socket: SocketRef,
    waiting: mpsc::Sender<Frame>,
}

impl Outlet for SocketOutlet {
    fn send(&self, frame: &Frame) -> Result<(), SlowSocket> {
        match self.waiting.try_send(frame.clone()) {
            // A socket that has just gone needs no closing: its disconnect is on the way.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SlowSocket),
        }
    }

    fn close(&self, _why: Closing) {
        tokio::spawn(disconnect(self.socket.clone()));
    }
}

/// The events that wait, all readers sharing the bytes of each. The library's queue behind it holds a copy for each
/// reader, so it is kept short: a call of hundreds would not fit it hundreds of times.
pub(super) struct Outgoing {
    socket: SocketRef,
    waiting: mpsc::Receiver<Frame>,
    /// Found no room in the library's queue.
    next: Option<Frame>,
}

impl Outgoing {
    /// Hands on events while something else is done, and then those told before it was done: an answer must not
    /// overtake an event.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let done = tokio::select! {
            biased;
            done = work => done,
            never = self.flow() => match never {},
        };
        loop {
            self.write_next().await;
            match self.waiting.try_recv() {
                Ok(frame) => self.next = Some(frame),
                Err(_) => return done,
            }
        }
    }

    /// Hands on one event after another. Can be cancelled without losing any.
    pub(super) async fn flow(&mut self) -> Infallible {
        loop {
            self.write_next().await;
            match self.waiting.recv().await {
                Some(frame) => self.next = Some(frame),
                // The hub has let go of the socket, whose end is on the way.
                None => pending().await,
            }
        }
    }

    async fn write_next(&mut self) {
        if let Some(frame) = &self.next {
            once_there_is_room(|| self.socket.emit(frame.name, &frame.data)).await;
            self.next = None;
        }
    }
}

/// Sends a packet once the library's queue has room for it; to a socket that has gone there is nothing to send.
pub(super) async fn once_there_is_room(mut send: impl FnMut() -> Result<(), SendError>) {
    let mut wait = FIRST_WAIT;
    // The library does not tell when there is room.
    while let Err(SendError::Socket(SocketError::InternalChannelFull)) = send() {
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Events that wait for one socket; one that lets more pile up is closed.
const MAX_WAITING: usize = 4096;
/// Packets in the library's queue. It is emptied into the connection at every chance, so only a reader that falls
/// behind lets it fill. One that leaves no room for a ping is taken for dead.
pub(super) const MAX_WRITTEN: usize = 128;
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(50);
