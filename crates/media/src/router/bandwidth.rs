//! What the path to each client carries: feedback is passed to the transport's congestion control.

use super::Router;
use crate::context::Context;
use crate::keys::TransportKey;
use crate::rtcp_io;
use crate::rtp::Ssrc;
use crate::timer::Timer;
use crate::transport::Side;
use rtcp::reception_report::ReceptionReport;

impl Router {
    /// Takes a compound packet's transport-wide feedback.
    pub(super) fn hear_arrivals(&mut self, key: TransportKey, compound: &[u8], ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let Some(congestion) = &mut downlink.congestion else { return };
        let mut heard = false;
        for packet in rtcp_io::transport_wide_feedback(compound) {
            match congestion.feedback(packet, ctx.now) {
                Ok(()) => heard = true,
                Err(_) => ctx.counters.feedback_malformed += 1,
            }
        }
        if heard {
            self.judge_bandwidth(key, ctx);
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

    /// Lets congestion control conclude, after input and in time.
    pub(super) fn judge_bandwidth(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Side::Downlink(downlink) = &mut transport.side else { return };
        let Some(congestion) = &mut downlink.congestion else { return };
        congestion.poll(ctx.now);
        transport.timers.set(Timer::Bandwidth, congestion.next_timeout());
    }
}
