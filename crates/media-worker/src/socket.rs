//! One UDP socket of a worker: batched receive with GRO, segmented send with GSO.

use crate::counters::ShellCounters;
use nix::errno::Errno;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::{info, warn};

pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// Where received datagrams land: one slot per message of a `recvmmsg`, each of which may be a train of datagrams.
pub(crate) struct ReceiveBuffer {
    bytes: Box<[u8]>,
    meta: [RecvMeta; BATCH_SIZE],
}

/// Opens a socket on exactly this address (IPv6 sockets take no IPv4) with buffers for a burst.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel clamps to net.core.{r,w}mem_max without an error.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    let socket = std::net::UdpSocket::from(socket);
    report_buffers(&socket)?;
    Ok(socket)
}

impl Socket {
    /// Hands a bound socket to the runtime it is called in.
    pub(crate) fn register(socket: std::net::UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self { io: UdpSocket::from_std(socket)?, state, local })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_recv_ready(context)
    }

    /// Fills the buffer with one batch; 0 messages when nothing waits.
    pub(crate) fn receive(&self, buffer: &mut ReceiveBuffer) -> io::Result<usize> {
        let received = self.io.try_io(Interest::READABLE, || {
            let mut slots = buffer.bytes.chunks_exact_mut(SLOT);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
            self.state.recv(UdpSockRef::from(&self.io), &mut slices, &mut buffer.meta)
        });
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            received => received,
        }
    }

    /// Sends `bytes`, cut into datagrams of `segment_size`; what the kernel does not take is dropped and counted.
    pub(crate) fn send(
        &self,
        remote: SocketAddr,
        bytes: &[u8],
        segment_size: usize,
        counters: &mut ShellCounters,
    ) {
        let segments = bytes.len().div_ceil(segment_size.max(1)) as u64;
        if segments > 1 && self.state.max_gso_segments() == 1 {
            return self.send_one_by_one(remote, bytes, segment_size, counters);
        }
        match self.try_send(remote, bytes, segment_size) {
            Ok(()) => counters.datagrams_sent += segments,
            // The interface cannot segment, which shows only here.
            Err(error) if segments > 1 && is_segmentation_refused(&error) => {
                self.send_one_by_one(remote, bytes, segment_size, counters);
            }
            Err(error) => *drop_counter(&error, counters) += segments,
        }
    }

    fn send_one_by_one(&self, remote: SocketAddr, bytes: &[u8], size: usize, counters: &mut ShellCounters) {
        for datagram in bytes.chunks(size) {
            match self.try_send(remote, datagram, size) {
                Ok(()) => counters.datagrams_sent += 1,
                Err(error) => *drop_counter(&error, counters) += 1,
            }
        }
    }

    fn try_send(&self, destination: SocketAddr, contents: &[u8], segment_size: usize) -> io::Result<()> {
        let transmit =
            Transmit { destination, ecn: None, contents, segment_size: Some(segment_size), src_ip: None };
        self.state.try_send(UdpSockRef::from(&self.io), &transmit)
    }
}

impl ReceiveBuffer {
    pub(crate) fn new() -> Self {
        let bytes = vec![0; SLOT * BATCH_SIZE].into_boxed_slice();
        Self { bytes, meta: [RecvMeta::default(); BATCH_SIZE] }
    }

    /// The datagrams of the first `messages` messages, with their senders, in order of arrival.
    pub(crate) fn datagrams(&mut self, messages: usize) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        self.bytes.chunks_exact_mut(SLOT).zip(&self.meta).take(messages).flat_map(|(slot, meta)| {
            let train = slot.get_mut(..meta.len).unwrap_or_default();
            train.chunks_mut(meta.stride.max(1)).map(|datagram| (meta.addr, datagram))
        })
    }

    /// How many of the first `messages` messages were empty datagrams.
    pub(crate) fn empty(&self, messages: usize) -> u64 {
        self.meta.iter().take(messages).filter(|meta| meta.len == 0).count() as u64
    }
}

fn drop_counter<'a>(error: &io::Error, counters: &'a mut ShellCounters) -> &'a mut u64 {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => &mut counters.send_buffer_full,
        Some(Errno::ENOBUFS) => &mut counters.send_queue_full,
        Some(_) | None => &mut counters.send_refused,
    }
}

fn is_segmentation_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE))
}

fn report_buffers(socket: &std::net::UdpSocket) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    // Linux answers with twice what it grants, for its own bookkeeping (socket(7)).
    let (receive, send) = (socket.recv_buffer_size()? / 2, socket.send_buffer_size()? / 2);
    if receive < SOCKET_BUFFER || send < SOCKET_BUFFER {
        let wanted = SOCKET_BUFFER;
        warn!(
            receive,
            send, wanted, "socket buffers are small; raise net.core.rmem_max and wmem_max against loss"
        );
    } else {
        info!(receive, send, "socket buffers");
    }
    Ok(())
}

/// Bytes; some 30 ms of a gigabit.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// The largest UDP payload or GRO train, plus an odd number of cache lines so that the slots' beginnings, where the
/// headers are, do not compete for the same cache sets.
const SLOT: usize = 65_536 + 19 * 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test]
    async fn a_segmented_send_arrives_as_single_datagrams_in_order() {
        let (sender, receiver) = (loopback(), loopback());
        let mut counters = ShellCounters::default();
        let bytes: Vec<u8> = (0..250).collect();
        sender.send(receiver.local(), &bytes, 100, &mut counters);
        assert_eq!(counters.datagrams_sent, 3);
        assert_eq!(receive_bytes(&receiver, 3).await, [&bytes[..100], &bytes[100..200], &bytes[200..]]);
    }

    #[tokio::test]
    async fn without_segmentation_offload_the_same_datagrams_leave_one_by_one() {
        let (sender, receiver) = (loopback(), loopback());
        let mut counters = ShellCounters::default();
        sender.send_one_by_one(receiver.local(), &[7; 250], 100, &mut counters);
        let lengths: Vec<usize> = receive_bytes(&receiver, 3).await.iter().map(Vec::len).collect();
        assert_eq!((counters.datagrams_sent, lengths), (3, vec![100, 100, 50]));
    }

    #[tokio::test]
    async fn what_the_kernel_refuses_is_counted_per_datagram() {
        let sender = loopback();
        let mut counters = ShellCounters::default();
        sender.send((Ipv4Addr::LOCALHOST, 9).into(), &vec![0; 65_530], 65_530, &mut counters);
        assert_eq!(counters, ShellCounters { send_refused: 1, ..ShellCounters::default() });
    }

    #[tokio::test]
    async fn an_ipv6_socket_takes_no_ipv4() {
        let Ok(v6) = bind("[::]:0".parse().unwrap()) else { return };
        let port = v6.local_addr().unwrap().port();
        assert!(bind((Ipv4Addr::UNSPECIFIED, port).into()).is_ok());
    }

    #[test]
    fn an_empty_datagram_is_no_datagram_to_the_sfu() {
        let mut buffer = ReceiveBuffer::new();
        assert_eq!(buffer.datagrams(2).count(), 0);
        assert_eq!(buffer.empty(2), 2);
    }

    fn loopback() -> Socket {
        Socket::register(bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()).unwrap()
    }

    async fn receive_bytes(socket: &Socket, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = ReceiveBuffer::new();
        let mut datagrams = Vec::new();
        while datagrams.len() < count {
            std::future::poll_fn(|context| socket.poll_readable(context)).await.unwrap();
            let messages = socket.receive(&mut buffer).unwrap();
            datagrams.extend(buffer.datagrams(messages).map(|(_, datagram)| datagram.to_vec()));
        }
        datagrams
    }
}
