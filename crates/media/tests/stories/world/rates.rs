//! The rates of a browser's camera: sizes of frames, and what its sender's loss control leaves of them.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// A camera with the rates of a browser, in place of frames with few packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Times the rates of [`LADDER`].
    pub scale: f64,
    /// The sender lowers its rate at loss, as libwebrtc's does.
    pub yields_to_loss: bool,
}

impl Camera {
    pub const USUAL: Self = Self { scale: 1.0, yields_to_loss: true };

    /// The full rate of an encoding, in bit/s on the wire.
    pub fn rate(self, encoding: u8) -> f64 {
        self.scale * LADDER[usize::from(encoding)]
    }
}

/// The best layers that `cameras` equal cameras can have in `room` bit/s, in bit/s together: of the lowest one, the next
/// layer first.
pub fn best_feasible(camera: Camera, cameras: u8, room: f64) -> f64 {
    let steps =
        (0..LADDER.len() as u8).flat_map(|encoding| SHARES.map(|share| share * camera.rate(encoding)));
    let mut steps: Vec<f64> = steps.collect();
    steps.sort_by(f64::total_cmp);
    let mut taken = vec![0.0; usize::from(cameras)];
    for step in steps {
        for index in 0..taken.len() {
            if taken.iter().sum::<f64>() - taken[index] + step <= room {
                taken[index] = step;
            }
        }
    }
    taken.iter().sum()
}

/// The frame sizes of one encoding.
pub struct Sizes {
    /// Bit/s on the wire, SRTP included.
    pub rate: f64,
    rng: StdRng,
}

impl Sizes {
    pub fn new(rate: f64, seed: u64) -> Self {
        Self { rate, rng: StdRng::seed_from_u64(seed) }
    }

    /// Payload lengths of a frame's packets. `layers` is the number of temporal layers: the lowest of three gets 60 % of
    /// the rate, each upper one 20 %, as with libvpx.
    pub fn packets(&mut self, key: bool, temporal: u8, layers: u8) -> Vec<usize> {
        let average = self.rate / PICTURES / 8.0;
        let share = match (key, layers, temporal) {
            (true, ..) => KEY_FRAME,
            (false, 3, 0) => 0.6 * 4.0,
            (false, 3, 1) => 0.2 * 4.0,
            (false, 3, _) => 0.2 * 2.0,
            _ => 1.0,
        };
        let bytes = average * share * self.rng.random_range(1.0 - VARIATION..1.0 + VARIATION);
        let count = (bytes / LARGEST).ceil().max(1.0);
        let length = (bytes / count) as usize;
        vec![length.saturating_sub(OVERHEAD).max(SMALLEST); count as usize]
    }
}

/// libwebrtc's bound on the rate at loss: 100 kb/s ÷ (loss − 5 %), see `LossBasedBweV2`.
#[derive(Default)]
pub struct LossControl {
    reported: u64,
    lost: u64,
    loss: f64,
    next: Option<Instant>,
}

impl LossControl {
    pub fn note(&mut self, reported: u64, lost: u64) {
        self.reported += reported;
        self.lost += lost;
    }

    /// The bound, once a second.
    pub fn bound(&mut self, now: Instant) -> Option<f64> {
        if *self.next.get_or_insert(now + Duration::from_secs(1)) > now {
            return None;
        }
        self.next = Some(now + Duration::from_secs(1));
        if self.reported > 0 {
            let loss = self.lost as f64 / self.reported as f64;
            self.loss += (loss - self.loss) * 0.4;
        }
        (self.reported, self.lost) = (0, 0);
        Some(if self.loss > 0.05 { 100_000.0 / (self.loss - 0.05) } else { f64::INFINITY })
    }
}

/// Divides a rate among encodings, lowest first; an encoding that would get less than half of its rate is off.
pub fn divide(mut rate: f64, encodings: impl Iterator<Item = f64>) -> Vec<Option<f64>> {
    let part = |(index, full): (usize, f64)| {
        let part = full.min(rate);
        rate -= part;
        // The lowest encoding is never off.
        (index == 0 || part >= full / 2.0).then_some(part)
    };
    encodings.enumerate().map(part).collect()
}

/// Of an encoding's rate: its temporal layers from the lowest to all.
const SHARES: [f64; 3] = [0.6, 0.8, 1.0];
/// Bit/s of each encoding, all temporal layers together.
pub const LADDER: [f64; 3] = [150_000.0, 500_000.0, 1_500_000.0];
/// From a key frame's request to its capture.
pub const KEY_FRAME_DELAY: Duration = Duration::from_millis(80);
/// Per second.
const PICTURES: f64 = 30.0;
/// Times the size of an average frame.
const KEY_FRAME: f64 = 8.0;
/// Of frame sizes.
const VARIATION: f64 = 0.15;
/// Bytes of a packet on the wire.
const LARGEST: f64 = 1_200.0;
/// The headers of RTP with extensions, the payload descriptor, and the tag of SRTP.
const OVERHEAD: usize = 50;
/// A payload has room for its stamp.
const SMALLEST: usize = 40;
