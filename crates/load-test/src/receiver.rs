//! A peer that receives: counts every packet, and sends the feedback that a browser sends.

use crate::codec::{VideoCodec, opus};
use crate::kind::TRANSPORT_CC_URI;
use crate::nack::{Missing, RECEIVER_SSRC};
use crate::out_stream::Media;
use crate::rtp::Header;
use crate::signaling::Consumer;
use crate::stamp::{Stamp, capture_ns};
use crate::tally::Tally;
use crate::window::{Arrival, Window};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use switchyard_peer::TwccRecorder;

pub(crate) struct Receiver {
    streams: HashMap<u32, InStream>,
    /// Maps the SSRC of each retransmission stream to its media stream's SSRC.
    repairs: HashMap<u32, u32>,
    transport_cc: Option<u8>,
    twcc: TwccRecorder,
    twcc_ssrc: u32,
    due: Due,
    feedback_interval: Duration,
    /// One in this many packets is decrypted as a sample, of those that need not be.
    verify_every: u32,
    until_verified: u32,
}

/// When each kind of feedback is due.
struct Due {
    feedback: Instant,
    report: Instant,
    /// `None` while no packet is missing.
    nack: Option<Instant>,
}

/// One consumer's media.
struct InStream {
    consumer: String,
    producer: String,
    media: Media,
    window: Window,
    missing: Missing,
    /// The stamp of one frame and its RTP timestamp as received.
    base: Option<(Stamp, u32)>,
    /// The first second in which the consumer received from the start.
    listens_from: u64,
    /// Packets of the latest seconds, which are not in the tally yet.
    unsettled: Unsettled,
    received: u64,
    last_sender_report: Option<(u32, Instant)>,
}

/// Decryption by the transport, for its receiver.
pub(crate) trait Opener {
    /// Opens an SRTP packet in place and returns the plain packet's length.
    fn open(&mut self, datagram: &mut [u8]) -> Option<usize>;
}

impl Receiver {
    pub(crate) fn new(feedback_interval: Duration, verify_share: f64, now: Instant) -> Self {
        Self {
            streams: HashMap::new(),
            repairs: HashMap::new(),
            transport_cc: None,
            twcc: TwccRecorder::default(),
            twcc_ssrc: 0,
            due: Due { feedback: now + feedback_interval, report: now + REPORT_INTERVAL, nack: None },
            feedback_interval,
            verify_every: (1.0 / verify_share.max(0.001)).round() as u32,
            until_verified: 0,
        }
    }

    pub(crate) fn listen(&mut self, consumer: &Consumer) {
        let parameters = &consumer.rtp_parameters;
        let (Some(codec), Some(encoding)) = (parameters.codecs.first(), parameters.encodings.first()) else {
            return;
        };
        let media = VideoCodec::from_mime_type(&codec.mime_type).map_or(Media::Audio, Media::Video);
        if let Some(id) = parameters.extension(TRANSPORT_CC_URI) {
            self.transport_cc = Some(id);
            self.twcc_ssrc = encoding.ssrc;
        }
        if let Some(rtx) = &encoding.rtx {
            self.repairs.insert(rtx.ssrc, encoding.ssrc);
        }
        self.streams.insert(encoding.ssrc, InStream::new(consumer, media));
    }

    /// Removes a consumer. Its packets of unsettled seconds are not counted.
    pub(crate) fn unlisten(&mut self, consumer: &str) {
        self.streams.retain(|_, stream| stream.consumer != consumer);
        self.repairs.retain(|_, media| self.streams.contains_key(media));
    }

