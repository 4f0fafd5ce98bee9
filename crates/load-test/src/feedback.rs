//! What a receiver tells the server: transport-wide arrival times and receiver reports.

use crate::signaling::{Consumer, TRANSPORT_CC_URI};
use interceptor::{
    AttributedPacket, Interceptor, Packet, RTCPFeedback, RTPHeaderExtension, ReceiverReportBuilder, Registry,
    Slot, StreamInfo, TaggedPacket, TwccReceiverBuilder,
};
use std::time::Instant;

pub(crate) struct Feedback {
    chain: Box<dyn Interceptor>,
}

impl Feedback {
    pub(crate) fn new() -> Self {
        let registry = Registry::new()
            .with(Slot::TwccReceiver, TwccReceiverBuilder::new().build())
            .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build());
        Self { chain: Box::new(registry.build()) }
    }

    /// Reports on this consumer's stream from here on.
    pub(crate) fn add(&mut self, consumer: &Consumer) {
        let parameters = &consumer.rtp_parameters;
        let (Some(codec), Some(encoding)) = (parameters.codecs.first(), parameters.encodings.first()) else {
            return;
        };
        let transport_cc = parameters.extension(TRANSPORT_CC_URI).map(u16::from);
        self.chain.bind_remote_stream(&StreamInfo {
            ssrc: encoding.ssrc,
            clock_rate: codec.clock_rate,
            rtp_header_extensions: transport_cc
                .map(|id| RTPHeaderExtension { uri: TRANSPORT_CC_URI.to_owned(), id })
                .into_iter()
                .collect(),
            rtcp_feedback: vec![RTCPFeedback { typ: "transport-cc".to_owned(), parameter: String::new() }],
            ..StreamInfo::default()
        });
    }

    pub(crate) fn received(&mut self, packet: Packet, now: Instant) {
        let message = AttributedPacket::new(packet);
        // The chain only observes; what it cannot read it does not report on.
        let _ = self.chain.handle_read(TaggedPacket { now, transport: Default::default(), message });
        while self.chain.poll_read().is_some() {}
    }

    pub(crate) fn next_timeout(&mut self) -> Option<Instant> {
        self.chain.poll_timeout()
    }

    /// The RTCP that is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Vec<Vec<Box<dyn rtcp::Packet>>> {
        if self.chain.poll_timeout().is_some_and(|due| due <= now) {
            let _ = self.chain.handle_timeout(now);
        }
        let written = std::iter::from_fn(|| self.chain.poll_write());
        let rtcp = |message: TaggedPacket| {
            if let Packet::Rtcp(packets) = message.message.packet { Some(packets) } else { None }
        };
        written.filter_map(rtcp).filter(|packets| !packets.is_empty()).collect()
    }
}
