//! A peer that sends: clips as Opus and video with real timing, sender reports, key frames and
//! retransmissions on request, and simulated loss on a lossy uplink.

use crate::clip::Clip;
use crate::codec::{Frame, Packetizer, Payloads, opus};
use crate::options::{SendOptions, VideoOptions};
use crate::out_stream::{Media, OutStream, Outgoing};
use crate::pace::Pace;
use crate::stamp::Stamp;
use crate::tally::Tally;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use std::time::{Duration, Instant, SystemTime};

pub(crate) struct Sender {
    audio: AudioTrack,
    video: Option<VideoTrack>,
    pub(crate) cname: String,
    random: StdRng,
    loss: f64,
    transport_sequence: u16,
    report_due: Instant,
    packet: Vec<u8>,
}

struct AudioTrack {
    stream: OutStream,
    producer: String,
    clip: Clip,
    pace: Pace,
    payload: Vec<u8>,
}

struct VideoTrack {
    stream: OutStream,
    producer: String,
    clip: Clip,
    pace: Pace,
    packetizer: Packetizer,
    payloads: Payloads,
    budget: Budget,
}

/// Bytes that the bit rate allows and that no packet has used.
#[derive(Debug)]
struct Budget {
    bytes: i64,
    per_frame: i64,
    packet_size: i64,
}

/// Sends a sender's packets and counts them.
pub(crate) trait Wire {
    /// Seals and sends the RTP packet in the buffer.
    fn rtp(&mut self, packet: &mut Vec<u8>);
    fn rtcp(&mut self, packet: &[u8]);
    fn tally(&mut self) -> &mut Tally;
}

impl Sender {
    pub(crate) fn new(options: &SendOptions, now: Instant) -> Self {
        let mut random = StdRng::seed_from_u64(options.seed);
        // A random phase, so that publishers that start together do not send their frames together.
        let mut phase = |interval: Duration| interval.mul_f64(random.random());
        let (audio_starts, video_starts) = (now + phase(OPUS_INTERVAL), now + phase(FRAME_PHASE));
        let origin_ns = |starts: Instant| wall_ns() + (starts - now).as_nanos() as u64;
        let audio = AudioTrack {
            stream: OutStream::new(Media::Audio, origin_ns(audio_starts), &mut random),
            producer: String::new(),
            clip: Clip::opus(),
            pace: Pace::new(audio_starts, OPUS_RATE, opus::CLOCK_RATE, options.jitter),
            payload: Vec::new(),
        };
        let video = options.video.map(|video| {
            let stream = OutStream::new(Media::Video(video.codec), origin_ns(video_starts), &mut random);
            VideoTrack {
                pace: Pace::new(video_starts, video.fps, stream.media.clock_rate(), options.jitter),
                stream,
                producer: String::new(),
                clip: Clip::video(video.codec),
                packetizer: Packetizer::new(video.codec, video.packet_size, random.random()),
                payloads: Payloads::default(),
                budget: Budget::new(&video),
            }
        });
        Self {
            audio,
            video,
            cname: format!("{:08x}", random.random::<u32>()),
            random,
            loss: options.loss,
            transport_sequence: 0,
            report_due: now + FIRST_REPORT,
            packet: Vec::with_capacity(1_500),
        }
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &OutStream> {
        std::iter::once(&self.audio.stream).chain(self.video.as_ref().map(|video| &video.stream))
    }

    /// Sets the ids of the producers that the server created for [`Self::streams`].
    pub(crate) fn name_producers(&mut self, producers: Vec<String>) {
        let mut producers = producers.into_iter();
        self.audio.producer = producers.next().unwrap_or_default();
        if let Some(video) = &mut self.video {
            video.producer = producers.next().unwrap_or_default();
        }
    }

    /// Starts sending media.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.audio.pace.skip_to(now);
        if let Some(video) = &mut self.video {
            video.pace.skip_to(now);
        }
        self.report_due = now + FIRST_REPORT;
    }

    pub(crate) fn next_due(&self) -> Instant {
        let video = self.video.as_ref().map_or(self.report_due, |video| video.pace.due());
        self.audio.pace.due().min(video).min(self.report_due)
    }

