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
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use switchyard_media::Run;

/// Buffers for received messages, each of which may be a train of datagrams (UDP_GRO).
pub(crate) struct ReceiveBuffer {
    payloads: Box<[u8]>,
    received: Box<[Received; MAX_RECEIVED]>,
}

/// Creates a socket that sends from the address of `receiver`.
///
/// If a task polls a socket, the kernel checks for waiters after every datagram that the socket sent, in case
/// they wait for room in the send buffer. That costs a twentieth of a send, so sending uses a second socket,
/// which no task polls. It is connected to its own address, so that no client's datagram is ever delivered to
/// it. Address reuse is enabled only while it is created, so that no other socket can share the address.
pub(super) fn sender(receiver: &UdpSocket) -> io::Result<UdpSocket> {
    let address = receiver.local_addr()?;
    let twin = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    let receiver = SockRef::from(receiver);
    if address.is_ipv6() {
        twin.set_only_v6(true)?;
    }
    twin.set_nonblocking(true)?;
    twin.set_send_buffer_size(receiver.send_buffer_size()? / 2)?;
    twin.set_recv_buffer_size(0)?;
    receiver.set_reuse_address(true)?;
    twin.set_reuse_address(true)?;
    let bound = twin.bind(&address.into()).and_then(|()| twin.connect(&address.into()));
    receiver.set_reuse_address(false)?;
    twin.set_reuse_address(false)?;
    bound?;
    // Forbid fragmentation: then the kernel need not number the packets. Every path carries at least 1280
    // bytes.
    let (level, name, probe) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    };
    mmsg::set_option(twin.as_fd(), level, name, probe)?;
    Ok(twin.into())
}

/// Enables what the kernel supports: receive timestamps and trains (Linux 5.0), and sending trains (4.18).
pub(super) fn prepare(socket: &UdpSocket) -> Offloads {
    let trains = setsockopt(socket, sockopt::UdpGroSegment, &true);
    let times = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
    // 0 is the default and changes nothing; an error shows that the kernel does not support the option.
    let segmentation = setsockopt(socket, sockopt::UdpGsoSegment, &0);
    for (offload, refused) in [("GRO", trains.err()), ("times", times.err()), ("GSO", segmentation.err())] {
        if let Some(errno) = refused {
            tracing::info!(offload, %errno, "this kernel has no such offload for UDP");
        }
    }
    Offloads { segmentation: segmentation.is_ok() }
}

/// Sends some of the first runs, at least one, and returns how many. An error is about the first run.
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
    /// The largest number of messages per [`Self::receive`].
    pub(crate) const MESSAGES: usize = MAX_RECEIVED;

    pub(crate) fn new() -> Self {
        Self {
            payloads: vec![0; SLOT * MAX_RECEIVED].into_boxed_slice(),
            received: Box::new(std::array::from_fn(|_| Received::default())),
        }
    }

    /// Receives one batch of queued messages and returns how many they are.
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

/// Bytes: the largest UDP payload or GRO train, plus an odd number of cache lines, so that the starts of the
/// slots, which hold the headers, do not compete for the same cache sets.
const SLOT: usize = 65_536 + 19 * 64;
