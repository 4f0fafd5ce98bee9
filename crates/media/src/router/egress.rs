//! RTP going out: due packets rewritten and sealed, one transport's after another.

use super::{Context, Router, TransportKey};
use crate::batch::Batch;
use crate::clock::NtpTime;
use crate::codec::patch;
use crate::consumer::{Consumer, Plan, Record, Shift};
use crate::event::Sealed;
use crate::producer::{Content, MAX_PAYLOAD, Producer, Stored};
use crate::rtp::{ExtensionForm, FixedHeader, HeaderWriter, TransportSequence};
use crate::srtp::Outbound;
use crate::transport::{Due, DueKind, Side};

impl Router {
    /// Seals what a transport has due, as far as the batch has room.
    pub(crate) fn seal_due(&mut self, key: TransportKey, batch: &mut Batch, ctx: &mut Context<'_>) -> Sealed {
        let Some(transport) = self.transports.get_mut(key) else { return Sealed::Done };
        let tuple = transport.ice.selected();
        let Side::Downlink(downlink) = &mut transport.side else { return Sealed::Done };
        let (Some(tuple), Some(srtp)) = (tuple, &transport.srtp) else {
            ctx.counters.egress_undeliverable += downlink.due.len() as u64;
            downlink.due.clear();
            return Sealed::Done;
        };
        let now = ctx.epoch.ntp(ctx.now);
        let mut sealer = Sealer { outbound: &srtp.outbound, now, sequence: &mut downlink.transport_sequence };
        while let Some(&due) = downlink.due.front() {
            let Some(room) = batch.room() else { return Sealed::More };
            downlink.due.pop_front();
            let Some(consumer) = self.consumers.get_mut(due.consumer) else { continue };
            let Some(producer) = self.producers.get(consumer.producer) else { continue };
            let Some(len) = sealer.seal(due, consumer, producer, room) else {
                ctx.counters.egress_undeliverable += 1;
                continue;
            };
            batch.commit(tuple, len);
            transport.traffic.packets_sent += 1;
            transport.traffic.bytes_sent += len as u64;
            ctx.counters.packets_sent += 1;
            ctx.counters.bytes_sent += len as u64;
            match due.kind {
                DueKind::Media => {}
                DueKind::Again => ctx.counters.retransmissions_sent += 1,
                DueKind::Fill => ctx.counters.fills_sent += 1,
            }
        }
        Sealed::Done
    }
}

struct Sealer<'a> {
    outbound: &'a Outbound,
    now: NtpTime,
    sequence: &'a mut u16,
}

/// What differs from packet to packet in a rewritten header.
struct Header<'a> {
    fixed: FixedHeader,
    packet: Option<&'a Packet<'a>>,
    sent: u32,
    transport_sequence: u16,
}

