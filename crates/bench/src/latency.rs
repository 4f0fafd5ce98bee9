//! How long a packet stays in the server, by the kernel's receive times, beside a thread that only throws packets back.

use crate::call::{Call, Plan};
use crate::cipher::Profile;
use crate::cpu::{self, Thread};
use crate::device::Device;
use crate::driver::Driver;
use crate::samples::Samples;
use crate::stream::Shape;
use crate::table::{Row, Table};
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
    let sockets: Vec<&UdpSocket> = call.subscribers.iter().map(|link| &link.socket).collect();
    for socket in sockets.iter().copied().chain([&reflector.receiver]) {
        setsockopt(socket, sockopt::ReceiveTimestampns, &true).context("asking for receive times")?;
    }
    call.keep_alive()?;
    let bursts = call.publish(SHAPE, BURSTS + WARM_UP)?;
    let (warm_up, bursts) = bursts.split_at(WARM_UP);
    let sockets: Vec<&UdpSocket> = call.subscribers.iter().map(|link| &link.socket).collect();
    let (from, server) = (&call.publisher.socket, call.publisher.server);
    let driver = |to| Driver { from, to, witness: call.witness(), burst: SHAPE.burst };
    let (to_server, to_reflector) = (driver(server), driver(reflector.address));
    measure(&to_server, &sockets, warm_up)?;
    let before = call.totals();
    let (spent, (latency, reflected)) = Thread::spend(&call.threads, || {
        let (mut latency, mut reflected) = (Samples::default(), Samples::default());
        for burst in bursts.chunks(1) {
            latency.append(measure(&to_server, &sockets, burst)?);
            reflected.append(measure(&to_reflector, &[&reflector.receiver], burst)?);
        }
        Ok((latency, reflected))
    })?;
    let done = call.totals().since(&before);
    reflector.stop()?;
    let cost = spent.iter().map(|spent| spent.time).sum::<Duration>().as_secs_f64() * 1e6 / done.packets() as f64;
    let work = (SHAPE.burst * sockets.len()) as f64 * cost;
    let bound = 1.2 * work + reflected.quantile(0.99);
    Ok(Row::default()
        .count("N", sockets.len())
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
        .count("missing", sockets.len() * SHAPE.burst * bursts.len() - latency.len()))
}

/// Sends bursts at their pace and reads what arrives at each of the sockets: microseconds.
fn measure(driver: &Driver<'_>, sockets: &[&UdpSocket], bursts: &[Vec<u8>]) -> Result<Samples> {
    let state = UdpSocketState::new(UdpSockRef::from(driver.from))?;
    let mut samples = Samples::default();
    for burst in bursts {
        let until = Instant::now() + INTERVAL / 2;
        let sent = clock_gettime(ClockId::CLOCK_REALTIME)?;
        driver.send(&state, burst)?;
        while Instant::now() < until {
            for socket in sockets {
                while let Some(arrival) = receive(socket)? {
                    samples.add(Duration::from(arrival - sent).as_secs_f64() * 1e6);
                }
            }
            std::thread::sleep(INTERVAL / 20);
        }
    }
    Ok(samples)
}

/// When the next RTP packet reached the socket, if there is one.
fn receive(socket: &UdpSocket) -> Result<Option<TimeSpec>> {
    let (mut buffer, mut control) = ([0; 2_048], nix::cmsg_space!(TimeSpec));
    loop {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message =
            recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT);
        let Ok(message) = message else { return Ok(None) };
        let time = message.cmsgs()?.find_map(|it| match it {
            ControlMessageOwned::ScmTimestampns(time) => Some(time),
            _ => None,
        });
        let len = message.bytes;
        // RTP, and not RTCP or STUN beside it (RFC 7983, RFC 5761 §4).
        if len > 12 && (128..192).contains(&buffer[0]) && !(192..224).contains(&buffer[1]) {
            return Ok(Some(time.context("a packet without a receive time")?));
        }
    }
}

/// A thread that sends everything on to one receiver, as it is.
struct Reflector {
    address: SocketAddr,
    receiver: UdpSocket,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Reflector {
    /// On the first core, as a single worker is.
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
const WARM_UP: usize = 15;
const INTERVAL: Duration = Duration::from_micros(33_333);
