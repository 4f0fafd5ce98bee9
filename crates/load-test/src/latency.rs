//! A distribution of latencies that can be merged and sent to another process.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A histogram in microseconds with three significant digits, up to one minute; `None` until a value is
/// recorded.
#[derive(Debug, Default, Clone)]
pub(crate) struct Latency(Option<Histogram<u64>>);

impl Latency {
    pub(crate) fn record_ns(&mut self, ns: u64) {
        self.record_us(ns.div_ceil(1_000), 1);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for value in other.0.iter().flat_map(Histogram::iter_recorded) {
            self.record_us(value.value_iterated_to(), value.count_at_value());
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// 0 if nothing was recorded.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.value_at_quantile(quantile) as f64 / 1_000.0)
    }

    fn record_us(&mut self, us: u64, count: u64) {
        if self.0.is_none() {
            self.0 = Histogram::new_with_max(LONGEST_US, 3).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record_n(us, count);
        }
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.0.iter().flat_map(Histogram::iter_recorded);
        serializer.collect_seq(values.map(|value| (value.value_iterated_to(), value.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latency = Self::default();
        for (us, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latency.record_us(us, count);
        }
        Ok(latency)
    }
}

const LONGEST_US: u64 = 60_000_000;
