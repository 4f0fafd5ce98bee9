//! Counts of packets sent and received per second of capture time. Counts of threads and processes can be
//! merged.
//!
//! A packet belongs to the second in which its frame was captured, which both ends know exactly (see [`crate::stamp`]).
//! A consumer is counted for a second if it received from its start to its end. Then it should have received
//! all packets that the publisher sent in that second, so packets that a server drops or renumbers are
//! noticed.

use crate::kind::Kind;
use crate::latency::Latency;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Keys are seconds since 1970.
    pub(crate) seconds: BTreeMap<u64, Second>,
    pub(crate) counts: Counts,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Keys are producer ids.
    pub(crate) flows: HashMap<String, Flow>,
    pub(crate) latency: Latency,
    /// From a datagram's arrival until the generator read it, for the first datagram of each batch.
    pub(crate) lag: Latency,
    /// All media packets that arrived, also in incomplete seconds, and their bytes of UDP payload.
    pub(crate) arrived: u64,
    pub(crate) arrived_bytes: u64,
    /// Packets that publishers sent.
    pub(crate) sent: u64,
}

/// One producer's packets of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) kind: Kind,
    pub(crate) sent: u64,
    /// Packets received by all listeners together; each listener counts a packet once.
    pub(crate) received: u64,
    pub(crate) listeners: u64,
}

/// Counts over the whole run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) key_frames_requested: u64,
    /// Packets that publishers dropped on purpose.
    pub(crate) dropped: u64,
    /// Packets that publishers retransmitted at the server's request.
    pub(crate) retransmitted: u64,
    /// `nacked`: packets that receivers requested. `recovered`: missing packets that arrived late.
    pub(crate) nacked: u64,
    pub(crate) recovered: u64,
    /// Received packets that failed authentication or parsing.
    pub(crate) rejected: u64,
    /// Datagrams that this machine's kernel refused to send.
    pub(crate) unsent: u64,
    /// Received packets whose authentication was checked.
    pub(crate) verified: u64,
}

impl Tally {
    pub(crate) fn merge(&mut self, other: Self) {
        for (second, theirs) in other.seconds {
            self.seconds.entry(second).or_default().merge(theirs);
        }
        self.counts.merge(other.counts);
    }

    pub(crate) fn flow(&mut self, second: u64, producer: &str, kind: Kind) -> &mut Flow {
        let flows = &mut self.seconds.entry(second).or_default().flows;
        flows.entry(producer.to_owned()).or_insert(Flow::new(kind))
    }

    /// The summary of the seconds in `range`.
    pub(crate) fn over(&self, range: std::ops::Range<u64>) -> Summary {
        let mut sum = Summary::default();
        for (_, second) in self.seconds.range(range) {
            for flow in second.flows.values() {
                let delivery = match flow.kind {
                    Kind::Audio => &mut sum.audio,
                    Kind::Video => &mut sum.video,
                };
                delivery.expected += flow.sent * flow.listeners;
                delivery.received += flow.received;
            }
            sum.sent += second.sent;
            sum.arrived += second.arrived;
            sum.arrived_bytes += second.arrived_bytes;
            sum.latency.merge(&second.latency);
            sum.lag.merge(&second.lag);
        }
        sum
    }
}

impl Second {
    fn merge(&mut self, other: Self) {
        for (producer, theirs) in other.flows {
            let flow = self.flows.entry(producer).or_insert(Flow::new(theirs.kind));
            flow.sent += theirs.sent;
            flow.received += theirs.received;
            flow.listeners += theirs.listeners;
        }
        self.latency.merge(&other.latency);
        self.lag.merge(&other.lag);
        self.arrived += other.arrived;
        self.arrived_bytes += other.arrived_bytes;
        self.sent += other.sent;
    }
}

impl Counts {
    pub(crate) fn merge(&mut self, other: Self) {
        self.key_frames_requested += other.key_frames_requested;
        self.dropped += other.dropped;
        self.retransmitted += other.retransmitted;
        self.nacked += other.nacked;
        self.recovered += other.recovered;
        self.rejected += other.rejected;
        self.unsent += other.unsent;
        self.verified += other.verified;
    }
}

/// The counts of several seconds together.
#[derive(Debug, Default, Clone)]
pub(crate) struct Summary {
    pub(crate) audio: Delivery,
    pub(crate) video: Delivery,
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) arrived_bytes: u64,
    pub(crate) latency: Latency,
    pub(crate) lag: Latency,
}

/// Packets that listeners should have received, and that they received.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) expected: u64,
    pub(crate) received: u64,
}

impl Flow {
    fn new(kind: Kind) -> Self {
        Self { kind, sent: 0, received: 0, listeners: 0 }
    }
}

impl Summary {
    /// The delivery of audio and video together.
    pub(crate) fn delivery(&self) -> Delivery {
        Delivery {
            expected: self.audio.expected + self.video.expected,
            received: self.audio.received + self.video.received,
        }
    }
}

impl Delivery {
    /// The share of expected packets that arrived, 0 to 1; `None` if none was expected.
    pub(crate) fn share(self) -> Option<f64> {
        (self.expected > 0).then(|| self.received as f64 / self.expected as f64)
    }

    pub(crate) fn missing(self) -> u64 {
        self.expected.saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_is_what_listeners_got_of_what_was_sent_wherever_either_was_counted() {
        let mut sender = Tally::default();
        sender.flow(10, "camera", Kind::Video).sent = 150;
        sender.flow(10, "mic", Kind::Audio).sent = 50;
        for (received, listeners) in [(300, 2), (149, 1)] {
            let mut receivers = Tally::default();
            let flow = receivers.flow(10, "camera", Kind::Video);
            (flow.received, flow.listeners) = (received, listeners);
            sender.merge(receivers);
        }
        let summary = sender.over(10..11);
        assert_eq!(summary.video, Delivery { expected: 450, received: 449 });
        assert_eq!((summary.video.share(), summary.audio.share()), (Some(449.0 / 450.0), None));
        assert_eq!(sender.over(11..20).delivery().share(), None);
    }

    #[test]
    fn latencies_of_several_crews_become_one_distribution() {
        let crew = |ms: u64| {
            let mut tally = Tally::default();
            let latency = &mut tally.seconds.entry(1).or_default().latency;
            (0..100).for_each(|_| latency.record_ns(ms * 1_000_000));
            tally
        };
        let mut all = crew(1);
        // Serialized and parsed, as a tally from another process.
        all.merge(serde_json::from_str(&serde_json::to_string(&crew(9)).unwrap()).unwrap());
        let latency = all.over(0..2).latency;
        assert_eq!(latency.count(), 200);
        assert!((latency.quantile_ms(0.25) - 1.0).abs() < 0.01);
        assert!((latency.quantile_ms(0.75) - 9.0).abs() < 0.01);
    }
}
