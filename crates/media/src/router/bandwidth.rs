//! What the path to each client carries: feedback is passed to the transport's congestion control.

use super::Router;
use crate::allocation::memory::Holding;
use crate::allocation::{Budget, MARGIN_PERCENT};
use crate::batch::Run;
use crate::congestion::{self, Change, FeedbackError, Grounds, Hearing, Probe};
use crate::consumer::Granted;
use crate::context::Context;
use crate::division::Division;
use crate::due::{Due, DueKind};
use crate::event::Event;
use crate::keys::{ConsumerKey, TransportKey};
use crate::rtcp_io;
use crate::rtp::{Header, Ssrc};
use crate::timer::Timer;
use crate::transport::Side;
use rtcp::reception_report::ReceptionReport;
use std::time::Duration;

impl Router {
    /// Takes a compound packet's transport-wide feedback.
    pub(super) fn hear_arrivals(&mut self, key: TransportKey, compound: &[u8], ctx: &mut Context<'_>) {
        let mut heard = false;
        for packet in rtcp_io::transport_wide_feedback(compound) {
            match self.hear_report(key, packet, ctx) {
                Ok(is_judged) => heard |= is_judged,
                Err(_) => ctx.counters.feedback_malformed += 1,
            }
        }
        if heard {
            self.judge_bandwidth(key, ctx);
        }
    }

