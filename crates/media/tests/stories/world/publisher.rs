//! A client that sends: it encodes, packetizes, repairs and reports as a browser does.

use super::connection::Connection;
use super::encoder::{Encoder, Payload};
use super::packet::{self, Fixed};
use super::rates::{self, KEY_FRAME_DELAY, LossControl};
use super::stamp::Stamp;
use super::track::{Identity, Track, ids, rid};
use super::wall_clock::WallClock;
use rtcp::extended_report::{DLRRReport, DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use switchyard_media::ProducerId;

pub struct Publisher {
    pub clock: WallClock,
    pub tracks: Vec<LiveTrack>,
    pub heard: Heard,
    /// The time by which packets are sent.
    now: Instant,
    /// Lowers its cameras' rates to what the server says that its path carries.
    pub obeys_caps: bool,
    /// Transport-wide sequence number of the next packet.
    transport_sequence: u16,
    /// Encoded payloads, by the time to send them.
    encoded: BTreeMap<(Instant, u64), Encoded>,
    encodings_done: u64,
    fate: FateOf,
    /// Sealed packets that are sent later, by time.
    delayed: BTreeMap<(Instant, u64), Vec<u8>>,
    reporting: bool,
    next_report: Option<Instant>,
    reference_time: Option<(u32, u32, Instant)>,
    loss_control: LossControl,
}

/// What happens to a media packet when it is first sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Sent,
    Lost,
    Delayed(Duration),
}

type FateOf = Box<dyn FnMut(&Stamp) -> Fate>;

/// The server's RTCP feedback.
#[derive(Default)]
pub struct Heard {
    /// Time and SSRC of each request.
    pub key_frame_requests: Vec<(Instant, u32)>,
    pub nacked: usize,
    pub reports: Vec<(Instant, ReceptionReport)>,
    /// REMB values in bit/s.
    pub bitrate_caps: Vec<f32>,
    /// The number of packets that transport-wide feedback reported as received.
    pub acknowledged: usize,
    pub transport_feedback: usize,
}

pub struct LiveTrack {
    pub track: Track,
    pub producer: ProducerId,
    pub mid: Option<String>,
    pub encodings: Vec<LiveEncoding>,
    /// Captures nothing while muted.
    pub muted: bool,
    /// A still picture: sent only when a key frame is requested.
    pub still: bool,
    /// Audio level in -dBov.
    pub level: u8,
    next_capture: Option<Instant>,
}

pub struct LiveEncoding {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub active: bool,
    pub sequence_number: u16,
    /// The RTP timestamp at the start of the world.
    pub timestamp: u32,
    pub encoder: Encoder,
    pub packets: u32,
    octets: u32,
    rtx_sequence_number: u16,
    /// A receiver report arrived, so the server knows the MID and RID.
    reported: bool,
    history: BTreeMap<u16, Sent>,
}

struct Encoded {
    track: usize,
    encoding: usize,
    timestamp: u32,
    payload: Payload,
}

struct Sent {
    timestamp: u32,
    payload: Payload,
    sealed: Vec<u8>,
}

impl Publisher {
    pub fn new(clock: WallClock) -> Self {
        Self {
            now: clock.origin,
            obeys_caps: false,
            clock,
            tracks: Vec::new(),
            heard: Heard::default(),
            transport_sequence: 65_000,
            encoded: BTreeMap::new(),
            encodings_done: 0,
            fate: Box::new(|_| Fate::Sent),
            delayed: BTreeMap::new(),
            reporting: true,
            next_report: None,
            reference_time: None,
            loss_control: LossControl::default(),
        }
    }

