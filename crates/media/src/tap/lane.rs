//! The packets of one source: their order and their times.

use super::clock::SourceClock;
use super::outlet::Outlet;
use super::window::{Packet, Place, Popped, Window};
use crate::arrival::{Captured, EncodingLife};
use crate::relay::{ProducerMessage, RelayedPacket};
use std::time::Instant;

/// One encoding of a producer, from the latest restart of its sender on.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) source: EncodingLife,
    window: Window,
    clock: SourceClock,
}

/// What follows next in a lane.
pub(super) enum Step<'a> {
    Packet {
        packet: Packet,
        payload: &'a [u8],
        captured: Instant,
    },
    /// So many packets never came.
    Lost(u64),
}

impl Lane {
    pub(super) fn new(origin: Instant, rate: u32, packet: &RelayedPacket) -> Self {
        Self {
            source: packet.source,
            window: Window::default(),
            clock: SourceClock::new(origin, rate, packet.timestamp, packet.at),
        }
    }

    /// Learns the sender reports of its source.
    pub(super) fn learn(&mut self, captured: &[(EncodingLife, Captured)]) {
        for (_, captured) in captured.iter().filter(|(source, _)| *source == self.source) {
            self.clock.report(captured);
        }
    }

    /// Takes a packet, and calls `step` for everything that follows in order.
    pub(super) fn take(
        &mut self,
        packet: &RelayedPacket,
        payload: &[u8],
        now: Instant,
        mut step: impl FnMut(Step<'_>),
    ) {
        let &RelayedPacket { sequence, timestamp, marker, media, carried, at, .. } = packet;
        let packet = Packet { sequence, timestamp, marker, media, carried, at };
        let place = self.window.offer(packet, payload);
        if place != Place::Known {
            self.clock.arrived(timestamp, at);
        }
        if place == Place::Next {
            let captured = self.clock.capture(timestamp, at, now);
            step(Step::Packet { packet, payload, captured });
        }
        self.drain(now, step);
    }

    /// Calls `step` for everything that follows because time has passed.
    pub(super) fn drain(&mut self, now: Instant, mut step: impl FnMut(Step<'_>)) {
        while let Some(popped) = self.window.pop(now) {
            match popped {
                Popped::Packet(packet, payload) => {
                    let captured = self.clock.capture(packet.timestamp, packet.at, now);
                    step(Step::Packet { packet, payload: &payload, captured });
                }
                Popped::Lost(count) => step(Step::Lost(count)),
            }
        }
    }

    /// From here on nothing is waited for: what is held comes out at the next [`Self::drain`].
    pub(super) fn hurry(&mut self) {
        self.window.hurry();
    }

    /// Requests what did not come.
    pub(super) fn ask(&mut self, now: Instant, outlet: &mut Outlet) {
        let missing = self.window.missing(now);
        if !missing.is_empty() {
            outlet.tell(ProducerMessage::Missing(self.source, missing));
        }
    }

    /// Expects any packet next: what came meanwhile was not meant to be recorded.
    pub(super) fn forget_order(&mut self) {
        self.window = Window::default();
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.window.next_timeout()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.window.bytes()
    }
}
