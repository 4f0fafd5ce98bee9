//! The whole path on real sockets, each shape beside its floor: the same bursts to the same sockets through a bare
//! forwarder, measured in turns.

use crate::bare::Bare;
use crate::call::{Call, Plan};
use crate::cpu::Thread;
use crate::driver::Driver;
use crate::options::Matrix;
use crate::samples::Samples;
use crate::stream::Shape;
use crate::table::{Row, Table};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) fn table(matrix: &Matrix) -> Result<Table> {
    let mut table = Table::new(
        "forward",
        "CPU ns of the worker per forwarded packet; floor: receive, open, seal, sendmmsg of UDP_SEGMENT runs, alone",
    );
    for &device in &matrix.devices {
        for &profile in &matrix.ciphers {
            for &subscribers in &matrix.subscribers {
                let mut bench = Bench::new(Plan { device, profile, subscribers, workers: 1 })?;
                for shape in matrix.shapes() {
                    table.push(bench.row(shape, matrix.repetitions)?);
                }
                bench.call.close();
            }
        }
    }
    Ok(table)
}

/// One call, measured in many shapes.
struct Bench {
    plan: Plan,
    call: Call,
    addresses: Vec<SocketAddr>,
}

#[derive(Default)]
struct Measured {
    floor: Samples,
    whole: Samples,
    /// Sleeps per burst.
    floor_sleeps: Samples,
    sleeps: Samples,
    dropped: u64,
    late: u64,
}

/// One of the two, once.
struct Sample {
    ns_per_packet: f64,
    sleeps_per_burst: f64,
    dropped: u64,
    late: u64,
}

impl Bench {
    fn new(plan: Plan) -> Result<Self> {
        let call = Call::open(plan)?;
        let addresses = call.subscribers.iter().map(|link| link.socket.local_addr());
        Ok(Self { plan, addresses: addresses.collect::<Result<_, _>>()?, call })
    }

    fn row(&mut self, shape: Shape, repetitions: usize) -> Result<Row> {
        let mut measured = Measured::default();
        let Plan { device, profile, subscribers, .. } = self.plan;
        let mut bare = Bare::start(device.server(), &self.addresses, profile, shape)?;
        // The first is for warming up.
        for repetition in 0..=repetitions {
            let floor = self.floor(&mut bare, shape)?;
            let whole = self.whole(shape)?;
            measured.late += floor.late + whole.late;
            measured.dropped += whole.dropped;
            if repetition > 0 {
                measured.floor.add(floor.ns_per_packet);
                measured.whole.add(whole.ns_per_packet);
                measured.floor_sleeps.add(floor.sleeps_per_burst);
                measured.sleeps.add(whole.sleeps_per_burst);
            }
        }
        bare.stop()?;
        let row = Row::default()
            .text("device", device.name())
            .text("cipher", profile.name())
            .count("N", subscribers)
            .count("bytes", shape.payload)
            .count("k", shape.burst);
        Ok(measured.complete(row))
    }

    fn floor(&self, bare: &mut Bare, shape: Shape) -> Result<Sample> {
        let sealed = bare.publish(self.bursts(shape));
        let spent = self.drive(Bare::THREAD, bare.address, shape, &sealed)?;
        let packets = sealed.len() * shape.burst * self.addresses.len();
        Ok(spent.sample(packets as u64, sealed.len()))
    }

    fn whole(&mut self, shape: Shape) -> Result<Sample> {
        self.call.keep_alive()?;
        let sealed = self.call.publish(shape, self.bursts(shape))?;
        let before = Totals::of(&self.call);
        let spent = self.drive("media-", self.call.publisher.server, shape, &sealed)?;
        let after = Totals::of(&self.call);
        let sample = spent.sample(after.forwarded - before.forwarded, sealed.len());
        Ok(Sample { dropped: after.dropped - before.dropped, ..sample })
    }

    fn bursts(&self, shape: Shape) -> usize {
        (PACKETS / (self.addresses.len() * shape.burst)).clamp(1, MAX_BURSTS)
    }

    /// Sends bursts to a forwarder, and watches its thread meanwhile.
    fn drive(&self, thread: &str, to: SocketAddr, shape: Shape, bursts: &[Vec<u8>]) -> Result<Spent> {
        let from = &self.call.publisher.socket;
        let driver = Driver { from, to, witness: self.call.witness(), burst: shape.burst };
        let worker = Thread::named(thread)?.into_iter().next().context("the forwarder's thread has gone")?;
        std::thread::sleep(SETTLE);
        let (time, sleeps) = (worker.time()?, worker.sleeps()?);
        let late = driver.run(bursts)?;
        std::thread::sleep(SETTLE);
        Ok(Spent { time: worker.time()? - time, sleeps: worker.sleeps()? - sleeps, late })
    }
}

/// What a forwarder's thread needed for some bursts.
struct Spent {
    time: Duration,
    sleeps: u64,
    late: u64,
}

impl Spent {
    fn sample(&self, packets: u64, bursts: usize) -> Sample {
        Sample {
            ns_per_packet: self.time.as_nanos() as f64 / packets as f64,
            sleeps_per_burst: self.sleeps as f64 / bursts as f64,
            dropped: 0,
            late: self.late,
        }
    }
}

impl Measured {
    fn complete(&self, row: Row) -> Row {
        let ratio = self.whole.zip_with(&self.floor, |whole, floor| whole / floor);
        row.whole("floor", self.floor.median())
            .whole("whole", self.whole.median())
            .ratio("ratio", ratio.median())
            .ratio("spread", ratio.spread())
            .ratio("floor sleeps/burst", self.floor_sleeps.median())
            .ratio("sleeps/burst", self.sleeps.median())
            .count("dropped", self.dropped)
            .count("late", self.late)
    }
}

/// What the workers did together.
struct Totals {
    forwarded: u64,
    dropped: u64,
}

impl Totals {
    fn of(call: &Call) -> Self {
        let mut totals = Self { forwarded: 0, dropped: 0 };
        for worker in call.counters() {
            let (media, shell) = (worker.media, worker.shell);
            totals.forwarded += media.packets_sent;
            totals.dropped += media.egress_overflow
                + media.egress_undeliverable
                + shell.kernel_receive_drops
                + shell.send_buffer_full
                + shell.send_queue_full
                + shell.send_refused;
        }
        totals
    }
}

/// Forwarded packets per repetition, about.
const PACKETS: usize = 50_000;
const MAX_BURSTS: usize = 3_000;
/// For a worker to fall asleep, which brings its times up to date.
const SETTLE: Duration = Duration::from_millis(5);
