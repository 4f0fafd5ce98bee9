//! RTP going out: due packets rewritten, evened and sealed, one transport's after another.

mod evening;
mod packet;

use super::{Context, Router, TransportKey};
use crate::batch::Batch;
use crate::clock::NtpTime;
use crate::consumer::{Consumer, Plan, Record};
use crate::due::{Due, DueKind};
use crate::event::Sealed;
use crate::producer::{MAX_PAYLOAD, Producer};
use crate::rtp::{FixedHeader, set_padding};
use crate::srtp::Outbound;
use crate::transport::Side;
use evening::{Evening, MAX_PADDING};
use packet::{Header, Packet};

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
        let list = &mut ctx.outbox.due;
        if batch.would_cut(downlink.due.len()) {
            return Sealed::More;
        }
        batch.address(tuple);
        let now = ctx.epoch.ntp(ctx.now);
        let mut sealer =
            Sealer { outbound: &srtp.outbound, now, sequence: &mut downlink.transport_sequence, size: 0 };
        let mut evening = Evening::default();
        while downlink.due.len() > 0 {
            let Some(room) = batch.room() else { return Sealed::More };
            sealer.size = match evening.next() {
                Some(size) => size,
                None if downlink.padding && downlink.due.len() > 1 => {
                    let sizes = list.queued(&downlink.due).map(|due| usize::from(due.size));
                    evening = Evening::plan(sizes.take_while(|&size| size > 0));
                    evening.next().unwrap_or(0)
                }
                None => 0,
            };
            let Some(due) = list.pop(&mut downlink.due) else { break };
            let Some(consumer) = self.consumers.get_mut(due.consumer) else { continue };
            let Some(producer) = self.producers.get(consumer.producer) else { continue };
            let Some(sealed) = sealer.seal(due, consumer, producer, room) else {
                ctx.counters.egress_undeliverable += 1;
                continue;
            };
            batch.commit(sealed.len);
            transport.traffic.packets_sent += 1;
            transport.traffic.bytes_sent += sealed.len as u64;
            ctx.counters.packets_sent += 1;
            ctx.counters.bytes_sent += sealed.len as u64;
            ctx.counters.packets_evened += u64::from(sealed.padding > 0);
            ctx.counters.padding_bytes_sent += sealed.padding as u64;
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
    /// What the plaintext packet is to be padded to, if it is shorter.
    size: usize,
}

/// A packet ready to leave: its bytes, and how many of them even it with others.
struct SealedPacket {
    len: usize,
    padding: usize,
}

