//! Receives with the fewest system calls: recvmmsg with GRO, each message a train of datagrams.

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;

pub(crate) struct ReceiveBuffer {
    bytes: Vec<u8>,
    meta: [RecvMeta; BATCH_SIZE],
}

impl ReceiveBuffer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; SLOT * BATCH_SIZE], meta: [RecvMeta::default(); BATCH_SIZE] }
    }

    /// Returns the number of messages; [`io::ErrorKind::WouldBlock`] if none is queued.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, state: &UdpSocketState) -> io::Result<usize> {
        let mut slots = self.bytes.chunks_exact_mut(SLOT);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        state.recv(UdpSockRef::from(socket), &mut slices, &mut self.meta)
    }

    /// The first `messages` messages, each the bytes of one datagram or several of equal size.
    pub(crate) fn trains(&mut self, messages: usize) -> impl Iterator<Item = &mut [u8]> {
        let slots = self.bytes.chunks_exact_mut(SLOT).zip(&self.meta).take(messages);
        slots.map(|(slot, meta)| slot.get_mut(..meta.len).unwrap_or_default())
    }
}

/// Bytes, as in the worker: the largest train, and some cache lines so that slots do not compete for the same
/// cache sets.
const SLOT: usize = 65_536 + 19 * 64;