    /// Sends everything that is due.
    pub(crate) fn send_due(&mut self, now: Instant, wire: &mut impl Wire) {
        while self.audio.pace.due() <= now {
            self.send_audio(wire);
        }
        while self.video.as_ref().is_some_and(|video| video.pace.due() <= now) {
            self.send_frame(wire);
        }
        if self.report_due <= now {
            for stream in self.streams() {
                wire.rtcp(&stream.report(wall_ns(), &self.cname));
            }
            self.report_due = now + REPORT_INTERVAL;
        }
    }

    /// Handles the server's requests for key frames and retransmissions.
    pub(crate) fn heed(&mut self, packets: &[Box<dyn rtcp::Packet>], wire: &mut impl Wire) {
        for packet in packets {
            let packet = packet.as_any();
            if packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>() {
                wire.tally().counts.key_frames_requested += 1;
                if let Some(video) = &mut self.video {
                    video.clip.restart();
                }
            } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
                self.retransmit(nack, wire);
            }
        }
    }

    fn send_audio(&mut self, wire: &mut impl Wire) {
        let track = &mut self.audio;
        let (ticks, captured) = track.pace.advance(&mut self.random);
        let stamp = Stamp { origin_ns: track.stream.origin_ns, ticks, delay_ns: delay_ns(captured) };
        let (encoded, _) = track.clip.next_frame();
        opus::payload(encoded, OPUS_PAYLOAD, &stamp, &mut track.payload);
        let outgoing = Outgoing {
            payload: &track.payload,
            marker: false,
            ticks,
            transport_sequence: self.transport_sequence,
            now_ns: wall_ns(),
        };
        self.packet.clear();
        track.stream.write(outgoing, &mut self.packet);
        note_sent(wire.tally(), &track.stream, &track.producer, ticks, 1);
        self.send(wire);
    }

    fn send_frame(&mut self, wire: &mut impl Wire) {
        let Some(mut track) = self.video.take() else { return };
        let (ticks, captured) = track.pace.advance(&mut self.random);
        let (encoded, is_key) = track.clip.next_frame();
        let stamp = Stamp { origin_ns: track.stream.origin_ns, ticks, delay_ns: delay_ns(captured) };
        let frame = Frame { encoded, is_key, packets: track.budget.packets(), stamp };
        track.packetizer.packetize(frame, &mut track.payloads);
        track.budget.spend(track.payloads.len());
        let payloads = track.payloads.iter();
        let count = payloads.len();
        note_sent(wire.tally(), &track.stream, &track.producer, ticks, count as u64);
        let now_ns = wall_ns();
        for (index, payload) in payloads.enumerate() {
            let marker = index + 1 == count;
            let transport_sequence = self.transport_sequence;
            self.packet.clear();
            let outgoing = Outgoing { payload, marker, ticks, transport_sequence, now_ns };
            track.stream.write(outgoing, &mut self.packet);
            self.send(wire);
        }
        self.video = Some(track);
    }

    fn retransmit(&mut self, nack: &TransportLayerNack, wire: &mut impl Wire) {
        let Some(mut track) = self.video.take() else { return };
        let is_ours = nack.media_ssrc == track.stream.ssrc();
        let lost = nack.nacks.iter().filter(|_| is_ours).flat_map(|pair| pair.packet_list());
        for sequence in lost {
            self.packet.clear();
            if track.stream.write_again(sequence, self.transport_sequence, wall_ns(), &mut self.packet) {
                wire.tally().counts.retransmitted += 1;
                self.send(wire);
            }
        }
        self.video = Some(track);
    }

    /// Sends the packet, unless the simulated uplink loses it.
    fn send(&mut self, wire: &mut impl Wire) {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        if self.loss > 0.0 && self.random.random_bool(self.loss) {
            wire.tally().counts.dropped += 1;
        } else {
            wire.rtp(&mut self.packet);
        }
    }
}

impl Budget {
    fn new(options: &VideoOptions) -> Self {
        let per_frame = (options.bitrate / 8 / u64::from(options.fps)).cast_signed();
        Self { bytes: 0, per_frame, packet_size: options.packet_size as i64 }
    }

    /// The number of whole packets for the next frame, at least one.
    fn packets(&mut self) -> usize {
        self.bytes += self.per_frame;
        (self.bytes / self.packet_size).max(1) as usize
    }

    /// Charges a frame. If it is larger than its share, the next frames get less.
    fn spend(&mut self, bytes: usize) {
        self.bytes -= bytes as i64;
    }
}

