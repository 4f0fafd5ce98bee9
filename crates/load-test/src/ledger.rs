//! Collects the notes of all crews.

use crate::adaptation::Told;
use crate::orders::{Milestone, Note};
use crate::tally::Tally;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) tally: Tally,
    pub(crate) joins: Vec<Duration>,
    pub(crate) connects: Vec<Duration>,
    pub(crate) first_packets: Vec<Duration>,
    pub(crate) failures: Vec<String>,
    pub(crate) left: usize,
    /// What receivers that have left were told of their bandwidth.
    pub(crate) told: Vec<Told>,
    pub(crate) crews_done: usize,
}

impl Ledger {
    pub(crate) fn absorb(&mut self, note: Note) {
        match note {
            Note::Reached { milestone, micros } => {
                let reached = match milestone {
                    Milestone::Joined => &mut self.joins,
                    Milestone::Connected => &mut self.connects,
                    Milestone::FirstPacket => &mut self.first_packets,
                };
                reached.push(Duration::from_micros(micros));
            }
            Note::Failed(reason) => self.failures.push(reason),
            Note::Left => self.left += 1,
            Note::Told(told) => self.told.push(told),
            Note::Counted(tally) => self.tally.merge(tally),
            Note::Done => self.crews_done += 1,
        }
    }
}
