//! The sending side of a transport: its consumers and their due packets.

use super::allotment::Allotment;
use super::path::Path;
use super::repair::RepairBudget;
use crate::congestion::{Config, Controller, START_RATE};
use crate::consumer::Plan;
use crate::due::DueQueue;
use crate::keys::ConsumerKey;
use crate::ortc::ConsumerIdentity;
use crate::pacing::Pacer;
use crate::paths::PathStats;
use crate::rtp::Ssrc;
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

pub(crate) struct Downlink {
    pub(crate) consumers: Vec<ConsumerKey>,
    /// Consumers by media and RTX SSRC, as RTCP feedback names them.
    pub(crate) by_ssrc: FxHashMap<Ssrc, ConsumerKey>,
    pub(crate) due: DueQueue,
    /// The client is known or assumed to strip padding.
    pub(crate) padding: bool,
    /// The next transport-wide sequence number.
    pub(crate) transport_sequence: u16,
    /// Whether the client is where packets are sent to.
    pub(crate) path: Path,
    pub(crate) rtt: Option<Duration>,
    /// What may be retransmitted.
    pub(crate) repair: RepairBudget,
    /// What was granted of that to the videos.
    pub(crate) allotment: Allotment,
    /// A consumer negotiated transport-wide feedback.
    transport_wide: bool,
    /// How much the path to the client carries; `None` if nobody asks.
    pub(crate) congestion: Option<Box<Controller>>,
    /// Spreads bursts of video; `None` if bandwidth is not estimated.
    pub(crate) pacer: Option<Box<Pacer>>,
    /// The receiver's SSRC, its last reference time (middle 32 bits of NTP), and when it arrived, to answer
    /// with DLRR (RFC 3611 §4.5).
    pub(crate) reference_time: Option<(u32, u32, Instant)>,
    /// Increases by two per consumer, so that no SSRC is used twice in the transport's life.
    next_ssrc: u32,
    next_mid: u32,
}

impl Downlink {
    /// `first_ssrc` is random.
    pub(crate) fn new(first_ssrc: u32, padding: bool, now: Instant) -> Self {
        Self {
            consumers: Vec::new(),
            by_ssrc: FxHashMap::default(),
            due: DueQueue::default(),
            padding,
            transport_sequence: 0,
            path: Path::new(),
            rtt: None,
            repair: RepairBudget::new(now),
            allotment: Allotment::default(),
            transport_wide: false,
            congestion: None,
            pacer: None,
            reference_time: None,
            next_ssrc: FIRST_SSRC + first_ssrc % (1 << 29),
            next_mid: 0,
        }
    }

    /// The identity of the next consumer; no value is reused on this transport.
    pub(crate) fn next_identity(&mut self) -> ConsumerIdentity {
        let (ssrc, mid) = (self.next_ssrc, self.next_mid);
        self.next_ssrc = ssrc.wrapping_add(2);
        self.next_mid = mid.wrapping_add(1);
        ConsumerIdentity { ssrc, rtx_ssrc: ssrc + 1, mid: mid.to_string() }
    }

    /// Estimates from here on what the path carries, for a consumer that was added.
    pub(crate) fn estimate(&mut self, plan: &Plan, now: Instant) {
        let transport_wide = plan.extensions.transport_cc.is_some();
        if self.congestion.is_none() || transport_wide && !self.transport_wide {
            let start = if transport_wide { START_RATE } else { UNPROBED_RATE };
            let config = Config { start, min: MIN_RATE, max: MAX_RATE, transport_wide };
            self.congestion = Some(Box::new(Controller::new(config, now)));
            self.transport_wide = transport_wide;
            self.pacer.get_or_insert_with(|| Box::new(Pacer::new(now)));
        }
    }

    /// What is known of the path to the client; `None` if nobody asks.
    pub(crate) fn path_stats(&self) -> Option<PathStats> {
        let congestion = self.congestion.as_ref()?;
        let (totals, (used, wanted)) = (congestion.totals(), self.allotment.used_and_wanted());
        let ms = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        Some(PathStats {
            estimate: congestion.estimate(),
            used,
            wanted,
            acknowledged: congestion.acknowledged(),
            state: congestion.course(),
            limited_by: congestion.bound(),
            queue_ms: ms(congestion.queue()),
            rtt_ms: ms(congestion.rtt()),
            packets_lost: totals.packets_lost,
            probes_begun: totals.probes_begun,
            probes_passed: totals.probes_passed,
            probes_full: totals.probes_full,
        })
    }

    pub(crate) fn add(&mut self, key: ConsumerKey, plan: &Plan) {
        self.consumers.push(key);
        self.by_ssrc.insert(plan.ssrc, key);
        if let Some(rtx) = plan.rtx {
            self.by_ssrc.insert(rtx.ssrc, key);
        }
    }

    pub(crate) fn forget(&mut self, key: ConsumerKey, plan: &Plan) {
        self.consumers.retain(|&other| other != key);
        self.by_ssrc.remove(&plan.ssrc);
        if let Some(rtx) = plan.rtx {
            self.by_ssrc.remove(&rtx.ssrc);
        }
    }
}

/// Bit/s, for clients without transport-wide feedback, to whom no probe can show more.
const UNPROBED_RATE: u64 = 1_000_000;
/// Bit/s: less is not estimated, since sound needs about as much.
const MIN_RATE: u64 = 30_000;
/// Bit/s: more than any client receives.
const MAX_RATE: u64 = 100_000_000;
/// Above the SSRCs that clients reserve (1234 for probes), below 2^30 to leave room to count up.
const FIRST_SSRC: u32 = 100_000_000;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_never_given_out_twice() {
        let mut downlink = Downlink::new(u32::MAX, true, Instant::now());
        let identities: Vec<_> = (0..1_000).map(|_| downlink.next_identity()).collect();
        let mut ssrcs: Vec<_> =
            identities.iter().flat_map(|identity| [identity.ssrc, identity.rtx_ssrc]).collect();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        assert_eq!(ssrcs.len(), 2_000);
        assert_eq!((identities[0].mid.as_str(), identities[999].mid.as_str()), ("0", "999"));
    }
}
