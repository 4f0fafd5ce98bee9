//! Outgoing RTP: due packets are rewritten, padded to equal size and sealed, one transport after another.

mod evening;
mod packet;

use super::Router;
use crate::batch::Batch;
use crate::clock::NtpTime;
use crate::congestion::{Cluster, Controller, Kind, SentPacket};
use crate::consumer::{Consumer, Plan, Record, Taken};
use crate::context::Context;
use crate::counters::Counters;
use crate::due::{Due, DueKind, DueQueue};
use crate::event::Sealed;
use crate::history::MAX_PAYLOAD;
use crate::keys::TransportKey;
use crate::pacing::{Lane, Pacer};
use crate::producer::Producer;
use crate::rtp::{FixedHeader, set_padding};
use crate::srtp::Outbound;
use crate::timer::Timer;
use crate::transport::{Path, Side, Traffic, Transport};
use evening::{Evening, MAX_PADDING};
use packet::{Header, Packet};
use std::time::Instant;

impl Router {
    /// Seals the due packets of a transport, until the batch is full.
    pub(crate) fn seal_due(
        &mut self,
        key: TransportKey,
        departure: &mut Departure<'_>,
        ctx: &mut Context<'_>,
    ) -> Sealed {
        let Some(transport) = self.transports.get_mut(key) else { return Sealed::Done };
        let Some(mut exit) = Exit::open(transport, departure, ctx.counters) else {
            transport.forget_due(ctx.counters);
            return Sealed::Done;
        };
        if !exit.batch.has_room_for(exit.due.len()) {
            return Sealed::More;
        }
        let list = &mut ctx.outbox.due;
        while exit.due.len() > 0 {
            let sizes = list.queued(exit.due).map(|due| due.size);
            exit.sealer.size = exit.evening.next(exit.packets_evened(exit.due.len()), sizes);
            if exit.batch.room().is_none() {
                return Sealed::More;
            }
            let Some(due) = list.pop(exit.due) else { break };
            let Some(consumer) = self.consumers.get_mut(due.consumer) else { continue };
            if consumer.is_video() && !exit.sealer.path.has_room() {
                exit.hold(due);
                continue;
            }
            if exit.must_wait(&due, consumer) {
                exit.pace(due, consumer);
                continue;
            }
            let Some(producer) = self.producers.get(consumer.producer) else { continue };
            let Some(room) = exit.batch.room() else { return Sealed::More };
            let sealed = exit.sealer.seal(due, consumer, producer, room);
            exit.commit(due.kind, consumer, sealed);
        }
        let next = exit.pacer.and_then(|pacer| pacer.next_release());
        if let Some(transport) = self.transports.get_mut(key)
            && next.is_some()
        {
            transport.timers.set(Timer::Pace, next);
            ctx.outbox.touched.push((self.key, key));
        }
        Sealed::Done
    }

    /// Queues the next run of what waits for its turn.
    pub(super) fn release_paced(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let Some(pacer) = &mut downlink.pacer else { return };
        let (list, address) = (&mut ctx.outbox.due, transport.address);
        let late = pacer.release(ctx.now, |due| list.push(&mut downlink.due, address, due, ctx.counters));
        ctx.counters.retransmissions_too_late += late;
        transport.timers.set(Timer::Pace, pacer.next_release());
    }
}

/// The batch to seal into, and the send time of its packets.
#[derive(Debug)]
pub(crate) struct Departure<'a> {
    pub(crate) batch: &'a mut Batch,
    pub(crate) now: NtpTime,
    pub(crate) at: Instant,
}

/// Everything needed to seal packets for one client.
pub(super) struct Exit<'a> {
    sealer: Sealer<'a>,
    /// The client is known or assumed to strip padding.
    padding: bool,
    evening: Evening,
    due: &'a mut DueQueue,
    traffic: &'a mut Traffic,
    congestion: Option<&'a mut Controller>,
    pacer: Option<&'a mut Pacer>,
    /// The probe that runs.
    cluster: Option<Cluster>,
    at: Instant,
    batch: &'a mut Batch,
    counters: &'a mut Counters,
}

