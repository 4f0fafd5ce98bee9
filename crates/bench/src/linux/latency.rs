//! How long a packet stays in the server, by the kernel's receive timestamps, compared with a thread that
//! only sends packets on.

use crate::linux::call::{Call, Plan};
use crate::linux::cipher::Profile;
use crate::linux::cpu::{self, Thread};
use crate::linux::device::Device;
use crate::linux::driver::Driver;
use crate::linux::samples::Samples;
use crate::linux::stream::Shape;
use crate::linux::table::{Row, Table};
use anyhow::{Context, Result, anyhow};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use quinn_udp::{UdpSockRef, UdpSocketState};
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) fn table() -> Result<Table> {
    let mut table = Table::new(
        "latency",
        "us from the publisher's send to a subscriber's kernel, 30 bursts a second on loopback; bound: 1.2 x (k x N x \
         CPU per packet) + the reflector's p99",
    );
    for subscribers in [10, 100, 200] {
        let profile = Profile::Gcm;
        let plan = Plan { device: Device::Loopback, profile, subscribers, workers: 1, readers: true };
        let mut call = Call::open(plan)?;
        table.push(row(&mut call)?);
        call.close();
    }
    Ok(table)
}

fn row(call: &mut Call) -> Result<Row> {
    let reflector = Reflector::start()?;
    call.keep_alive()?;
    let bursts = call.publish(SHAPE, BURSTS)?;
    let mut subscribers =
        call.subscribers.iter().map(|link| Arrivals::at(&link.socket)).collect::<Result<Vec<_>>>()?;
    let mut thrown_back = [Arrivals::at(&reflector.receiver)?];
    let (from, server) = (&call.publisher.socket, call.publisher.server);
    let driver = |to| Driver { from, to, witness: call.witness(), burst: SHAPE.burst };
    let (to_server, to_reflector) = (driver(server), driver(reflector.address));
    let state = UdpSocketState::new(UdpSockRef::from(from))?;
    let before = call.totals();
    let (spent, departures) = Thread::spend(&call.threads, || {
        let mut departures = Vec::with_capacity(bursts.len());
        for burst in &bursts {
            let server = to_server.depart(&state, burst)?;
            collect(&mut subscribers)?;
            let reflector = to_reflector.depart(&state, burst)?;
            collect(&mut thrown_back)?;
            departures.push((server, reflector));
        }
        std::thread::sleep(INTERVAL);
        collect(&mut subscribers)?;
        collect(&mut thrown_back)?;
        Ok(departures)
    })?;
    let done = call.totals().since(&before);
    let (to_server, to_reflector): (Vec<_>, Vec<_>) = departures.into_iter().unzip();
    let latency = delays(&subscribers, &to_server);
    let reflected = delays(&thrown_back, &to_reflector);
    let subscribers = subscribers.len();
    reflector.stop()?;
    let time: Duration = spent.iter().map(|spent| spent.time).sum();
    let cost = microseconds(time) / done.packets() as f64;
    let work = (SHAPE.burst * subscribers) as f64 * cost;
    let bound = 1.2 * work + reflected.quantile(0.99);
    Ok(Row::default()
        .count("N", subscribers)
        .count("k", SHAPE.burst)
        .ratio("CPU/packet", cost)
        .whole("k x N x CPU", work)
        .whole("p50", latency.median())
        .whole("p99", latency.quantile(0.99))
        .whole("max", latency.quantile(1.0))
        .whole("reflector p50", reflected.median())
        .whole("reflector p99", reflected.quantile(0.99))
        .whole("bound", bound)
        .ratio("p99/bound", latency.quantile(0.99) / bound)
        .count("dropped", done.dropped)
        .count("missing", subscribers * SHAPE.burst * bursts.len() - latency.len()))
}

/// The packets that reached one socket, with their times.
struct Arrivals<'a> {
    socket: &'a UdpSocket,
    /// Sequence numbers, which identify a packet's burst, and arrival times.
    packets: Vec<(u16, TimeSpec)>,
}

impl<'a> Arrivals<'a> {
    /// Enables the kernel's receive timestamps.
    fn at(socket: &'a UdpSocket) -> Result<Self> {
        setsockopt(socket, sockopt::ReceiveTimestampns, &true).context("asking for receive times")?;
        Ok(Self { socket, packets: Vec::with_capacity(BURSTS * SHAPE.burst) })
    }

    /// Reads all queued packets.
    fn read(&mut self) -> Result<()> {
        let (mut buffer, mut control) = ([0; 2_048], nix::cmsg_space!(TimeSpec));
        loop {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<()>(self.socket.as_raw_fd(), &mut slices, Some(&mut control), flags);
            let Ok(message) = message else { return Ok(()) };
            // The timestamp is the only control message that was enabled.
            let time = message.cmsgs()?.next().and_then(|it| {
                if let ControlMessageOwned::ScmTimestampns(time) = it { Some(time) } else { None }
            });
            // Keeps RTP, not RTCP or STUN (RFC 7983, RFC 5761 §4).
            if (128..192).contains(&buffer[0]) && !(192..224).contains(&buffer[1]) {
                let sequence = u16::from_be_bytes([buffer[2], buffer[3]]);
                self.packets.push((sequence, time.context("a packet without a receive time")?));
            }
        }
    }
}

/// Reads the sockets for half a frame's time.
fn collect(sockets: &mut [Arrivals<'_>]) -> Result<()> {
    let until = Instant::now() + INTERVAL / 2;
    while Instant::now() < until {
        sockets.iter_mut().try_for_each(Arrivals::read)?;
        std::thread::sleep(INTERVAL / 20);
    }
    Ok(())
}

/// Microseconds from each burst's departure to the arrival of each of its packets.
fn delays(sockets: &[Arrivals<'_>], departures: &[TimeSpec]) -> Samples {
    let mut delays = Samples::default();
    for Arrivals { packets, .. } in sockets {
        let Some(&(first, _)) = packets.first() else { continue };
        for &(sequence, arrival) in packets {
            let burst = usize::from(sequence.wrapping_sub(first)) / SHAPE.burst;
            if let Some(&departure) = departures.get(burst) {
                delays.add(microseconds(Duration::from(arrival - departure)));
            }
        }
    }
    delays
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

impl Driver<'_> {
    /// Sends a burst and returns the time.
    fn depart(&self, state: &UdpSocketState, burst: &[u8]) -> Result<TimeSpec> {
        let now = clock_gettime(ClockId::CLOCK_REALTIME)?;
        self.send(state, burst)?;
        Ok(now)
    }
}

/// A thread that forwards every packet unchanged to one receiver.
struct Reflector {
    address: SocketAddr,
    receiver: UdpSocket,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Reflector {
    /// Starts the thread on the first core, as for a single worker.
    fn start() -> Result<Self> {
        let (socket, receiver) =
            (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        socket.set_read_timeout(Some(INTERVAL))?;
        let (address, to) = (socket.local_addr()?, receiver.local_addr()?);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        cpu::pin(0)?;
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(len) = socket.recv(&mut buffer) {
                    socket.send_to(&buffer[..len], to)?;
                }
            }
            Ok(())
        });
        cpu::pin(1)?;
        Ok(Self { address, receiver, stop, thread })
    }

    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the reflector panicked"))?
    }
}

const SHAPE: Shape = Shape { payload: 1_150, burst: 5 };
/// Ten seconds of frames.
const BURSTS: usize = 300;
const INTERVAL: Duration = Duration::from_micros(33_333);
