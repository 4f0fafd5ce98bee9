//! The smallest value of the last minute, in constant memory.

use std::time::{Duration, Instant};

/// The smallest of the values that were added within the last 55 to 60 s.
#[derive(Debug, Clone)]
pub(crate) struct Least {
    /// The smallest value of each span; the first is the newest.
    spans: [Option<i64>; SPANS],
    /// When the newest span began.
    began: Instant,
}

impl Least {
    pub(crate) fn new(value: i64, now: Instant) -> Self {
        let mut spans = [None; SPANS];
        spans[0] = Some(value);
        Self { spans, began: now }
    }

    pub(crate) fn add(&mut self, value: i64, now: Instant) {
        let passed = now.saturating_duration_since(self.began).as_secs() / SPAN.as_secs();
        if passed > 0 {
            let shift = usize::try_from(passed).unwrap_or(SPANS).min(SPANS);
            self.spans.rotate_right(shift);
            self.spans[..shift].fill(None);
            self.began += SPAN * u32::try_from(passed).unwrap_or(0);
        }
        let newest = &mut self.spans[0];
        *newest = Some(newest.map_or(value, |least| least.min(value)));
    }

    /// The smallest value. Time passes only by adding, so there always is one.
    pub(crate) fn get(&self) -> Option<i64> {
        self.spans.iter().flatten().min().copied()
    }
}

const SPANS: usize = 12;
const SPAN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_a_minute() {
        let start = Instant::now();
        let mut least = Least::new(5, start);
        for second in 1..=54 {
            least.add(9, start + Duration::from_secs(second));
            assert_eq!(least.get(), Some(5), "after {second} s");
        }
        least.add(9, start + Duration::from_secs(60));
        assert_eq!(least.get(), Some(9));
        least.add(11, start + Duration::from_secs(100_000_000));
        assert_eq!(least.get(), Some(11));
    }
}
