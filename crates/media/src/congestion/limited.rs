//! Whether the sender sends less than it may, so that what arrives says little about the path.

use super::Micros;

/// A bucket that is filled at a share of the estimate and emptied by what is sent (libwebrtc's ALR detector).
#[derive(Debug, Default)]
pub(super) struct AppLimited {
    /// Bytes, from minus to plus what half a second fills.
    unused: f64,
    filled: Micros,
    is_limited: bool,
}

impl AppLimited {
    pub(super) fn sent(&mut self, bytes: u16) {
        self.unused -= f64::from(bytes);
    }

    /// `estimate` is in bit/s.
    pub(super) fn update(&mut self, estimate: f64, now: Micros) -> bool {
        let rate = SHARE * estimate / 8_000_000.0;
        let size = rate * WINDOW;
        self.unused = (self.unused + rate * (now - self.filled) as f64).clamp(-size, size);
        self.filled = now;
        let limit = if self.is_limited { END } else { START };
        self.is_limited = self.unused > limit * size;
        self.is_limited
    }
}

const SHARE: f64 = 0.65;
/// µs.
const WINDOW: f64 = 500_000.0;
const START: f64 = 0.80;
const END: f64 = 0.50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_far_below_its_share_is_limited_until_it_uses_the_share() {
        let mut limited = AppLimited::default();
        let mut now = 0;
        let mut run = |share: f64| {
            let mut is_limited = false;
            for _ in 0..100 {
                now += 20_000;
                limited.sent((share * 1_000_000.0 / 8.0 / 50.0) as u16);
                is_limited = limited.update(1_000_000.0, now);
            }
            is_limited
        };
        assert!(!run(0.9));
        assert!(run(0.1));
        assert!(!run(0.9));
    }
}
