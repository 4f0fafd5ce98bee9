//! A peer that receives everything: counts it, and answers with the feedback that a browser would send.

use crate::feedback::Feedback;
use crate::link::Link;
use crate::peer::Traffic;
use crate::signaling::{Consumer, Signaling};
use crate::stream_stats::StreamStats;
use anyhow::Result;
use interceptor::Packet;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use switchyard_peer::Incoming;
use tokio::sync::oneshot;

pub(crate) struct Subscriber {
    streams: HashMap<u32, StreamStats>,
    /// Producers consumed, as one may be both in the join's answer and announced.
    producers: HashSet<String>,
    feedback: Feedback,
    /// Told once, at the first media packet.
    first_packet: Option<oneshot::Sender<Instant>>,
}

impl Subscriber {
    pub(crate) fn new(first_packet: oneshot::Sender<Instant>) -> Self {
        Self {
            streams: HashMap::new(),
            producers: HashSet::new(),
            feedback: Feedback::new(),
            first_packet: Some(first_packet),
        }
    }

    pub(crate) fn add(&mut self, consumers: &[Consumer]) {
        for consumer in consumers {
            self.producers.insert(consumer.producer_id.clone());
            self.feedback.add(consumer);
            for encoding in &consumer.rtp_parameters.encodings {
                self.streams.insert(encoding.ssrc, StreamStats::default());
            }
        }
    }

    /// Receives for ever; dropping the future stops it.
    pub(crate) async fn run(
        &mut self,
        link: &mut Link,
        signaling: &mut Signaling,
        transport_id: &str,
        traffic: &Traffic,
    ) -> Result<()> {
        loop {
            let until = self.feedback.next_timeout().unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                incoming = link.next(until) => {
                    let now = Instant::now();
                    if let Some(incoming) = incoming? {
                        self.receive(incoming, now, traffic);
                    }
                    for packets in self.feedback.poll(now) {
                        link.transport.send_rtcp(&packets)?;
                    }
                }
                producer = signaling.next_producer() => {
                    if !self.producers.contains(&producer) {
                        let consumers = signaling.consume(transport_id, &producer).await?;
                        self.add(&consumers);
                        signaling.resume_consumers(&consumers).await?;
                    }
                }
            }
        }
    }

    /// Packets lost and expected, over all streams.
    pub(crate) fn loss(&self) -> (u64, u64) {
        self.streams
            .values()
            .fold((0, 0), |(lost, expected), stream| (lost + stream.lost(), expected + stream.expected()))
    }

    fn receive(&mut self, incoming: Incoming, now: Instant, traffic: &Traffic) {
        match incoming {
            Incoming::Connected => {}
            Incoming::Rtp(packet) => {
                // Probing and padding come on other SSRCs.
                if let Some(stream) = self.streams.get_mut(&packet.header.ssrc) {
                    stream.record(packet.header.sequence_number);
                    traffic.count_received();
                    // Whoever waited may have given up.
                    self.first_packet.take().map(|first| first.send(now));
                }
                self.feedback.received(Packet::Rtp(packet), now);
            }
            Incoming::Rtcp(packets) => self.feedback.received(Packet::Rtcp(packets), now),
        }
    }
}

/// With nothing received there is nothing to report.
const IDLE: Duration = Duration::from_secs(1);