    /// Handles an SRTP packet; `true` if it was media.
    pub(crate) fn receive(
        &mut self,
        datagram: &mut [u8],
        arrival_ns: u64,
        now: Instant,
        opener: &mut impl Opener,
        tally: &mut Tally,
    ) -> bool {
        let Some(header) = Header::parse(datagram) else {
            tally.counts.rejected += 1;
            return false;
        };
        if let Some(value) = self.transport_cc.and_then(|id| header.extension(datagram, id))
            && let Ok(sequence) = value.try_into().map(u16::from_be_bytes)
        {
            self.twcc.record(sequence, arrival_ns);
        }
        let repaired = self.repairs.get(&header.ssrc).copied();
        let Some(stream) = self.streams.get_mut(&repaired.unwrap_or(header.ssrc)) else { return false };
        // RTP headers are not encrypted, so only packets whose payload is needed are opened, and a sample of
        // the others.
        self.until_verified = self.until_verified.saturating_sub(1);
        let must_open = repaired.is_some() || header.has_padding || stream.base.is_none();
        let mut payload = None;
        if must_open || self.until_verified == 0 {
            self.until_verified = self.verify_every;
            let Some(length) = opener.open(datagram) else {
                tally.counts.rejected += 1;
                return false;
            };
            tally.counts.verified += 1;
            payload = Some(header.payload(&datagram[..length]));
        }
        let size = datagram.len() as u64;
        let is_media = match (payload, repaired) {
            // Probes and padding have no payload.
            (Some([]), _) => false,
            (Some([high, low, payload @ ..]), Some(_)) => {
                let original = header.with_sequence(u16::from_be_bytes([*high, *low]));
                stream.take(&original, (Some(payload), size), arrival_ns, now, tally)
            }
            (payload, _) => stream.take(&header, (payload, size), arrival_ns, now, tally),
        };
        // A gap is requested at once, as in libwebrtc.
        if self.due.nack.is_none() && !stream.missing.is_empty() {
            self.due.nack = Some(now);
        }
        is_media
    }

    /// Records when the server's sender reports arrived, for LSR and DLSR in receiver reports.
    pub(crate) fn heed(&mut self, packets: &[Box<dyn rtcp::Packet>], now: Instant) {
        for packet in packets {
            if let Some(report) = packet.as_any().downcast_ref::<SenderReport>()
                && let Some(stream) = self.streams.get_mut(&report.ssrc)
            {
                stream.last_sender_report = Some(((report.ntp_time >> 16) as u32, now));
            }
        }
    }

    pub(crate) fn next_due(&self) -> Instant {
        let due = self.due.feedback.min(self.due.report);
        self.due.nack.map_or(due, |nack| nack.min(due))
    }

    /// Passes the feedback that is due to `send`, as compound packets.
    pub(crate) fn feed_back(&mut self, now: Instant, tally: &mut Tally, mut send: impl FnMut(&[u8])) {
        if self.due.feedback <= now {
            let mut packet = Vec::new();
            self.twcc.report(RECEIVER_SSRC, self.twcc_ssrc, &mut packet);
            if !packet.is_empty() {
                send(&packet);
            }
            self.due.feedback = now + self.feedback_interval;
        }
        if self.due.nack.is_some_and(|due| due <= now) {
            self.ask_again(now, tally, &mut send);
        }
        if self.due.report <= now {
            let reports: Vec<ReceptionReport> =
                self.streams.iter().map(|(ssrc, stream)| stream.reception(*ssrc, now)).collect();
            for reports in reports.chunks(MAX_REPORTS) {
                let report =
                    ReceiverReport { ssrc: RECEIVER_SSRC, reports: reports.to_vec(), ..Default::default() };
                if let Ok(packet) = rtcp::packet::marshal(&[Box::new(report)]) {
                    send(&packet);
                }
            }
            self.due.report = now + REPORT_INTERVAL;
        }
    }

    fn ask_again(&mut self, now: Instant, tally: &mut Tally, send: &mut impl FnMut(&[u8])) {
        self.due.nack = None;
        for (ssrc, stream) in &mut self.streams {
            if let Some((nack, count)) = stream.missing.poll(*ssrc, now)
                && let Ok(packet) = rtcp::packet::marshal(&[Box::new(nack)])
            {
                tally.counts.nacked += count;
                send(&packet);
            }
            if stream.missing.take_key_frame_wish() {
                let wish = PictureLossIndication { sender_ssrc: RECEIVER_SSRC, media_ssrc: *ssrc };
                if let Ok(packet) = rtcp::packet::marshal(&[Box::new(wish)]) {
                    send(&packet);
                }
            }
            if !stream.missing.is_empty() {
                self.due.nack = Some(now + NACK_INTERVAL);
            }
        }
    }

    /// Moves the packets of settled seconds to the tally; `current` is the present second.
    pub(crate) fn settle(&mut self, current: u64, tally: &mut Tally) {
        for stream in self.streams.values_mut() {
            stream.settle(current, tally);
        }
    }
}

impl InStream {
    fn new(consumer: &Consumer, media: Media) -> Self {
        Self {
            consumer: consumer.id.clone(),
            producer: consumer.producer_id.clone(),
            media,
            window: Window::new(),
            missing: Missing::default(),
            base: None,
            listens_from: u64::MAX,
            unsettled: Unsettled::default(),
            received: 0,
            last_sender_report: None,
        }
    }

