//! Sockets on Linux: many messages per system call, trains of datagrams per message (UDP_GRO, UDP_SEGMENT), and the
//! kernel's own receive times.

mod control;
#[expect(unsafe_code, reason = "recvmmsg and sendmmsg with control data have no safe wrapper")]
mod mmsg;
mod name;

use super::Offloads;
use super::train::{NOWHERE, Train};
use mmsg::{MAX_RECEIVED, Message, Received};
use name::Name;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use switchyard_media::Run;

/// Where received messages land, each of which may be a train of datagrams.
pub(crate) struct ReceiveBuffer {
    payloads: Box<[u8]>,
    received: Box<[Received; MAX_RECEIVED]>,
}

/// Asks the kernel for what it can do: receive times and trains (Linux 5.0), and sending trains (4.18).
pub(super) fn prepare(socket: &UdpSocket) -> Offloads {
    let trains = setsockopt(socket, sockopt::UdpGroSegment, &true);
    let times = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
    // 0 is the default and changes nothing; what the kernel does not know it refuses.
    let segmentation = setsockopt(socket, sockopt::UdpGsoSegment, &0);
    for (offload, refused) in [("GRO", trains.err()), ("times", times.err()), ("GSO", segmentation.err())] {
        if let Some(errno) = refused {
            tracing::info!(offload, %errno, "this kernel has no such offload for UDP");
        }
    }
    Offloads { segmentation: segmentation.is_ok() }
}

/// Sends some of the first runs, at least one; how many. An error is the first run's.
pub(super) fn send<'a>(socket: &UdpSocket, runs: impl Iterator<Item = Run<'a>>) -> io::Result<usize> {
    let messages = runs.map(|run| Message {
        name: Name::of(run.tuple.remote),
        bytes: run.bytes,
        // No datagram is longer than 65,507 bytes.
        segment: (run.bytes.len() > run.segment_size).then_some(run.segment_size as u16),
    });
    mmsg::send(socket.as_fd(), messages)
}

impl ReceiveBuffer {
    /// Messages that one [`Self::receive`] takes at most.
    pub(crate) const MESSAGES: usize = MAX_RECEIVED;

    pub(crate) fn new() -> Self {
        Self {
            payloads: vec![0; SLOT * MAX_RECEIVED].into_boxed_slice(),
            received: Box::new(std::array::from_fn(|_| Received::default())),
        }
    }

    /// Takes one batch of what waits at the socket; how many messages.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        mmsg::receive(socket.as_fd(), &mut self.payloads, SLOT, &mut self.received)
    }

    /// The first `messages` messages, in order of arrival.
    pub(crate) fn trains(&mut self, messages: usize) -> impl Iterator<Item = Train<'_>> {
        let slots = self.payloads.chunks_exact_mut(SLOT).zip(self.received.iter());
        slots.take(messages).map(|(slot, received)| {
            let told = received.control.read(received.control_bytes);
            Train {
                remote: received.name.address(received.name_bytes).unwrap_or(NOWHERE),
                bytes: slot.get_mut(..received.bytes).unwrap_or_default(),
                stride: told.stride.unwrap_or(SLOT),
                at: told.at,
            }
        })
    }
}

/// The largest UDP payload or GRO train, plus an odd number of cache lines so that the slots' beginnings, where the
/// headers are, do not compete for the same cache sets.
const SLOT: usize = 65_536 + 19 * 64;