    /// Takes what a report says of where the client is, while that is in doubt, and of what its path carries. Returns
    /// whether that is estimated.
    fn hear_report(
        &mut self,
        key: TransportKey,
        packet: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<bool, FeedbackError> {
        let Some(Side::Downlink(downlink)) = self.transports.get(key).map(|transport| &transport.side) else {
            return Ok(false);
        };
        if !downlink.path.is_proven() {
            let numbers = congestion::arrivals(packet)?;
            self.check_path(key, |path, now| path.arrived(numbers, now), ctx);
        }
        let Some(transport) = self.transports.get_mut(key) else { return Ok(false) };
        let Side::Downlink(downlink) = &mut transport.side else { return Ok(false) };
        let Some(congestion) = &mut downlink.congestion else { return Ok(false) };
        congestion.feedback(packet, ctx.now)?;
        if let Some(trace) = downlink.allotment.trace(ctx.now) {
            trace.heard(congestion, ctx.now);
        }
        Ok(true)
    }

    /// Notes packets that never left the host: their transport-wide numbers are read from their headers, which SRTP does not
    /// encrypt.
    pub(crate) fn note_refused(&mut self, key: TransportKey, run: Run<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let Some(congestion) = &mut downlink.congestion else { return };
        for packet in run.bytes.chunks(run.segment_size.max(1)) {
            let Ok(header) = Header::parse(packet) else { continue };
            let consumer = downlink.by_ssrc.get(&header.ssrc).and_then(|&key| self.consumers.get(key));
            let Some(id) = consumer.and_then(|consumer| consumer.plan.extensions.transport_cc) else {
                continue;
            };
            let number = header.extensions(packet).find(|(found, _)| *found == id).map(|(_, value)| value);
            if let Some(&[high, low]) = number {
                congestion.refused(u16::from_be_bytes([high, low]));
            }
        }
    }

    /// Takes a receiver's own estimate, in bit/s.
    pub(super) fn hear_estimate(&mut self, key: TransportKey, rate: u64, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        if let Some(congestion) = &mut downlink.congestion {
            congestion.remb(rate, ctx.now);
            self.judge_bandwidth(key, ctx);
        }
    }

    /// Takes what a receiver says of the losses of one stream.
    pub(super) fn hear_losses(&mut self, key: TransportKey, report: &ReceptionReport, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumer_by_ssrc(key, Ssrc(report.ssrc)) else { return };
        let Some(consumer) = self.consumers.get_mut(consumer) else { return };
        if report.ssrc != consumer.plan.ssrc.0 {
            return;
        }
        let Some((lost, expected)) = consumer.losses_since(report.last_sequence_number, report.total_lost)
        else {
            return;
        };
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        if let Some(congestion) = &mut downlink.congestion {
            congestion.reception(lost, expected, ctx.now);
            self.judge_bandwidth(key, ctx);
        }
    }

    /// Lets congestion control conclude, after input and in time, and divides the bandwidth anew if it has to be.
    pub(super) fn judge_bandwidth(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let Some(congestion) = &mut downlink.congestion else { return };
        let before = congestion.told().estimate;
        let change = congestion.poll(ctx.now);
        let budget = congestion.told().budget;
        let granted = downlink.allotment.granted;
        let news = downlink.allotment.news(congestion.totals());
        ctx.counters.add(&news);
        if let Some(trace) = downlink.allotment.trace(ctx.now) {
            trace.judged(congestion, change.as_ref(), &news, ctx.now);
        }
        if change.is_some_and(|change| !change.is_calm && change.estimate < before.min(granted)) {
            self.blame(key, ctx);
        }
        if let Some(probe) = change.and_then(|change| change.probe) {
            self.begin_probe(key, probe, ctx);
        }
        let Some(transport) = self.transports.get(key) else { return };
        let Side::Downlink(downlink) = &transport.side else { return };
        if downlink.allotment.schedule.is_due(ctx.now, budget) {
            self.allocate(key, ctx);
        }
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &transport.side else { return };
        let judged = downlink.congestion.as_ref().and_then(|congestion| congestion.next_timeout());
        let next = judged.into_iter().chain(downlink.allotment.schedule.next()).min();
        let next = next.map(|at| at.max(ctx.now + MIN_WAIT));
        transport.timers.set(Timer::Bandwidth, next);
    }

    /// Divides a client's bandwidth anew, because what is wanted has changed.
    pub(super) fn reconsider(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        downlink.allotment.schedule.flag();
        ctx.outbox.touched.push((self.key, key));
        self.judge_bandwidth(key, ctx);
    }

    /// The path is overfull: an upgrade just before may be the reason.
    fn blame(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let mut holdings: Vec<(ConsumerKey, Holding)> = downlink
            .consumers
            .iter()
            .filter_map(|&key| Some((key, self.consumers.get(key)?.share.holding)))
            .collect();
        if downlink.allotment.memory.congested(ctx.now, holdings.iter_mut().map(|(_, holding)| holding)) {
            downlink.allotment.schedule.flag();
            for (key, holding) in holdings {
                if let Some(consumer) = self.consumers.get_mut(key) {
                    consumer.share.holding = holding;
                }
            }
        }
    }

    fn allocate(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let Some(congestion) = &mut downlink.congestion else { return };
        let Change { budget, is_calm, hearing, .. } = congestion.told();
        let mut division = std::mem::take(&mut ctx.outbox.division);
        let mut awaits_key_frame = false;
        division.clear();
        for &consumer_key in &downlink.consumers {
            let Some(consumer) = self.consumers.get(consumer_key) else { continue };
            let Some(producer) = self.producers.get(consumer.producer) else { continue };
            if !consumer.makes_demand() || producer.paused {
                continue;
            }
            producer.rungs(consumer.share.kind, &mut division.rungs);
            awaits_key_frame |= consumer.awaited_encoding().is_some();
            division.carries_probes |= consumer.carries_probes();
            division.demand(consumer_key, consumer, producer.has_floor(self.floor), ctx.now);
        }
        let allotment = &mut downlink.allotment;
        let [audio, repair] = allotment.measure(|kind| congestion.sent_bytes(kind), ctx.now);
        let budget = Budget { estimate: budget, audio, speakers: 0, repair };
        let mut video = budget.video();
        match (hearing, congestion.grounds(ctx.now)) {
            (Hearing::Heard | Hearing::Late, Grounds::Limit) => {}
            // As long as nothing speaks against it, the lowest layers are sent whatever the estimate is.
            (Hearing::Heard | Hearing::Late, Grounds::Use) => video = video.max(division.lowest()),
            (Hearing::Heard | Hearing::Late, Grounds::Guess) => {
                video = video.min(division.gentle()).max(division.lowest());
            }
            (Hearing::Silent, _) => video = video.min(division.lowest()),
            (Hearing::Deaf, _) => video = 0,
        }
        division.divide(video);
        let mut run = allotment.memory.run(ctx.now, is_calm && !awaits_key_frame);
        let waits_until = division.apply(&mut run);
        allotment.schedule.ran(ctx.now, budget.estimate, waits_until);
        if let Some(trace) = allotment.trace(ctx.now) {
            for (consumer, granted) in division.granted() {
                if let Some(consumer) = self.consumers.get(consumer) {
                    trace.granted(consumer.id, granted, ctx.now);
                }
            }
        }
        let (used, beside) = (division.allocation.used, audio + repair);
        let unknown = if congestion.is_young(ctx.now) { division.unknown } else { 0 };
        let step = match (division.allocation.next_step(), unknown) {
            (Some(step), _) => Some(step),
            (None, 0) => None,
            (None, unknown) => Some(unknown * UNKNOWN_RATE),
        };
        let can_probe = downlink.path.is_proven() && transport.srtp.is_some() && division.carries_probes;
        let demand = congestion::Demand {
            granted: used + beside,
            next: step
                .filter(|_| can_probe && !awaits_key_frame)
                .map(|step| (used + step) * NEXT_PERCENT / 100 + beside),
            wanted: division.allocation.wanted + unknown * UNKNOWN_RATE + beside,
        };
        if let Some(pacer) = &mut downlink.pacer {
            pacer.set_rate((division.unknown == 0).then_some((budget.estimate, demand.granted)));
        }
        allotment.granted = demand.granted;
        congestion.want(demand, ctx.now);
        let (estimate, used, wanted) = (congestion.estimate(), demand.granted, demand.wanted);
        if allotment.is_news([estimate, used, wanted], ctx.now) {
            let event = Event::Bandwidth { transport: transport.id, estimate, used, wanted };
            ctx.outbox.events.push_back((self.id, event));
        }
        self.carry_out(&mut division, ctx);
        ctx.outbox.division = division;
    }

    /// Applies what changes for consumers.
    fn carry_out(&mut self, division: &mut Division, ctx: &mut Context<'_>) {
        let mut producers = Vec::new();
        for (&key, holding) in division.consumers.iter().zip(&division.holdings) {
            if let Some(consumer) = self.consumers.get_mut(key) {
                consumer.share.holding = *holding;
            }
        }
        for (index, granted) in division.changes.drain(..) {
            let Some(&key) = division.consumers.get(index) else { continue };
            let Some(consumer) = self.consumers.get_mut(key) else { continue };
            consumer.grant(granted);
            producers.push(consumer.producer);
            if granted == Granted::Nothing {
                // Told in any case: a video may be withheld before it was ever forwarded.
                consumer.layers_change();
                ctx.counters.video_withheld += 1;
                let event = Event::ConsumerLayers { consumer: consumer.id, layers: None };
                ctx.outbox.events.push_back((self.id, event));
            }
        }
        producers.into_iter().for_each(|producer| self.retarget(producer, ctx));
    }

    /// Begins a probe, if there is a stream for its padding and the client has proven to be where it says.
    fn begin_probe(&mut self, key: TransportKey, probe: Probe, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        if downlink.path.is_proven() && transport.srtp.is_some() {
            downlink.allotment.begin_probe(probe);
            downlink.pacer.iter_mut().for_each(|pacer| pacer.set_probing(probe.rate));
            self.probe(key, ctx);
        }
    }

    /// Sends the next run of the probe: padding, as far as media does not fill it.
    pub(super) fn probe(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let sent = downlink.congestion.as_ref().map_or(0, |congestion| congestion.sent_bytes_in_all());
        let carrier = downlink
            .consumers
            .iter()
            .find(|&&key| self.consumers.get(key).is_some_and(|consumer| consumer.carries_probes()));
        let (Some(&carrier), Some((bytes, next))) = (carrier, downlink.allotment.next_run(sent)) else {
            transport.timers.set(Timer::Probe, None);
            downlink.pacer.iter_mut().for_each(|pacer| pacer.set_probing(0));
            return;
        };
        transport.timers.set(Timer::Probe, Some(ctx.now + next));
        let packets = bytes.div_ceil(PROBE_BYTES).min(MAX_PROBE_PACKETS);
        for _ in 0..packets {
            let due = Due::new(carrier, bytes / packets, 0, DueKind::Probe);
            transport.queue(due, &mut ctx.outbox.due, ctx.counters);
        }
        ctx.outbox.touched.push((self.key, key));
    }
}

/// For a higher rung so much of its rate must be free.
const NEXT_PERCENT: u64 = 100 + MARGIN_PERCENT;
/// Bit/s that a video is expected to want before its rates are known.
const UNKNOWN_RATE: u64 = 1_500_000;
/// Bytes of the largest sealed packet of padding.
const PROBE_BYTES: u32 = 300;
/// Nothing is judged more often than this.
const MIN_WAIT: Duration = Duration::from_millis(5);
const MAX_PROBE_PACKETS: u32 = 256;
