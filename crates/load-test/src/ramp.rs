//! Rates at which peers join.

use anyhow::{Context, Result, ensure};
use std::str::FromStr;
use std::time::Duration;

/// A number of peers per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    pub(crate) const STEADY: Self = Self(50.0);

    /// When the peer after the first `done` ones is due, since the start.
    pub(crate) fn next(self, done: usize) -> Duration {
        Duration::from_secs_f64(done as f64 / self.0)
    }
}

impl FromStr for Rate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        let rate: f64 = number.trim().parse().with_context(|| format!("{text} is no rate such as 10/s"))?;
        ensure!((0.01..=10_000.0).contains(&rate), "a rate is 0.01/s to 10000/s");
        Ok(Self(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_and_without_their_unit() {
        assert_eq!("10/s".parse::<Rate>().unwrap(), Rate(10.0));
        assert_eq!("0.5".parse::<Rate>().unwrap(), Rate(0.5));
        for bad in ["", "/s", "-1/s", "10/m", "0", "nan", "1e9"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_is_due_at_once_and_then_one_each_interval() {
        let rate = Rate(10.0);
        assert_eq!([0, 1, 3].map(|done| rate.next(done).as_millis()), [0, 100, 300]);
    }
}
