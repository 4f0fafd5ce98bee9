//! The timers of a transport, NACKs, key-frame requests, and the events of its connection.

use super::Router;
use crate::context::Context;
use crate::ice::Tuple;
use crate::keys::TransportKey;
use crate::nack::Outlook;
use crate::ortc::MediaKind;
use crate::rtcp_io;
use crate::rtcp_io::RtcpPacket;
use crate::timer::Timer;
use crate::transport::{Happened, Side, Transport};
use std::time::Duration;

impl Router {
    pub(crate) fn receive_stun(
        &mut self,
        key: TransportKey,
        tuple: Tuple,
        datagram: &[u8],
        ctx: &mut Context<'_>,
    ) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        match transport.receive_stun(tuple, datagram, ctx) {
            Ok(happened) => self.handle_happened(key, happened, ctx),
            Err(_) => ctx.counters.stun_rejected += 1,
        }
    }

    pub(crate) fn receive_dtls(&mut self, key: TransportKey, datagram: &[u8], ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let happened = transport.receive_dtls(datagram, ctx);
        self.handle_happened(key, happened, ctx);
    }

    /// Handles the expired timers of a transport.
    pub(crate) fn expire(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        while let Some(transport) = self.transports.get_mut(key) {
            let Some(timer) = transport.timers.expire(ctx.now) else { return };
            match timer {
                Timer::Ice => {
                    let happened = transport.expire_ice(ctx);
                    self.handle_happened(key, happened, ctx);
                }
                Timer::Dtls => {
                    let happened = transport.expire_dtls(ctx);
                    self.handle_happened(key, happened, ctx);
                }
                Timer::Sctp => {
                    let happened = transport.expire_sctp(ctx);
                    self.handle_happened(key, happened, ctx);
                }
                Timer::Nack => self.request_missing(key, ctx),
                Timer::KeyFrame => self.request_key_frames(key, ctx),
                Timer::Feedback => self.send_arrivals(key, ctx),
                Timer::Report => self.send_reports(key, ctx),
                Timer::Activity => self.watch_activity(key, ctx),
                Timer::Bandwidth => self.judge_bandwidth(key, ctx),
                Timer::Probe => self.probe(key, ctx),
                Timer::Pace => self.release_paced(key, ctx),
            }
        }
    }

    pub(super) fn handle_happened(
        &mut self,
        key: TransportKey,
        happened: Vec<Happened>,
        ctx: &mut Context<'_>,
    ) {
        for happened in happened {
            match happened {
                Happened::State => {
                    if let Some(transport) = self.transports.get(key) {
                        ctx.outbox.events.push_back((self.id, transport.state_event()));
                    }
                    self.note_reachability(key, ctx);
                    self.reconsider(key, ctx);
                }
                Happened::Data(message) => self.receive_data(key, &message, ctx),
                Happened::StreamClosed(stream) => self.close_stream(key, stream, ctx),
                Happened::Closed(reason) => self.remove_transport(key, Some(reason), ctx),
            }
        }
    }

    /// Starts forwarding when a client becomes reachable, and restarts it after the client was unreachable:
    /// numbers of packets that were never sent would look like loss to the client, and after 2^15 of them its
    /// rollover counter would be wrong.
    fn note_reachability(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let reachable = self.transports.get(key).is_some_and(Transport::can_send);
        self.resume_forwarding(key, !reachable, ctx);
    }

    /// Requests what a client's consumers need to go on; with `missed`, after numbers that were never sent.
    pub(super) fn resume_forwarding(&mut self, key: TransportKey, missed: bool, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get(key) else { return };
        let Side::Downlink(downlink) = &transport.side else { return };
        let mut producers = Vec::new();
        for &consumer in &downlink.consumers {
            let Some(consumer) = self.consumers.get_mut(consumer) else { continue };
            if missed {
                consumer.start_over();
            }
            producers.push(consumer.producer);
        }
        producers.into_iter().for_each(|producer| self.retarget(producer, ctx));
    }

    fn request_missing(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Uplink(uplink) = &transport.side else { return };
        let (rtt, sender) = (uplink.rtt, transport.rtcp_ssrc);
        let mut packets: Vec<RtcpPacket> = Vec::new();
        let mut lost = Vec::new();
        let mut next = None;
        for &producer_key in &uplink.producers {
            let Some(producer) = self.producers.get_mut(producer_key) else { continue };
            for (encoding, index) in producer.encodings.iter_mut().zip(0..) {
                let Some(intake) = &mut encoding.intake else { continue };
                let Some(nack) = &mut intake.nack else { continue };
                let mut pairs = Vec::new();
                if nack.poll(ctx.now, rtt, &mut pairs) == Outlook::KeyFrameNeeded {
                    lost.push((producer_key, index));
                }
                ctx.counters.nacks_sent += pairs.len() as u64;
                if !pairs.is_empty() {
                    packets.push(rtcp_io::nack(sender, intake.ssrc.0, pairs));
                }
                next = earlier(next, nack.next_timeout());
            }
        }
        transport.timers.set(Timer::Nack, next);
        transport.send_rtcp(&packets, ctx);
        lost.into_iter().for_each(|(producer, encoding)| self.wish_key_frame(producer, encoding, ctx));
    }

    fn request_key_frames(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let rtt = transport.rtt();
        let Side::Uplink(uplink) = &transport.side else { return };
        let mut packets = Vec::new();
        let mut next = None;
        for &producer in &uplink.producers {
            let Some(producer) = self.producers.get_mut(producer).filter(|it| it.kind == MediaKind::Video)
            else {
                continue;
            };
            let (asked, again) = producer.poll_key_frames(ctx.now, rtt);
            next = earlier(next, again);
            let asked = producer.encodings.iter().enumerate().filter(|(index, _)| asked >> index & 1 == 1);
            for intake in asked.filter_map(|(_, encoding)| encoding.intake.as_ref()) {
                ctx.counters.key_frames_requested += 1;
                packets.push(rtcp_io::picture_loss(transport.rtcp_ssrc, intake.ssrc.0));
            }
        }
        transport.timers.set(Timer::KeyFrame, next);
        transport.send_rtcp(&packets, ctx);
    }

    /// Detects encodings that became inactive or active, and the current speakers.
    fn watch_activity(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        transport.timers.set(Timer::Activity, Some(ctx.now + ACTIVITY_INTERVAL));
        let Side::Uplink(uplink) = &transport.side else { return };
        let producers = uplink.producers.clone();
        for producer in producers {
            if self.producers.get(producer).is_some_and(|producer| producer.is_simulcast()) {
                self.retarget(producer, ctx);
            }
            let rates = self.producers.get_mut(producer).and_then(|producer| producer.rates.as_mut());
            let has_news = rates.is_some_and(|rates| {
                rates.advance(ctx.now);
                rates.take_news(ctx.now)
            });
            if has_news {
                self.announce_state(producer, ctx);
                self.reconsider_consumers(producer, ctx);
            }
        }
        self.watch_speakers(ctx);
    }
}

fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Five times a second: as often as audio levels are reported in a small call.
pub(super) const ACTIVITY_INTERVAL: Duration = Duration::from_millis(200);
