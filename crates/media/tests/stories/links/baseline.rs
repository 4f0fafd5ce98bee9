//! rtc-interceptor's `Gcc` on the same links, with a source that sends exactly what it is told.

use super::call::Row;
use super::report::{WARM_UP, Waits};
use crate::world::arrivals::{Arrivals, ReceiverClock};
use interceptor::{Acknowledgement, BandwidthEstimator, Gcc, History, convert_twcc};
use rtc_shared::marshal::Unmarshal;
use rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use std::fmt;
use std::time::{Duration, Instant};
use switchyard_link::{Link, Passage};

/// What `Gcc` did.
pub struct Baseline {
    /// Bit/s that arrived after [`WARM_UP`].
    pub rate: f64,
    /// The share of the link's capacity that arrived after [`WARM_UP`]; `None` for a link without limit.
    pub used: Option<f64>,
    pub waits: Waits,
}

/// A sender, a receiver and the two links between them.
struct Run {
    now: Instant,
    down: Link<(u16, usize)>,
    up: Link<Vec<u8>>,
    arrivals: Arrivals,
    history: History,
    gcc: Gcc,
    next_number: u16,
    next_packet: Instant,
    arrived: Vec<(Instant, usize)>,
    waits: Vec<Duration>,
}

impl Baseline {
    pub fn of(row: &Row, duration: Duration, clock: ReceiverClock) -> Self {
        let (Row { down, up, seed, .. }, start) = (*row, Instant::now());
        let mut run = Run {
            now: start,
            down: Link::new(down, seed, start),
            up: Link::new(up, seed ^ 0xff, start),
            arrivals: Arrivals::new(start),
            history: History::new(),
            gcc: Gcc::default(),
            next_number: 0,
            next_packet: start,
            arrived: Vec::new(),
            waits: Vec::new(),
        };
        run.arrivals.clock = clock;
        while run.now < start + duration {
            run.step(start + WARM_UP);
        }
        run.waits.sort_unstable();
        let counted = run.arrived.iter().filter(|(at, _)| *at >= start + WARM_UP);
        let bits = counted.map(|(_, size)| size * 8).sum::<usize>() as f64;
        let capacity = run.down.capacity().between(WARM_UP, duration);
        let rate = bits / (duration - WARM_UP).as_secs_f64();
        Self { rate, used: capacity.map(|capacity| bits / capacity), waits: Waits::of(&run.waits) }
    }
}

impl Run {
    fn step(&mut self, counted_from: Instant) {
        if self.next_packet <= self.now {
            self.send(counted_from);
        }
        while let Some((number, size)) = self.down.pop(self.now) {
            self.arrived.push((self.now, size));
            self.arrivals.note(self.now, number, size);
        }
        for report in self.arrivals.reports(self.now) {
            self.up.push(self.now, report.len(), report);
        }
        while let Some(report) = self.up.pop(self.now) {
            for acknowledgement in acknowledgements(&report) {
                self.history.on_twcc_feedback(self.now, acknowledgement);
            }
            self.gcc.on_reports(self.now, &self.history.take_reports());
        }
        let times = [self.down.next_arrival(), self.up.next_arrival(), self.arrivals.next_timeout()];
        self.now = times.into_iter().flatten().fold(self.next_packet, Instant::min);
    }

    /// Sends a packet and paces the next, which is what `Gcc` does best with.
    fn send(&mut self, counted_from: Instant) {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.next_packet =
            self.now + Duration::from_secs_f64(PACKET as f64 * 8.0 / self.gcc.target_bitrate());
        self.history.add_outgoing(1, number, true, number, PACKET, self.now);
        let passage = self.down.push(self.now, PACKET, (number, PACKET));
        if let Passage::Taken { waits } = passage
            && self.now >= counted_from
        {
            self.waits.push(waits);
        }
    }
}

/// What a report says of each packet. The library takes the unused end of the last chunk for lost packets, so the end is
/// cut off.
pub fn acknowledgements(report: &[u8]) -> Vec<Acknowledgement> {
    let feedback = TransportLayerCc::unmarshal(&mut &report[..]).expect("malformed feedback");
    let mut acknowledgements = convert_twcc(&feedback);
    acknowledgements.truncate(usize::from(feedback.packet_status_count));
    acknowledgements
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.used {
            Some(used) => write!(f, "{:>6.0} {:>3.0} {}", self.rate / 1_000.0, 100.0 * used, self.waits),
            None => write!(f, "{:>6.0}   – {}", self.rate / 1_000.0, self.waits),
        }
    }
}

/// Bytes.
const PACKET: usize = 1_200;