impl Sealer<'_> {
    /// Writes and seals a packet to the start of `room`; `None` if there is nothing left to send.
    fn seal(
        &mut self,
        due: Due,
        consumer: &mut Consumer,
        producer: &Producer,
        room: &mut [u8],
    ) -> Option<SealedPacket> {
        if due.kind == DueKind::Fill {
            return self.seal_fill(due, consumer, room);
        }
        let packet = Packet::find(due.outgoing, consumer, producer)?;
        match (due.kind, consumer.output.rtx.is_some()) {
            (DueKind::Again, true) => self.seal_rtx(&packet, consumer, room),
            (DueKind::Again, false) => self.seal_again(&packet, consumer, room),
            (DueKind::Media | DueKind::Fill, _) => self.seal_media(&packet, consumer, room),
        }
    }

    fn seal_media(
        &mut self,
        packet: &Packet<'_>,
        consumer: &mut Consumer,
        room: &mut [u8],
    ) -> Option<SealedPacket> {
        let (sent, transport_sequence) = self.stamp(&consumer.plan);
        let fixed = packet.media_header(&consumer.plan);
        let header = Header { fixed, packet: Some(packet), sent, transport_sequence };
        let header_len = header.write(&consumer.plan, room)?;
        let end = header_len + packet.content.payload.len();
        let padding = self.padding(end);
        if let Some(record) = consumer.record(packet.record.outgoing) {
            record.sent = sent;
            record.transport_sequence = transport_sequence;
            record.padding = padding as u8;
        }
        let sealed = room.get_mut(..end + padding + self.outbound.profile().rtp_overhead())?;
        let (stream, sequence_number) = (&mut consumer.output.media, fixed.sequence_number);
        if packet.is_patched() || padding > 0 {
            packet.write_payload(sealed.get_mut(header_len..end)?);
            set_padding(sealed.get_mut(..end + padding)?, padding);
            self.outbound.seal_rtp(stream, sealed, header_len, sequence_number).ok()?;
        } else {
            self.outbound
                .seal_rtp_from(stream, packet.content.payload, sealed, header_len, sequence_number)
                .ok()?;
        }
        // Neither headers nor padding are counted (RFC 3550 §6.4.1).
        consumer.output.packets = consumer.output.packets.wrapping_add(1);
        consumer.output.octets = consumer.output.octets.wrapping_add(packet.content.payload.len() as u32);
        Some(SealedPacket { len: sealed.len(), padding })
    }

    /// As a packet of the RTX stream: the original sequence number, then the payload (RFC 4588 §4).
    fn seal_rtx(
        &mut self,
        packet: &Packet<'_>,
        consumer: &mut Consumer,
        room: &mut [u8],
    ) -> Option<SealedPacket> {
        let plan = &consumer.plan;
        let (rtx, (stream, next)) = (plan.rtx?, consumer.output.rtx.as_deref_mut()?);
        let original = packet.media_header(plan);
        let sequence_number = *next;
        let fixed =
            FixedHeader { payload_type: rtx.payload_type, ssrc: rtx.ssrc, sequence_number, ..original };
        let (sent, transport_sequence) = self.stamp(plan);
        let header_len =
            Header { fixed, packet: Some(packet), sent, transport_sequence }.write(plan, room)?;
        let start = header_len + RTX_HEADER_LEN;
        let end = start + packet.content.payload.len();
        let padding = self.padding(end);
        let sealed = room.get_mut(..end + padding + self.outbound.profile().rtp_overhead())?;
        sealed.get_mut(header_len..start)?.copy_from_slice(&original.sequence_number.to_be_bytes());
        packet.write_payload(sealed.get_mut(start..end)?);
        set_padding(sealed.get_mut(..end + padding)?, padding);
        self.outbound.seal_rtp(stream, sealed, header_len, sequence_number).ok()?;
        *next = next.wrapping_add(1);
        let len = sealed.len();
        if let Some(record) = consumer.record(packet.record.outgoing) {
            record.sent = sent;
        }
        Some(SealedPacket { len, padding })
    }

    /// Without RTX, the very bytes that were sent before: another plaintext under one nonce would leak keys.
    fn seal_again(&self, packet: &Packet<'_>, consumer: &Consumer, room: &mut [u8]) -> Option<SealedPacket> {
        let fixed = packet.media_header(&consumer.plan);
        let Record { sent, transport_sequence, padding, .. } = packet.record;
        let header_len =
            Header { fixed, packet: Some(packet), sent, transport_sequence }.write(&consumer.plan, room)?;
        let end = header_len + packet.content.payload.len();
        let padding = usize::from(padding);
        let sealed = room.get_mut(..end + padding + self.outbound.profile().rtp_overhead())?;
        packet.write_payload(sealed.get_mut(header_len..end)?);
        set_padding(sealed.get_mut(..end + padding)?, padding);
        self.outbound
            .reseal_identical(&consumer.output.media, sealed, header_len, fixed.sequence_number)
            .ok()?;
        Some(SealedPacket { len: sealed.len(), padding })
    }

    /// A packet of padding alone in a slot whose packet nobody wants.
    fn seal_fill(&mut self, due: Due, consumer: &mut Consumer, room: &mut [u8]) -> Option<SealedPacket> {
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
        set_padding(sealed.get_mut(..end)?, 1);
        self.outbound.seal_rtp(&mut consumer.output.media, sealed, header_len, fixed.sequence_number).ok()?;
        Some(SealedPacket { len: sealed.len(), padding: 0 })
    }

    /// How much to pad a plaintext packet of `len` bytes.
    fn padding(&self, len: usize) -> usize {
        self.size.saturating_sub(len).min(MAX_PADDING)
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

/// The original sequence number (RFC 4588 §4).
const RTX_HEADER_LEN: usize = 2;
/// Everything written around a payload fits the room a batch makes for a packet.
const _: () = assert!(MAX_PAYLOAD + 2 + 12 + 4 + 60 + 16 <= crate::batch::MAX_PACKET);
