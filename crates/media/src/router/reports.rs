//! Outgoing periodic RTCP: transport-wide feedback, receiver reports and sender reports.

use super::Router;
use crate::clock::{NtpTime, duration_ticks, ticks};
use crate::consumer::Consumer;
use crate::context::Context;
use crate::event::Event;
use crate::keys::TransportKey;
use crate::producer::{Encoding, Newest, Origin, Producer};
use crate::rtcp_io;
use crate::rtcp_io::RtcpPacket;
use crate::timer::Timer;
use crate::transport::{REPORT_INTERVAL, Side};
use rand::Rng;
use rtcp::extended_report::{DLRRReport, DLRRReportBlock};
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtcp::sender_report::SenderReport;

impl Router {
    /// Sends transport-wide feedback.
    pub(super) fn send_arrivals(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let sender = transport.rtcp_ssrc;
        let Side::Uplink(uplink) = &mut transport.side else { return };
        let media = uplink.routes.keys().next().map_or(0, |ssrc| ssrc.0);
        let mut compounds = Vec::new();
        let mut packet = Vec::new();
        while uplink.arrivals.feedback(ctx.now, sender, media, &mut packet) {
            compounds.push(std::mem::take(&mut packet));
        }
        transport.timers.set(Timer::Feedback, uplink.arrivals.next_timeout());
        transport.send_compounds(compounds, ctx);
    }

    /// Sends the reports that a transport's client gets once a second.
    pub(super) fn send_reports(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let packets = match self.transports.get(key).map(|transport| &transport.side) {
            Some(Side::Uplink(_)) => self.receiver_reports(key, ctx),
            Some(Side::Downlink(_)) => self.sender_reports(key, ctx),
            None => return,
        };
        let Some(transport) = self.transports.get_mut(key) else { return };
        transport.timers.set(Timer::Report, Some(ctx.now + REPORT_INTERVAL));
        transport.send_rtcp(&packets, ctx);
        self.judge_bandwidth(key, ctx);
    }

    fn sender_reports(&mut self, key: TransportKey, ctx: &mut Context<'_>) -> Vec<RtcpPacket> {
        let Some(transport) = self.transports.get_mut(key) else { return Vec::new() };
        let Side::Downlink(downlink) = &mut transport.side else { return Vec::new() };
        downlink.path.refresh(ctx.now);
        let told = downlink.path.disguise(ctx.epoch.ntp(ctx.now), ctx.rng.next_u32() as u16);
        let Some(transport) = self.transports.get(key) else { return Vec::new() };
        let Side::Downlink(downlink) = &transport.side else { return Vec::new() };
        let mut packets = Vec::new();
        for &consumer in &downlink.consumers {
            let Some(consumer) = self.consumers.get_mut(consumer) else { continue };
            if let Some(layers) = consumer.layers_change() {
                ctx.outbox
                    .events
                    .push_back((self.id, Event::ConsumerLayers { consumer: consumer.id, layers }));
            }
            let Some(producer) = self.producers.get(consumer.producer) else { continue };
            let clock_offset = match &producer.origin {
                Origin::Relay(upstream) => upstream.clock_offset,
                Origin::Transport(key) => match self.transports.get(*key).map(|it| &it.side) {
                    Some(Side::Uplink(uplink)) => uplink.clock_offset(),
                    Some(Side::Downlink(_)) | None => None,
                },
            };
            let report = sender_report(consumer, producer, clock_offset, told, ctx);
            packets.extend(
                report.into_iter().flat_map(|report| rtcp_io::sender_report(report, &consumer.plan.cname)),
            );
        }
        if let Some((ssrc, last_rr, received)) = downlink.reference_time {
            let dlrr = duration_ticks(ctx.now.saturating_duration_since(received), 65_536);
            let block = DLRRReportBlock { reports: vec![DLRRReport { ssrc, last_rr, dlrr }] };
            packets.push(rtcp_io::delay_since(transport.rtcp_ssrc, block));
        }
        packets
    }

    fn receiver_reports(&mut self, key: TransportKey, ctx: &mut Context<'_>) -> Vec<RtcpPacket> {
        let Some(transport) = self.transports.get_mut(key) else { return Vec::new() };
        let Side::Uplink(uplink) = &mut transport.side else { return Vec::new() };
        let ssrc = transport.rtcp_ssrc;
        let mut reports = Vec::new();
        for &producer in &uplink.producers {
            let Some(producer) = self.producers.get_mut(producer) else { continue };
            for Encoding { intake, rtx, .. } in &mut producer.encodings {
                reports.extend(intake.as_mut().map(|intake| intake.report(ctx.now)));
                reports.extend(rtx.as_mut().map(|rtx| rtx.report(ctx.now)));
            }
        }
        let mut packets: Vec<RtcpPacket> = rtcp_io::receiver_reports(ssrc, &reports).collect();
        if reports.is_empty() {
            return packets;
        }
        packets.push(rtcp_io::reference_time(ssrc, ctx.epoch.ntp(ctx.now)));
        if let Some(incoming) = &mut uplink.incoming {
            incoming.reported(&reports);
            packets.push(Box::new(ReceiverEstimatedMaximumBitrate {
                sender_ssrc: ssrc,
                bitrate: incoming.tell(ctx.now) as f32,
                ssrcs: reports.iter().map(|report| report.ssrc).collect(),
            }));
        }
        packets
    }
}

/// A sender report for a consumer: the RTP timestamp of the time `told`, about now. It is exact if the producer sent
/// sender reports: converted with one clock offset per sending client, so that receivers keep its streams
/// synchronized. Until then it is estimated from arrival times.
fn sender_report(
    consumer: &Consumer,
    producer: &Producer,
    clock_offset: Option<i64>,
    told: NtpTime,
    ctx: &Context<'_>,
) -> Option<SenderReport> {
    let (source, shift, _) = consumer.media_time()?;
    let stream = producer.stream(source)?;
    let client_time = clock_offset.and_then(i64::checked_neg).map(|offset| told.offset(offset));
    let incoming = match (producer.clock(stream.source), client_time) {
        (Some(clock), Some(client_time)) => clock.timestamp_at(client_time),
        _ => {
            let Newest { timestamp, at, .. } = stream.newest();
            let since = told.since(ctx.epoch.ntp(at));
            timestamp.wrapping_add(ticks(since, consumer.plan.clock_rate) as u32)
        }
    };
    Some(SenderReport {
        ssrc: consumer.plan.ssrc.0,
        ntp_time: told.0,
        rtp_time: incoming.wrapping_sub(shift.timestamp),
        packet_count: consumer.output.packets,
        octet_count: consumer.output.octets,
        ..SenderReport::default()
    })
}
