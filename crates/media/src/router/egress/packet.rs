//! A stored packet rewritten for one consumer: its header, and the ids in its payload.

use crate::arrival::Content;
use crate::codec::patch;
use crate::consumer::{Plan, Rewrite, Values};
use crate::history::Stored;
use crate::producer::Producer;
use crate::rtp::{FixedHeader, HeaderWriter, TransportSequence};

/// A stored packet, to be written for one consumer.
pub(super) struct Packet<'a> {
    pub(super) rewrite: &'a Rewrite,
    stored: &'a Stored,
    pub(super) content: Content<'a>,
}

/// The values of a rewritten header that differ from packet to packet.
pub(super) struct Header<'a> {
    pub(super) fixed: FixedHeader,
    pub(super) packet: Option<&'a Packet<'a>>,
    pub(super) sent: u32,
    pub(super) transport_sequence: u16,
}

impl<'a> Packet<'a> {
    /// The packet to rewrite; `None` if the history has dropped it.
    pub(super) fn find(rewrite: &'a Rewrite, producer: &'a Producer) -> Option<Self> {
        let stream = producer.stream(rewrite.source).filter(|stream| stream.source == rewrite.source)?;
        let (stored, content) = stream.history.get(stream.extend(rewrite.record.incoming))?;
        Some(Self { rewrite, stored, content })
    }

    pub(super) fn media_header(&self, plan: &Plan) -> FixedHeader {
        FixedHeader {
            marker: self.stored.marker || self.rewrite.record.ends_picture,
            payload_type: plan.payload_type,
            sequence_number: self.rewrite.record.outgoing as u16,
            timestamp: self.stored.timestamp.wrapping_sub(self.rewrite.shift.timestamp),
            ssrc: plan.ssrc,
        }
    }

    pub(super) fn is_patched(&self) -> bool {
        self.stored.descriptor.picture.is_some()
            && (self.rewrite.shift.picture_id, self.rewrite.shift.tl0_pic_idx) != (0, 0)
    }

    /// The number in the dependency descriptor: bytes 1 and 2 (AV1 RTP specification, appendix A.8.2).
    fn frame_number(&self) -> Option<u16> {
        Some(self.stored.descriptor.frame_number?.wrapping_sub(self.rewrite.shift.picture_id))
    }

    pub(super) fn write_payload(&self, to: &mut [u8]) {
        to.copy_from_slice(self.content.payload);
        let descriptor = &self.stored.descriptor;
        if let Some(picture) = descriptor.picture {
            let picture_id = picture.value.wrapping_sub(self.rewrite.shift.picture_id);
            let tl0_pic_idx =
                descriptor.tl0_pic_idx.unwrap_or(0).wrapping_sub(self.rewrite.shift.tl0_pic_idx);
            patch(to, descriptor, picture_id, tl0_pic_idx);
        }
    }
}

impl Header<'_> {
    /// Writes the header to the start of `room` and returns its length.
    pub(super) fn write(&self, plan: &Plan, room: &mut [u8]) -> Option<usize> {
        let carried = self.packet.map(|packet| packet.stored.carried).unwrap_or_default();
        let dependency = self.packet.map_or(0, |packet| packet.content.dependency.len());
        if let Some(template) = plan.template(&carried, dependency) {
            let Self { fixed, sent, transport_sequence, .. } = *self;
            let audio_level = carried.audio_level.unwrap_or_default();
            return template.write(&Values { fixed, sent, transport_sequence, audio_level }, room);
        }
        let ids = &plan.extensions;
        let mut writer = HeaderWriter::new(room, self.fixed, plan.form(dependency)).ok()?;
        if let Some(id) = ids.mid {
            writer.extension(id, plan.mid.as_bytes()).ok()?;
        }
        if let Some(id) = ids.transport_cc {
            writer.extension(id, &TransportSequence(self.transport_sequence).to_bytes()).ok()?;
        }
        if let Some(id) = ids.abs_send_time {
            writer.extension(id, &self.sent.to_be_bytes()[1..]).ok()?;
        }
        let Some(packet) = self.packet else { return Some(writer.finish()) };
        if let (Some(id), Some(level)) = (ids.audio_level, carried.audio_level) {
            writer.extension(id, &[level]).ok()?;
        }
        if let (Some(id), Some(orientation)) = (ids.video_orientation, carried.video_orientation) {
            writer.extension(id, &[orientation]).ok()?;
        }
        if let (Some(id), Some(delay)) = (ids.playout_delay, carried.playout_delay) {
            writer.extension(id, &delay).ok()?;
        }
        let Some(id) = ids.dependency.filter(|_| !packet.content.dependency.is_empty()) else {
            return Some(writer.finish());
        };
        let at = writer.extension(id, packet.content.dependency).ok()?;
        let len = writer.finish();
        if let (Some(number), Some(field)) = (packet.frame_number(), room.get_mut(at + 1..at + 3)) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        Some(len)
    }
}
