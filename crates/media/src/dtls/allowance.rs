use std::time::Instant;

/// How many bytes an unauthenticated peer may have us read.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes: usize,
    counted: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { bytes: BURST, counted: None }
    }
}

impl Allowance {
    /// Whether there is room for so many bytes, which are then used up.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> bool {
        let waited = now.saturating_duration_since(*self.counted.get_or_insert(now));
        let earned = (waited.as_millis() as usize).saturating_mul(BYTES_PER_MS);
        if earned > 0 {
            self.counted = Some(now);
            self.bytes = self.bytes.saturating_add(earned).min(BURST);
        }
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                true
            }
            None => false,
        }
    }
}

/// A handshake needs some 6 kB from each side; the rest is for repeats, and for what others send.
const BURST: usize = 128 * 1024;
const BYTES_PER_MS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_used_up_comes_back_at_16_kb_a_second() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        assert!(allowance.take(now, BURST));
        assert!(!allowance.take(now, 1));
        let later = now + Duration::from_secs(1);
        assert!(allowance.take(later, 16_000));
        assert!(!allowance.take(later, 1));
    }
}
