//! The taps of all tracks: messages of routers go in, the taps' messages go out to the producers' shards.

use crate::counters::Counting;
use crate::ids::TrackKey;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use switchyard_media_worker::TapEnd;
use switchyard_media_worker::media::{
    ProducerId, Relay, ShardId, Tap, TapCounts, TapNotice, TapOptions, TapOutput, Tapped,
};

#[derive(Debug)]
pub(crate) struct Taps {
    by_track: HashMap<TrackKey, Tapping>,
    /// A producer is in one recording at a time: the recorder subscribes to it once.
    by_producer: HashMap<ProducerId, TrackKey>,
    counting: Counting,
}

#[derive(Debug)]
struct Tapping {
    tap: Tap,
    /// What ends the subscription if the tap cannot do it.
    farewell: (ShardId, Relay),
}

/// What one tap gave out.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) key: TrackKey,
    pub(crate) outputs: Vec<TapOutput>,
    pub(crate) counts: TapCounts,
    /// Nothing follows.
    pub(crate) ended: bool,
    /// It ended because of a fault of ours.
    pub(crate) broke: bool,
}

impl Taps {
    pub(crate) fn new(counting: Counting) -> Self {
        Self { by_track: HashMap::new(), by_producer: HashMap::new(), counting }
    }

    pub(crate) fn add(
        &mut self,
        now: Instant,
        key: TrackKey,
        tapped: Tapped,
        options: TapOptions,
        end: &mut TapEnd,
        given: &mut Vec<Given>,
    ) {
        let farewell = tapped.farewell();
        let tap = Tap::new(tapped, options, now);
        self.by_producer.insert(tap.producer(), key);
        self.by_track.insert(key, Tapping { tap, farewell });
        self.with(now, key, end, given, |_| {});
    }

    /// Hands a message to the tap of its producer.
    pub(crate) fn relay(&mut self, now: Instant, relay: Relay, end: &mut TapEnd, given: &mut Vec<Given>) {
        let key = relay.producer().and_then(|producer| self.by_producer.get(&producer).copied());
        if let Some(key) = key {
            self.with(now, key, end, given, |tap| tap.handle_relay(now, relay));
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.by_track.values().filter_map(|tapping| tapping.tap.next_timeout()).min()
    }

    pub(crate) fn handle_timeouts(&mut self, now: Instant, end: &mut TapEnd, given: &mut Vec<Given>) {
        let is_due = |tapping: &Tapping| tapping.tap.next_timeout().is_some_and(|at| at <= now);
        let due = self.by_track.iter().filter(|(_, tapping)| is_due(tapping));
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.with(now, key, end, given, |tap| tap.handle_timeout(now));
        }
    }

    pub(crate) fn start_over(
        &mut self,
        now: Instant,
        key: TrackKey,
        end: &mut TapEnd,
        given: &mut Vec<Given>,
    ) {
        self.with(now, key, end, given, |tap| tap.start_over(now));
    }

    /// Gives out what it has, and is gone.
    pub(crate) fn close(&mut self, now: Instant, key: TrackKey, end: &mut TapEnd, given: &mut Vec<Given>) {
        self.with(now, key, end, given, |tap| tap.close(now));
        self.remove(key);
    }

    /// Does something with a tap, and takes what it gives out. A panic ends the track and nothing else.
    fn with(
        &mut self,
        now: Instant,
        key: TrackKey,
        end: &mut TapEnd,
        given: &mut Vec<Given>,
        act: impl FnOnce(&mut Tap),
    ) {
        let Some(Tapping { tap, farewell }) = self.by_track.get_mut(&key) else { return };
        let mut outputs = Vec::new();
        let acted = catch_unwind(AssertUnwindSafe(|| {
            act(tap);
            outputs.extend(std::iter::from_fn(|| tap.poll_output()));
        }));
        let counts = tap.counts();
        let broke = acted.is_err();
        if broke {
            self.counting.lock().faults += 1;
            let (to, relay) = farewell.clone();
            end.send(now, to, relay);
        }
        let mut ended = broke;
        outputs.retain_mut(|output| match output {
            TapOutput::Notice(TapNotice::Ended) => {
                ended = true;
                false
            }
            TapOutput::Relay { to, relay } => {
                end.send(now, *to, relay.clone());
                false
            }
            TapOutput::Format(_) | TapOutput::Sample(_) | TapOutput::Notice(_) => true,
        });
        if ended {
            self.remove(key);
        }
        if ended || !outputs.is_empty() {
            given.push(Given { key, outputs, counts, ended, broke });
        }
    }

    fn remove(&mut self, key: TrackKey) {
        let Some(Tapping { tap, .. }) = self.by_track.remove(&key) else { return };
        if let Entry::Occupied(entry) = self.by_producer.entry(tap.producer())
            && *entry.get() == key
        {
            entry.remove();
        }
    }
}
