//! A peer that sends: Opus at 50 packets a second, VP8-shaped frames, sender reports, key frames when asked.

use crate::cli::VideoOptions;
use crate::link::Link;
use crate::peer::Traffic;
use crate::rtp_stream::{Payload, RtpStream, StreamKind};
use crate::vp8::Vp8Source;
use anyhow::Result;
use bytes::Bytes;
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use std::time::{Duration, Instant};
use switchyard_peer::Incoming;

pub(crate) struct Publisher {
    pub(crate) audio: RtpStream,
    pub(crate) video: RtpStream,
    pub(crate) cname: String,
    source: Vp8Source,
    frame_interval: Duration,
    /// Shared by all streams of a transport.
    transport_sequence: u16,
    pub(crate) key_frames_requested: u64,
}

/// When the next of each is due.
struct Due {
    audio: Instant,
    frame: Instant,
    report: Instant,
}

impl Publisher {
    pub(crate) fn new(video: VideoOptions, now: Instant) -> Self {
        Self {
            audio: RtpStream::new(StreamKind::Audio, now),
            video: RtpStream::new(StreamKind::Video, now),
            cname: format!("{:08x}", rand::random::<u32>()),
            source: Vp8Source::new(video),
            frame_interval: video.frame_interval(),
            transport_sequence: 0,
            key_frames_requested: 0,
        }
    }

    /// Sends for ever; dropping the future stops it.
    pub(crate) async fn run(&mut self, link: &mut Link, traffic: &Traffic) -> Result<()> {
        let now = Instant::now();
        // Publishers that start together would otherwise send their frames together.
        let phase = self.frame_interval.mul_f32(rand::random());
        let mut due = Due { audio: now, frame: now + phase, report: now + FIRST_REPORT };
        loop {
            self.send_due(link, &mut due, traffic)?;
            let until = due.audio.min(due.frame).min(due.report);
            if let Some(Incoming::Rtcp(packets)) = link.next(until).await? {
                self.heed(&packets);
            }
        }
    }

    fn send_due(&mut self, link: &mut Link, due: &mut Due, traffic: &Traffic) -> Result<()> {
        let now = Instant::now();
        while due.audio <= now {
            let bytes = Bytes::from_static(&OPUS_PACKET);
            let payload = Payload { bytes, marker: false, audio_level: Some(AUDIO_LEVEL) };
            let packet = self.audio.packet(payload, due.audio, self.transport_sequence)?;
            self.send(link, &packet, traffic)?;
            due.audio += OPUS_INTERVAL;
        }
        while due.frame <= now {
            let mut payloads = self.source.next_frame().into_iter().peekable();
            while let Some(bytes) = payloads.next() {
                let payload = Payload { bytes, marker: payloads.peek().is_none(), audio_level: None };
                let packet = self.video.packet(payload, due.frame, self.transport_sequence)?;
                self.send(link, &packet, traffic)?;
            }
            due.frame += self.frame_interval;
        }
        if due.report <= now {
            for stream in [&self.audio, &self.video] {
                link.transport.send_rtcp(&stream.report(now, &self.cname))?;
            }
            due.report = now + REPORT_INTERVAL;
        }
        Ok(())
    }

    fn send(&mut self, link: &mut Link, packet: &rtc_rtp::Packet, traffic: &Traffic) -> Result<()> {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        traffic.count_sent();
        link.transport.send_rtp(packet)
    }

    fn heed(&mut self, packets: &[Box<dyn rtcp::Packet>]) {
        for packet in packets {
            let packet = packet.as_any();
            if packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>() {
                self.key_frames_requested += 1;
                self.source.request_key_frame();
            }
        }
    }
}

const OPUS_INTERVAL: Duration = Duration::from_millis(20);
/// 48 kbit/s.
const OPUS_PACKET: [u8; 120] = [0x78; 120];
/// Voice at -30 dBov (RFC 6464).
const AUDIO_LEVEL: u8 = 0x80 | 30;
/// Early, so that receivers can align the streams.
const FIRST_REPORT: Duration = Duration::from_millis(100);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
