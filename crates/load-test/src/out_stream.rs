//! An outgoing RTP stream: numbering, header extensions, sender reports and, for video, retransmission (RFC 4588).

use crate::codec::{VIDEO_CLOCK_RATE, VideoCodec, opus};
use crate::kind::{ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, Kind, MID_URI, TRANSPORT_CC_URI};
use crate::rtp::write_header;
use crate::stamp::capture_ns;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// One outgoing track.
#[derive(Debug)]
pub(crate) struct OutStream {
    pub(crate) media: Media,
    ssrc: u32,
    sequence: u16,
    first_timestamp: u32,
    /// The wall-clock time of media tick 0, in nanoseconds since 1970.
    pub(crate) origin_ns: u64,
    packets: u32,
    octets: u32,
    rtx: Option<Rtx>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Audio,
    Video(VideoCodec),
}

/// A retransmission stream and the packets that it can resend.
#[derive(Debug)]
struct Rtx {
    ssrc: u32,
    sequence: u16,
    /// Sequence number, ticks, marker and payload, by sequence number modulo [`HISTORY`].
    history: Vec<Kept>,
}

#[derive(Debug, Default, Clone)]
struct Kept {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// The content of a packet, without its numbering.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) marker: bool,
    pub(crate) ticks: u32,
    /// Transport-wide sequence number (for congestion control).
    pub(crate) transport_sequence: u16,
    pub(crate) now_ns: u64,
}

impl OutStream {
    pub(crate) fn new(media: Media, origin_ns: u64, random: &mut StdRng) -> Self {
        let mut number = || random.random::<u32>();
        let rtx = |ssrc, sequence| Rtx { ssrc, sequence, history: vec![Kept::default(); HISTORY] };
        Self {
            media,
            ssrc: number(),
            sequence: number() as u16 >> 1,
            first_timestamp: number(),
            origin_ns,
            packets: 0,
            octets: 0,
            rtx: matches!(media, Media::Video(_)).then(|| rtx(number(), number() as u16 >> 1)),
        }
    }

    /// Writes the next packet into an empty buffer.
    pub(crate) fn write(&mut self, outgoing: Outgoing<'_>, packet: &mut Vec<u8>) {
        let timestamp = self.first_timestamp.wrapping_add(outgoing.ticks);
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(outgoing.payload.len() as u32);
        if let Some(rtx) = &mut self.rtx {
            let kept = &mut rtx.history[usize::from(sequence) % HISTORY];
            (kept.sequence, kept.timestamp, kept.marker) = (sequence, timestamp, outgoing.marker);
            kept.payload.clear();
            kept.payload.extend_from_slice(outgoing.payload);
        }
        let kind = (self.media.payload_type(), outgoing.marker);
        self.write_packet(kind, (sequence, timestamp, self.ssrc), outgoing, packet);
        packet.extend_from_slice(outgoing.payload);
    }

    /// Writes a sent packet again, for retransmission; `false` if it is not in the history.
    pub(crate) fn write_again(
        &mut self,
        sequence: u16,
        transport_sequence: u16,
        now_ns: u64,
        packet: &mut Vec<u8>,
    ) -> bool {
        let Some(rtx) = &mut self.rtx else { return false };
        let kept = std::mem::take(&mut rtx.history[usize::from(sequence) % HISTORY]);
        let is_kept = kept.sequence == sequence && !kept.payload.is_empty();
        if is_kept {
            let own = rtx.sequence;
            rtx.sequence = own.wrapping_add(1);
            let ssrc = rtx.ssrc;
            let outgoing = Outgoing {
                payload: &kept.payload,
                marker: kept.marker,
                ticks: 0,
                transport_sequence,
                now_ns,
            };
            let kind = (RTX_PAYLOAD_TYPE, kept.marker);
            self.write_packet(kind, (own, kept.timestamp, ssrc), outgoing, packet);
            packet.extend_from_slice(&sequence.to_be_bytes());
            packet.extend_from_slice(&kept.payload);
        }
        if let Some(rtx) = &mut self.rtx {
            rtx.history[usize::from(sequence) % HISTORY] = kept;
        }
        is_kept
    }