    pub fn add(&mut self, track: Track, producer: ProducerId, identity: &Identity, number: u16) -> usize {
        let encoding = |(index, &(ssrc, rtx_ssrc)): (usize, &(u32, Option<u32>))| LiveEncoding {
            ssrc,
            rtx_ssrc,
            active: true,
            sequence_number: ssrc as u16 & 0x7fff,
            timestamp: ssrc.wrapping_mul(7),
            encoder: Encoder::new(track.codec, track.layers, track.dependence, number, index as u8),
            packets: 0,
            octets: 0,
            rtx_sequence_number: ssrc as u16 & 0x0fff,
            reported: false,
            history: BTreeMap::new(),
        };
        let mut encodings: Vec<LiveEncoding> = identity.ssrcs.iter().enumerate().map(encoding).collect();
        if let Some(camera) = track.camera {
            encodings.iter_mut().for_each(|it| it.encoder.imitate(camera));
        }
        let (mid, level) = (identity.mid.clone(), track.level);
        let live = LiveTrack {
            track,
            producer,
            mid,
            encodings,
            muted: false,
            still: false,
            level,
            next_capture: None,
        };
        self.tracks.push(live);
        self.tracks.len() - 1
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let encoded = self.encoded.first_key_value().map(|((at, _), _)| *at);
        let delayed = self.delayed.first_key_value().map(|((at, _), _)| *at);
        let captures = self.tracks.iter().filter_map(|track| track.next_capture);
        captures.chain(encoded).chain(delayed).chain(self.next_report).min()
    }

    pub fn handle_timeout(&mut self, now: Instant, connection: &mut Connection) {
        self.now = now;
        if !connection.is_connected() {
            return;
        }
        self.next_report.get_or_insert(now + FIRST_REPORT);
        self.control_rates(now);
        for index in 0..self.tracks.len() {
            self.capture(index, now);
        }
        while let Some(first) = self.encoded.first_entry().filter(|first| first.key().0 <= now) {
            let Encoded { track, encoding, timestamp, payload } = first.remove();
            self.send(now, track, encoding, timestamp, payload, connection);
        }
        while let Some(first) = self.delayed.first_entry().filter(|first| first.key().0 <= now) {
            connection.send_raw(first.remove());
        }
        if self.next_report.is_some_and(|at| at <= now) {
            self.next_report = Some(now + REPORT_INTERVAL);
            if self.reporting {
                self.report(now, connection);
            }
        }
    }

