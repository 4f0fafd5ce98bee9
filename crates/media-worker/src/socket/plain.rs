//! Sockets on systems where one call moves one datagram.

use super::Offloads;
use super::train::Train;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use switchyard_media::Run;

/// The buffer for a received datagram.
pub(crate) struct ReceiveBuffer {
    bytes: Box<[u8]>,
    received: Option<(usize, SocketAddr)>,
}

pub(super) fn prepare(_: &UdpSocket) -> Offloads {
    Offloads { segmentation: false }
}

/// Duplicates the socket: sending uses the same one.
pub(super) fn sender(receiver: &UdpSocket) -> io::Result<UdpSocket> {
    receiver.try_clone()
}

/// Sends the first run, which must be a single datagram.
pub(super) fn send<'a>(socket: &UdpSocket, mut runs: impl Iterator<Item = Run<'a>>) -> io::Result<usize> {
    let Some(run) = runs.next() else { return Ok(0) };
    socket.send_to(run.bytes, run.tuple.remote).map(|_| 1)
}

impl ReceiveBuffer {
    /// The largest number of messages per [`Self::receive`].
    pub(crate) const MESSAGES: usize = 1;

    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; MAX_DATAGRAM].into_boxed_slice(), received: None }
    }

    /// Receives a datagram, if one is queued at the socket.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.received = Some(socket.recv_from(&mut self.bytes)?);
        Ok(1)
    }

    /// The first `messages` messages.
    pub(crate) fn trains(&mut self, messages: usize) -> impl Iterator<Item = Train<'_>> {
        let Self { bytes, received } = self;
        let train = received.map(|(len, remote)| {
            let bytes = bytes.get_mut(..len).unwrap_or_default();
            Train { remote, bytes, stride: MAX_DATAGRAM, at: None }
        });
        train.into_iter().take(messages)
    }
}

const MAX_DATAGRAM: usize = 65_536;