impl<'a> Exit<'a> {
    /// `None` if there is no address to send to or no key to seal with.
    pub(super) fn open(
        transport: &'a mut Transport,
        departure: &'a mut Departure<'_>,
        counters: &'a mut Counters,
    ) -> Option<Self> {
        let Side::Downlink(downlink) = &mut transport.side else { return None };
        let outbound = &transport.srtp.as_ref()?.outbound;
        departure.batch.address(transport.ice.selected()?);
        let (sequence, path) = (&mut downlink.transport_sequence, &mut downlink.path);
        let mut pacer = downlink.pacer.as_deref_mut();
        if let Some(pacer) = &mut pacer {
            pacer.refill(departure.at);
        }
        Some(Self {
            sealer: Sealer { outbound, now: departure.now, sequence, stamped: None, path, size: 0 },
            padding: downlink.padding,
            evening: Evening::default(),
            due: &mut downlink.due,
            traffic: &mut transport.traffic,
            congestion: downlink.congestion.as_deref_mut(),
            pacer,
            cluster: downlink.allotment.cluster(),
            at: departure.at,
            batch: departure.batch,
            counters,
        })
    }

    /// Seals packets that a consumer accepted, in order. Returns how many of them had room, in the batch and on the
    /// path.
    pub(super) fn seal(&mut self, taken: &[Taken], consumer: &mut Consumer, producer: &Producer) -> usize {
        for (index, next) in taken.iter().enumerate() {
            let sizes = taken.iter().skip(index).map(|taken| taken.size);
            self.sealer.size = self.evening.next(self.packets_evened(taken.len() - index), sizes);
            if !self.has_room(consumer) {
                return index;
            }
            let Some(room) = self.batch.room() else { return index };
            let packet = Packet::find(&next.rewrite, producer);
            let sealed = packet.and_then(|packet| self.sealer.seal_media(&packet, consumer, room));
            self.commit(DueKind::Media, consumer, sealed);
        }
        taken.len()
    }

    /// Whether a consumer's next packet may be sent at once: to where the client says to be, and without a burst.
    fn has_room(&self, consumer: &Consumer) -> bool {
        let paced = |pacer: &Pacer| consumer.share.paced.is_some() || !pacer.admits(Lane::Video);
        !consumer.is_video() || self.sealer.path.has_room() && !self.pacer.as_deref().is_some_and(paced)
    }

    /// Whether a due packet must wait for its turn, or the turn of packets before it.
    fn must_wait(&self, due: &Due, consumer: &mut Consumer) -> bool {
        let Some(pacer) = self.pacer.as_deref().filter(|_| consumer.is_video()) else { return false };
        if due.paced {
            if consumer.share.paced == Some(due.outgoing) {
                consumer.share.paced = None;
            }
            return false;
        }
        match due.kind {
            DueKind::Media | DueKind::Fill => consumer.share.paced.is_some() || !pacer.admits(Lane::Video),
            DueKind::Again | DueKind::FillAgain => !pacer.admits(Lane::Repair),
            DueKind::Probe => false,
        }
    }

    /// Keeps a packet until it is its turn.
    fn pace(&mut self, due: Due, consumer: &mut Consumer) {
        let Some(pacer) = &mut self.pacer else { return };
        self.counters.packets_paced += 1;
        let lane = match due.kind {
            DueKind::Again | DueKind::FillAgain => Lane::Repair,
            DueKind::Media | DueKind::Fill | DueKind::Probe => Lane::Video,
        };
        if !pacer.hold(due, lane, self.at) {
            self.counters.egress_overflow += 1;
        } else if lane == Lane::Video {
            consumer.share.paced = Some(due.outgoing);
        }
    }

