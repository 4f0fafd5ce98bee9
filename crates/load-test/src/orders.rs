//! What a crew is told and what it reports: plain data, so that a crew can also run in a process of its own.

use crate::adaptation::Told;
use crate::tally::Tally;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The configuration of a crew, sent before the first order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Briefing {
    pub(crate) call_id: String,
    pub(crate) rtp_capabilities: Value,
    /// One entry per engine thread: the core to pin it to, if any.
    pub(crate) engines: Vec<Option<usize>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    Admit(PeerSpec),
    /// The peer with this number leaves.
    Dismiss(u64),
    /// All peers leave.
    Stop,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerSpec {
    /// Unique in the run.
    pub(crate) number: u64,
    pub(crate) token: String,
    pub(crate) publishes: bool,
    pub(crate) receives: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Note {
    /// The time between a peer's request to join and a milestone.
    Reached {
        milestone: Milestone,
        micros: u64,
    },
    /// A peer ended without an order; the reason.
    Failed(String),
    Left,
    /// What a receiver was told of its bandwidth, when it leaves.
    Told(Told),
    Counted(Tally),
    /// All peers have left and all notes are sent.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Milestone {
    /// `call:join` was answered.
    Joined,
    /// The peer's transports are connected.
    Connected,
    /// The first media packet arrived.
    FirstPacket,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_notes_survive_a_pipe() {
        let spec = PeerSpec { number: 7, token: "t".to_owned(), publishes: true, receives: false };
        let order = serde_json::to_string(&Order::Admit(spec)).unwrap();
        assert!(matches!(serde_json::from_str(&order).unwrap(), Order::Admit(PeerSpec { number: 7, .. })));
        let note = serde_json::to_string(&Note::Reached { milestone: Milestone::Joined, micros: 5 }).unwrap();
        assert!(matches!(serde_json::from_str(&note).unwrap(), Note::Reached { micros: 5, .. }));
    }
}
