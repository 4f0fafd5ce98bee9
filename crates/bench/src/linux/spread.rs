//! One call on one worker, compared with the same call on two.

use crate::linux::call::{Call, Plan};
use crate::linux::cipher::Profile;
use crate::linux::cpu::Thread;
use crate::linux::driver::Driver;
use crate::linux::options::Matrix;
use crate::linux::samples::Samples;
use crate::linux::stream::Shape;
use crate::linux::table::{Row, Table};
use anyhow::Result;
use std::time::Duration;

pub(crate) fn table(matrix: &Matrix) -> Result<Table> {
    let mut table = Table::new(
        "spread",
        "one producer, 200 consumers, paced; CPU ns per packet over all workers; efficiency: packets per CPU second \
         against one worker; load: the busiest worker's part of packets and of CPU; more packets/run than k: bursts \
         merged, and were cheaper for it",
    );
    for &device in &matrix.devices {
        for shape in SHAPES {
            let open = |workers| {
                let profile = Profile::Gcm;
                Call::open(Plan { device, profile, subscribers: SUBSCRIBERS, workers, readers: false })
            };
            let mut calls = [open(1)?, open(2)?];
            let mut measured = [Measured::default(), Measured::default()];
            for repetition in 0..=matrix.repetitions {
                for (call, measured) in calls.iter_mut().zip(&mut measured) {
                    let sample = run(call, shape)?;
                    if repetition > 0 {
                        measured.add(&sample);
                    }
                }
            }
            for (call, it) in calls.into_iter().zip(&measured) {
                let row = Row::default()
                    .text("device", device.name())
                    .count("bytes", shape.payload)
                    .count("k", shape.burst)
                    .count("workers", call.threads.len());
                table.push(it.complete(row, &measured[0]));
                call.close();
            }
        }
    }
    Ok(table)
}

#[derive(Default)]
struct Measured {
    cost: Samples,
    packets_part: Samples,
    time_part: Samples,
    run_length: Samples,
    dropped: u64,
}

struct Sample {
    ns_per_packet: f64,
    packets_part: f64,
    time_part: f64,
    run_length: f64,
    dropped: u64,
}

fn run(call: &mut Call, shape: Shape) -> Result<Sample> {
    call.keep_alive()?;
    let bursts = call.publish(shape, BURSTS)?;
    let (from, to) = (&call.publisher.socket, call.publisher.server);
    let driver = Driver { from, to, witness: call.witness(), burst: shape.burst };
    let before = call.totals();
    let (spent, ()) = Thread::spend(&call.threads, || driver.pace(&bursts, shape_interval(shape)))?;
    let done = call.totals().since(&before);
    let times: Vec<f64> = spent.iter().map(|spent| spent.time.as_nanos() as f64).collect();
    let packets: Vec<f64> = done.forwarded.iter().map(|&packets| packets as f64).collect();
    Ok(Sample {
        ns_per_packet: times.iter().sum::<f64>() / packets.iter().sum::<f64>(),
        packets_part: greatest_part(&packets),
        time_part: greatest_part(&times),
        run_length: done.packets() as f64 / done.runs as f64,
        dropped: done.dropped,
    })
}

/// An interval that leaves a single worker idle for about a third of its time, on any device.
fn shape_interval(shape: Shape) -> Duration {
    PACKET * (SUBSCRIBERS * shape.burst) as u32
}

fn greatest_part(parts: &[f64]) -> f64 {
    parts.iter().copied().fold(0.0, f64::max) / parts.iter().sum::<f64>()
}

impl Measured {
    fn add(&mut self, sample: &Sample) {
        self.cost.add(sample.ns_per_packet);
        self.packets_part.add(sample.packets_part);
        self.time_part.add(sample.time_part);
        self.run_length.add(sample.run_length);
        self.dropped += sample.dropped;
    }

    fn complete(&self, row: Row, one_worker: &Self) -> Row {
        let efficiency = one_worker.cost.zip_with(&self.cost, |one, this| one / this);
        row.whole("CPU", self.cost.median())
            .ratio("efficiency", efficiency.median())
            .ratio("spread", efficiency.spread())
            .ratio("packets load", self.packets_part.median())
            .ratio("CPU load", self.time_part.median())
            .ratio("packets/run", self.run_length.median())
            .count("dropped", self.dropped)
    }
}

const SUBSCRIBERS: usize = 200;
const SHAPES: [Shape; 2] = [Shape { payload: 1_200, burst: 1 }, Shape { payload: 1_200, burst: 5 }];
const BURSTS: usize = 200;
/// More than the CPU time of a forwarded packet.
const PACKET: Duration = Duration::from_micros(6);
