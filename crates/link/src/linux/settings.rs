//! What the program is told.

use anyhow::{Result, ensure};
use serde::Deserialize;
use std::net::Ipv4Addr;
use std::time::Duration;
use switchyard_link::path::{Loss, Path, Queue, Rate, Spread};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The addresses of the two devices.
    pub(crate) near: Ipv4Addr,
    pub(crate) far: Ipv4Addr,
    /// Losses and jitter are the same in every run with the same seed.
    pub(crate) seed: u32,
    /// From near to far.
    pub(crate) down: Limits,
    pub(crate) up: Limits,
}

/// One direction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    /// From how many seconds on which rate holds, in bit/s of whole IP packets; without steps the rate is unlimited.
    #[serde(default)]
    rate: Vec<(f64, u64)>,
    /// The longest wait at the bottleneck; without it nothing is dropped there.
    queue_ms: Option<u64>,
    delay_ms: u64,
    /// In addition to the delay, up to this; packets keep their order.
    #[serde(default)]
    jitter_ms: u64,
    /// The share of packets that is lost, 0 to 1.
    #[serde(default)]
    loss: f64,
}

impl Limits {
    pub(crate) fn path(&self) -> Result<Path> {
        ensure!((0.0..=1.0).contains(&self.loss), "loss is a share of 1");
        let millis = Duration::from_millis;
        Ok(Path {
            rate: self.rate()?,
            queue: self.queue_ms.map_or(Queue::Unlimited, |queue| Queue::Time(millis(queue))),
            loss: if self.loss > 0.0 { Loss::Random(self.loss) } else { Loss::None },
            delay: millis(self.delay_ms),
            jitter: Spread::Uniform(millis(self.jitter_ms)),
            ..Path::GOOD
        })
    }

    fn rate(&self) -> Result<Rate> {
        let Some(first) = self.rate.first() else { return Ok(Rate::Unlimited) };
        ensure!(first.0 == 0.0, "the first rate holds from second 0 on");
        ensure!(self.rate.is_sorted_by(|a, b| a.0 < b.0), "the seconds of rates ascend");
        ensure!(self.rate.last().is_some_and(|last| last.1 > 0), "the last rate is more than 0");
        let mut steps = Vec::with_capacity(self.rate.len());
        for (second, rate) in &self.rate {
            steps.push((Duration::try_from_secs_f64(*second)?, *rate));
        }
        // A path is a value that holds for ever, and the program has one for each direction.
        Ok(Rate::Steps(steps.leak()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_what_its_json_says() {
        let text = r#"{"rate": [[0, 3000000], [20.5, 600000]], "queueMs": 300, "delayMs": 15, "loss": 0.1}"#;
        let path = serde_json::from_str::<Limits>(text).unwrap().path().unwrap();
        let Rate::Steps([first, second]) = path.rate else { panic!("{path:?}") };
        assert_eq!(*first, (Duration::ZERO, 3_000_000));
        assert_eq!(*second, (Duration::from_millis(20_500), 600_000));
        assert!(matches!(path.queue, Queue::Time(longest) if longest == Duration::from_millis(300)));
        assert!(matches!(path.loss, Loss::Random(share) if share == 0.1));
        assert_eq!(path.longest(), Duration::from_millis(15));
    }

    #[test]
    fn a_link_that_cannot_be_is_refused() {
        for text in [
            r#"{"delayMs": 15, "rate": [[1, 3000000]]}"#,
            r#"{"delayMs": 15, "rate": [[0, 3000000], [2, 0]]}"#,
            r#"{"delayMs": 15, "rate": [[0, 3000000], [2, 1], [2, 1]]}"#,
            r#"{"delayMs": 15, "rate": [[0, 3000000], [1e30, 1]]}"#,
            r#"{"delayMs": 15, "loss": 1.5}"#,
        ] {
            let limits: Limits = serde_json::from_str(text).unwrap();
            assert!(limits.path().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Limits>(r#"{"delayMs": 15, "bandwidth": 1}"#).is_err());
    }
}
