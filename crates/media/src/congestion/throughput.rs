//! The acknowledged rate over about a second, exact for packets that leave in runs (after libwebrtc's robust
//! throughput estimator).

use super::Micros;

/// Packets in order of arrival, summed in buckets.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    /// A ring of `len` buckets that ends before `end`.
    buckets: [Bucket; BUCKETS],
    end: usize,
    len: usize,
    /// Send time of the newest packet that left the window: older ones do not count as sent in it.
    left: Option<Micros>,
}

/// Rates in bit/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// The lesser of what was sent and what arrived, over a second or more.
    pub(super) acknowledged: f64,
    /// What arrived in the last 0.12 s: what the path carries, while a queue stands on it.
    pub(super) recent: f64,
    /// Whether all that was sent for these 0.12 s of arrivals arrived as fast: the path may carry more.
    pub(super) is_all: bool,
}

/// Rates of a window, in bit/s.
#[derive(Debug, Clone, Copy)]
struct Measured {
    sent: f64,
    received: f64,
}

/// Runs that arrived within [`BUCKET_SPAN`]. The packets of a run have one send time; a run may be one packet.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    first_arrival: Micros,
    last_arrival: Micros,
    /// Arrival of the first run's last packet.
    first_run_end: Micros,
    first_sent: Micros,
    last_sent: Micros,
    bytes: u32,
    first_run: u32,
    last_run: u32,
    packets: u32,
    /// µs since the arrival before the bucket.
    pause: u32,
    /// The two largest gaps between arrivals inside, in µs.
    gaps: [u32; 2],
}

/// Buckets taken together, newest first.
#[derive(Debug, Default)]
struct Window {
    bytes: f64,
    packets: u32,
    gaps: [u32; 2],
    /// The pause before the oldest bucket, which lies outside of the window.
    pause: u32,
}

impl Throughput {
    /// Adds a packet of `bytes`, with those that were sent just before it and of which nothing is known.
    pub(super) fn add(&mut self, sent: Micros, arrival: Micros, bytes: u32) {
        let last = self.last().copied();
        let arrival = last.map_or(arrival, |last| arrival.max(last.last_arrival));
        let gap = last.map_or(0, |last| u32::try_from(arrival - last.last_arrival).unwrap_or(u32::MAX));
        if gap > MAX_WINDOW as u32 {
            *self = Self::default();
        }
        match self.last_mut().filter(|last| !last.is_over(sent, arrival)) {
            Some(last) => last.add(sent, arrival, bytes, gap),
            None => {
                self.push(Bucket::new(sent, arrival, bytes, gap));
                self.shorten(arrival);
            }
        }
    }

    /// `None` until ten packets arrived.
    pub(super) fn rates(&self) -> Option<Rates> {
        let whole = self.window(MAX_WINDOW)?;
        let acknowledged = whole.sent.min(whole.received);
        let recent = self.window(RECENT).unwrap_or(whole);
        Some(Rates { acknowledged, recent: recent.received, is_all: recent.received > ALL * recent.sent })
    }

    /// The newest buckets that cover `span` µs of arrivals, or all; `None` if they hold too few packets.
    fn window(&self, span: Micros) -> Option<Measured> {
        let last = self.last()?;
        let mut window = Window::default();
        let mut first = last;
        for bucket in (0..self.len).rev().filter_map(|index| self.get(index)) {
            window.add(bucket);
            first = bucket;
            if last.last_arrival - bucket.first_arrival >= span && window.packets >= MIN_PACKETS {
                break;
            }
        }
        if window.packets < MIN_PACKETS {
            return None;
        }
        // One pause that is longer than all others is a stall of the path, not its rate. A short window holds too few
        // to tell.
        let stall = if span >= MIN_WINDOW { window.gaps[0] - window.gaps[1] } else { 0 };
        let received_span = (last.last_arrival - first.first_run_end - Micros::from(stall)).max(MIN_SPAN);
        let first_sent = self.left.map_or(first.first_sent, |left| left.max(first.first_sent));
        let sent_span = (last.last_sent - first_sent).max(MIN_SPAN);
        Some(Measured {
            sent: rate(window.bytes - f64::from(last.last_run), sent_span),
            received: rate(window.bytes - f64::from(first.first_run), received_span),
        })
    }

    /// Forgets everything: another path has another rate.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, bucket: Bucket) {
        if self.len == BUCKETS {
            self.drop_first();
        }
        self.buckets[self.end] = bucket;
        self.end = (self.end + 1) % BUCKETS;
        self.len += 1;
    }

    /// Drops buckets while enough remains without them.
    fn shorten(&mut self, now: Micros) {
        let buckets = (0..self.len).filter_map(|index| self.get(index));
        let mut packets: u32 = buckets.map(|bucket| bucket.packets).sum();
        while let (Some(&first), Some(&second)) = (self.get(0), self.get(1)) {
            packets -= first.packets;
            let is_enough = packets >= WINDOW_PACKETS && now - second.first_arrival >= MIN_WINDOW;
            if !is_enough && now - first.first_arrival <= MAX_WINDOW {
                break;
            }
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(&first) = self.get(0) {
            self.left = self.left.max(Some(first.last_sent));
            self.len -= 1;
        }
    }

    fn get(&self, index: usize) -> Option<&Bucket> {
        (index < self.len).then(|| &self.buckets[(self.end + BUCKETS - self.len + index) % BUCKETS])
    }

    fn last(&self) -> Option<&Bucket> {
        self.get(self.len.checked_sub(1)?)
    }

    fn last_mut(&mut self) -> Option<&mut Bucket> {
        (self.len > 0).then(|| &mut self.buckets[(self.end + BUCKETS - 1) % BUCKETS])
    }
}