impl Sealer<'_> {
    /// The length of the sealed packet in `room`; `None` if there is nothing left to send.
    fn seal(
        &mut self,
        due: Due,
        consumer: &mut Consumer,
        producer: &Producer,
        room: &mut [u8],
    ) -> Option<usize> {
        if due.kind == DueKind::Fill {
            return self.seal_fill(due, consumer, room);
        }
        let record = *consumer.record(due.outgoing)?;
        let segment = *consumer.segment(&record)?;
        let stream = producer.stream(segment.source).filter(|stream| stream.source == segment.source)?;
        let (stored, content) = stream.history.get(stream.extend(record.incoming))?;
        let packet = Packet { record, shift: segment.shift, stored, content };
        match (due.kind, consumer.output.rtx.is_some()) {
            (DueKind::Again, true) => self.seal_rtx(&packet, consumer, room),
            (DueKind::Again, false) => self.seal_again(&packet, consumer, room),
            (DueKind::Media | DueKind::Fill, _) => self.seal_media(&packet, consumer, room),
        }
    }

    fn seal_media(&mut self, packet: &Packet<'_>, consumer: &mut Consumer, room: &mut [u8]) -> Option<usize> {
        let (sent, transport_sequence) = self.stamp(&consumer.plan);
        if let Some(record) = consumer.record(packet.record.outgoing) {
            record.sent = sent;
            record.transport_sequence = transport_sequence;
        }
        let fixed = packet.media_header(&consumer.plan);
        let header = Header { fixed, packet: Some(packet), sent, transport_sequence };
        let header_len = header.write(&consumer.plan, room)?;
        let end = header_len + packet.content.payload.len();
        let sealed = room.get_mut(..end + self.outbound.profile().rtp_overhead())?;
        let (stream, sequence_number) = (&mut consumer.output.media, fixed.sequence_number);
        if packet.is_patched() {
            packet.write_payload(sealed.get_mut(header_len..end)?);
            self.outbound.seal_rtp(stream, sealed, header_len, sequence_number).ok()?;
        } else {
            self.outbound
                .seal_rtp_from(stream, packet.content.payload, sealed, header_len, sequence_number)
                .ok()?;
        }
        consumer.output.packets = consumer.output.packets.wrapping_add(1);
        consumer.output.octets = consumer.output.octets.wrapping_add(packet.content.payload.len() as u32);
        Some(sealed.len())
    }

    /// As a packet of the RTX stream: the original sequence number, then the payload (RFC 4588 §4).
    fn seal_rtx(&mut self, packet: &Packet<'_>, consumer: &mut Consumer, room: &mut [u8]) -> Option<usize> {
        let plan = &consumer.plan;
        let (rtx, (stream, next)) = (plan.rtx?, consumer.output.rtx.as_mut()?);
        let original = packet.media_header(plan);
        let sequence_number = *next;
        let fixed =
            FixedHeader { payload_type: rtx.payload_type, ssrc: rtx.ssrc, sequence_number, ..original };
        let (sent, transport_sequence) = self.stamp(plan);
        let header_len =
            Header { fixed, packet: Some(packet), sent, transport_sequence }.write(plan, room)?;
        let start = header_len + 2;
        let end = start + packet.content.payload.len();
        let sealed = room.get_mut(..end + self.outbound.profile().rtp_overhead())?;
        sealed.get_mut(header_len..start)?.copy_from_slice(&original.sequence_number.to_be_bytes());
        packet.write_payload(sealed.get_mut(start..end)?);
        self.outbound.seal_rtp(stream, sealed, header_len, sequence_number).ok()?;
        *next = next.wrapping_add(1);
        let len = sealed.len();
        if let Some(record) = consumer.record(packet.record.outgoing) {
            record.sent = sent;
        }
        Some(len)
    }

    /// Without RTX, the very bytes that were sent before: another plaintext under one nonce would leak keys.
    fn seal_again(&self, packet: &Packet<'_>, consumer: &Consumer, room: &mut [u8]) -> Option<usize> {
        let fixed = packet.media_header(&consumer.plan);
        let Record { sent, transport_sequence, .. } = packet.record;
        let header_len =
            Header { fixed, packet: Some(packet), sent, transport_sequence }.write(&consumer.plan, room)?;
        let end = header_len + packet.content.payload.len();
        let sealed = room.get_mut(..end + self.outbound.profile().rtp_overhead())?;
        packet.write_payload(sealed.get_mut(header_len..end)?);
        self.outbound
            .reseal_identical(&consumer.output.media, sealed, header_len, fixed.sequence_number)
            .ok()?;
        Some(sealed.len())
    }

    /// A packet of padding alone in a slot whose packet nobody wants (RFC 3550 §5.1).
    fn seal_fill(&mut self, due: Due, consumer: &mut Consumer, room: &mut [u8]) -> Option<usize> {
        let plan = &consumer.plan;
        let fixed = FixedHeader {
            marker: false,
            payload_type: plan.payload_type,
            sequence_number: due.outgoing as u16,
            timestamp: consumer.media_time()?.2,
            ssrc: plan.ssrc,
        };
        let (sent, transport_sequence) = self.stamp(plan);
        let header_len = Header { fixed, packet: None, sent, transport_sequence }.write(plan, room)?;
        let end = header_len + 1;
        let sealed = room.get_mut(..end + self.outbound.profile().rtp_overhead())?;
        sealed[0] |= PADDING_FLAG;
        sealed[header_len] = 1;
        self.outbound.seal_rtp(&mut consumer.output.media, sealed, header_len, fixed.sequence_number).ok()?;
        Some(sealed.len())
    }

    /// Send time and transport-wide sequence number of the next packet.
    fn stamp(&mut self, plan: &Plan) -> (u32, u16) {
        let sequence = *self.sequence;
        if plan.extensions.transport_cc.is_some() {
            *self.sequence = sequence.wrapping_add(1);
        }
        (self.now.send_ticks(), sequence)
    }
}

/// A stored packet on its way to one consumer.
struct Packet<'a> {
    record: Record,
    shift: Shift,
    stored: &'a Stored,
    content: Content<'a>,
}

impl Packet<'_> {
    fn media_header(&self, plan: &Plan) -> FixedHeader {
        FixedHeader {
            marker: self.stored.marker || self.record.ends_picture,
            payload_type: plan.payload_type,
            sequence_number: self.record.outgoing as u16,
            timestamp: self.stored.timestamp.wrapping_sub(self.shift.timestamp),
            ssrc: plan.ssrc,
        }
    }

    fn is_patched(&self) -> bool {
        self.stored.descriptor.picture.is_some() && (self.shift.picture_id, self.shift.tl0_pic_idx) != (0, 0)
    }

    /// The number in the dependency descriptor: bytes 1 and 2 (AV1 RTP specification, appendix A.8.2).
    fn frame_number(&self) -> Option<u16> {
        Some(self.stored.descriptor.frame_number?.wrapping_sub(self.shift.picture_id))
    }

    fn write_payload(&self, to: &mut [u8]) {
        to.copy_from_slice(self.content.payload);
        let descriptor = &self.stored.descriptor;
        if let Some(picture) = descriptor.picture {
            let picture_id = picture.value.wrapping_sub(self.shift.picture_id);
            let tl0_pic_idx = descriptor.tl0_pic_idx.unwrap_or(0).wrapping_sub(self.shift.tl0_pic_idx);
            patch(to, descriptor, picture_id, tl0_pic_idx);
        }
    }
}

impl Header<'_> {
    fn write(&self, plan: &Plan, room: &mut [u8]) -> Option<usize> {
        let ids = &plan.extensions;
        let mut writer = HeaderWriter::new(room, self.fixed, self.form(plan)).ok()?;
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
        let carried = &packet.stored.carried;
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

    /// Key pictures' dependency descriptors bring the template structure, which no one-byte element holds.
    fn form(&self, plan: &Plan) -> ExtensionForm {
        let dependency = self.packet.map_or(0, |packet| packet.content.dependency.len());
        match plan.extensions.dependency {
            Some(_) if dependency > MAX_ONE_BYTE_LEN => ExtensionForm::TwoByte,
            _ => plan.extensions.form,
        }
    }
}

/// RFC 8285 §4.2.
const MAX_ONE_BYTE_LEN: usize = 16;
const PADDING_FLAG: u8 = 0x20;
/// Everything written around a payload fits the room a batch makes for a packet.
const _: () = assert!(MAX_PAYLOAD + 2 + 12 + 4 + 60 + 16 <= crate::batch::MAX_PACKET);
