//! One received packet as forwarding sees it: what is computed once for all consumers.

use crate::clock::{NtpTime, ticks};
use crate::codec::Descriptor;
use std::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) source: EncodingLife,
    /// Extended sequence number within the source.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    /// `None` for a padding-only probe: it has a sequence number but is not forwarded.
    pub(crate) media: Option<Descriptor>,
    pub(crate) extent: Extent,
    pub(crate) at: Instant,
}

/// The values that determine the length of a forwarded packet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    /// Bytes of the payload, and of the dependency descriptor if it is forwarded (else 0).
    pub(crate) payload: u16,
    pub(crate) dependency: u16,
    pub(crate) carried: Carried,
}

/// Where a packet comes from: an encoding of the producer, and a generation number that rises at each restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EncodingLife {
    pub(crate) encoding: u8,
    pub(crate) generation: u8,
}

/// Header extension values that are forwarded unchanged from producer to consumers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// RFC 6464 value.
    pub(crate) audio_level: Option<u8>,
    /// 3GPP TS 26.114 coordination of video orientation.
    pub(crate) video_orientation: Option<u8>,
    /// Minimum and maximum playout delay, 12 bits each.
    pub(crate) playout_delay: Option<[u8; 3]>,
}

/// The bytes of a stored packet that are sent to every consumer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Content<'a> {
    pub(crate) payload: &'a [u8],
    /// Value of the dependency descriptor extension; empty if there was none.
    pub(crate) dependency: &'a [u8],
}

impl Extent {
    pub(crate) fn new(content: Content<'_>, carried: Carried) -> Self {
        let Content { payload, dependency } = content;
        Self { payload: payload.len() as u16, dependency: dependency.len() as u16, carried }
    }
}

impl Arrival {
    pub(crate) fn is_same_packet(&self, other: &Self) -> bool {
        (self.source, self.sequence) == (other.source, other.sequence)
    }

    /// Whether a decoder can start with this packet.
    pub(crate) fn is_key_frame(&self) -> bool {
        self.media.is_some_and(|media| media.keyframe)
    }

    /// Whether a picture that depends on others begins with this packet, with its lowest spatial layer.
    pub(crate) fn begins_delta_picture(&self) -> bool {
        self.media.is_some_and(|media| media.starts_frame && media.spatial == 0 && !media.keyframe)
    }

    /// The picture number: the codec's own picture id, or the dependency descriptor's frame number.
    pub(crate) fn picture_id(&self) -> Option<u16> {
        let media = self.media?;
        media.picture.map(|picture| picture.value).or(media.frame_number)
    }

    pub(crate) fn tl0_pic_idx(&self) -> Option<u8> {
        self.media?.tl0_pic_idx
    }
}

/// From a sender report: RTP timestamp `timestamp` was sampled at the sender's wall-clock time `ntp`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SenderClock {
    pub(crate) ntp: NtpTime,
    pub(crate) timestamp: u32,
    pub(crate) rate: u32,
}

/// From a sender report: RTP timestamp `timestamp` was sampled at `at` on the server's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captured {
    pub(crate) timestamp: u32,
    pub(crate) at: Instant,
    /// How often the client's clock was set before.
    pub(crate) sets: u32,
}

impl SenderClock {
    /// The sender's wall-clock time at which `timestamp` was sampled.
    pub(crate) fn ntp_at(&self, timestamp: u32) -> NtpTime {
        let since = i64::from(timestamp.wrapping_sub(self.timestamp) as i32);
        self.ntp.offset((i128::from(since << 16) * (1 << 16) / i128::from(self.rate)) as i64)
    }

    /// The RTP timestamp at the sender's wall-clock time `ntp`.
    pub(crate) fn timestamp_at(&self, ntp: NtpTime) -> u32 {
        self.timestamp.wrapping_add(ticks(ntp.since(self.ntp), self.rate) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_time_and_wall_clock_time_convert_both_ways() {
        let clock = SenderClock { ntp: NtpTime(100 << 32), timestamp: 4_294_967_000, rate: 90_000 };
        assert_eq!(clock.timestamp_at(NtpTime(101 << 32)), 4_294_967_000u32.wrapping_add(90_000));
        let earlier = clock.timestamp_at(NtpTime((100 << 32) - (1 << 31)));
        assert_eq!(earlier, 4_294_967_000 - 45_000);
        assert_eq!(clock.ntp_at(earlier), NtpTime((100 << 32) - (1 << 31)));
    }
}
