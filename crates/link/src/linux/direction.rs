//! One direction: its link, and what is counted of it.

use super::device::Device;
use super::tally::{Report, Tally};
use anyhow::Result;
use std::time::Instant;
use switchyard_link::Link;
use switchyard_link::path::{Path, Queue, Rate};

pub(crate) struct Direction {
    path: Path,
    seed: u64,
    link: Link<Vec<u8>>,
    total: Tally,
    second: Tally,
}

impl Direction {
    /// A direction that has only its delay until it begins.
    pub(crate) fn new(path: Path, seed: u64, now: Instant) -> Self {
        let open = Path { rate: Rate::Unlimited, queue: Queue::Unlimited, delay: path.delay, ..Path::GOOD };
        let link = Link::new(open, seed, now);
        Self { path, seed, link, total: Tally::default(), second: Tally::default() }
    }

    /// Lets the limits hold from here on, and counts from 0. What was on its way arrives at once.
    pub(crate) fn begin(&mut self, to: &Device, now: Instant) -> Result<()> {
        while let Some(packet) = self.link.next_arrival().and_then(|due| self.link.pop(due)) {
            to.write(&packet)?;
        }
        self.link = Link::new(self.path, self.seed, now);
        (self.total, self.second) = (Tally::default(), Tally::default());
        Ok(())
    }

    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.link.next_arrival()
    }

    /// Sends what waits at a device.
    pub(crate) fn take(&mut self, from: &Device, buffer: &mut [u8]) -> Result<()> {
        for _ in 0..BATCH {
            let Some(length) = from.read(buffer)? else { break };
            let packet = buffer[..length].to_vec();
            let passage = self.link.push(Instant::now(), length, packet);
            self.count(|tally| tally.note_sent(length, passage));
        }
        Ok(())
    }

    /// Hands over what has arrived.
    pub(crate) fn deliver(&mut self, to: &Device) -> Result<()> {
        while let Some(due) = self.link.next_arrival() {
            let Some(packet) = self.link.pop(Instant::now()) else { break };
            to.write(&packet)?;
            let late = due.elapsed();
            self.count(|tally| tally.note_arrived(packet.len(), late));
        }
        Ok(())
    }

    pub(crate) fn sample(&mut self, now: Instant) {
        let backlog = self.link.backlog(now);
        self.count(|tally| tally.note_backlog(backlog));
    }

    pub(crate) fn total(&mut self) -> Report {
        self.total.report()
    }

    /// The report on the second that ends here.
    pub(crate) fn next_second(&mut self) -> Report {
        std::mem::take(&mut self.second).report()
    }

    fn count(&mut self, mut note: impl FnMut(&mut Tally)) {
        note(&mut self.total);
        note(&mut self.second);
    }
}

/// Packets of one direction per turn, so that the other one is not late.
const BATCH: usize = 64;