    fn write_packet(
        &self,
        kind: (u8, bool),
        numbers: (u16, u32, u32),
        outgoing: Outgoing<'_>,
        packet: &mut Vec<u8>,
    ) {
        let send_time = abs_send_time(outgoing.now_ns);
        let transport_sequence = outgoing.transport_sequence.to_be_bytes();
        let extensions = [
            (MID_ID, self.media.mid().as_bytes()),
            (ABS_SEND_TIME_ID, &send_time[..]),
            (TRANSPORT_CC_ID, &transport_sequence[..]),
            (AUDIO_LEVEL_ID, &[VOICE_LEVEL][..]),
        ];
        let used = if self.media == Media::Audio { &extensions[..] } else { &extensions[..3] };
        write_header(packet, kind, numbers, used);
    }

    /// A sender report, and the CNAME that a publisher's streams share (RFC 3550 §6.4.1 and §6.5).
    pub(crate) fn report(&self, now_ns: u64, cname: &str) -> Vec<u8> {
        let ntp = ntp(now_ns);
        let elapsed_ns = u128::from(now_ns.saturating_sub(self.origin_ns));
        let ticks = (elapsed_ns * u128::from(self.media.clock_rate()) / 1_000_000_000) as u32;
        let mut report = vec![0x80, 200, 0, 6];
        report.extend_from_slice(&self.ssrc.to_be_bytes());
        report.extend_from_slice(&ntp.to_be_bytes());
        for field in [self.first_timestamp.wrapping_add(ticks), self.packets, self.octets] {
            report.extend_from_slice(&field.to_be_bytes());
        }
        let item = [&[1, cname.len() as u8][..], cname.as_bytes()].concat();
        // At least one zero ends the list of items.
        let padded = (item.len() + 1).next_multiple_of(4);
        report.extend_from_slice(&[0x81, 202]);
        report.extend_from_slice(&(1 + padded as u16 / 4).to_be_bytes());
        report.extend_from_slice(&self.ssrc.to_be_bytes());
        let end = report.len() + padded;
        report.extend_from_slice(&item);
        report.resize(end, 0);
        report
    }

    /// The `rtpParameters` of `media:produce`.
    pub(crate) fn rtp_parameters(&self, cname: &str) -> Value {
        let extension = |(uri, id)| json!({ "uri": uri, "id": id });
        let common =
            [(MID_URI, MID_ID), (ABS_SEND_TIME_URI, ABS_SEND_TIME_ID), (TRANSPORT_CC_URI, TRANSPORT_CC_ID)];
        let level = (self.media == Media::Audio).then_some((AUDIO_LEVEL_URI, AUDIO_LEVEL_ID));
        let mut encoding = json!({ "ssrc": self.ssrc });
        if let Some(rtx) = &self.rtx {
            encoding["rtx"] = json!({ "ssrc": rtx.ssrc });
        }
        let codecs = match self.media {
            Media::Audio => vec![opus::parameters(self.media.payload_type())],
            Media::Video(codec) => codec.parameters(self.media.payload_type(), RTX_PAYLOAD_TYPE).to_vec(),
        };
        json!({
            "mid": self.media.mid(),
            "codecs": codecs,
            "headerExtensions": common.into_iter().chain(level).map(extension).collect::<Vec<_>>(),
            "encodings": [encoding],
            "rtcp": { "cname": cname, "reducedSize": true, "mux": true },
        })
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The second since 1970 that contains media tick `ticks`.
    pub(crate) fn second(&self, ticks: u32) -> u64 {
        capture_ns(self.origin_ns, ticks, self.media.clock_rate()) / 1_000_000_000
    }
}

impl Media {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Audio => Kind::Audio,
            Self::Video(_) => Kind::Video,
        }
    }

    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::Audio => "mic",
            Self::Video(_) => "camera",
        }
    }

    pub(crate) fn clock_rate(self) -> u32 {
        match self {
            Self::Audio => opus::CLOCK_RATE,
            Self::Video(_) => VIDEO_CLOCK_RATE,
        }
    }

    fn mid(self) -> &'static str {
        match self {
            Self::Audio => "0",
            Self::Video(_) => "1",
        }
    }

    fn payload_type(self) -> u8 {
        match self {
            Self::Audio => 111,
            Self::Video(_) => 96,
        }
    }
}

