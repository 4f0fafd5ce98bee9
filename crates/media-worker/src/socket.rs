//! One UDP socket of a worker: batched receive and segmented send, as far as the kernel supports them.

mod delivery;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
mod plain;
mod train;

use crate::counters::ShellCounters;
pub(crate) use delivery::Refused;
use delivery::deliver;
#[cfg(target_os = "linux")]
use linux as kernel;
#[cfg(not(target_os = "linux"))]
use plain as kernel;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll};
use switchyard_media::Run;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::{info, warn};

pub(crate) use kernel::ReceiveBuffer;
pub(crate) use train::Clocks;

pub(crate) struct Socket {
    /// Polled for readability only: polling for room in the send buffer would cause a wake-up for every
    /// datagram sent.
    io: AsyncFd<UdpSocket>,
    out: UdpSocket,
    local: SocketAddr,
    offloads: Offloads,
}

/// The kernel's offloads for several datagrams in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offloads {
    /// The kernel segments a message into datagrams (UDP_SEGMENT).
    segmentation: bool,
}

/// Opens a socket on exactly this address (IPv6 sockets receive no IPv4), with buffers large enough for a
/// burst.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel clamps to net.core.{r,w}mem_max without an error.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    report_buffers(&socket)?;
    Ok(socket)
}

impl Socket {
    /// Registers a bound socket with the current async runtime.
    #[expect(
        deprecated,
        reason = "it asks for the same descriptor always, which a socket of std has and owns"
    )]
    pub(crate) fn register(socket: UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let offloads = kernel::prepare(&socket);
        let out = kernel::sender(&socket)?;
        Ok(Self { io: AsyncFd::with_interest(socket, Interest::READABLE)?, out, local, offloads })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_read_ready(context).map_ok(drop)
    }

    /// Fills the buffer with one batch and returns the number of messages, 0 if none is queued.
    pub(crate) fn receive(&self, buffer: &mut ReceiveBuffer) -> io::Result<usize> {
        let mut messages = 0;
        let outcome = self.io.try_io(Interest::READABLE, |socket| {
            messages = buffer.receive(socket)?;
            // A batch that is not full has emptied the socket, so the runtime can wait for the next datagram.
            if messages < ReceiveBuffer::MESSAGES { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(messages),
        }
    }

    /// Sends runs of datagrams. Datagrams that the kernel refuses are dropped, counted and told of.
    pub(crate) fn send<'a>(
        &mut self,
        runs: impl Iterator<Item = Run<'a>> + Clone,
        counters: &mut ShellCounters,
        refused: Refused<'_>,
    ) {
        let out = &self.out;
        deliver(runs, &mut self.offloads, counters, &mut |runs| kernel::send(out, runs), refused);
    }
}

fn report_buffers(socket: &UdpSocket) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    // Linux returns twice the granted size, because it includes its own bookkeeping (socket(7)).
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