/// Counts sent packets, including those that the simulated uplink loses.
fn note_sent(tally: &mut Tally, stream: &OutStream, producer: &str, ticks: u32, packets: u64) {
    let second = stream.second(ticks);
    tally.flow(second, producer, stream.media.kind()).sent += packets;
    tally.seconds.entry(second).or_default().sent += packets;
}

fn delay_ns(captured: Instant) -> u32 {
    captured.elapsed().as_nanos().try_into().unwrap_or(u32::MAX)
}

/// Nanoseconds since 1970.
pub(crate) fn wall_ns() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

const OPUS_RATE: u32 = 50;
const OPUS_INTERVAL: Duration = Duration::from_millis(20);
/// Bytes: 48 kbit/s in packets of 20 ms.
const OPUS_PAYLOAD: usize = 120;
/// An interval of 30 frames a second.
const FRAME_PHASE: Duration = Duration::from_millis(33);
/// The first report is early, so that receivers can synchronize the streams.
const FIRST_REPORT: Duration = Duration::from_millis(100);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::VideoCodec;
    use crate::rtp::Header;
    use rtcp::transport_feedbacks::transport_layer_nack::NackPair;

    #[test]
    fn the_bit_rate_is_met_in_equal_packets_at_every_rate() {
        for bitrate in [700_000, 1_500_000, 6_000_000] {
            let (mut sender, start) = sender(bitrate, 0.0);
            let mut wire = Recorded::default();
            for ms in 0..20_000 {
                sender.send_due(start + Duration::from_millis(ms), &mut wire);
            }
            let video: Vec<&Header> =
                wire.headers.iter().filter(|header| header.payload_type == 96).collect();
            assert!(wire.video_sizes.iter().all(|size| *size == 1_150));
            let sent = 8 * 1_150 * video.len() as u64 / 20;
            assert!(sent.abs_diff(bitrate) < bitrate / 25, "{sent} of {bitrate}");
            let audio = wire.headers.len() - video.len();
            assert!((998..=1_000).contains(&audio), "{audio}");
        }
    }

    #[test]
    fn a_seed_repeats_everything_that_is_sent() {
        let send = || {
            let (mut sender, start) = sender(1_500_000, 0.1);
            let mut wire = Recorded::default();
            (0..2_000).for_each(|ms| sender.send_due(start + Duration::from_millis(ms), &mut wire));
            wire.headers
        };
        assert_eq!(send(), send());
    }

    #[test]
    fn a_lossy_uplink_loses_its_share_and_answers_for_it_when_asked() {
        let (mut sender, start) = sender(1_500_000, 0.2);
        let mut wire = Recorded::default();
        (0..1_500).for_each(|ms| sender.send_due(start + Duration::from_millis(ms), &mut wire));
        let meant: u64 = wire.tally.seconds.values().map(|second| second.sent).sum();
        let lost = wire.tally.counts.dropped as f64 / meant as f64;
        assert!((0.12..0.28).contains(&lost), "{lost}");

        let last = wire.headers.iter().rev().find(|header| header.payload_type == 96).copied().unwrap();
        let pair = NackPair { packet_id: last.sequence, lost_packets: 0 };
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: last.ssrc, nacks: vec![pair] };
        sender.loss = 0.0;
        sender.heed(&[Box::new(nack)], &mut wire);
        assert_eq!((wire.headers.last().unwrap().payload_type, wire.tally.counts.retransmitted), (97, 1));
    }

    #[derive(Default)]
    struct Recorded {
        headers: Vec<Header>,
        video_sizes: Vec<usize>,
        tally: Tally,
    }

    impl Wire for Recorded {
        fn rtp(&mut self, packet: &mut Vec<u8>) {
            let header = Header::parse(packet).unwrap();
            if header.payload_type == 96 {
                self.video_sizes.push(packet.len() - header.len);
            }
            self.headers.push(header);
        }

        fn rtcp(&mut self, packet: &[u8]) {
            assert!(rtcp::packet::unmarshal(&mut &packet[..]).is_ok());
        }

        fn tally(&mut self) -> &mut Tally {
            &mut self.tally
        }
    }

    fn sender(bitrate: u64, loss: f64) -> (Sender, Instant) {
        let video = VideoOptions { codec: VideoCodec::Vp8, bitrate, packet_size: 1_150, fps: 30 };
        let options = SendOptions { video: Some(video), jitter: Duration::from_millis(2), loss, seed: 4 };
        let start = Instant::now();
        (Sender::new(&options, start), start)
    }
}
