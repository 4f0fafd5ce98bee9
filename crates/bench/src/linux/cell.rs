//! The floor of a webinar: one publisher's video and audio to 200 receivers that read. The sender has a core
//! of its own, and only seals and sends. A server's cost for the same call is compared with this floor.

use crate::linux::cipher::{Cipher, HEADER_LEN, Profile};
use crate::linux::cpu::{self, thread_time};
use crate::linux::options::Matrix;
use crate::linux::samples::Samples;
use crate::linux::sender::Sender;
use crate::linux::table::{Row, Table};
use anyhow::{Context, Result, anyhow};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use quinn_udp::{UdpSockRef, UdpSocketState};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) fn table(matrix: &Matrix) -> Result<Table> {
    let mut table = Table::new(
        "cell",
        "CPU us per packet of a bare sender: 200 receivers that read on another core, VP8 at 1.5 Mb/s in 1150-byte \
         packets and 30 frames a second, Opus at 50 packets a second, GCM, loopback",
    );
    let mut samples = Way::ALL.map(|_| Samples::default());
    let mut received = Way::ALL.map(|_| 1.0_f64);
    for _ in 0..matrix.repetitions {
        for ((way, samples), received) in Way::ALL.into_iter().zip(&mut samples).zip(&mut received) {
            let (cost, part) = run(way)?;
            samples.add(cost);
            *received = received.min(part);
        }
    }
    for ((way, samples), received) in Way::ALL.into_iter().zip(&samples).zip(received) {
        let row = Row::default().text("sending", way.name()).ratio("CPU/packet", samples.median());
        table.push(row.ratio("spread", samples.spread()).ratio("received", received));
    }
    Ok(table)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Seal one packet, send it, continue with the next.
    OneByOne,
    /// Seal many, then one sendmmsg of UDP_SEGMENT runs.
    Runs,
}

impl Way {
    const ALL: [Self; 2] = [Self::OneByOne, Self::Runs];

    fn name(self) -> &'static str {
        match self {
            Self::OneByOne => "one by one",
            Self::Runs => "runs",
        }
    }
}

/// Microseconds of CPU time per packet, and the share of packets received, 0 to 1.
fn run(way: Way) -> Result<(f64, f64)> {
    let receivers = Receivers::start()?;
    cpu::pin(0)?;
    let mut webinar = Webinar::new(way, receivers.addresses.clone())?;
    let start = thread_time();
    webinar.run()?;
    let used = thread_time() - start;
    cpu::unpin()?;
    let received = receivers.stop()?;
    let sent = webinar.sent as f64;
    Ok((used.as_secs_f64() * 1e6 / sent, received as f64 / sent))
}

/// The sender.
struct Webinar {
    way: Way,
    socket: UdpSocket,
    to: Vec<SocketAddr>,
    ciphers: Vec<Cipher>,
    sealed: Vec<u8>,
    sent: u64,
}

impl Webinar {
    fn new(way: Way, to: Vec<SocketAddr>) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket2::SockRef::from(&socket).set_send_buffer_size(BUFFER)?;
        // This forbids fragmentation, so that the kernel need not number the packets.
        UdpSocketState::new(UdpSockRef::from(&socket))?;
        let ciphers = (0..to.len()).map(|index| Cipher::new(Profile::Gcm, index)).collect::<Result<_>>()?;
        Ok(Self { way, socket, to, ciphers, sealed: vec![0; BUFFER], sent: 0 })
    }

    /// Sends frames and audio packets in real time.
    fn run(&mut self) -> Result<()> {
        let start = Instant::now();
        let (mut frame, mut sound, mut credit) = (0, 0, 0);
        while start.elapsed() < DURATION {
            let (next_frame, next_sound) = (FRAME * frame, SOUND * sound);
            std::thread::sleep(next_frame.min(next_sound).saturating_sub(start.elapsed()));
            if next_frame <= next_sound {
                frame += 1;
                credit += FRAME_BYTES;
                let packets = credit / VIDEO_PAYLOAD;
                credit -= packets * VIDEO_PAYLOAD;
                self.send(VIDEO_PAYLOAD, packets)?;
            } else {
                sound += 1;
                self.send(AUDIO_PAYLOAD, 1)?;
            }
        }
        Ok(())
    }

    /// Sends this many packets to every receiver.
    fn send(&mut self, payload: usize, burst: usize) -> Result<()> {
        let len = HEADER_LEN + payload + Profile::Gcm.tag_len();
        let payload = &PAYLOAD[..payload];
        self.sent += (burst * self.to.len()) as u64;
        match self.way {
            Way::OneByOne => {
                for (to, cipher) in self.to.iter().zip(&mut self.ciphers) {
                    for _ in 0..burst {
                        let packet = &mut self.sealed[..len];
                        cipher.seal(payload, packet);
                        self.socket.send_to(packet, to)?;
                    }
                }
            }
            Way::Runs => {
                let mut sender = Sender::new(&self.to, len, burst)?;
                for first in (0..self.to.len()).step_by(sender.batch()) {
                    let to = first..self.to.len().min(first + sender.batch());
                    let packets = self.sealed.chunks_exact_mut(len * burst);
                    for (cipher, run) in self.ciphers[to.clone()].iter_mut().zip(packets) {
                        run.chunks_exact_mut(len).for_each(|packet| cipher.seal(payload, packet));
                    }
                    sender.send(&self.socket, to, &self.sealed)?;
                }
            }
        }
        Ok(())
    }
}

/// The receivers' sockets, and the thread that reads them.
struct Receivers {
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64>>,
}

impl Receivers {
    /// Starts the thread on the second core.
    fn start() -> Result<Self> {
        let sockets: Vec<UdpSocket> = (0..RECEIVERS)
            .map(|_| {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .collect::<Result<_>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        cpu::pin(1)?;
        let thread = std::thread::spawn(move || read(&sockets, &stopped));
        Ok(Self { addresses, stop, thread })
    }

    /// Stops the thread and returns the number of packets received.
    fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the receiver panicked"))?
    }
}

fn read(sockets: &[UdpSocket], stop: &AtomicBool) -> Result<u64> {
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    for (index, socket) in sockets.iter().enumerate() {
        epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64)).context("epoll")?;
    }
    let mut events = vec![EpollEvent::empty(); sockets.len()];
    let (mut received, mut buffer) = (0, [0; 2_048]);
    while !stop.load(Ordering::Relaxed) {
        let ready = epoll.wait(&mut events, EpollTimeout::from(STOP_CHECK))?;
        for event in &events[..ready] {
            while sockets[event.data() as usize].recv(&mut buffer).is_ok() {
                received += 1;
            }
        }
    }
    Ok(received)
}

const RECEIVERS: usize = 200;
const DURATION: Duration = Duration::from_secs(3);
const FRAME: Duration = Duration::from_nanos(33_333_333);
const SOUND: Duration = Duration::from_millis(20);
/// Bytes per frame at 1.5 Mbit/s and 30 frames per second.
const FRAME_BYTES: usize = 1_500_000 / 8 / 30;
const VIDEO_PAYLOAD: usize = 1_150;
const AUDIO_PAYLOAD: usize = 100;
const PAYLOAD: [u8; VIDEO_PAYLOAD] = [0x5a; VIDEO_PAYLOAD];
/// Bytes.
const BUFFER: usize = 1024 * 1024;
/// Milliseconds.
const STOP_CHECK: u8 = 100;