impl Bucket {
    fn new(sent: Micros, arrival: Micros, bytes: u32, pause: u32) -> Self {
        Self {
            first_arrival: arrival,
            last_arrival: arrival,
            first_run_end: arrival,
            first_sent: sent,
            last_sent: sent,
            bytes,
            first_run: bytes,
            last_run: bytes,
            packets: 1,
            pause,
            gaps: [0; 2],
        }
    }

    /// A run is never divided between buckets.
    fn is_over(&self, sent: Micros, arrival: Micros) -> bool {
        arrival - self.first_arrival >= BUCKET_SPAN && sent != self.last_sent
    }

    fn add(&mut self, sent: Micros, arrival: Micros, bytes: u32, gap: u32) {
        if sent == self.first_sent {
            self.first_run = self.first_run.saturating_add(bytes);
            self.first_run_end = arrival;
        }
        if sent > self.last_sent {
            self.last_sent = sent;
            self.last_run = bytes;
        } else if sent == self.last_sent {
            self.last_run = self.last_run.saturating_add(bytes);
        }
        self.last_arrival = arrival;
        self.bytes = self.bytes.saturating_add(bytes);
        self.packets += 1;
        self.gaps = with_gap(self.gaps, gap);
    }
}

impl Window {
    fn add(&mut self, bucket: &Bucket) {
        let pause = std::mem::replace(&mut self.pause, bucket.pause);
        let [largest, second] = bucket.gaps;
        self.gaps = [pause, largest, second].into_iter().fold(self.gaps, with_gap);
        self.bytes += f64::from(bucket.bytes);
        self.packets += bucket.packets;
    }
}

fn with_gap([largest, second]: [u32; 2], gap: u32) -> [u32; 2] {
    if gap > largest { [gap, largest] } else { [largest, second.max(gap)] }
}

fn rate(bytes: f64, span: Micros) -> f64 {
    bytes * 8_000_000.0 / span as f64
}

const BUCKETS: usize = 32;
/// µs.
const BUCKET_SPAN: Micros = 50_000;
/// Of what was sent.
const ALL: f64 = 0.9;
/// µs.
const RECENT: Micros = 120_000;
/// µs.
const MIN_WINDOW: Micros = 1_000_000;
/// µs.
const MAX_WINDOW: Micros = 5_000_000;
const WINDOW_PACKETS: u32 = 20;
const MIN_PACKETS: u32 = 10;
/// µs.
const MIN_SPAN: Micros = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of `run` packets of 1250 bytes every `spacing` µs; what arrives leaves a link of `link` bit/s.
    fn measure(run: u32, spacing: Micros, link: f64) -> Rates {
        let mut throughput = Throughput::default();
        let mut free = 0.0;
        for index in 0..400 {
            let sent = spacing * index;
            for _ in 0..run {
                free = f64::max(free, sent as f64) + 1_250.0 * 8_000_000.0 / link;
                throughput.add(sent, 20_000 + free as Micros, 1_250);
            }
        }
        throughput.rates().unwrap()
    }

    #[test]
    fn runs_do_not_inflate_the_rate() {
        for (run, spacing) in [(1, 10_000), (2, 20_000), (5, 50_000), (20, 200_000)] {
            let sent = f64::from(run) * 1_250.0 * 8_000_000.0 / spacing as f64;
            let Rates { acknowledged, recent, .. } = measure(run, spacing, 1e8);
            assert!((acknowledged / sent - 1.0).abs() < 0.01, "{acknowledged} of {sent} in runs of {run}");
            assert!((recent / sent - 1.0).abs() < 0.03, "{recent} of {sent} in runs of {run}");
        }
    }

    #[test]
    fn what_a_link_lets_through_counts_not_what_was_sent() {
        let Rates { acknowledged, recent, .. } = measure(5, 10_000, 2_000_000.0);
        assert!((acknowledged / 2_000_000.0 - 1.0).abs() < 0.02, "{acknowledged}");
        assert!((recent / 2_000_000.0 - 1.0).abs() < 0.02, "{recent}");
    }

    #[test]
    fn a_single_stall_does_not_lower_the_rate() {
        let mut throughput = Throughput::default();
        for packet in 0..200 {
            let stalled = (120..150).contains(&packet);
            let arrival = if stalled { 1_500_000 } else { 10_000 * packet };
            throughput.add(10_000 * packet, arrival, 1_250);
        }
        let Rates { acknowledged, .. } = throughput.rates().unwrap();
        assert!((950_000.0..1_050_000.0).contains(&acknowledged), "{acknowledged}");
    }

    #[test]
    fn ten_packets_are_needed_and_slow_streams_are_measured_over_seconds() {
        let mut throughput = Throughput::default();
        for packet in 0..30 {
            assert_eq!(throughput.rates().is_some(), packet >= 10);
            throughput.add(150_000 * packet, 150_000 * packet, 100);
        }
        let Rates { acknowledged, .. } = throughput.rates().unwrap();
        assert!((5_200.0..5_500.0).contains(&acknowledged), "{acknowledged}");
    }
}
