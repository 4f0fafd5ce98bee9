//! The packets of a stream that a receiver misses, and when it asks for them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// When a receiver asks for what it misses.
#[derive(Debug, Clone, Copy)]
pub struct Repair {
    /// How long to wait before a gap counts as loss.
    patience: Duration,
    /// The time from one request to the next.
    retry: Duration,
    /// Requests for a packet; 0 for a stream that is not repaired.
    tries: u8,
    /// How many packets may be missing. More are given up for a key frame.
    most: usize,
    /// The time between requests follows the round trip.
    adapts: bool,
}

impl Repair {
    /// Asks as quickly as a story wants it.
    pub const QUICK: Self = Self {
        patience: Duration::from_millis(10),
        retry: Duration::from_millis(60),
        tries: 10,
        most: usize::MAX,
        adapts: false,
    };
    /// As libwebrtc's receivers do: at once, then once per round trip.
    pub const BROWSER: Self = Self {
        patience: Duration::ZERO,
        retry: Duration::from_millis(100),
        tries: 100,
        most: LARGEST_GAP as usize,
        adapts: true,
    };
    pub const NONE: Self = Self { tries: 0, ..Self::QUICK };
}

/// The missing packets, by extended sequence number.
pub struct Gaps {
    pub repair: Repair,
    missing: BTreeMap<u64, Missing>,
    /// No request is due before.
    next: Option<Instant>,
    hopeless: bool,
}

struct Missing {
    tries: u8,
    ask_at: Instant,
}

impl Gaps {
    pub fn new(repair: Repair) -> Self {
        Self { repair, missing: BTreeMap::new(), next: None, hopeless: false }
    }

    pub fn open(&mut self, now: Instant, lost: Range<u64>) {
        let count = lost.end.saturating_sub(lost.start);
        if count == 0 || self.repair.tries == 0 {
            return;
        }
        if count > LARGEST_GAP || self.missing.len() + count as usize > self.repair.most {
            self.hopeless = true;
            self.missing.clear();
            return;
        }
        let ask_at = now + self.repair.patience;
        self.missing.extend(lost.map(|sequence| (sequence, Missing { tries: 0, ask_at })));
        self.next = Some(self.next.map_or(ask_at, |next| next.min(ask_at)));
    }

    pub fn close(&mut self, sequence: u64) {
        self.missing.remove(&sequence);
    }

    pub fn next_request(&self) -> Option<Instant> {
        self.next
    }

    /// The packets to ask for, and whether some were given up.
    pub fn requests(&mut self, now: Instant) -> (Vec<u16>, bool) {
        let mut asked = Vec::new();
        if self.next.is_some_and(|next| next <= now) {
            for (sequence, missing) in &mut self.missing {
                if missing.ask_at <= now {
                    missing.tries += 1;
                    missing.ask_at = now + self.repair.retry;
                    asked.push(*sequence as u16);
                }
            }
            let before = self.missing.len();
            self.missing.retain(|_, missing| missing.tries <= self.repair.tries);
            self.hopeless |= self.missing.len() < before;
            self.next = self.missing.values().map(|missing| missing.ask_at).min();
        }
        (asked, std::mem::take(&mut self.hopeless))
    }

    pub fn note_round_trip(&mut self, round_trip: Duration) {
        if self.repair.adapts {
            self.repair.retry = round_trip.max(SHORTEST_RETRY);
        }
    }
}

/// A larger gap is not requested.
const LARGEST_GAP: u64 = 1_000;
/// The interval of the timer by which libwebrtc repeats requests.
const SHORTEST_RETRY: Duration = Duration::from_millis(20);
