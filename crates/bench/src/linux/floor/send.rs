//! The cost of sending alone: prepared bytes to many destinations, with each system call.

use crate::linux::cipher::HEADER_LEN;
use crate::linux::cpu::thread_time;
use crate::linux::device::Device;
use crate::linux::options::Matrix;
use crate::linux::samples::Samples;
use crate::linux::sender::Sender;
use crate::linux::stream::Shape;
use crate::linux::table::{Row, Table};
use anyhow::Result;
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::SockRef;
use std::net::{SocketAddr, UdpSocket};

pub(super) fn table(matrix: &Matrix) -> Result<Table> {
    let mut table = Table::new(
        "send",
        "ns per packet to 100 destinations, system calls only; k packets to each in a row",
    );
    for &device in &matrix.devices {
        let destinations = Destinations::bind(device, DESTINATIONS)?;
        for shape in matrix.shapes() {
            table.push(row(&destinations, device, shape, matrix.repetitions)?);
        }
    }
    Ok(table)
}

/// Receivers that never read.
struct Destinations {
    addresses: Vec<SocketAddr>,
    _sockets: Vec<UdpSocket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// One call per packet.
    PerPacket,
    /// Many packets per call.
    ManyPackets,
    /// One call per run of packets.
    PerRun,
    /// Many runs per call.
    ManyRuns,
}

impl Destinations {
    fn bind(device: Device, count: usize) -> Result<Self> {
        let sockets: Vec<UdpSocket> = match device {
            Device::Loopback => (0..count)
                .map(|index| {
                    let socket = UdpSocket::bind((device.subscriber(index), 0))?;
                    SockRef::from(&socket).set_recv_buffer_size(1)?;
                    Ok(socket)
                })
                .collect::<Result<_>>()?,
            Device::Sink => Vec::new(),
        };
        let addresses = match device {
            Device::Loopback => sockets.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?,
            Device::Sink => (0..count).map(|index| (device.subscriber(index), PORT).into()).collect(),
        };
        Ok(Self { addresses, _sockets: sockets })
    }
}

fn row(destinations: &Destinations, device: Device, shape: Shape, repetitions: usize) -> Result<Row> {
    let mut samples = Strategy::ALL.map(|_| Samples::default());
    for repetition in 0..=repetitions {
        for (strategy, samples) in Strategy::ALL.into_iter().zip(&mut samples) {
            let sample = strategy.run(&destinations.addresses, device, shape)?;
            if repetition > 0 {
                samples.add(sample);
            }
        }
    }
    let row =
        Row::default().text("device", device.name()).count("bytes", shape.payload).count("k", shape.burst);
    let row = Strategy::ALL
        .iter()
        .zip(&samples)
        .fold(row, |row, (it, samples)| row.whole(it.name(), samples.median()));
    Ok(row.ratio("spread", samples[Strategy::ALL.len() - 1].spread()))
}

impl Strategy {
    const ALL: [Self; 4] = [Self::PerPacket, Self::ManyPackets, Self::PerRun, Self::ManyRuns];

    fn name(self) -> &'static str {
        match self {
            Self::PerPacket => "sendto",
            Self::ManyPackets => "sendmmsg",
            Self::PerRun => "sendmsg UDP_SEGMENT",
            Self::ManyRuns => "sendmmsg UDP_SEGMENT",
        }
    }

    /// Nanoseconds per packet.
    fn run(self, to: &[SocketAddr], device: Device, shape: Shape) -> Result<f64> {
        let socket = UdpSocket::bind((device.server(), 0))?;
        SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER)?;
        // This forbids fragmentation, so that the kernel need not number the packets.
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let len = shape.payload + OVERHEAD;
        let bytes = vec![0x5a; len * shape.burst * to.len()];
        let mut round = self.round((&socket, &state), to, &bytes, len)?;
        let rounds = (PACKETS / (to.len() * shape.burst)).max(1);
        let start = thread_time();
        (0..rounds).try_for_each(|_| round())?;
        let used = thread_time() - start;
        Ok(used.as_nanos() as f64 / (rounds * to.len() * shape.burst) as f64)
    }

    /// Returns a function that sends `bytes` once: packets of `len` bytes, the same number to each
    /// destination.
    fn round<'a>(
        self,
        (socket, state): (&'a UdpSocket, &'a UdpSocketState),
        to: &'a [SocketAddr],
        bytes: &'a [u8],
        len: usize,
    ) -> Result<Box<dyn FnMut() -> Result<()> + 'a>> {
        let burst = bytes.len() / len / to.len();
        let runs = move || to.iter().zip(bytes.chunks_exact(len * burst));
        let each = || to.iter().flat_map(|&to| std::iter::repeat_n(to, burst)).collect::<Vec<_>>();
        Ok(match self {
            Self::PerPacket => Box::new(move || {
                runs().try_for_each(|(to, run)| {
                    run.chunks_exact(len).try_for_each(|packet| socket.send_to(packet, to).map(drop))
                })?;
                Ok(())
            }),
            Self::ManyPackets => Box::new(many(socket, Sender::new(&each(), len, 1)?, bytes)),
            Self::PerRun => Box::new(move || {
                runs().try_for_each(|(&destination, contents)| {
                    let segment_size = Some(len);
                    let run = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
                    state.try_send(UdpSockRef::from(socket), &run)
                })?;
                Ok(())
            }),
            Self::ManyRuns => Box::new(many(socket, Sender::new(to, len, burst)?, bytes)),
        })
    }
}

fn many<'a>(socket: &'a UdpSocket, mut sender: Sender, bytes: &'a [u8]) -> impl FnMut() -> Result<()> + 'a {
    move || sender.send_all(socket, bytes)
}

/// Packets per repetition, about.
const PACKETS: usize = 20_000;
const DESTINATIONS: usize = 100;
/// Bytes of header, extensions and tag.
const OVERHEAD: usize = HEADER_LEN + 16;
/// Bytes, as in the worker.
const SEND_BUFFER: usize = 4 * 1024 * 1024;
/// No process listens on this port.
const PORT: u16 = 9;
