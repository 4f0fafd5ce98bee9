//! Towards the client: the consumers on a transport and what they have due.

use crate::consumer::Plan;
use crate::counters::Counters;
use crate::ortc::ConsumerIdentity;
use crate::router::ConsumerKey;
use crate::rtp::Ssrc;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub(crate) struct Downlink {
    pub(crate) consumers: Vec<ConsumerKey>,
    /// By media and RTX SSRC, as feedback names them.
    pub(crate) by_ssrc: FxHashMap<Ssrc, ConsumerKey>,
    pub(crate) due: VecDeque<Due>,
    /// The client is known or taken to strip padding.
    pub(crate) padding: bool,
    /// The next transport-wide sequence number.
    pub(crate) transport_sequence: u16,
    pub(crate) rtt: Option<Duration>,
    /// The receiver's SSRC and reference time (middle 32 bits of NTP), to be answered with the delay since.
    pub(crate) reference_time: Option<(u32, u32, Instant)>,
    /// Counts up by two, so that no SSRC is used twice in the transport's life.
    next_ssrc: u32,
    next_mid: u32,
    pub(crate) next_stream_id: u16,
}

/// A packet to be rewritten and sealed: an index, not a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) consumer: ConsumerKey,
    /// Low 32 bits of its outgoing extended sequence number.
    pub(crate) outgoing: u32,
    /// Of the plaintext packet without padding, in bytes; 0 if the packet is not to be evened with others.
    pub(crate) size: u16,
    pub(crate) kind: DueKind,
}

/// A queue entry is an index entry.
const _: () = assert!(size_of::<Due>() == 16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DueKind {
    Media,
    /// A retransmission.
    Again,
    /// Padding in place of a packet that is not wanted.
    Fill,
}

impl Downlink {
    /// `first_ssrc` is random.
    pub(crate) fn new(first_ssrc: u32, padding: bool) -> Self {
        Self {
            consumers: Vec::new(),
            by_ssrc: FxHashMap::default(),
            due: VecDeque::new(),
            padding,
            transport_sequence: 0,
            rtt: None,
            reference_time: None,
            next_ssrc: FIRST_SSRC + first_ssrc % (1 << 29),
            next_mid: 0,
            next_stream_id: 0,
        }
    }

    /// What tells the next consumer apart on this transport, never given out before.
    pub(crate) fn next_identity(&mut self) -> ConsumerIdentity {
        let (ssrc, mid) = (self.next_ssrc, self.next_mid);
        self.next_ssrc = ssrc.wrapping_add(2);
        self.next_mid = mid.wrapping_add(1);
        ConsumerIdentity { ssrc, rtx_ssrc: ssrc + 1, mid: mid.to_string() }
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

    /// True if nothing was due before.
    pub(crate) fn queue(&mut self, due: Due, counters: &mut Counters) -> bool {
        if self.due.len() >= MAX_DUE {
            counters.egress_overflow += 1;
            return false;
        }
        self.due.push_back(due);
        self.due.len() == 1
    }
}

/// Above the numbers that clients keep for themselves (1234 probes), below 2^30 to leave room to count up.
const FIRST_SSRC: u32 = 100_000_000;
/// A batch of packets from every producer a client watches, and retransmissions beside.
const MAX_DUE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_never_given_out_twice() {
        let mut downlink = Downlink::new(u32::MAX, true);
        let identities: Vec<_> = (0..1_000).map(|_| downlink.next_identity()).collect();
        let mut ssrcs: Vec<_> =
            identities.iter().flat_map(|identity| [identity.ssrc, identity.rtx_ssrc]).collect();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        assert_eq!(ssrcs.len(), 2_000);
        assert_eq!((identities[0].mid.as_str(), identities[999].mid.as_str()), ("0", "999"));
    }

    #[test]
    fn the_queue_is_bounded_and_says_when_it_begins() {
        let mut counters = Counters::default();
        let mut downlink = Downlink::new(1, true);
        let due = Due { consumer: ConsumerKey::default(), outgoing: 0, size: 0, kind: DueKind::Media };
        assert!(downlink.queue(due, &mut counters));
        (0..MAX_DUE).for_each(|_| assert!(!downlink.queue(due, &mut counters)));
        assert_eq!(counters.egress_overflow, 1);
    }
}
