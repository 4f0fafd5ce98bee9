//! An elastic, paced source over one link with a drop-tail queue. The receiver's feedback takes another way back.

use crate::congestion::{Cluster, Config, Controller, Demand, Kind, Micros, Probe, START_RATE, SentPacket};
use crate::transport_cc::Recorder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A function of the time in seconds.
pub(super) type OverTime = fn(f64) -> f64;

/// Times are in ms, rates in Mbit/s.
pub(super) struct Link {
    pub(super) rate: OverTime,
    /// The queue's length at the present rate.
    pub(super) queue: f64,
    /// Packets beyond this rate and 30 kB of burst are dropped; nothing is queued for it.
    pub(super) policer: Option<f64>,
    /// Share of packets lost at random.
    pub(super) loss: f64,
    pub(super) rtt: f64,
    /// Standard deviation of half-normal jitter.
    pub(super) jitter: f64,
    /// Jitter lets packets overtake each other.
    pub(super) reorders: bool,
    /// What the receiver's clock shows besides the time, in ms.
    pub(super) clock: OverTime,
    pub(super) back: Back,
    /// The rate that is wanted.
    pub(super) wanted: OverTime,
    /// Frames leave in runs of 5 ms at 1.5 times the rate; else whole.
    pub(super) is_paced: bool,
    pub(super) config: Config,
    pub(super) seconds: f64,
}

/// The way of the feedback.
#[derive(Clone, Copy, Default)]
pub(super) struct Back {
    pub(super) loss: f64,
    /// ms in which feedback is collected.
    pub(super) clump: f64,
    /// From when to when nothing comes back, in s.
    pub(super) silence: Option<(f64, f64)>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            rate: |_| 3.0,
            queue: 300.0,
            policer: None,
            loss: 0.0,
            rtt: 50.0,
            jitter: 0.0,
            reorders: false,
            clock: |_| 0.0,
            back: Back::default(),
            wanted: |_| 20.0,
            is_paced: true,
            config: Config { start: START_RATE, min: 30_000, max: 100_000_000, transport_wide: true },
            seconds: 60.0,
        }
    }
}

/// One sample for each 10 ms. Rates are in Mbit/s, the queue in ms.
#[derive(Default)]
pub(super) struct Story {
    pub(super) estimates: Vec<f64>,
    pub(super) budgets: Vec<f64>,
    pub(super) queues: Vec<f64>,
    pub(super) sent: Vec<f64>,
    /// Packets lost by queue, policer and chance.
    pub(super) lost: Vec<u32>,
    pub(super) packets: Vec<u32>,
    pub(super) filler_bytes: usize,
    /// Bytes of filler up to each sample.
    fillers: Vec<usize>,
    pub(super) probes: u32,
    pub(super) memory: usize,
}

impl Story {
    fn part<'a, T>(&self, samples: &'a [T], from: f64, to: f64) -> &'a [T] {
        &samples[(from * 100.0) as usize..((to * 100.0) as usize).min(samples.len())]
    }

    pub(super) fn mean(&self, samples: &[f64], from: f64, to: f64) -> f64 {
        let part = self.part(samples, from, to);
        part.iter().sum::<f64>() / part.len() as f64
    }

    pub(super) fn max(&self, samples: &[f64], from: f64, to: f64) -> f64 {
        self.part(samples, from, to).iter().copied().fold(f64::MIN, f64::max)
    }

    pub(super) fn min(&self, samples: &[f64], from: f64, to: f64) -> f64 {
        self.part(samples, from, to).iter().copied().fold(f64::MAX, f64::min)
    }

    pub(super) fn quantile(&self, samples: &[f64], share: f64, from: f64, to: f64) -> f64 {
        let mut part = self.part(samples, from, to).to_vec();
        part.sort_by(f64::total_cmp);
        part[(share * (part.len() - 1) as f64) as usize]
    }

    pub(super) fn seconds(&self) -> f64 {
        self.estimates.len() as f64 / 100.0
    }

    /// Means of `count` samples each.
    pub(super) fn smoothed(&self, samples: &[f64], count: usize) -> Vec<f64> {
        samples.windows(count).map(|window| window.iter().sum::<f64>() / count as f64).collect()
    }

    /// Bytes of filler.
    pub(super) fn filler(&self, from: f64, to: f64) -> usize {
        let part = self.part(&self.fillers, from, to);
        part.last().unwrap() - part[0]
    }

    pub(super) fn loss(&self, from: f64, to: f64) -> f64 {
        let lost: u32 = self.part(&self.lost, from, to).iter().sum();
        f64::from(lost) / f64::from(self.part(&self.packets, from, to).iter().sum::<u32>())
    }

    /// Seconds from `from` until all 20 samples in a row satisfy `is`.
    pub(super) fn time_until(&self, samples: &[f64], from: f64, is: impl Fn(f64) -> bool) -> f64 {
        let part = &samples[(from * 100.0) as usize..];
        let found = part.windows(20).position(|window| window.iter().all(|sample| is(*sample)));
        found.map_or(f64::INFINITY, |index| index as f64 / 100.0)
    }
}

