//! The cost of a forwarded packet in user space, without sockets: including and excluding crypto.

use crate::linux::cipher::{Cipher, HEADER_LEN, Profile};
use crate::linux::cpu::thread_time;
use crate::linux::in_process::{BUSY, InProcessCall};
use crate::linux::options::Matrix;
use crate::linux::samples::Samples;
use crate::linux::stream::Shape;
use crate::linux::table::{Row, Table};
use anyhow::Result;
use std::hint::black_box;
use std::time::Duration;
use switchyard_media::ortc::MediaKind;

/// The SFU's own cost for every shape, next to the cost of the crypto for the same packets.
pub(crate) fn table(matrix: &Matrix) -> Result<Table> {
    let mut table = Table::new(
        "user space",
        "ns per forwarded packet in the SFU without sockets; crypto: opening once per burst and sealing, alone",
    );
    for &profile in &matrix.ciphers {
        for &subscribers in &matrix.subscribers {
            let mut bench = Bench::new(subscribers, profile)?;
            for shape in matrix.shapes() {
                table.push(bench.row(shape, matrix.repetitions)?);
            }
        }
    }
    Ok(table)
}

/// One call, measured with many shapes.
struct Bench {
    profile: Profile,
    subscribers: usize,
    call: InProcessCall,
    /// As `call`, but its video also goes to a recorder.
    recorded: InProcessCall,
    crypto: Crypto,
    caches: Caches,
}

/// Memory larger than the caches, to evict their contents.
struct Caches(Vec<u64>);

impl Caches {
    fn new() -> Self {
        Self(vec![1; CACHE_BYTES / size_of::<u64>()])
    }

    fn evict(&mut self) {
        self.0.iter_mut().step_by(8).for_each(|word| *word += 1);
        black_box(&self.0);
    }
}

impl Bench {
    fn new(subscribers: usize, profile: Profile) -> Result<Self> {
        let call = InProcessCall::new(subscribers, profile)?;
        let mut recorded = InProcessCall::new(subscribers, profile)?;
        recorded.record()?;
        Ok(Self {
            profile,
            subscribers,
            call,
            recorded,
            crypto: Crypto::new(subscribers, profile)?,
            caches: Caches::new(),
        })
    }

    fn row(&mut self, shape: Shape, repetitions: usize) -> Result<Row> {
        let mut whole = Samples::default();
        let (mut recorded, mut crypto, mut upkeep, mut cold) =
            (Samples::default(), Samples::default(), Samples::default(), Samples::default());
        // The first repetition is a warm-up.
        for repetition in 0..=repetitions {
            let sample = [
                forward(&mut self.call, self.subscribers, shape, BUSY)?,
                self.crypto.run(shape, PACKETS, || ())?,
                forward(&mut self.call, self.subscribers, shape, CALM)?,
                self.forward_cold(shape)?,
                forward(&mut self.recorded, self.subscribers, shape, BUSY)?,
            ];
            if repetition > 0 {
                whole.add(sample[0]);
                crypto.add(sample[1]);
                upkeep.add(sample[2] - sample[0]);
                cold.add(sample[3]);
                recorded.add(sample[4] / sample[0]);
            }
        }
        let without = whole.zip_with(&crypto, |whole, crypto| whole - crypto);
        Ok(Row::default()
            .text("cipher", self.profile.name())
            .count("N", self.subscribers)
            .count("bytes", shape.payload)
            .count("k", shape.burst)
            .whole("whole", whole.median())
            .whole("crypto", crypto.median())
            .whole("without crypto", without.median())
            .ratio("spread", whole.spread())
            .whole("timers at 30/s", upkeep.median())
            .whole("cold, without crypto", cold.median())
            .ratio("recorded / whole", recorded.median()))
    }