/// Seconds since 1900 as 32.32 fixed point (RFC 3550 §4).
pub(crate) fn ntp(unix_ns: u64) -> u64 {
    let seconds = unix_ns / 1_000_000_000 + 2_208_988_800;
    (seconds << 32) | (((unix_ns % 1_000_000_000) << 32) / 1_000_000_000)
}

/// Seconds as 24-bit 6.18 fixed point.
fn abs_send_time(unix_ns: u64) -> [u8; 3] {
    let [.., a, b, c] = ((ntp(unix_ns) >> 14) as u32).to_be_bytes();
    [a, b, c]
}

/// Header extension ids. They differ between browsers and sessions; the choice does not matter.
const MID_ID: u8 = 4;
const ABS_SEND_TIME_ID: u8 = 2;
const TRANSPORT_CC_ID: u8 = 3;
const AUDIO_LEVEL_ID: u8 = 1;
const RTX_PAYLOAD_TYPE: u8 = 97;
/// Voice at -30 dBov (RFC 6464).
const VOICE_LEVEL: u8 = 0x80 | 30;
/// Packets kept for retransmission: more than a second of video.
const HISTORY: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rtc_rtp::Packet;
    use rtc_shared::marshal::Unmarshal;
    use rtcp::sender_report::SenderReport;
    use rtcp::source_description::SourceDescription;

    #[test]
    fn packets_are_numbered_in_order_and_timed_by_the_media_clock() {
        let mut stream = video();
        let [first, second] =
            [(0, false), (9_000, true)].map(|(ticks, marker)| send(&mut stream, ticks, marker));
        assert_eq!(second.header.sequence_number, first.header.sequence_number + 1);
        assert_eq!(second.header.timestamp.wrapping_sub(first.header.timestamp), 9_000);
        assert!(second.header.marker && second.payload[..] == *b"media");
    }

    #[test]
    fn a_retransmission_is_the_packet_behind_its_own_number() {
        let mut stream = video();
        let first = send(&mut stream, 0, true);
        let mut again = Vec::new();
        assert!(stream.write_again(first.header.sequence_number, 9, 0, &mut again));
        let again = Packet::unmarshal(&mut &again[..]).unwrap();
        assert_eq!((again.header.payload_type, again.header.marker), (97, true));
        assert_eq!(again.header.timestamp, first.header.timestamp);
        assert_eq!(again.payload[..2], first.header.sequence_number.to_be_bytes());
        assert_eq!(again.payload[2..], *b"media");
        assert!(!stream.write_again(first.header.sequence_number.wrapping_sub(1), 9, 0, &mut Vec::new()));
    }

    #[test]
    fn a_report_counts_what_was_sent_and_names_the_sender() {
        let mut stream = video();
        send(&mut stream, 0, true);
        let report = stream.report(1_500_000_000, "someone");
        let packets = rtcp::packet::unmarshal(&mut &report[..]).unwrap();
        let sender = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
        assert_eq!((sender.packet_count, sender.octet_count), (1, 5));
        assert_eq!(sender.rtp_time.wrapping_sub(stream.first_timestamp), 45_000);
        let description = packets[1].as_any().downcast_ref::<SourceDescription>().unwrap();
        assert_eq!(description.chunks[0].items[0].text[..], *b"someone");
    }

    fn video() -> OutStream {
        OutStream::new(Media::Video(VideoCodec::Vp8), 1_000_000_000, &mut StdRng::seed_from_u64(1))
    }

    fn send(stream: &mut OutStream, ticks: u32, marker: bool) -> Packet {
        let mut packet = Vec::new();
        let outgoing = Outgoing { payload: b"media", marker, ticks, transport_sequence: 3, now_ns: 0 };
        stream.write(outgoing, &mut packet);
        Packet::unmarshal(&mut &packet[..]).unwrap()
    }
}