    /// Keeps a packet until the client has proven to be there.
    fn hold(&mut self, due: Due) {
        self.counters.unproven_withheld += 1;
        if !self.sealer.path.hold(due) {
            self.counters.egress_overflow += 1;
        }
    }

    /// How many of the due packets may be padded to equal size: all or none.
    fn packets_evened(&self, due: usize) -> usize {
        if self.padding { due } else { 0 }
    }

    /// Adds the packet that was sealed at the start of the batch's room; counts `None` as undeliverable.
    fn commit(&mut self, kind: DueKind, consumer: &Consumer, sealed: Option<SealedPacket>) {
        let number = self.sealer.stamped.take();
        let Some(SealedPacket { len, padding }) = sealed else {
            self.counters.egress_undeliverable += 1;
            return;
        };
        self.batch.commit(len);
        if let Some(congestion) = &mut self.congestion {
            let kind = match kind {
                DueKind::Media if consumer.is_video() => Kind::Video,
                DueKind::Media => Kind::Audio,
                DueKind::Again | DueKind::FillAgain => Kind::Rtx,
                DueKind::Fill => Kind::Padding,
                DueKind::Probe => Kind::Probe,
            };
            let cluster = self.cluster;
            congestion.sent(&SentPacket { number, size: len as u16, kind, cluster, at: self.at });
        }
        if consumer.is_video() {
            self.sealer.path.spend(len);
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.spend(len);
        }
        self.traffic.packets_sent += 1;
        self.traffic.bytes_sent += len as u64;
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += len as u64;
        self.counters.packets_evened += u64::from(padding > 0);
        self.counters.padding_bytes_sent += padding as u64;
        match kind {
            DueKind::Media => {}
            DueKind::Again | DueKind::FillAgain => self.counters.retransmissions_sent += 1,
            DueKind::Fill => self.counters.fills_sent += 1,
            DueKind::Probe => {
                self.counters.probes_sent += 1;
                self.counters.probe_bytes_sent += len as u64;
            }
        }
    }
}

struct Sealer<'a> {
    outbound: &'a Outbound,
    now: NtpTime,
    sequence: &'a mut u16,
    /// The transport-wide number of the packet being sealed, if it got one.
    stamped: Option<u16>,
    path: &'a mut Path,
    /// Bytes to which a shorter plaintext packet is padded.
    size: usize,
}