    /// Counts a packet, whose payload is known if it was opened; `true` if it is new.
    fn take(
        &mut self,
        header: &Header,
        (payload, size): (Option<&[u8]>, u64),
        arrival_ns: u64,
        now: Instant,
        tally: &mut Tally,
    ) -> bool {
        let arrival = self.window.insert(header.sequence);
        match arrival {
            Arrival::Repeat => return false,
            Arrival::Ahead { index, missing } => {
                if missing > 0 && self.media != Media::Audio {
                    self.missing.skipped(index, missing, now);
                }
            }
            Arrival::Late { index } => {
                self.missing.found(index);
                tally.counts.recovered += 1;
            }
        }
        self.received += 1;
        let stamp = payload.filter(|_| header.marker || self.media == Media::Audio).and_then(|payload| {
            match self.media {
                Media::Audio => opus::stamp(payload),
                Media::Video(codec) => codec.stamp(payload),
            }
        });
        if let Some(stamp) = stamp
            && self.base.is_none()
        {
            self.base = Some((stamp, header.timestamp));
            self.listens_from = arrival_ns / NS_PER_SECOND + 1;
        }
        let Some(second) = self.second_of(header.timestamp) else { return true };
        let summary = tally.seconds.entry(second).or_default();
        summary.arrived += 1;
        summary.arrived_bytes += size;
        if let Some(stamp) = stamp {
            summary.latency.record_ns(arrival_ns.saturating_sub(stamp.sent_ns(self.media.clock_rate())));
        }
        self.unsettled.count(second);
        true
    }

    /// The second of the wall clock in which the frame with this timestamp was captured.
    fn second_of(&self, timestamp: u32) -> Option<u64> {
        let (stamp, base) = self.base?;
        let ticks = stamp.ticks.wrapping_add(timestamp.wrapping_sub(base));
        Some(capture_ns(stamp.origin_ns, ticks, self.media.clock_rate()) / NS_PER_SECOND)
    }

    fn settle(&mut self, current: u64, tally: &mut Tally) {
        let settled = current.saturating_sub(SETTLE_SECONDS);
        if self.base.is_none() || settled < self.listens_from {
            return;
        }
        let flow = tally.flow(settled, &self.producer, self.media.kind());
        flow.listeners += 1;
        flow.received += self.unsettled.of(settled);
    }

    fn reception(&self, ssrc: u32, now: Instant) -> ReceptionReport {
        let answered = self.last_sender_report;
        let delay = answered.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at));
        ReceptionReport {
            ssrc,
            last_sequence_number: self.window.extended_highest(),
            last_sender_report: answered.map_or(0, |(report, _)| report),
            // DLSR, in units of 1/65536 s.
            delay: (delay.as_micros() * 65_536 / 1_000_000) as u32,
            ..ReceptionReport::default()
        }
    }
}

/// Packets of the latest seconds of capture. Packets of a second whose place has been reused arrive too late
/// and are not counted.
#[derive(Debug, Default)]
struct Unsettled([(u64, u64); Self::SECONDS]);

impl Unsettled {
    /// More than the number of seconds that can be unsettled at the same time.
    const SECONDS: usize = 4;

    fn count(&mut self, second: u64) {
        let (of, packets) = &mut self.0[second as usize % Self::SECONDS];
        if *of < second {
            (*of, *packets) = (second, 0);
        }
        *packets += u64::from(*of == second);
    }

    fn of(&self, second: u64) -> u64 {
        let (of, packets) = self.0[second as usize % Self::SECONDS];
        if of == second { packets } else { 0 }
    }
}

