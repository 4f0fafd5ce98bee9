//! Incoming RTCP: clients' reports on the media they send and receive.

use super::Router;
use crate::clock::{NtpTime, from_short_ntp};
use crate::context::Context;
use crate::format::Format;
use crate::keys::{ConsumerKey, TransportKey};
use crate::rtcp_io;
use crate::rtcp_io::Feedback;
use crate::rtp::Ssrc;
use crate::transport::{Path, Release, Side};
use std::time::{Duration, Instant};

impl Router {
    /// Handles an SRTCP packet received by a transport.
    pub(crate) fn receive_rtcp(&mut self, key: TransportKey, packet: &mut [u8], ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Some(srtp) = &mut transport.srtp else {
            ctx.counters.srtp_without_keys += 1;
            return;
        };
        if !transport.budget.has_room(ctx.now) {
            ctx.counters.packets_over_budget += 1;
            return;
        }
        let Ok(len) = srtp.inbound.open_rtcp(packet) else {
            ctx.counters.srtcp_rejected += 1;
            return;
        };
        let feedback = packet.get(..len).and_then(rtcp_io::parse);
        let wishes: usize = feedback.iter().flatten().map(Feedback::wishes).sum();
        transport.budget.spend(len + wishes * WISH, ctx.now);
        let Some(feedback) = feedback else {
            ctx.counters.rtcp_malformed += 1;
            return;
        };
        self.hear_arrivals(key, packet.get(..len).unwrap_or_default(), ctx);
        for feedback in feedback {
            self.handle_feedback(key, feedback, ctx);
        }
    }

    fn handle_feedback(&mut self, key: TransportKey, feedback: Feedback, ctx: &mut Context<'_>) {
        let now = ctx.epoch.ntp(ctx.now);
        match feedback {
            Feedback::SenderReport { ssrc, ntp, timestamp } => {
                self.note_sender_report(key, Ssrc(ssrc), ntp, timestamp, ctx)
            }
            Feedback::Reception(report) => {
                let last = report.last_sender_report;
                self.check_path(key, |path, now| path.echoed(last, now), ctx);
                self.measure_rtt(key, now, last, report.delay);
                self.hear_losses(key, &report, ctx);
            }
            Feedback::Estimate(rate) => self.hear_estimate(key, rate, ctx),
            Feedback::DelaySince { last, delay } => self.measure_rtt(key, now, last, delay),
            Feedback::ReferenceTime { sender, ntp } => {
                if let Some(Side::Downlink(downlink)) =
                    self.transports.get_mut(key).map(|transport| &mut transport.side)
                {
                    downlink.reference_time = Some((sender, ntp.middle(), ctx.now));
                }
            }
            Feedback::Nack { ssrc, missing } => {
                if let Some(consumer) = self.consumer_by_ssrc(key, Ssrc(ssrc)) {
                    self.retransmit(key, consumer, &missing, ctx);
                }
            }
            Feedback::KeyFrameRequest { ssrc } => {
                let consumer =
                    self.consumer_by_ssrc(key, Ssrc(ssrc)).and_then(|consumer| self.consumers.get(consumer));
                if let Some((producer, source)) =
                    consumer.and_then(|consumer| Some((consumer.producer, consumer.source()?)))
                {
                    self.wish_key_frame(producer, source.encoding, ctx);
                }
            }
        }
    }

    fn note_sender_report(
        &mut self,
        key: TransportKey,
        ssrc: Ssrc,
        ntp: NtpTime,
        timestamp: u32,
        ctx: &mut Context<'_>,
    ) {
        let Some(Side::Uplink(uplink)) = self.transports.get_mut(key).map(|transport| &mut transport.side)
        else {
            return;
        };
        uplink.align_clock(ctx.epoch.ntp(ctx.now), ntp);
        let heard = uplink.clock.hear(ntp, ctx.now);
        let Some(&route) = uplink.routes.get(&ssrc) else { return };
        let Some(producer) = self.producers.get_mut(route.producer) else { return };
        if let Some(encoding) = producer.encodings.get_mut(usize::from(route.encoding))
            && route.format == Format::Media
            && encoding.sender_report((ntp, heard), timestamp, ctx.now, ctx.counters)
        {
            self.announce_state(route.producer, ctx);
        }
    }

    /// Has the path judge a report. If it proves where the client is, what waited for that leaves.
    pub(super) fn check_path(
        &mut self,
        key: TransportKey,
        judge: impl FnOnce(&mut Path, Instant) -> Option<Release>,
        ctx: &mut Context<'_>,
    ) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let Some(Release { held, overflowed }) = judge(&mut downlink.path, ctx.now) else { return };
        for due in held {
            transport.queue(due, &mut ctx.outbox.due, ctx.counters);
        }
        let mut happened = Vec::new();
        transport.pump(&mut happened, ctx);
        self.handle_happened(key, happened, ctx);
        self.resume_forwarding(key, overflowed, ctx);
    }

    /// `last` is the middle 32 bits of an NTP time that we sent (LSR or LRR), `delay` is how long the client
    /// held it (DLSR or DLRR), both in 1/65536 s.
    fn measure_rtt(&mut self, key: TransportKey, now: NtpTime, last: u32, delay: u32) {
        if last == 0 {
            return;
        }
        let moved_back = match self.transports.get(key).map(|transport| &transport.side) {
            Some(Side::Downlink(downlink)) => downlink.path.moved_back(last),
            Some(Side::Uplink(_)) | None => 0,
        };
        let round_trip = now.middle().wrapping_sub(last).wrapping_sub(delay).wrapping_sub(moved_back);
        // The round trip is negative if a clock was set back in between.
        let round_trip = if (round_trip as i32) < 0 { Duration::ZERO } else { from_short_ntp(round_trip) };
        if let Some(transport) = self.transports.get_mut(key) {
            transport.set_rtt(round_trip);
        }
    }

    pub(super) fn consumer_by_ssrc(&self, key: TransportKey, ssrc: Ssrc) -> Option<ConsumerKey> {
        match &self.transports.get(key)?.side {
            Side::Uplink(_) => None,
            Side::Downlink(downlink) => downlink.by_ssrc.get(&ssrc).copied(),
        }
    }
}

/// Bytes charged to the packet budget per wish: handling one takes about 1/60 of the time of receiving a
/// packet.
const WISH: usize = 25;