/// Bytes: about 30 ms at 1 Gbit/s.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::train::Train;
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::{Duration, SystemTime};
    use switchyard_media::{Protocol, Tuple};

    #[tokio::test]
    async fn runs_of_any_size_arrive_as_single_datagrams_in_order() {
        for ip in loopback_addresses() {
            let (mut sender, receiver) = (socket(ip), socket(ip));
            let bytes: Vec<u8> = (0..60_000u32).map(|index| (index * 7 / 3) as u8).collect();
            let mut counters = ShellCounters::default();
            let cuts = [(250, 100), (1, 1), (1_200, 1_200), (2, 1), (59_001, 1_000), (64, 1), (65, 64)];
            let runs = cuts.map(|(len, segment_size)| run(&receiver, &bytes[..len], segment_size));
            sender.send(runs.into_iter(), &mut counters, &mut |_| ());
            let expected: Vec<&[u8]> =
                cuts.iter().flat_map(|&(len, size)| bytes[..len].chunks(size)).collect();
            assert_eq!((counters.send_calls, counters.runs_sent), (1, cuts.len() as u64));
            assert_eq!(counters.datagrams_sent, expected.len() as u64);
            assert_eq!(received(&receiver, expected.len()).await, expected);
        }
    }

    #[tokio::test]
    async fn more_runs_than_one_call_takes_leave_all_the_same() {
        let (mut sender, receiver) = (socket(Ipv4Addr::LOCALHOST.into()), socket(Ipv4Addr::LOCALHOST.into()));
        let bytes: Vec<u8> = (0..=255).collect();
        let mut counters = ShellCounters::default();
        let runs = (0..200).map(|index| run(&receiver, &bytes[index..=index], 1));
        sender.send(runs, &mut counters, &mut |_| ());
        assert_eq!((counters.send_calls, counters.datagrams_sent), (4, 200));
        assert_eq!(received(&receiver, 200).await.concat(), bytes[..200]);
    }

    #[tokio::test]
    async fn what_the_kernel_refuses_is_counted_and_what_follows_it_still_leaves() {
        let (mut sender, receiver) = (socket(Ipv4Addr::LOCALHOST.into()), socket(Ipv4Addr::LOCALHOST.into()));
        let (small, too_long) = ([7; 10], vec![0; 65_530]);
        let mut counters = ShellCounters::default();
        let runs = [
            run(&receiver, &small, 10),
            run(&receiver, &too_long, 65_530),
            run(&receiver, &too_long, 30_000),
            run(&receiver, &small, 4),
        ];
        sender.send(runs.into_iter(), &mut counters, &mut |_| ());
        assert_eq!((counters.send_refused, counters.datagrams_sent), (1, 1 + 3 + 3));
        let lengths: Vec<usize> = received(&receiver, 7).await.iter().map(Vec::len).collect();
        assert_eq!(lengths, [10, 30_000, 30_000, 5_530, 4, 4, 2]);
    }

    #[tokio::test]
    async fn without_segmentation_offload_the_same_datagrams_leave_one_by_one() {
        let (mut sender, receiver) = (socket(Ipv4Addr::LOCALHOST.into()), socket(Ipv4Addr::LOCALHOST.into()));
        sender.offloads.segmentation = false;
        let mut counters = ShellCounters::default();
        sender.send([run(&receiver, &[7; 250], 100)].into_iter(), &mut counters, &mut |_| ());
        let lengths: Vec<usize> = received(&receiver, 3).await.iter().map(Vec::len).collect();
        assert_eq!((counters.datagrams_sent, lengths), (3, vec![100, 100, 50]));
    }

    #[tokio::test]
    async fn datagrams_bring_their_sender_and_when_the_kernel_got_them() {
        for ip in loopback_addresses() {
            let (mut sender, receiver) = (socket(ip), socket(ip));
            let before = SystemTime::now();
            let sent_run = [run(&receiver, &[7; 30], 10)].into_iter();
            sender.send(sent_run, &mut ShellCounters::default(), &mut |_| ());
            let sent = SystemTime::now();
            readable(&receiver).await;
            let mut buffer = ReceiveBuffer::new();
            let messages = receiver.receive(&mut buffer).unwrap();
            for train in buffer.trains(messages) {
                assert_eq!(train.remote, sender.local());
                if cfg!(target_os = "linux") {
                    let at = train.at.unwrap();
                    // The kernel's timestamp and ours are from the same clock, which may be adjusted a little
                    // in between.
                    let slack = Duration::from_millis(50);
                    assert!(before - slack <= at && at <= sent + slack);
                }
            }
            assert_eq!(receiver.receive(&mut buffer).unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_emptied_tells_of_the_next_datagram() {
        let (mut sender, receiver) = (socket(Ipv4Addr::LOCALHOST.into()), socket(Ipv4Addr::LOCALHOST.into()));
        for count in [1, 5, 3 * ReceiveBuffer::MESSAGES, 1] {
            let runs = (0..count).map(|_| run(&receiver, &[1, 2, 3], 3));
            sender.send(runs, &mut ShellCounters::default(), &mut |_| ());
            assert_eq!(received(&receiver, count).await.len(), count);
        }
    }

    #[tokio::test]
    async fn an_empty_datagram_is_a_message_too() {
        let receiver = socket(Ipv4Addr::LOCALHOST.into());
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], receiver.local()).unwrap();
        readable(&receiver).await;
        let mut buffer = ReceiveBuffer::new();
        let messages = receiver.receive(&mut buffer).unwrap();
        assert_eq!(
            buffer.trains(messages).map(|train| (train.len(), train.bytes.len())).collect::<Vec<_>>(),
            [(1, 0)]
        );
    }

    #[test]
    fn one_datagram_per_call_does_as_well() {
        for ip in loopback_addresses() {
            let [sender, receiver] = [(); 2].map(|()| UdpSocket::bind((ip, 0)).unwrap());
            let mut offloads = plain::prepare(&sender);
            let sender = plain::sender(&sender).unwrap();
            let (to, mut counters) = (receiver.local_addr().unwrap(), ShellCounters::default());
            let runs = [(250, 100), (1, 1)].map(|(len, size)| run_to(to, &[9; 250][..len], size));
            let mut send = |runs: &mut dyn Iterator<Item = Run<'_>>| plain::send(&sender, runs);
            deliver(runs.into_iter(), &mut offloads, &mut counters, &mut send, &mut |_| ());
            assert_eq!((counters.send_calls, counters.datagrams_sent), (4, 4));
            let mut buffer = plain::ReceiveBuffer::new();
            for len in [100, 100, 50, 1] {
                let messages = buffer.receive(&receiver).unwrap();
                assert_eq!(messages, plain::ReceiveBuffer::MESSAGES);
                let trains =
                    buffer.trains(messages).map(|train| (train.remote, train.len(), train.bytes.len()));
                assert_eq!(trains.collect::<Vec<_>>(), [(sender.local_addr().unwrap(), 1, len)]);
            }
        }
    }

    #[tokio::test]
    async fn an_ipv6_socket_takes_no_ipv4() {
        let Ok(v6) = bind("[::]:0".parse().unwrap()) else { return };
        let port = v6.local_addr().unwrap().port();
        assert!(bind((Ipv4Addr::UNSPECIFIED, port).into()).is_ok());
    }

    #[tokio::test]
    async fn nobody_else_can_bind_the_address_and_what_comes_is_ours_to_read() {
        for ip in loopback_addresses() {
            let (mut sender, receiver) = (socket(ip), socket(ip));
            let thief = RawSocket::new(Domain::for_address(receiver.local()), Type::DGRAM, None).unwrap();
            thief.set_reuse_address(true).unwrap();
            assert!(thief.bind(&receiver.local().into()).is_err());
            let runs = (0..100).map(|_| run(&receiver, &[1, 2, 3], 3));
            sender.send(runs, &mut ShellCounters::default(), &mut |_| ());
            assert_eq!(received(&receiver, 100).await.len(), 100);
        }
    }

    fn socket(ip: IpAddr) -> Socket {
        Socket::register(bind((ip, 0).into()).unwrap()).unwrap()
    }

    fn loopback_addresses() -> Vec<IpAddr> {
        let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        addresses.into_iter().filter(|&ip| UdpSocket::bind((ip, 0)).is_ok()).collect()
    }

    fn run<'a>(to: &Socket, bytes: &'a [u8], segment_size: usize) -> Run<'a> {
        run_to(to.local(), bytes, segment_size)
    }

    fn run_to(remote: SocketAddr, bytes: &[u8], segment_size: usize) -> Run<'_> {
        let tuple = Tuple { protocol: Protocol::Udp, local: remote, remote };
        Run { tuple, segment_size, bytes }
    }

    async fn readable(socket: &Socket) {
        std::future::poll_fn(|context| socket.poll_readable(context)).await.unwrap();
    }

    async fn received(socket: &Socket, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = ReceiveBuffer::new();
        let mut datagrams = Vec::new();
        while datagrams.len() < count {
            readable(socket).await;
            let messages = socket.receive(&mut buffer).unwrap();
            datagrams.extend(buffer.trains(messages).flat_map(Train::datagrams).map(|bytes| bytes.to_vec()));
        }
        datagrams
    }
}