#[derive(Clone, Copy)]
struct Packet {
    number: u16,
    size: u16,
}

struct World {
    link: Link,
    rng: StdRng,
    start: Instant,
    now: Micros,
    controller: Controller,
    number: u16,
    // The source.
    pace: VecDeque<u16>,
    next_frame: Micros,
    next_sound: Micros,
    next_run: Micros,
    probe: Option<(Probe, u8, Micros)>,
    // The way there.
    queue: VecDeque<Packet>,
    queued: usize,
    credit: f64,
    tokens: f64,
    under_way: Vec<(Micros, Packet)>,
    last_arrival: Micros,
    // The receiver and the way back.
    recorder: Recorder,
    received: usize,
    next_feedback: Micros,
    coming_back: VecDeque<(Micros, Vec<u8>)>,
    story: Story,
    sent_bytes: usize,
    lost: u32,
    packets: u32,
}

pub(super) fn run(link: Link, seed: u64) -> Story {
    let start = Instant::now();
    let mut world = World {
        rng: StdRng::seed_from_u64(seed),
        start,
        now: 0,
        controller: Controller::new(link.config, start),
        number: 65_000,
        pace: VecDeque::new(),
        next_frame: 0,
        next_sound: 0,
        next_run: 0,
        probe: None,
        queue: VecDeque::new(),
        queued: 0,
        credit: 0.0,
        tokens: BURST,
        under_way: Vec::new(),
        last_arrival: 0,
        recorder: Recorder::default(),
        received: 0,
        next_feedback: 0,
        coming_back: VecDeque::new(),
        story: Story::default(),
        sent_bytes: 0,
        lost: 0,
        packets: 0,
        link,
    };
    let end = (world.link.seconds * 1e6) as Micros;
    while world.now < end {
        world.step();
    }
    world.story.probes = world.controller.probes();
    world.story.memory = world.controller.memory();
    world.story
}

impl World {
    fn step(&mut self) {
        self.now += STEP;
        self.serve();
        self.receive();
        self.report();
        self.hear();
        self.produce();
        self.send();
        if self.now % SAMPLE == 0 {
            self.sample();
        }
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_micros(self.now.unsigned_abs())
    }

    fn seconds(&self) -> f64 {
        self.now as f64 / 1e6
    }

    /// bit/s.
    fn wanted(&self) -> f64 {
        (self.link.wanted)(self.seconds()) * 1e6
    }

    fn produce(&mut self) {
        let rate = self.wanted().min(self.rate());
        if self.now >= self.next_frame {
            self.next_frame += FRAME;
            let size = rate * (1.0 - SOUND) / 8.0 / 30.0 * self.rng.random_range(0.85..1.15);
            let waiting: usize = self.pace.iter().map(|size| usize::from(*size)).sum();
            // A frame that would wait for long is left out.
            if (waiting as f64) < 0.1 * rate / 8.0 || self.pace.is_empty() {
                let packets = (size / f64::from(PACKET)).ceil().max(1.0);
                self.pace.extend((0..packets as usize).map(|_| (size / packets).max(60.0) as u16));
            }
        }
        if self.now >= self.next_sound {
            self.next_sound += 20_000;
            let size = (rate * SOUND / 8.0 / 50.0).max(60.0) as u16;
            self.put(size, Kind::Audio, self.probe.map(|(probe, ..)| probe.cluster));
        }
    }