/// A sealed packet's length, and how many of its bytes are padding, to make it as long as others.
#[derive(Debug, Clone, Copy)]
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
        let again = match due.kind {
            DueKind::Fill => return self.seal_fill(due, consumer, room),
            DueKind::FillAgain => return self.seal_fill_again(due, consumer, room),
            DueKind::Probe => return self.seal_probe(due, consumer, room),
            DueKind::Media => false,
            DueKind::Again => true,
        };
        let rewrite = consumer.rewrite(due.outgoing)?;
        let packet = Packet::find(&rewrite, producer)?;
        match (again, consumer.output.rtx.is_some()) {
            (true, true) => self.seal_rtx(&packet, consumer, room),
            (true, false) => self.seal_again(&packet, consumer, room),
            (false, _) => self.seal_media(&packet, consumer, room),
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
        if let Some(record) = consumer.record(packet.rewrite.record.outgoing) {
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
        // The octet count includes neither headers nor padding (RFC 3550 §6.4.1).
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
        Some(SealedPacket { len: sealed.len(), padding })
    }

    /// Retransmits without RTX. The plaintext must be byte for byte the same: another one with the same nonce
    /// would leak keys.
    fn seal_again(&self, packet: &Packet<'_>, consumer: &Consumer, room: &mut [u8]) -> Option<SealedPacket> {
        let fixed = packet.media_header(&consumer.plan);
        let Record { sent, transport_sequence, padding, .. } = packet.rewrite.record;
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

    /// Seals a padding-only packet under the sequence number reserved for a packet that is not forwarded.
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
        if let Some(record) = consumer.record(due.outgoing) {
            record.sent = sent;
        }
        let end = header_len + 1;
        let sealed = room.get_mut(..end + self.outbound.profile().rtp_overhead())?;
        set_padding(sealed.get_mut(..end)?, 1);
        self.outbound.seal_rtp(&mut consumer.output.media, sealed, header_len, fixed.sequence_number).ok()?;
        Some(SealedPacket { len: sealed.len(), padding: 0 })
    }

    /// Seals an RTX packet without payload for the number of a padding-only packet.
    fn seal_fill_again(
        &mut self,
        due: Due,
        consumer: &mut Consumer,
        room: &mut [u8],
    ) -> Option<SealedPacket> {
        let timestamp = consumer.media_time()?.2;
        let number = (due.outgoing as u16).to_be_bytes();
        self.seal_beside(consumer, timestamp, (&number, 0), room)
    }

    /// Seals a packet of padding in the RTX stream, as large as it is due if RFC 3550 §5.1 allows that.
    fn seal_probe(&mut self, due: Due, consumer: &mut Consumer, room: &mut [u8]) -> Option<SealedPacket> {
        let timestamp = consumer.media_time().map_or(0, |(.., timestamp)| timestamp);
        let padding = (due.outgoing as usize).saturating_sub(PROBE_OVERHEAD).clamp(1, MAX_PADDING);
        self.seal_beside(consumer, timestamp, (&[], padding), room)
    }

    /// Seals a packet of the RTX stream that repeats no media: its payload, and bytes of padding.
    fn seal_beside(
        &mut self,
        consumer: &mut Consumer,
        timestamp: u32,
        (payload, padding): (&[u8], usize),
        room: &mut [u8],
    ) -> Option<SealedPacket> {
        let plan = &consumer.plan;
        let (rtx, (stream, next)) = (plan.rtx?, consumer.output.rtx.as_deref_mut()?);
        let sequence_number = *next;
        let (payload_type, ssrc) = (rtx.payload_type, rtx.ssrc);
        let fixed = FixedHeader { marker: false, payload_type, sequence_number, timestamp, ssrc };
        let (sent, transport_sequence) = self.stamp(plan);
        let header_len = Header { fixed, packet: None, sent, transport_sequence }.write(plan, room)?;
        let start = header_len + payload.len();
        let end = start + padding;
        let sealed = room.get_mut(..end + self.outbound.profile().rtp_overhead())?;
        sealed.get_mut(header_len..start)?.copy_from_slice(payload);
        set_padding(sealed.get_mut(..end)?, padding);
        self.outbound.seal_rtp(stream, sealed, header_len, sequence_number).ok()?;
        *next = next.wrapping_add(1);
        Some(SealedPacket { len: sealed.len(), padding: 0 })
    }

    /// Bytes of padding for a plaintext packet of `len` bytes.
    fn padding(&self, len: usize) -> usize {
        self.size.saturating_sub(len).min(MAX_PADDING)
    }

    /// Send time and transport-wide sequence number of the next packet.
    fn stamp(&mut self, plan: &Plan) -> (u32, u16) {
        let mut sequence = *self.sequence;
        if plan.extensions.transport_cc.is_some() {
            sequence = self.path.number(sequence);
            *self.sequence = sequence.wrapping_add(1);
            self.stamped = Some(sequence);
        }
        (self.now.send_ticks(), sequence)
    }
}

/// Bytes of a probe's header, extensions and tag, about.
const PROBE_OVERHEAD: usize = 45;
/// Bytes of the original sequence number (RFC 4588 §4).
const RTX_HEADER_LEN: usize = 2;
/// A payload, with everything written around it, fits the room of one packet in a batch.
const _: () = assert!(MAX_PAYLOAD + 2 + 12 + 4 + 60 + 16 <= crate::batch::MAX_PACKET);