const NS_PER_SECOND: u64 = 1_000_000_000;
/// A second is settled one second after it is over. Packets that arrive later are useless to a receiver.
const SETTLE_SECONDS: u64 = 2;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between checks for missing packets, as in libwebrtc.
const NACK_INTERVAL: Duration = Duration::from_millis(20);
/// Report blocks per receiver report (RFC 3550 §6.4.2).
const MAX_REPORTS: usize = 31;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out_stream::{OutStream, Outgoing};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use serde_json::json;

    #[test]
    fn an_old_packet_that_is_repaired_late_does_not_disturb_the_count_of_the_second_that_runs() {
        let mut unsettled = Unsettled::default();
        (0..5).for_each(|_| unsettled.count(100));
        unsettled.count(96);
        unsettled.count(101);
        assert_eq!((unsettled.of(100), unsettled.of(96), unsettled.of(101)), (5, 0, 1));
    }

    #[test]
    fn a_listener_answers_for_whole_seconds_and_counts_each_packet_once() {
        let mut room = Room::new();
        // Frames of seconds 10 to 13, ten per second. After the first frame, counting starts with the next
        // whole second.
        for frame in 0..40_u32 {
            room.publish(frame);
        }
        let all: Vec<Vec<u8>> = room.sent.clone();
        for (frame, packet) in all.iter().enumerate() {
            // Two frames of second 12 are lost, and one of second 11 arrives twice.
            if frame != 25 && frame != 26 {
                room.deliver(packet);
            }
            if frame == 15 {
                room.deliver(packet);
            }
        }
        (11..16).for_each(|current| room.receiver.settle(current, &mut room.tally));
        let flow = |second: u64| {
            let flows = room.tally.seconds.get(&second).map(|second| &second.flows);
            flows.and_then(|flows| flows.get("camera")).map(|flow| (flow.listeners, flow.received))
        };
        assert_eq!([10, 11, 12, 13].map(flow), [None, Some((1, 10)), Some((1, 8)), Some((1, 10))]);
        let latency = room.tally.over(10..14).latency;
        assert_eq!(latency.count(), 38);
        assert!((latency.quantile_ms(0.5) - 3.0).abs() < 0.01);
    }

    #[test]
    fn gaps_are_asked_for_and_a_retransmission_fills_them() {
        let mut room = Room::new();
        (0..4).for_each(|frame| room.publish(frame));
        let sent = room.sent.clone();
        for packet in [&sent[0], &sent[1], &sent[3]] {
            room.deliver(packet);
        }
        let mut asked = Vec::new();
        room.receiver.feed_back(room.now, &mut room.tally, |packet| asked.push(packet[1]));
        // A generic NACK is transport feedback (RFC 4585 §6.2).
        assert_eq!((asked.as_slice(), room.tally.counts.nacked), (&[205][..], 1));
        let lost = Header::parse(&sent[2]).unwrap();
        let mut again = Vec::new();
        assert!(room.stream.write_again(lost.sequence, 0, 0, &mut again));
        room.deliver(&again);
        assert_eq!(room.tally.counts.recovered, 1);
        asked.clear();
        let later = room.now + Duration::from_millis(50);
        room.receiver.feed_back(later, &mut room.tally, |packet| asked.push(packet[1]));
        assert!(asked.is_empty(), "{asked:?}");
    }

    /// A publisher and a receiver without a network, a server or encryption between them.
    struct Room {
        stream: OutStream,
        receiver: Receiver,
        tally: Tally,
        sent: Vec<Vec<u8>>,
        now: Instant,
    }

    struct Plain;

    impl Opener for Plain {
        fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
            Some(datagram.len())
        }
    }

    impl Room {
        fn new() -> Self {
            let media = Media::Video(VideoCodec::Vp8);
            let origin_ns = 10 * NS_PER_SECOND;
            let stream = OutStream::new(media, origin_ns, &mut StdRng::seed_from_u64(1));
            let now = Instant::now();
            let mut receiver = Receiver::new(Duration::from_secs(1), 1.0, now);
            let consumer = json!({
                "id": "consumer", "producerId": "camera", "paused": false,
                "rtpParameters": stream.rtp_parameters("cname"),
            });
            receiver.listen(&serde_json::from_value(consumer).unwrap());
            Self { stream, receiver, tally: Tally::default(), sent: Vec::new(), now }
        }

        /// Publishes a frame of one packet; there are ten frames per second.
        fn publish(&mut self, frame: u32) {
            let ticks = frame * 9_000;
            let stamp = Stamp { origin_ns: self.stream.origin_ns, ticks, delay_ns: 0 };
            let payload = [&[0x90, 0x80, 0x80, 1][..], &stamp.encode()].concat();
            let mut packet = Vec::new();
            let outgoing =
                Outgoing { payload: &payload, marker: true, ticks, transport_sequence: 0, now_ns: 0 };
            self.stream.write(outgoing, &mut packet);
            self.sent.push(packet);
        }

        /// Delivers a packet three milliseconds after its capture.
        fn deliver(&mut self, packet: &[u8]) {
            let header = Header::parse(packet).unwrap();
            let first = Header::parse(&self.sent[0]).unwrap();
            let ticks = header.timestamp.wrapping_sub(first.timestamp);
            let arrival_ns = capture_ns(self.stream.origin_ns, ticks, 90_000) + 3_000_000;
            let mut datagram = packet.to_vec();
            self.receiver.receive(&mut datagram, arrival_ns, self.now, &mut Plain, &mut self.tally);
        }
    }
}