    fn rate(&self) -> f64 {
        self.story.budgets.last().map_or(START_RATE as f64, |budget| budget * 1e6).max(30_000.0)
    }

    fn send(&mut self) {
        if let Some((probe, left, at)) = self.probe {
            if self.now < at {
                return;
            }
            let left = left - 1;
            self.probe = (left > 0).then_some((probe, left, at + micros(probe.spacing)));
            self.send_run(probe.run_bytes as usize, Some(probe.cluster));
            self.next_run = self.now + RUN;
        } else if !self.link.is_paced {
            self.send_run(0, None);
            while let Some(size) = self.pace.pop_front() {
                self.put(size, Kind::Video, None);
            }
        } else if self.now >= self.next_run && !self.pace.is_empty() {
            self.next_run = self.now + RUN;
            let quantum = (1.5 * self.rate() / 8.0 * RUN as f64 / 1e6) as usize;
            let mut bytes = 0;
            while bytes < quantum.max(2_400) {
                let Some(size) = self.pace.pop_front() else { break };
                bytes += usize::from(size);
                self.put(size, Kind::Video, None);
            }
        }
    }

    /// Media first, then filler, in at least two packets.
    fn send_run(&mut self, bytes: usize, cluster: Option<Cluster>) {
        let mut left = bytes;
        let mut packets = 0;
        while let Some(size) = self.pace.pop_front_if(|size| usize::from(*size) <= left) {
            self.put(size, Kind::Video, cluster);
            left -= usize::from(size);
            packets += 1;
        }
        self.story.filler_bytes += left;
        let fillers = left.div_ceil(PACKET.into()).max(if packets < 2 && left > 200 { 2 } else { 0 });
        for filler in 0..fillers {
            let size = left / (fillers - filler);
            left -= size;
            self.put(size as u16, Kind::Probe, cluster);
        }
    }

    fn put(&mut self, size: u16, kind: Kind, cluster: Option<Cluster>) {
        let packet = Packet { number: self.number, size };
        self.number = self.number.wrapping_add(1);
        let at = self.instant();
        self.controller.sent(&SentPacket { number: Some(packet.number), size, kind, cluster, at });
        self.sent_bytes += usize::from(size);
        self.packets += 1;
        let limit = (self.link.rate)(self.seconds()) * 1e6 / 8.0 * self.link.queue / 1e3;
        let is_over_limit = (self.queued + usize::from(size)) as f64 > limit.max(3_000.0);
        let is_policed = self.link.policer.is_some() && self.tokens < f64::from(size);
        if is_over_limit || is_policed || self.rng.random_bool(self.link.loss) {
            self.lost += 1;
            return;
        }
        self.tokens -= f64::from(size);
        self.queued += usize::from(size);
        self.queue.push_back(packet);
    }

    fn serve(&mut self) {
        if let Some(policer) = self.link.policer {
            self.tokens = (self.tokens + policer * 1e6 / 8.0 * STEP as f64 / 1e6).min(BURST);
        }
        self.credit += (self.link.rate)(self.seconds()) * 1e6 / 8.0 * STEP as f64 / 1e6;
        while let Some(packet) = self.queue.front().copied() {
            if self.credit < f64::from(packet.size) {
                return;
            }
            self.credit -= f64::from(packet.size);
            self.queue.pop_front();
            self.queued -= usize::from(packet.size);
            let jitter = (self.gauss() * self.link.jitter).abs() * 1e3;
            let arrival = self.now + (self.link.rtt * 500.0 + jitter) as Micros;
            let arrival = if self.link.reorders { arrival } else { arrival.max(self.last_arrival) };
            self.last_arrival = arrival;
            self.under_way.push((arrival, packet));
        }
        self.credit = 0.0;
    }