    pub fn handle_rtcp(
        &mut self,
        now: Instant,
        packets: &[Box<dyn rtcp::Packet>],
        connection: &mut Connection,
    ) {
        self.now = now;
        for packet in packets {
            let packet = packet.as_any();
            if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
                for report in &report.reports {
                    self.heard.reports.push((now, report.clone()));
                    self.encodings_mut()
                        .filter(|it| it.ssrc == report.ssrc)
                        .for_each(|it| it.reported = true);
                }
            } else if let Some(request) = packet.downcast_ref::<PictureLossIndication>() {
                self.heard.key_frame_requests.push((now, request.media_ssrc));
                self.take_key_frame_request(now, request.media_ssrc);
            } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
                let missing: Vec<u16> = nack.nacks.iter().flat_map(NackPair::packet_list).collect();
                self.heard.nacked += missing.len();
                self.repair(nack.media_ssrc, &missing, connection);
            } else if let Some(feedback) = packet.downcast_ref::<TransportLayerCc>() {
                self.heard.transport_feedback += 1;
                self.heard.acknowledged += feedback.recv_deltas.len();
                let (reported, arrived) =
                    (u64::from(feedback.packet_status_count), feedback.recv_deltas.len() as u64);
                self.loss_control.note(reported, reported.saturating_sub(arrived));
            } else if let Some(cap) = packet.downcast_ref::<ReceiverEstimatedMaximumBitrate>() {
                self.heard.bitrate_caps.push(cap.bitrate);
                if self.obeys_caps {
                    self.limit_cameras(f64::INFINITY);
                }
            } else if let Some(extended) = packet.downcast_ref::<ExtendedReport>() {
                self.note_reference_time(now, extended);
            }
        }
    }

    /// A browser's simulcast encoder refreshes all encodings at once, when it gets to it.
    fn take_key_frame_request(&mut self, now: Instant, ssrc: u32) {
        let (track, encoding) = self.find(ssrc).expect("a key frame of a stream that is not sent");
        let captured = now - self.clock.origin;
        let live = &mut self.tracks[track];
        if live.track.camera.is_none() {
            return live.encodings[encoding].encoder.want_key_frame();
        }
        for it in &mut live.encodings {
            it.encoder.want_key_frame_from(captured + KEY_FRAME_DELAY);
        }
    }

    /// Sends what loss control allows, of all cameras together.
    fn control_rates(&mut self, now: Instant) {
        if let Some(bound) = self.loss_control.bound(now) {
            self.limit_cameras(bound);
        }
    }

    fn limit_cameras(&mut self, bound: f64) {
        let cap = self.heard.bitrate_caps.last().filter(|_| self.obeys_caps);
        let bound = cap.map_or(bound, |cap| bound.min(f64::from(*cap) - SOUND));
        let cameras = self.tracks.iter().filter(|live| live.track.camera.is_some_and(|it| it.yields_to_loss));
        let bound = bound / cameras.count().max(1) as f64;
        for live in &mut self.tracks {
            let Some(camera) = live.track.camera.filter(|camera| camera.yields_to_loss) else { continue };
            let full = (0..live.encodings.len()).map(|encoding| camera.rate(encoding as u8));
            for (it, rate) in live.encodings.iter_mut().zip(rates::divide(bound, full)) {
                if rate.is_some() && !it.active {
                    it.encoder.want_key_frame();
                }
                it.active = rate.is_some();
                it.encoder.sizes.iter_mut().zip(rate).for_each(|(sizes, rate)| sizes.rate = rate);
            }
        }
    }

    /// Sends nothing more.
    pub fn stop(&mut self) {
        self.tracks.iter_mut().for_each(|track| track.muted = true);
        self.reporting = false;
    }

    /// Sets the function that decides the fate of each media packet from here on.
    pub fn decide_fates(&mut self, fate: impl FnMut(&Stamp) -> Fate + 'static) {
        self.fate = Box::new(fate);
    }

    /// Sends a padding-only packet, like a bandwidth probe.
    pub fn pad(&mut self, now: Instant, track: usize, encoding: usize, connection: &mut Connection) {
        let live = &mut self.tracks[track].encodings[encoding];
        let timestamp = live.timestamp;
        let payload = Payload { bytes: Vec::new(), marker: false, dependency: None };
        self.send(now, track, encoding, timestamp, payload, connection);
    }

    /// Sends padding in the RTX stream, like Chromium's probes.
    pub fn pad_with_rtx(&mut self, track: usize, encoding: usize, connection: &mut Connection) {
        let payload = Payload { bytes: Vec::new(), marker: false, dependency: None };
        let fixed = self.rtx_header(track, encoding, 0, false).expect("no RTX");
        let sealed = self.seal(track, encoding, fixed, &payload, true, connection);
        connection.send_raw(sealed);
    }

    fn capture(&mut self, index: usize, now: Instant) {
        let live = &mut self.tracks[index];
        if live.next_capture.get_or_insert(now) > &mut { now } {
            return;
        }
        live.next_capture = Some(now + live.track.interval());
        if live.muted {
            return;
        }
        let captured = now - self.clock.origin;
        for (encoding, it) in live.encodings.iter_mut().enumerate().filter(|(_, it)| it.active) {
            if live.still && !it.encoder.wants_key_frame() {
                continue;
            }
            let timestamp = it.timestamp_at(captured, live.track.codec.clock_rate());
            for payload in it.encoder.encode(captured) {
                self.encodings_done += 1;
                let encoded = Encoded { track: index, encoding, timestamp, payload };
                self.encoded.insert((now + ENCODER_TIME, self.encodings_done), encoded);
            }
        }
    }

    fn send(
        &mut self,
        now: Instant,
        track: usize,
        encoding: usize,
        timestamp: u32,
        payload: Payload,
        connection: &mut Connection,
    ) {
        let live = &mut self.tracks[track];
        let payload_type = live.track.payload_types().0;
        let it = &mut live.encodings[encoding];
        let sequence_number = it.sequence_number;
        it.sequence_number = sequence_number.wrapping_add(1);
        it.packets += 1;
        it.octets += payload.bytes.len() as u32;
        let fixed = Fixed { payload_type, ssrc: it.ssrc, sequence_number, timestamp, marker: payload.marker };
        let sealed = self.seal(track, encoding, fixed, &payload, false, connection);
        let fate =
            if payload.bytes.is_empty() { Fate::Sent } else { (self.fate)(&Stamp::of(&payload.bytes)) };
        match fate {
            Fate::Sent => connection.send_raw(sealed.clone()),
            Fate::Lost => {}
            Fate::Delayed(by) => {
                drop(self.delayed.insert((now + by, u64::from(sequence_number)), sealed.clone()))
            }
        }
        let history = &mut self.tracks[track].encodings[encoding].history;
        if !payload.bytes.is_empty() {
            history.insert(sequence_number, Sent { timestamp, payload, sealed });
        }
        history.remove(&sequence_number.wrapping_sub(HISTORY));
    }

    /// Answers a NACK with an RTX packet, or else with the identical packet.
    fn repair(&mut self, ssrc: u32, missing: &[u16], connection: &mut Connection) {
        let Some((track, encoding)) = self.find(ssrc) else { panic!("a NACK for a stream that is not sent") };
        for &number in missing {
            let live = &mut self.tracks[track].encodings[encoding];
            let Some(Sent { timestamp, payload, sealed }) = live.history.remove(&number) else { continue };
            match self.rtx_header(track, encoding, timestamp, payload.marker) {
                None => connection.send_raw(sealed.clone()),
                Some(fixed) => {
                    let original = [&number.to_be_bytes(), &payload.bytes[..]].concat();
                    let Payload { marker, ref dependency, .. } = payload;
                    let rtx = Payload { bytes: original, marker, dependency: dependency.clone() };
                    let sealed = self.seal(track, encoding, fixed, &rtx, true, connection);
                    connection.send_raw(sealed);
                }
            }
            let live = &mut self.tracks[track].encodings[encoding];
            live.history.insert(number, Sent { timestamp, payload, sealed });
        }
    }

    fn rtx_header(&mut self, track: usize, encoding: usize, timestamp: u32, marker: bool) -> Option<Fixed> {
        let live = &mut self.tracks[track];
        let payload_type = live.track.payload_types().1;
        let it = &mut live.encodings[encoding];
        let ssrc = it.rtx_ssrc?;
        it.rtx_sequence_number = it.rtx_sequence_number.wrapping_add(1);
        Some(Fixed { payload_type, ssrc, sequence_number: it.rtx_sequence_number, timestamp, marker })
    }

    /// Media packets carry MID and RID until the first receiver report; RTX packets always do.
    fn seal(
        &mut self,
        track: usize,
        encoding: usize,
        fixed: Fixed,
        payload: &Payload,
        rtx: bool,
        connection: &mut Connection,
    ) -> Vec<u8> {
        let live = &self.tracks[track];
        let mut extensions = Vec::new();
        if live.track.abs_send_time {
            let [_, send_time @ ..] = abs_send_time(self.now - self.clock.origin).to_be_bytes();
            extensions.push((ids::ABS_SEND_TIME, send_time.to_vec()));
        }
        if live.track.transport_cc {
            extensions.push((ids::TRANSPORT_CC, self.transport_sequence.to_be_bytes().to_vec()));
            self.transport_sequence = self.transport_sequence.wrapping_add(1);
        }
        if live.track.codec == super::encoder::Codec::Opus {
            extensions.push((ids::AUDIO_LEVEL, vec![live.level]));
        }
        if rtx || !live.encodings[encoding].reported {
            extensions.extend(live.mid.as_ref().map(|mid| (ids::MID, mid.clone().into_bytes())));
            if live.track.encodings > 1 {
                let id = if rtx { ids::REPAIRED_RID } else { ids::RID };
                extensions.push((id, rid(encoding).into_bytes()));
            }
        }
        let opens_key_frame =
            !rtx && !payload.bytes.is_empty() && Stamp::of(&payload.bytes).opens_key_frame();
        let declared = live.track.declares.filter(|_| opens_key_frame);
        extensions.extend(declared.map(|value| (ids::LAYERS_ALLOCATION, value.to_vec())));
        extensions.extend(payload.dependency.clone().map(|value| (ids::DEPENDENCY_DESCRIPTOR, value)));
        connection.seal_rtp(&packet::write(fixed, &extensions, &payload.bytes))
    }

    fn report(&mut self, now: Instant, connection: &mut Connection) {
        let mut packets: Vec<Box<dyn rtcp::Packet>> = Vec::new();
        let captured = now - self.clock.origin;
        let ntp_time = self.clock.ntp(now);
        for live in &self.tracks {
            for it in live.encodings.iter().filter(|it| it.active && it.packets > 0) {
                let rtp_time = it.timestamp_at(captured, live.track.codec.clock_rate());
                let (packet_count, octet_count) = (it.packets, it.octets);
                let report = SenderReport {
                    ssrc: it.ssrc,
                    ntp_time,
                    rtp_time,
                    packet_count,
                    octet_count,
                    ..SenderReport::default()
                };
                packets.push(Box::new(report));
            }
        }
        if let Some((ssrc, last_rr, at)) = self.reference_time {
            let dlrr = ((now - at).as_micros() * 65_536 / 1_000_000) as u32;
            let block = DLRRReportBlock { reports: vec![DLRRReport { ssrc, last_rr, dlrr }] };
            packets.push(Box::new(ExtendedReport { sender_ssrc: 1, reports: vec![Box::new(block)] }));
        }
        connection.send_rtcp(&packets);
    }

    fn note_reference_time(&mut self, now: Instant, extended: &ExtendedReport) {
        for block in &extended.reports {
            if let Some(time) = block.as_any().downcast_ref::<ReceiverReferenceTimeReportBlock>() {
                self.reference_time = Some((extended.sender_ssrc, (time.ntp_timestamp >> 16) as u32, now));
            }
        }
    }

    fn find(&self, ssrc: u32) -> Option<(usize, usize)> {
        self.tracks.iter().enumerate().find_map(|(track, live)| {
            Some((track, live.encodings.iter().position(|encoding| encoding.ssrc == ssrc)?))
        })
    }

    fn encodings_mut(&mut self) -> impl Iterator<Item = &mut LiveEncoding> {
        self.tracks.iter_mut().flat_map(|track| &mut track.encodings)
    }
}

impl LiveEncoding {
    fn timestamp_at(&self, captured: Duration, rate: u32) -> u32 {
        let ticks = captured.as_micros() * u128::from(rate) / 1_000_000;
        self.timestamp.wrapping_add(ticks as u32)
    }

    /// Restarts with another SSRC, like a sender that was replaced.
    pub fn restart_as(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
        self.sequence_number = ssrc as u16 & 0x7fff;
        self.timestamp = ssrc.wrapping_mul(11);
        self.history.clear();
        self.reported = false;
        self.encoder.want_key_frame();
    }
}

/// In 2^-18 s, modulo 64 s.
fn abs_send_time(at: Duration) -> u32 {
    ((at.as_micros() << 18) / 1_000_000) as u32 & 0xff_ffff
}

/// The time from capture to sending.
pub const ENCODER_TIME: Duration = Duration::from_millis(5);
/// bit/s of a cap that are kept for sound.
const SOUND: f64 = 40_000.0;
const FIRST_REPORT: Duration = Duration::from_millis(150);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
const HISTORY: u16 = 600;