    /// Nanoseconds per forwarded packet, without crypto, if every burst finds the caches filled with other
    /// data, as after the pause between frames.
    fn forward_cold(&mut self, shape: Shape) -> Result<f64> {
        self.call.keep_alive()?;
        let count = (COLD_PACKETS / (self.subscribers * shape.burst)).clamp(1, MAX_BURSTS);
        let mut bursts = self.call.publish(MediaKind::Video, shape, count)?;
        let before = self.call.counters().packets_sent;
        let caches = &mut self.caches;
        let used = self.call.forward_after(&mut bursts, || caches.evict());
        let forwarded = self.call.counters().packets_sent - before;
        let crypto = self.crypto.run(shape, COLD_PACKETS, || self.caches.evict())?;
        Ok(used.as_nanos() as f64 / forwarded as f64 - crypto)
    }
}

/// Nanoseconds per forwarded packet, with one burst per `interval`.
fn forward(call: &mut InProcessCall, subscribers: usize, shape: Shape, interval: Duration) -> Result<f64> {
    call.keep_alive()?;
    let bursts = (PACKETS / (subscribers * shape.burst)).clamp(1, MAX_BURSTS);
    let mut bursts = call.publish(MediaKind::Video, shape, bursts)?;
    let before = call.counters().packets_sent;
    let start = thread_time();
    call.forward(&mut bursts, interval);
    let used = thread_time() - start;
    let forwarded = call.counters().packets_sent - before;
    Ok(used.as_nanos() as f64 / forwarded as f64)
}

/// Only opens and seals the same packets, with the same number of keys.
pub(crate) struct Crypto {
    profile: Profile,
    publisher: Cipher,
    subscribers: Vec<Cipher>,
    sealed: Vec<u8>,
}

impl Crypto {
    pub(crate) fn new(subscribers: usize, profile: Profile) -> Result<Self> {
        let keys = (1..=subscribers).map(|index| Cipher::new(profile, index));
        let sealed = vec![0; SEALED_BYTES];
        Ok(Self {
            profile,
            publisher: Cipher::new(profile, 0)?,
            subscribers: keys.collect::<Result<_>>()?,
            sealed,
        })
    }

    /// Nanoseconds per sealed packet, measured over about `packets` sealed packets.
    pub(crate) fn run(&mut self, shape: Shape, packets: usize, mut between: impl FnMut()) -> Result<f64> {
        let subscribers = self.subscribers.len();
        let bursts = (packets / (subscribers * shape.burst)).clamp(1, MAX_BURSTS);
        let len = HEADER_LEN + shape.payload + self.profile.tag_len();
        let (payload, mut incoming) = (vec![0x5a; shape.payload], vec![0; bursts * shape.burst * len]);
        incoming.chunks_exact_mut(len).for_each(|packet| self.publisher.seal(&payload, packet));
        let mut used = Duration::ZERO;
        for packets in incoming.chunks_exact_mut(len * shape.burst) {
            between();
            let start = thread_time();
            packets.chunks_exact_mut(len).try_for_each(|packet| self.publisher.open(packet))?;
            self.seal(packets, len, shape);
            used += thread_time() - start;
        }
        Ok(used.as_nanos() as f64 / (bursts * shape.burst * subscribers) as f64)
    }

    /// Seals a burst for each subscriber in turn, into a ring of [`SEALED_BYTES`].
    fn seal(&mut self, packets: &[u8], len: usize, shape: Shape) {
        let mut at = 0;
        for subscriber in &mut self.subscribers {
            for packet in packets.chunks_exact(len) {
                if at + len > self.sealed.len() {
                    at = 0;
                }
                let payload = &packet[HEADER_LEN..HEADER_LEN + shape.payload];
                subscriber.seal(payload, &mut self.sealed[at..at + len]);
                at += len;
            }
        }
        black_box(&self.sealed);
    }
}

/// Number of forwarded packets per repetition, about.
const PACKETS: usize = 20_000;
/// The same, if caches are evicted before each burst.
const COLD_PACKETS: usize = 5_000;
/// Twice a large last-level cache.
const CACHE_BYTES: usize = 64 << 20;
/// Limits a repetition at 30 bursts per second to 20 s, so that consent (30 s) does not expire in it.
const MAX_BURSTS: usize = 600;
const SEALED_BYTES: usize = 256 * 1024;
/// The interval of frames at 30 per second, so that reports and feedback are as frequent as in a real call.
const CALM: Duration = Duration::from_micros(33_333);