    fn gauss(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.rng.random_range(1e-9..1.0), self.rng.random());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    fn receive(&mut self) {
        let now = self.now;
        let mut arrived: Vec<_> = self.under_way.extract_if(.., |(at, _)| *at <= now).collect();
        arrived.sort_by_key(|(at, _)| *at);
        let shown = (self.link.clock)(self.seconds()) * 1e3;
        for (at, Packet { number, size }) in arrived {
            let micros = at + CLOCK_OFFSET + shown as Micros;
            self.recorder.record(number, self.start + Duration::from_micros(micros.unsigned_abs()));
            self.received += usize::from(size);
        }
    }

    /// As libwebrtc's receivers: five percent of what is received, each 50 to 250 ms.
    fn report(&mut self) {
        if self.now < self.next_feedback {
            return;
        }
        let mut feedback = Vec::new();
        let at = self.instant() + Duration::from_micros(CLOCK_OFFSET.unsigned_abs());
        while self.recorder.feedback(at, 1, 2, &mut feedback) {
            let is_silent =
                self.link.back.silence.is_some_and(|(from, to)| (from..to).contains(&self.seconds()));
            if !is_silent && !self.rng.random_bool(self.link.back.loss) {
                let clump = (self.link.back.clump * 1e3) as Micros;
                let there = self.now + (self.link.rtt * 500.0) as Micros;
                let there = if clump > 0 { (there / clump + 1) * clump } else { there };
                self.coming_back.push_back((there, std::mem::take(&mut feedback)));
            }
            feedback.clear();
        }
        let rate = self.received as f64 * 8.0 * 1e6 / (self.now - self.next_feedback + 100_000) as f64;
        self.received = 0;
        let interval = 68.0 * 8.0 / (0.05 * rate.max(1.0)) * 1e6;
        self.next_feedback = self.now + interval.clamp(50_000.0, 250_000.0) as Micros;
    }

    fn hear(&mut self) {
        let now = self.instant();
        while let Some((_, feedback)) = self.coming_back.pop_front_if(|(at, _)| *at <= self.now) {
            self.controller.feedback(&feedback, now).unwrap();
        }
        if self.now % 5_000 != 0 {
            return;
        }
        let wanted = self.wanted();
        let estimate = self.controller.estimate() as f64;
        // A step of the allocation is 15 % of the estimate, or what is left of the wish.
        let next = (wanted > estimate).then_some(wanted.min(1.15 * estimate) as u64);
        let granted = estimate.min(wanted) as u64;
        self.controller.want(Demand { granted, next, wanted: wanted as u64 }, now);
        if let Some(probe) = self.controller.poll(now).and_then(|change| change.probe) {
            self.probe = Some((probe, probe.runs, self.now));
        }
    }

    fn sample(&mut self) {
        let rate = (self.link.rate)(self.seconds()) * 1e6 / 8.0;
        self.story.estimates.push(self.controller.estimate() as f64 / 1e6);
        self.story.budgets.push(self.controller.budget(self.now) / 1e6);
        self.story.queues.push(self.queued as f64 / rate * 1e3);
        self.story.fillers.push(self.story.filler_bytes);
        self.story.sent.push(std::mem::take(&mut self.sent_bytes) as f64 * 8.0 / SAMPLE as f64);
        self.story.lost.push(std::mem::take(&mut self.lost));
        self.story.packets.push(std::mem::take(&mut self.packets));
    }
}

fn micros(duration: Duration) -> Micros {
    duration.as_micros() as Micros
}

/// µs, a tick of feedback.
const STEP: Micros = 250;
/// µs.
const SAMPLE: Micros = 10_000;
/// µs, 30 a second.
const FRAME: Micros = 33_333;
/// µs.
const RUN: Micros = 5_250;
const PACKET: u16 = 1_200;
/// Bytes.
const BURST: f64 = 30_000.0;
/// Share of the rate.
const SOUND: f64 = 0.02;
/// µs by which the receiver's clock is ahead.
const CLOCK_OFFSET: Micros = 100_000_000;
