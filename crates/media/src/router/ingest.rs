//! Incoming RTP: finds the producer's stream of a packet, and forwards the packet to consumers.

use super::Router;
use crate::config::Bandwidth;
use crate::congestion::{Incoming, SendTime};
use crate::context::Context;
use crate::format::Format;
use crate::keys::{ProducerKey, TransportKey};
use crate::producer::Media;
use crate::rtp::{AudioLevel, Header, VideoLayersAllocation};
use crate::speaker::Speaker;
use crate::timer::Timer;
use crate::transport::{ReceivedExtensions, Route, Side, Transport};
use std::time::Instant;

impl Router {
    /// Handles an SRTP packet that a transport received at time `at`.
    pub(crate) fn receive_rtp(
        &mut self,
        key: TransportKey,
        packet: &mut [u8],
        at: Instant,
        ctx: &mut Context<'_>,
    ) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Ok(header) = Header::parse(packet) else {
            ctx.counters.rtp_malformed += 1;
            return;
        };
        let size = packet.len();
        let Some(len) = transport.open_rtp(packet, &header, at, ctx.counters) else { return };
        let Some(packet) = packet.get(..len) else { return };
        let Side::Uplink(uplink) = &mut transport.side else {
            ctx.counters.rtp_unknown_stream += 1;
            return;
        };
        let judges_itself = uplink.transport_cc;
        let extensions = uplink.extensions.read(&header, packet);
        if let Some(sequence) = extensions.transport_sequence {
            uplink.arrivals.record(sequence, at);
            if let Some(at) = uplink.arrivals.next_timeout() {
                transport.timers.set(Timer::Feedback, Some(at));
            }
        }
        let Some(payload) = header.payload_range(packet) else {
            ctx.counters.rtp_malformed += 1;
            return;
        };
        let route = match uplink.routes.get(&header.ssrc) {
            Some(&route) => Some(route),
            None => self.latch(key, &header, &extensions, ctx),
        };
        let Some(route) = route else {
            ctx.counters.rtp_unknown_stream += 1;
            return;
        };
        if !judges_itself {
            self.judge_uplink(key, (&header, route), extensions.send_time, size, at, ctx);
        }
        let media = Media {
            header,
            payload: &packet[payload],
            dependency: extensions.dependency,
            carried: extensions.carried,
            recovered: false,
        };
        self.receive_media(route, media, ctx);
        if let Some(allocation) = extensions.allocation
            && ctx.config.bandwidth == Bandwidth::Divided
        {
            self.note_allocation(route, allocation, ctx);
        }
    }

    /// Takes what a video's sender says of its layers' rates.
    fn note_allocation(&mut self, route: Route, value: &[u8], ctx: &mut Context<'_>) {
        let Some(allocation) = VideoLayersAllocation::parse(value) else {
            ctx.counters.layers_allocation_malformed += 1;
            return;
        };
        let Some(producer) = self.producers.get_mut(route.producer) else { return };
        if producer.rates.as_mut().is_some_and(|rates| rates.declare(allocation)) {
            self.reconsider_consumers(route.producer, ctx);
        }
    }

    /// Judges what the path from a client carries that does not do so itself.
    fn judge_uplink(
        &mut self,
        key: TransportKey,
        (header, route): (&Header, Route),
        send_time: Option<[u8; 3]>,
        size: usize,
        at: Instant,
        ctx: &mut Context<'_>,
    ) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Uplink(uplink) = &mut transport.side else { return };
        let captured = || {
            // A retransmission bears the time at which its original was captured.
            let producer = self.producers.get(route.producer).filter(|_| route.format == Format::Media)?;
            let clock_rate = producer.formats.clock_rate;
            Some(SendTime::Captured { ssrc: header.ssrc.0, timestamp: header.timestamp, clock_rate })
        };
        let Some(sent) = send_time.map(SendTime::Absolute).or_else(captured) else { return };
        let incoming =
            uplink.incoming.get_or_insert_with(|| Box::new(Incoming::new(ctx.config.remb_cap, at)));
        if incoming.arrived(sent, size, uplink.rtt, at) {
            transport.timers.advance(Timer::Report, ctx.now);
        }
    }

    fn receive_media(&mut self, route: Route, media: Media<'_>, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(route.producer) else { return };
        if producer.format(media.header.payload_type) != Some(route.format) {
            ctx.counters.rtp_unknown_payload_type += 1;
            return;
        }
        let Some(encoding) = producer.encodings.get_mut(usize::from(route.encoding)) else { return };
        let mut media = media;
        if route.format == Format::Rtx {
            if let Some(rtx) = &mut encoding.rtx {
                rtx.receive(&media.header, ctx.now);
            }
            let Some(original) = unwrap_rtx(&media) else {
                ctx.counters.padding_received += 1;
                return;
            };
            media = original;
        }
        let arrival = encoding.receive(&media, ctx.now, ctx.counters);
        ctx.counters.packets_recovered += u64::from(media.recovered && arrival.is_some());
        let Some(intake) = &mut encoding.intake else { return };
        let missing = intake.nack.as_ref().and_then(|nack| nack.next_timeout());
        let delay = intake.take_repair_delay();
        if let Some(transport) = producer.transport().and_then(|key| self.transports.get_mut(key)) {
            if let Some(at) = missing {
                transport.timers.advance(Timer::Nack, at);
            }
            if let Some(delay) = delay {
                transport.guess_rtt(delay);
            }
        }
        let Some(arrival) = arrival else { return };
        if arrival.is_key_frame()
            && let Some(producer) = self.producers.get_mut(route.producer)
            && let Some(at) = producer.note_key_frame(route.encoding, ctx.now)
            && let Some(transport) = producer.transport().and_then(|key| self.transports.get_mut(key))
        {
            transport.timers.advance(Timer::KeyFrame, at);
        }
        if let Some(level) = media.carried.audio_level.and_then(|value| AudioLevel::parse(&[value])) {
            let producer = self.producers.get(route.producer).map(|producer| producer.id);
            let speaker = producer.map(|producer| Speaker { shard: ctx.config.shard, producer });
            speaker.into_iter().for_each(|speaker| self.speakers.level(speaker, level.level, ctx.now));
        }
        self.forward(route.producer, arrival, ctx);
    }

    /// Finds the encoding that a new SSRC belongs to, and remembers it.
    fn latch(
        &mut self,
        key: TransportKey,
        header: &Header,
        extensions: &ReceivedExtensions<'_>,
        ctx: &mut Context<'_>,
    ) -> Option<Route> {
        let transport = self.transports.get_mut(key)?;
        let Side::Uplink(uplink) = &mut transport.side else { return None };
        let by_mid = extensions.mid.and_then(|mid| uplink.mids.iter().find(|(known, _)| *known == mid));
        let candidates = match by_mid {
            Some((_, producer)) => std::slice::from_ref(producer),
            None => &uplink.producers,
        };
        let route = |key, encoding: usize, format| Route { producer: key, encoding: encoding as u8, format };
        let told = candidates.iter().find_map(|&key| {
            let producer = self.producers.get(key)?;
            let format = producer.format(header.payload_type)?;
            let rid = match format {
                Format::Media => extensions.rid,
                Format::Rtx => extensions.repaired_rid.or(extensions.rid),
            };
            Some(route(key, producer.encoding_for(header, format, rid)?, format))
        });
        let left_over = || {
            candidates.iter().filter(|_| extensions.mid.is_none() || by_mid.is_some()).find_map(|&key| {
                let producer = self.producers.get(key)?;
                let format = producer.format(header.payload_type)?;
                Some(route(key, producer.only_encoding(format, by_mid.is_some())?, format))
            })
        };
        let found = told.or_else(left_over)?;
        let producer = self.producers.get_mut(found.producer)?;
        let old = producer.latch(usize::from(found.encoding), found.format, header, ctx.now);
        if let Some(old) = old {
            uplink.routes.remove(&old);
            ctx.counters.stream_restarts += 1;
        }
        uplink.routes.insert(header.ssrc, found);
        // Send a receiver report at once: browsers stop sending MID and RID after the first one, and add
        // upper layers once reports show that the path works.
        transport.timers.set(Timer::Report, Some(ctx.now));
        self.retarget(found.producer, ctx);
        Some(found)
    }

    /// Updates the target encodings of a producer's consumers, and requests the key frames that they then
    /// need.
    pub(super) fn retarget(&mut self, key: ProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(key) else { return };
        let active = producer.active(ctx.now);
        let mut awaited = 0u8;
        for &consumer in &producer.consumers {
            let Some(consumer) = self.consumers.get_mut(consumer) else { continue };
            consumer.retarget(active);
            if self.transports.get(consumer.transport).is_some_and(Transport::can_send) {
                awaited |= consumer.awaited_encoding().map_or(0, |encoding| 1 << encoding);
            }
        }
        (0..8)
            .filter(|bit| awaited & (1 << bit) != 0)
            .for_each(|encoding| self.wish_key_frame(key, encoding, ctx));
        self.update_subscription(key, ctx);
        if self.producers.get(key).is_some_and(|producer| producer.relays.told_active != active) {
            self.announce_state(key, ctx);
        }
    }
}

/// The media packet inside an RTX packet (RFC 4588 §4), except its SSRC; `None` if there is none, as in
/// probes.
fn unwrap_rtx<'a>(rtx: &Media<'a>) -> Option<Media<'a>> {
    let (original, payload) = rtx.payload.split_first_chunk()?;
    let mut header = rtx.header;
    header.sequence_number = u16::from_be_bytes(*original);
    (!payload.is_empty()).then_some(Media { header, payload, recovered: true, ..*rtx })
}
