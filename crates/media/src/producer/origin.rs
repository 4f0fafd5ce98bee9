//! Where a producer's packets come from: a client of this shard, or another shard of the router.

use crate::allocation::Prices;
use crate::arrival::EncodingLife;
use crate::id::ShardId;
use crate::keys::TransportKey;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) enum Origin {
    Transport(TransportKey),
    Relay(Upstream),
}

/// The shard that relays a producer to this shard, and the state exchanged with it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) shard: ShardId,
    /// A bit for each encoding being sent, from the last [`ProducerState`](crate::relay::ProducerState).
    pub(crate) active: u8,
    /// Our wall clock minus the sending client's, in 2^-32 s, from the last state.
    pub(crate) clock_offset: Option<i64>,
    /// What each layer costs that is sent.
    pub(crate) prices: Prices,
    /// It comes from the dominant speaker.
    pub(crate) has_floor: bool,
    /// A bit for each encoding subscribed to; `None` before the first subscription.
    pub(crate) subscribed: Option<u8>,
    /// Packets requested lately, so that several consumers' NACKs for one packet cause one request.
    asked: VecDeque<(EncodingLife, u64, Instant)>,
}

impl Upstream {
    pub(crate) fn new(shard: ShardId) -> Self {
        Self {
            shard,
            active: 0,
            clock_offset: None,
            prices: Prices::default(),
            has_floor: false,
            subscribed: None,
            asked: VecDeque::new(),
        }
    }

    /// Whether to request a packet; if so it is recorded as requested.
    pub(crate) fn ask(&mut self, source: EncodingLife, sequence: u64, now: Instant) -> bool {
        while self.asked.front().is_some_and(|(.., at)| now.saturating_duration_since(*at) >= ASK_AGAIN) {
            self.asked.pop_front();
        }
        let is_new = !self.asked.iter().any(|&(of, number, _)| (of, number) == (source, sequence));
        let ask = is_new && self.asked.len() < MAX_ASKED;
        if ask {
            self.asked.push_back((source, sequence, now));
        }
        ask
    }
}

/// Longer than any round trip between two shards.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// If more packets are missing at once, a key frame replaces them.
const MAX_ASKED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_consumers_miss_is_asked_for_once_and_again_only_later() {
        let start = Instant::now();
        let mut upstream = Upstream::new(ShardId(1));
        let source = EncodingLife { encoding: 0, generation: 0 };
        assert!(upstream.ask(source, 7, start));
        assert!(!upstream.ask(source, 7, start + Duration::from_millis(99)));
        assert!(upstream.ask(source, 8, start + Duration::from_millis(99)));
        assert!(upstream.ask(source, 7, start + Duration::from_millis(100)));
        let asked = (0..10_000).filter(|sequence| upstream.ask(source, 100 + sequence, start)).count();
        assert!(asked < MAX_ASKED);
    }
}
