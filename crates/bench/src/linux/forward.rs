//! The whole path on real sockets, each shape next to its floor: the same bursts to the same sockets through
//! a bare forwarder. Both are measured alternately.

use crate::linux::bare::Bare;
use crate::linux::call::{Call, Plan};
use crate::linux::cpu::{Spent, Thread};
use crate::linux::device::Device;
use crate::linux::driver::Driver;
use crate::linux::options::Matrix;
use crate::linux::samples::Samples;
use crate::linux::stream::Shape;
use crate::linux::table::{Row, Table};
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
                if device == Device::Sink && subscribers == 1 {
                    // The only subscriber is the witness, which is never behind the sink.
                    continue;
                }
                let plan = Plan { device, profile, subscribers, workers: 1, readers: false };
                let mut bench = Bench::new(plan)?;
                for shape in matrix.shapes() {
                    table.push(bench.row(shape, matrix.repetitions)?);
                }
                bench.call.close();
            }
        }
    }
    Ok(table)
}

/// One call, measured with many shapes.
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

/// One measurement of the call or of the floor.
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
        // The first repetition is a warm-up.
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
        let driver = self.driver(bare.address, shape);
        let (spent, late) = Thread::spend(&Thread::named(Bare::THREAD)?, || driver.run(&sealed))
            .context("the bare forwarder")?;
        let packets = sealed.len() * shape.burst * self.addresses.len();
        Ok(Sample::new(&spent, packets as u64, sealed.len(), late))
    }

    fn whole(&mut self, shape: Shape) -> Result<Sample> {
        self.call.keep_alive()?;
        let sealed = self.call.publish(shape, self.bursts(shape))?;
        let driver = self.driver(self.call.publisher.server, shape);
        let before = self.call.totals();
        let (spent, late) =
            Thread::spend(&self.call.threads, || driver.run(&sealed)).context("the media worker")?;
        let done = self.call.totals().since(&before);
        Ok(Sample { dropped: done.dropped, ..Sample::new(&spent, done.packets(), sealed.len(), late) })
    }

    fn bursts(&self, shape: Shape) -> usize {
        (PACKETS / (self.addresses.len() * shape.burst)).clamp(1, MAX_BURSTS)
    }

    fn driver(&self, to: SocketAddr, shape: Shape) -> Driver<'_> {
        Driver { from: &self.call.publisher.socket, to, witness: self.call.witness(), burst: shape.burst }
    }
}

impl Sample {
    fn new(threads: &[Spent], packets: u64, bursts: usize, late: u64) -> Self {
        let time: Duration = threads.iter().map(|spent| spent.time).sum();
        let sleeps: u64 = threads.iter().map(|spent| spent.sleeps).sum();
        Self {
            ns_per_packet: time.as_nanos() as f64 / packets as f64,
            sleeps_per_burst: sleeps as f64 / bursts as f64,
            dropped: 0,
            late,
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

/// Number of forwarded packets per repetition, about.
const PACKETS: usize = 50_000;
const MAX_BURSTS: usize = 3_000;
