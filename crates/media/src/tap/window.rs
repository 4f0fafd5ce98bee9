//! Puts the packets of one source in order, and waits a bounded time for missing ones.

use crate::arrival::Carried;
use crate::codec::Descriptor;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is recorded of a packet, without its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    /// Extended sequence number within the source.
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    /// `None` for a padding-only probe.
    pub(super) media: Option<Descriptor>,
    pub(super) carried: Carried,
    pub(super) at: Instant,
}

/// The packets behind a gap.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The sequence number that comes next; `None` before the first packet.
    next: Option<u64>,
    held: BTreeMap<u64, Held>,
    bytes: usize,
    /// When the packets behind the first gap began to wait for it.
    since: Option<Instant>,
    /// Missing packets with lower numbers were requested.
    requested: u64,
    /// Nothing is waited for.
    is_impatient: bool,
}

#[derive(Debug)]
struct Held {
    packet: Packet,
    payload: Box<[u8]>,
}

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It comes next.
    Next,
    /// It is held, behind a gap.
    Held,
    /// It came before, or too late.
    Known,
}

/// What comes next out of the window.
#[derive(Debug)]
pub(super) enum Popped {
    Packet(Packet, Box<[u8]>),
    /// So many packets never came.
    Lost(u64),
}

impl Window {
    /// Takes a packet. With [`Place::Next`] it is the caller's turn to use it, before [`Self::pop`].
    pub(super) fn offer(&mut self, packet: Packet, payload: &[u8]) -> Place {
        let next = *self.next.get_or_insert(packet.sequence);
        if packet.sequence < next || self.held.contains_key(&packet.sequence) {
            return Place::Known;
        }
        if packet.sequence == next {
            self.next = Some(next + 1);
            return Place::Next;
        }
        self.bytes += payload.len();
        self.since.get_or_insert(packet.at);
        self.held.insert(packet.sequence, Held { packet, payload: payload.into() });
        Place::Held
    }

    /// The next packet that is held, or the loss before it when nobody waits for it any more.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Popped> {
        let next = self.next?;
        let (&first, _) = self.held.first_key_value()?;
        if first != next {
            if !self.is_overdue(now) {
                return None;
            }
            self.next = Some(first);
            return Some(Popped::Lost(first - next));
        }
        let (_, Held { packet, payload }) = self.held.pop_first()?;
        self.bytes -= payload.len();
        self.next = Some(next + 1);
        match self.held.first_key_value() {
            None => self.since = None,
            Some((&first, _)) if first != next + 1 => {
                self.since = self.held.values().map(|held| held.packet.at).min();
            }
            Some(_) => {}
        }
        Some(Popped::Packet(packet, payload))
    }

    /// Nobody waits any more: everything that is held comes out.
    pub(super) fn hurry(&mut self) {
        self.is_impatient = true;
    }

    /// The missing packets to request from the producer's shard, each once: those that were waited for so long
    /// that the shard has them if its client sent them again.
    pub(super) fn missing(&mut self, now: Instant) -> Vec<u64> {
        let is_time = self.since.is_some_and(|since| now.saturating_duration_since(since) >= ASK_AFTER);
        let range = self.next.zip(self.held.last_key_value().map(|(&last, _)| last));
        let Some((next, last)) = range.filter(|_| is_time) else { return Vec::new() };
        let from = next.max(self.requested);
        self.requested = last.max(self.requested);
        (from..last).filter(|sequence| !self.held.contains_key(sequence)).take(MAX_PACKETS).collect()
    }

    /// When to call [`Self::missing`] and [`Self::pop`].
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let since = self.since?;
        let last = self.held.last_key_value().map_or(0, |(&last, _)| last);
        Some(since + if self.requested < last { ASK_AFTER } else { PATIENCE })
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.is_impatient
            || self.held.len() >= MAX_PACKETS
            || self.bytes >= MAX_BYTES
            || self.since.is_none_or(|since| now.saturating_duration_since(since) >= PATIENCE)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A gap waits so long for repair.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// A packet that the producer's shard received again by then is on its way.
const ASK_AFTER: Duration = Duration::from_millis(200);
pub(super) const MAX_PACKETS: usize = 512;
pub(super) const MAX_BYTES: usize = 2 << 20;
